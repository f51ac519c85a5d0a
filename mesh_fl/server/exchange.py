"""The exchange over Flower: one flat array of bytes a message, to nodes that are members."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from flwr.app import Message
from flwr.serverapp import Grid

from mesh_fl.card import Card
from mesh_fl.errors import ProtocolError
from mesh_fl.flower import unwrap, wrap
from mesh_fl.messages import Refusal, ToMember, ToServer, decode, encode
from mesh_fl.roster import Roster
from mesh_fl.server.flower_private import ErrorCode
from mesh_fl.server.grid import MemberGrid
from mesh_fl.server.members import Members

NO_ANSWER = Refusal(cause="reply", lasting=False)
GONE = Refusal(cause="gone", lasting=False)
RESEND_S = 10.0
"""A member that restarts never sees what its dead process had taken: it is sent again."""


class Nodes(Protocol):
    """The nodes of the members, by Flower's ids, and the grid to reach them."""

    @property
    def grid(self) -> Grid:
        """Where messages go out and replies come in."""

    def register(self, public_key: bytes) -> int | None:
        """Let the holder of a key in, and return its node; None while it has none."""

    def remove(self, node_id: int) -> None:
        """Let the holder of a node in no more, as far as that is up to us."""

    def online(self) -> frozenset[int]:
        """Return the nodes that can be reached now."""


class FlowerExchange:
    """Reaches members through Flower's grid.

    Parameters
    ----------
    nodes : Nodes
        Knows which nodes are online, and lets members in and out.
    members : Members
        Who is registered.
    stopped : callable
        True stops to wait for answers.
    poll_s : float
        Pause between two looks for replies.
    resend_s : float
        Time after which a member that has not answered is sent its message again.
    least_timeout_s : float
        How long answers are waited for even where less is asked for.
    """

    def __init__(
        self,
        nodes: Nodes,
        members: Members,
        *,
        stopped: Callable[[], bool] = lambda: False,
        poll_s: float = 0.02,
        resend_s: float = RESEND_S,
        least_timeout_s: float = 0.0,
    ) -> None:
        self._stopped = stopped
        self._nodes = nodes
        self._members = members
        self._poll_s = poll_s
        self._resend_s = resend_s
        self._least_timeout_s = least_timeout_s
        self._known: dict[str, tuple[str, int]] = {}
        # The training and the operator's status follow the registered members at the same time.
        self._following = threading.Lock()
        self._down_bytes = self._up_bytes = 0

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes of messages sent to members and received from them so far."""
        return self._down_bytes, self._up_bytes

    def roster(self) -> Roster:
        """Return who is a member now."""
        self._follow()
        return self._members.roster()

    def connected(self) -> frozenset[str]:
        """Return the registered members whose node is online."""
        online = self._nodes.online()
        self._follow()
        return frozenset(name for name, (_, node) in self._known.items() if node in online)

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        """Send each member its message and collect the answers."""
        blobs = {name: encode(message) for name, message in messages.items()}
        answers: dict[str, ToServer] = {}
        sent: dict[str, str] = {}
        grid = self._nodes.grid
        deadline, resend = time.monotonic() + max(timeout_s, self._least_timeout_s), 0.0
        while len(answers) < len(blobs) and (now := time.monotonic()) < deadline:
            if self._stopped():
                break
            if now >= resend:
                sent |= self._push(grid, {n: b for n, b in blobs.items() if n not in answers})
                resend = now + self._resend_s
            for reply in grid.pull_messages(list(sent)):
                name = sent.pop(reply.metadata.reply_to_message_id, None)
                if name is not None:
                    answers[name] = self._read(reply)
            time.sleep(self._poll_s)
        _forget(grid, sent)
        return answers

    def _push(self, grid: Grid, blobs: Mapping[str, bytes]) -> dict[str, str]:
        nodes = {name: node for name, (_, node) in self._known.items() if name in blobs}
        names = list(nodes)
        ids = grid.push_messages([_message(nodes[name], blobs[name]) for name in names])
        self._down_bytes += sum(len(blobs[name]) for name in names)
        return {message_id: name for message_id, name in zip(ids, names, strict=True) if message_id}

    def _read(self, reply: Message) -> ToServer:
        """Return a member's answer; what is none counts as a refusal."""
        if reply.has_error() and reply.error.code == ErrorCode.NODE_UNAVAILABLE:
            return GONE
        blob = unwrap(reply)
        self._up_bytes += len(blob)
        try:
            answer = decode(blob)
        except ProtocolError:
            return NO_ANSWER
        return answer if isinstance(answer, ToServer) else NO_ANSWER

    def _follow(self) -> Mapping[str, Card]:
        """Let in whom the operator added since, and out whom it removed; return who is in."""
        with self._following:
            cards = self._members.cards()
            kept: dict[str, tuple[str, int]] = {}
            for name, (identity, node) in self._known.items():
                if name in cards and cards[name].identity == identity:
                    kept[name] = (identity, node)
                else:
                    self._nodes.remove(node)
            for name, card in cards.items():
                if name in kept:
                    continue
                if (node_id := self._nodes.register(card.identity.encode())) is not None:
                    kept[name] = (card.identity, node_id)
            self._known = kept
            return cards


def _message(node: int, blob: bytes) -> Message:
    return Message(wrap(blob), dst_node_id=node, message_type="train")


def _forget(grid: Grid, message_ids: Iterable[str]) -> None:
    """Drop what nobody waits for any more; Flower's own grid keeps it until its run ends."""
    if isinstance(grid, MemberGrid):
        grid.forget(message_ids)
