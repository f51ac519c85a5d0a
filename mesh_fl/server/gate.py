"""Admission to the Fleet API: only signed requests of registered members reach Flower.

Flower reads a whole request before it looks at who sent it, and lets any member speak for any
other. The gate stands in front of it and decides on the headers first.
"""

import asyncio
import base64
import binascii
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ACTIVATE = "/v1/fleet/activate-node"
DEACTIVATE = "/v1/fleet/deactivate-node"
PUSH_MESSAGES = "/v1/fleet/push-messages"
CONFIRM = "/v1/fleet/confirm-message-received"
PUSH_OBJECT = "/v1/fleet/push-object"
ENVELOPE_BYTES = 64 * 2**10
UPLOADS = 2
"""Large bodies that one member may send at a time: one, and one that it has given up on."""
OPEN_PATHS = frozenset(
    {
        ACTIVATE,
        DEACTIVATE,
        PUSH_MESSAGES,
        CONFIRM,
        "/v1/fleet/send-node-heartbeat",
        "/v1/fleet/pull-messages",
        PUSH_OBJECT,
        "/v1/fleet/pull-object",
    }
)

PUBLIC_KEY_HEADER = "flwr-public-key"
SIGNATURE_HEADER = "flwr-signature"
TIMESTAMP_HEADER = "flwr-timestamp"
INSTANCE_HEADER = "mesh-instance"

_STRANGER = "The request is not signed by the key of a registered member."


class Gate:
    """ASGI layer in front of Flower's Fleet API.

    A refusal costs the server no more than the request's headers: the body of a stranger is never
    read, and the body of a member never grows beyond the limit.

    Parameters
    ----------
    app
        Flower's Fleet API.
    node_of
        Gives the node id of a registered public key (PEM), or None.
    may
        Gives the reason why a node may not make this request (path, node id, body), or None.
    body_limit_bytes
        Largest request body that is accepted.
    body_timeout_s
        Longest wait for the next part of a request body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        node_of: Callable[[bytes], int | None],
        may: Callable[[str, int, bytes], str | None],
        body_limit_bytes: int,
        body_timeout_s: float = 30,
    ) -> None:
        self._app = app
        self._node_of = node_of
        self._may = may
        self._body_limit_bytes = body_limit_bytes
        self._body_timeout_s = body_timeout_s
        self._instances: dict[int, str] = {}
        self._uploads: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 403, 408, 409, 413 or 429, or hand the request to Flower."""
        if scope["type"] != "http":
            return
        try:
            node_id = self._admit(scope)
            with self._upload(scope["path"], node_id):
                body = await self._read(scope["path"], receive)
            if reason := self._may(scope["path"], node_id, body):
                raise HTTPException(403, reason)
        except HTTPException as refusal:
            # An unread body must not be taken for the next request.
            response = JSONResponse(
                {"detail": refusal.detail}, refusal.status_code, {"connection": "close"}
            )
            await response(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), self._watch(scope, node_id, send))

    def _admit(self, scope: Scope) -> int:
        """Decide on the request line and the headers alone."""
        path = scope["path"]
        # Flower routes by the decoded path; an encoded or doubled slash never names an open path.
        if scope["method"] != "POST" or path not in OPEN_PATHS or _spelling(scope) != path:
            raise HTTPException(403, "Only members may enter, and only by the Fleet API.")
        headers = Headers(scope=scope)
        if _declared_bytes(headers) > self._limit_bytes(path):
            raise HTTPException(413, self._too_large(path))
        public_pem = _decoded(headers, PUBLIC_KEY_HEADER)
        node_id = self._node_of(public_pem)
        if node_id is None or not _signed_by(public_pem, headers):
            raise HTTPException(401, _STRANGER)
        if path != ACTIVATE and self._instances.get(node_id) != headers.get(INSTANCE_HEADER, ""):
            raise HTTPException(409, "This client is not the active one for its key.")
        return node_id

    @contextlib.contextmanager
    def _upload(self, path: str, node_id: int) -> Iterator[None]:
        """Keep one member from filling the memory with many bodies at once."""
        if path != PUSH_OBJECT:
            yield
            return
        if self._uploads[node_id] >= UPLOADS:
            raise HTTPException(429, "This member is sending other objects; one at a time.")
        self._uploads[node_id] += 1
        try:
            yield
        finally:
            self._uploads[node_id] -= 1

    def _limit_bytes(self, path: str) -> int:
        """Only objects are large; all else is parsed at once, while everybody waits."""
        return self._body_limit_bytes if path == PUSH_OBJECT else ENVELOPE_BYTES

    async def _read(self, path: str, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            try:
                part = await asyncio.wait_for(receive(), self._body_timeout_s)
            except TimeoutError:
                raise HTTPException(408, "The request body stopped arriving.") from None
            body += part.get("body", b"")
            if len(body) > self._limit_bytes(path):
                raise HTTPException(413, self._too_large(path))
            if not part.get("more_body", False):
                return bytes(body)

    def _too_large(self, path: str) -> str:
        return f"A request body may have at most {self._limit_bytes(path)} bytes here."

    def _watch(self, scope: Scope, node_id: int, send: Send) -> Send:
        """Note which client holds a key.

        Flower knows keys only: once it has let a second client with the same key in, while the
        first was out of reach, both of them would get messages.
        """

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                if scope["path"] == ACTIVATE:
                    self._instances[node_id] = Headers(scope=scope).get(INSTANCE_HEADER, "")
                elif scope["path"] == DEACTIVATE:
                    self._instances.pop(node_id, None)
            await send(message)

        return watched


def _spelling(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or b""
    return raw.decode("ascii", "replace")


def _declared_bytes(headers: Headers) -> int:
    declared = headers.get("content-length", "0")
    # Twenty digits are beyond any limit, and Python refuses to read thousands of them.
    return int(declared[:20]) if declared.isascii() and declared.isdigit() else 0


def _decoded(headers: Headers, name: str) -> bytes:
    try:
        return base64.b64decode(headers.get(name, ""), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _signed_by(public_pem: bytes, headers: Headers) -> bool:
    """Tell whether the timestamp header is signed by the key (ECDSA with SHA-256)."""
    stamp = headers.get(TIMESTAMP_HEADER, "").encode("utf-8", "replace")
    try:
        key = load_pem_public_key(public_pem)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(_decoded(headers, SIGNATURE_HEADER), stamp, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body in one piece, then whatever the connection says next."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
