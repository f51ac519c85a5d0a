"""Flower's SuperLink and its grid inside this process.

What the server takes from Flower's private modules is listed in `flower_private`, and
``tests/server/test_superlink.py`` tells which part of it another version of Flower has changed.
"""

import datetime
import logging
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import uvicorn
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key
from fastapi import FastAPI
from flwr.app import Context, RecordDict
from flwr.serverapp import ServerApp
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from mesh_fl.errors import ConfigError, NetworkError
from mesh_fl.listen import bind
from mesh_fl.server.deadline import DeadlineProtocol
from mesh_fl.server.flower_private import (
    FLOWER_LOGGER,
    FLWR_IN_MEMORY_DB_NAME,
    NOOP_ACCOUNT_NAME,
    NOOP_FEDERATION_ID,
    NOOP_FLWR_AID,
    SUPERLINK_NODE_ID,
    ConfirmMessageReceivedRequest,
    ConsoleHandler,
    InMemoryLinkState,
    InMemoryObjectStore,
    LinkStateFactory,
    NodeAuthMiddleware,
    NoOpFederationManager,
    ObjectStoreFactory,
    ObjectTree,
    ProtobufTranslationMiddleware,
    PushMessagesRequest,
    Run,
    TaskIdentity,
    TaskType,
    fleet_router,
    http_error_translator,
    iterate_object_tree,
    public_key_to_bytes,
)
from mesh_fl.server.gate import CONFIRM, PUSH_MESSAGES, Gate
from mesh_fl.server.grid import MemberGrid
from mesh_fl.server.tls import tls_context

_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 5


class SuperLink:
    """Flower's Fleet API over TLS, open to registered members only, and the grid to reach them.

    Nothing else of Flower's HTTP interface is served: whoever may submit a run to a SuperLink can
    have code of his choice executed by every member. State lives in memory and ends with the
    process. Members that are registered before entering are known from the first request on.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one, `port` then tells which.
    ca, certificate, key
        Authority, server certificate and private key (PEM).
    poll_s
        Pause between two looks for replies.
    body_limit_bytes
        Largest request body that a member may send.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        ca: Path,
        certificate: Path,
        key: Path,
        poll_s: float = 0.02,
        body_limit_bytes: int = 64 * 2**20,
    ) -> None:
        _quiet_flower()
        self.host = host
        self.port = port
        self._files = (ca, certificate, key)
        self._factory = LinkStateFactory(
            FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory()
        )
        self._state = cast(InMemoryLinkState, self._factory.state())
        self._run = _start_run(self._state)
        self._body_limit_bytes = body_limit_bytes
        self.grid = MemberGrid(self._state, self._run, poll_s)

    def __enter__(self) -> Self:
        """Listen.

        Raises
        ------
        NetworkError
            If the port is taken or the certificate cannot be used.
        """
        context = tls_context(*self._files)
        self._socket = bind(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._gate(),
                ssl_context_factory=lambda _config, _default: context,
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_keep_alive=75,
                http=DeadlineProtocol,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="superlink", daemon=True
        )
        self._thread.start()
        self._wait_until_started()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and end the run."""
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_S)
        self._socket.close()
        self._state.stop_run(self._run.run_id)

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self._socket.close()
                raise NetworkError(
                    f"The server did not start on {self.host}:{self.port}; its log says why."
                )
            time.sleep(0.01)

    def _gate(self) -> Gate:
        return Gate(
            _fleet_api(self._factory),
            node_of=self._state.get_node_id_by_public_key,
            may=self._may,
            body_limit_bytes=self._body_limit_bytes,
        )

    def register(self, public_key: bytes) -> int:
        """Let the holder of a key in.

        Parameters
        ----------
        public_key
            EC P-384 public key, as an OpenSSH line or PEM.

        Returns
        -------
        int
            Flower's node id of the key; the same one again if the key is already registered.

        Raises
        ------
        ConfigError
            If this is not such a key.
        """
        public_pem = public_key_to_bytes(_read_public_key(public_key))
        with self._state.lock:
            known = self._state.get_node_id_by_public_key(public_pem)
            if known is not None:
                return known
            return self._state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, public_pem, 0)

    def remove(self, node_id: int) -> None:
        """Let the holder of a node id's key in no more; unknown ids are ignored."""
        state = self._state
        with state.lock:
            node = state.nodes.get(node_id)
            if node is None or state.node_public_key_to_node_id.get(node.public_key) != node_id:
                return
            state.delete_node(NOOP_FLWR_AID, node_id)
            # Flower 1.41 would refuse this key for ever, so a member could not come back.
            del state.node_public_key_to_node_id[node.public_key]

    def online(self) -> frozenset[int]:
        """Give the ids of the nodes that are connected, or were within two heartbeats."""
        return frozenset(self.grid.get_node_ids())

    def run(self, app: ServerApp) -> None:
        """Run a ServerApp in the calling thread."""
        context = Context(
            run_id=self._run.run_id,
            node_id=SUPERLINK_NODE_ID,
            node_config={},
            state=RecordDict(),
            run_config={},
        )
        app(grid=self.grid, context=context)

    def _may(self, path: str, node_id: int, body: bytes) -> str | None:
        """Refuse what Flower lets a member do to other members."""
        try:
            if path == PUSH_MESSAGES:
                return self._may_push(node_id, PushMessagesRequest.FromString(body))
            if path == CONFIRM:
                request = ConfirmMessageReceivedRequest.FromString(body)
                return self._may_confirm(node_id, request.message_object_id)
        except DecodeError:
            return "The request is not a protobuf message of this kind."
        return None

    def _may_push(self, node_id: int, request: PushMessagesRequest) -> str | None:
        if not len(request.messages_list) == len(request.message_object_trees) == 1:
            return "Expected exactly one message."
        metadata = request.messages_list[0].metadata
        # Without this any member could reply for another one, or give orders as the server.
        if metadata.src_node_id != node_id or not metadata.reply_to_message_id:
            return "A member may only reply, and only in its own name."
        if metadata.run_id != self._run.run_id:
            return "This run is over."
        tree = request.message_object_trees[0]
        if tree.object_id != metadata.message_id or not self._is_plain(tree):
            return "The object tree does not fit the message."
        return None

    def _is_plain(self, tree: ObjectTree) -> bool:
        """Tell whether each object has one set of children.

        Otherwise a small tree, whose objects share their children, could unfold to one too large
        for memory when Flower puts it together again.
        """
        store = cast(InMemoryObjectStore, self._state.object_store).store
        seen: dict[str, list[str]] = {}
        for node in iterate_object_tree(tree):
            children = [child.object_id for child in node.children]
            stored = store.get(node.object_id)
            if seen.setdefault(node.object_id, children) != children:
                return False
            if stored is not None and stored.child_object_ids != children:
                return False
        return True

    def _may_confirm(self, node_id: int, message_id: str) -> str | None:
        message = self._state.message_ins_store.get(message_id)
        if message is None or message.metadata.dst_node_id != node_id:
            return "No such message waits for this member."
        return None


def _start_run(state: InMemoryLinkState) -> Run:
    run_id = state.create_run(
        None, None, None, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP
    )
    task_id = cast(int, state.get_run_info(run_ids=[run_id])[0].primary_task_id)
    state.claim_task(task_id)
    state.activate_task(task_id)
    # Flower ends a run whose process sends no heartbeats; this one is the SuperLink's own process.
    never = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    state.task_token_store[task_id].active_until = never
    # Flower's Message takes the sender from here.
    TaskIdentity.task_id = task_id
    TaskIdentity.run_id = run_id
    TaskIdentity.node_id = SUPERLINK_NODE_ID
    return state.get_run_info(run_ids=[run_id])[0]


def _fleet_api(factory: LinkStateFactory) -> FastAPI:
    """Assemble the Fleet API of Flower's SuperLink, and nothing else of it."""
    api = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=http_error_translator),
            Middleware(ProtobufTranslationMiddleware),
            Middleware(NodeAuthMiddleware),
        ],
    )
    api.state.linkstate_factory = factory
    api.state.enable_supernode_auth = True
    api.include_router(fleet_router)
    return api


def _read_public_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    try:
        is_pem = public_key.lstrip().startswith(b"-----")
        key = (load_pem_public_key if is_pem else load_ssh_public_key)(public_key.strip())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            "Expected an EC P-384 public key as an OpenSSH line or PEM; this is neither. "
            "Take the member's .pub file."
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
        raise ConfigError(
            "Expected an EC P-384 public key, found another kind. "
            "Let the member make a key with mesh-client."
        )
    return key


def _quiet_flower() -> None:
    """Hand Flower's log records to the application's handlers, warnings and worse."""
    for handler in list(FLOWER_LOGGER.handlers):
        if isinstance(handler, ConsoleHandler):
            FLOWER_LOGGER.removeHandler(handler)
    FLOWER_LOGGER.setLevel(logging.WARNING)
    # Without handlers of the application, they would go to the terminal as they are.
    FLOWER_LOGGER.addHandler(logging.NullHandler())
    FLOWER_LOGGER.propagate = True
