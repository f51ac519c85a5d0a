"""Flower's Fleet connection and a ClientApp inside this process.

Flower's own connection ends the process when the server refuses it; this one says why and goes on.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from mesh_fl.client.diagnosis import (
    certificate_problem,
    check_address,
    clock_problem,
    reason,
    trust,
)
from mesh_fl.client.fleet import Fleet, GoneError
from mesh_fl.client.flower_private import (
    TIMESTAMP_HEADER,
    ErrorCode,
    Node,
    ObjectTree,
)
from mesh_fl.errors import MeshError, NetworkError

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_LONGEST_REFUSED_PAUSE_S = 2.0
_LONGEST_POLL_S = 1.0

# A server that restarts may listen a moment before it knows all its members again.
_REFUSAL_PATIENCE_S = 3
# Flower counts a killed client as online for two heartbeats.
_IN_USE_PATIENCE_HEARTBEATS = 2.5

_APP_FAILED = "The member's application failed; the member's own log says why."

_log = logging.getLogger(__name__)


def serve_node(
    app: ClientApp,
    server: str,
    *,
    ca: Path,
    key: ec.EllipticCurvePrivateKey,
    stopped: threading.Event,
    on_state: Callable[[str], None],
    poll_s: float = 0.1,
    heartbeat_s: float = 10,
) -> None:
    """Connect to a server and let a ClientApp answer its messages until told to stop.

    A lost connection and a restarted server are waited for, however long it takes.

    Parameters
    ----------
    app
        Answers the messages. What it raises goes to the server as an error without details.
    server
        ``host:port``.
    ca
        Certificate of the mesh's authority (PEM).
    key
        Our EC P-384 private key; the server knows us by it.
    stopped
        Set it to leave.
    on_state
        Gets a short sentence whenever the state of the connection changes.
    poll_s
        Pause between two looks for messages; it grows to 1 s while none come.
    heartbeat_s
        Flower's heartbeat interval, at least 10; the server takes us for gone after two.

    Raises
    ------
    NetworkError
        If trying again cannot help: the address is malformed, the server's certificate is not the
        one to expect, our key is unknown, removed or used by another client, or a clock is wrong.
    """
    check_address(server)
    fleet = Fleet(server, key, trust(ca), heartbeat_s, stopped)
    _Worker(app, fleet, server, ca, stopped, on_state, poll_s).run()


class _Worker:
    """Keeps the connection and answers messages one by one."""

    def __init__(
        self,
        app: ClientApp,
        fleet: Fleet,
        server: str,
        ca: Path,
        stopped: threading.Event,
        on_state: Callable[[str], None],
        poll_s: float,
    ) -> None:
        self._app = app
        self._fleet = fleet
        self._server = server
        self._ca = ca
        self._stopped = stopped
        self._on_state = on_state
        self._poll_s = poll_s
        self._said = ""
        self._pause_s = _FIRST_PAUSE_S
        self._refused: tuple[int, float] | None = None
        self._was_member = False
        self._context: Context | None = None

    def run(self) -> None:
        left = threading.Event()
        heart = threading.Thread(target=self._beat_until, args=(left,), daemon=True)
        heart.start()
        try:
            while not self._stopped.is_set():
                try:
                    self._work()
                except httpx.HTTPError as error:
                    self._wait_after(error)
        finally:
            left.set()
            heart.join()
            self._fleet.deactivate()

    def _beat_until(self, left: threading.Event) -> None:
        while not left.wait(self._fleet.heartbeat_s / 2):
            self._fleet.beat()

    def _work(self) -> None:
        node = self._fleet.node or self._fleet.activate()
        busy_at = time.monotonic()
        while not self._stopped.is_set():
            work = self._fleet.pull(node)
            self._note_connected()
            if work is not None:
                self._answer(node, *work)
                busy_at = time.monotonic()
                continue
            idle_s = time.monotonic() - busy_at
            self._stopped.wait(max(self._poll_s, min(idle_s / 20, _LONGEST_POLL_S)))

    def _note_connected(self) -> None:
        self._was_member = True
        self._refused = None
        self._pause_s = _FIRST_PAUSE_S
        self._say(f"connected to {self._server}")

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._on_state(sentence)

    def _answer(self, node: Node, run_id: int, tree: ObjectTree) -> None:
        try:
            message = self._fleet.fetch(node, run_id, tree)
            # Flower would be told how long it took, which tells how many records there are.
            self._fleet.reply(node, self._ask_app(message, node), 0.0)
        except GoneError as error:
            _log.info("message dropped: %s", error)

    def _ask_app(self, message: Message, node: Node) -> Message:
        try:
            reply: object = self._app(message=message, context=self._context_of(message, node))
            if isinstance(reply, Message):
                return reply
            _log.error("the application gave %s instead of a message", type(reply).__name__)
            text = _APP_FAILED
        except MeshError as error:
            text = str(error)
            _log.warning("refused: %s", text)
        except Exception as error:
            # The exception's own text may quote a member's records.
            _log.error("the application raised %s", type(error).__name__)
            _log.debug("traceback", exc_info=True)
            text = _APP_FAILED
        return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, text), reply_to=message)

    def _context_of(self, message: Message, node: Node) -> Context:
        run_id = message.metadata.run_id
        if self._context is None or self._context.run_id != run_id:
            self._context = Context(
                run_id=run_id,
                node_id=node.node_id,
                node_config={},
                state=RecordDict(),
                run_config={},
            )
        return self._context

    def _wait_after(self, error: httpx.HTTPError) -> None:
        if isinstance(error, httpx.HTTPStatusError):
            trouble = self._refusal(error.response)
            pause_s = min(self._pause_s, _LONGEST_REFUSED_PAUSE_S)
        else:
            if problem := certificate_problem(error, self._server, self._ca):
                raise problem from error
            self._refused = None
            trouble = f"server {self._server} does not answer ({reason(error)})"
            pause_s = self._pause_s
        self._say(f"{trouble}; trying again in {pause_s:g} s")
        self._stopped.wait(pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _refusal(self, response: httpx.Response) -> str:
        """Forget a node that the server does not know any more; give up when it stays so."""
        status = response.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.CONFLICT):
            self._fleet.node = None
        refused_for_s = self._refused_for_s(status)
        if status == httpx.codes.UNAUTHORIZED:
            if refused_for_s >= _REFUSAL_PATIENCE_S:
                raise self._not_a_member(response)
            return f"server {self._server} does not know our key"
        if status == httpx.codes.PRECONDITION_FAILED:
            if refused_for_s >= _IN_USE_PATIENCE_HEARTBEATS * self._fleet.heartbeat_s:
                raise self._key_in_use()
            return f"server {self._server} still has another client online with our key"
        return f"server {self._server} refuses a request (HTTP status {status})"

    def _refused_for_s(self, status: int) -> float:
        now = time.monotonic()
        if self._refused is None or self._refused[0] != status:
            self._refused = (status, now)
        return now - self._refused[1]

    def _not_a_member(self, response: httpx.Response) -> NetworkError:
        if clock := clock_problem(response, response.request.headers[TIMESTAMP_HEADER]):
            return clock
        if self._was_member:
            return NetworkError(
                f"Server {self._server} has removed us: our key let us in before and does not now. "
                "Ask the operator why; as any other, we come back when members approve it."
            )
        return NetworkError(
            f"Server {self._server} does not know our key. "
            "Send the operator our card.json and ask them to run `mesh-server members propose`."
        )

    def _key_in_use(self) -> NetworkError:
        return NetworkError(
            f"Another client is connected to server {self._server} with our key. "
            "Stop one of them: a home belongs to one client."
        )
