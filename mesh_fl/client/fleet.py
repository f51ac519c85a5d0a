"""The requests of Flower's Fleet API that a node makes, over one TLS connection."""

import logging
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Message

from mesh_fl.client.diagnosis import reason
from mesh_fl.client.flower_private import (
    ActivateNodeRequest,
    ConfirmMessageReceivedRequest,
    DeactivateNodeRequest,
    FleetHttpClient,
    Node,
    NodeAuthHttpInterceptor,
    ObjectTree,
    ProtobufCall,
    ProtobufRequestContext,
    PullMessagesRequest,
    PullObjectRequest,
    PushMessagesRequest,
    PushObjectRequest,
    SendNodeHeartbeatRequest,
    get_all_nested_objects,
    get_object_tree,
    inflate_object_from_contents,
    iterate_object_tree,
    message_to_proto,
    no_object_id_recompute,
    public_key_to_bytes,
    remove_content_from_message,
)

INSTANCE_HEADER = "mesh-instance"

_REQUEST_TIMEOUT_S = 15
_UPLOAD_TIMEOUT_S = 30
_RETRY_PAUSES_S = (0.1, 0.5, 2.0)

_log = logging.getLogger(__name__)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class _Instance:
    """Tells two clients with the same key apart."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(16)

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Name this client in a request."""
        context.request.headers[INSTANCE_HEADER] = self._name
        return call_next(context)


class GoneError(Exception):
    """The server no longer has this message, or no longer wants an answer to it."""


class Fleet:
    """One node's connection to the Fleet API.

    Parameters
    ----------
    server
        ``host:port``.
    key
        The node's EC P-384 private key.
    trusted
        TLS settings, with the authority to trust.
    heartbeat_s
        Heartbeat interval that the server is told.
    stopped
        Ends all waiting when set.
    """

    def __init__(
        self,
        server: str,
        key: ec.EllipticCurvePrivateKey,
        trusted: ssl.SSLContext,
        heartbeat_s: float,
        stopped: threading.Event,
    ) -> None:
        self._client = FleetHttpClient(
            f"https://{server}",
            interceptors=[_Instance(), NodeAuthHttpInterceptor(key, key.public_key())],
            verify=trusted,
            timeout=_REQUEST_TIMEOUT_S,
        )
        self._public_pem = public_key_to_bytes(key.public_key())
        self._stopped = stopped
        self.heartbeat_s = heartbeat_s
        self.node: Node | None = None

    def activate(self) -> Node:
        """Come online; refused with HTTP status 412 while another client is online with our key."""
        response = self._client.ActivateNode(
            ActivateNodeRequest(public_key=self._public_pem, heartbeat_interval=self.heartbeat_s)
        )
        self.node = Node(node_id=response.node_id)
        return self.node

    def deactivate(self) -> None:
        """Go offline, if the server can still be reached, and close the connection."""
        try:
            if self.node is not None:
                self._client.DeactivateNode(DeactivateNodeRequest(node_id=self.node.node_id))
        except httpx.HTTPError as error:
            _log.info("left without the server's notice: %s", reason(error))
        finally:
            self._client.close()

    def beat(self) -> None:
        """Send one heartbeat, if we are online."""
        if self.node is None:
            return
        try:
            self._client.SendNodeHeartbeat(
                SendNodeHeartbeatRequest(node=self.node, heartbeat_interval=self.heartbeat_s)
            )
        except httpx.HTTPError as error:
            # The worker meets the same trouble, and deals with it.
            _log.debug("heartbeat failed: %s", reason(error))

    def pull(self, node: Node) -> tuple[int, ObjectTree] | None:
        """Give the run and the object tree of the next message, if there is one."""
        response = self._client.PullMessages(PullMessagesRequest(node=node))
        if not response.messages_list:
            return None
        return response.messages_list[0].metadata.run_id, response.message_object_trees[0]

    def fetch(self, node: Node, run_id: int, tree: ObjectTree) -> Message:
        """Fetch a message.

        Raises
        ------
        GoneError
            If the server has dropped or damaged it.
        """
        contents: dict[str, bytes] = {}
        for part in iterate_object_tree(tree):
            if part.object_id not in contents:
                contents[part.object_id] = self._fetch_object(node, run_id, part.object_id)
        self._insist(
            self._client.ConfirmMessageReceived,
            ConfirmMessageReceivedRequest(
                node=node, run_id=run_id, message_object_id=tree.object_id
            ),
        )
        try:
            message = inflate_object_from_contents(tree.object_id, contents)
        except Exception as error:
            raise GoneError("the server sent a damaged message") from error
        if not isinstance(message, Message):
            raise GoneError("the server sent something that is not a message")
        message.metadata.__dict__["_message_id"] = tree.object_id
        return message

    def _fetch_object(self, node: Node, run_id: int, object_id: str) -> bytes:
        request = PullObjectRequest(node=node, run_id=run_id, object_id=object_id)
        deadline = time.monotonic() + _UPLOAD_TIMEOUT_S
        while True:
            response = self._insist(self._client.PullObject, request)
            if response.object_available:
                return response.object_content
            # The server announces a message before it has stored all of it.
            if not response.object_found or time.monotonic() > deadline or self._pause(0.05):
                raise GoneError("the server has dropped the message")

    def reply(self, node: Node, message: Message, runtime_s: float) -> None:
        """Send a reply.

        Raises
        ------
        GoneError
            If the server no longer wants it.
        """
        with no_object_id_recompute():
            message.metadata.__dict__["_message_id"] = message.object_id
            nested = get_all_nested_objects(message)
            response = self._insist(
                self._client.PushMessages,
                PushMessagesRequest(
                    node=node,
                    messages_list=[message_to_proto(remove_content_from_message(message))],
                    message_object_trees=[get_object_tree(message)],
                    clientapp_runtime_list=[runtime_s],
                ),
            )
            for object_id in response.objects_to_push:
                request = PushObjectRequest(
                    node=node,
                    run_id=message.metadata.run_id,
                    object_id=object_id,
                    object_content=nested[object_id].deflate(),
                    session_id=response.session_id,
                )
                self._insist(self._client.PushObject, request)

    def _insist(self, call: Callable[[_Request], _Response], request: _Request) -> _Response:
        """Repeat a request that does no harm twice, over a short loss of the connection."""
        for pause_s in _RETRY_PAUSES_S:
            try:
                return _unless_gone(call, request)
            except httpx.TransportError:
                if self._pause(pause_s):
                    raise
        return _unless_gone(call, request)

    def _pause(self, pause_s: float) -> bool:
        return self._stopped.wait(pause_s)


def _unless_gone(call: Callable[[_Request], _Response], request: _Request) -> _Response:
    try:
        return call(request)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.FORBIDDEN:
            raise GoneError("the server no longer wants an answer") from error
        raise
