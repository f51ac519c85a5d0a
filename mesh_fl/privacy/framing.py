"""How encrypted blocks travel: a list of them under a digest."""

import hashlib

import msgpack

from mesh_fl.errors import EncryptionError

_DIGEST_BYTES = hashlib.sha256().digest_size
_HEADER_BYTES = 5
"""Most that msgpack puts before a list or a byte string."""


def frame(blocks: list[bytes], label: str) -> bytes:
    """Return blocks as one byte string that `unframe` reads with the same label only."""
    body: bytes = msgpack.packb(blocks)
    return _digest(body, label) + body


def block_count(framed: bytes) -> int:
    """Return how many blocks a byte string claims to hold.

    Raises
    ------
    EncryptionError
        If it does not begin like a frame.
    """
    reader = msgpack.Unpacker()
    reader.feed(memoryview(framed)[_DIGEST_BYTES:][:_HEADER_BYTES])
    try:
        return int(reader.read_array_header())
    except (ValueError, msgpack.OutOfData):
        raise EncryptionError(
            "expected a ciphertext, found something else; ask for it again"
        ) from None


def unframe(framed: bytes, label: str, count: int, least: int, most: int) -> list[bytes]:
    """Return the blocks in a byte string.

    Parameters
    ----------
    framed : bytes
        From `frame`.
    label : str
        The one it was framed with.
    count : int
        How many blocks there have to be.
    least, most : int
        Bytes of a block. What is too long or too short is refused before anything looks at it.

    Raises
    ------
    EncryptionError
        If it is damaged, or of another label, number or size.
    """
    least_bytes = _DIGEST_BYTES + count * least
    most_bytes = _DIGEST_BYTES + _HEADER_BYTES + count * (_HEADER_BYTES + most)
    if not least_bytes <= len(framed) <= most_bytes:
        raise EncryptionError(
            f"expected {least_bytes} to {most_bytes} bytes for {count} blocks, "
            f"found {len(framed)}; refuse the sender"
        )
    body = memoryview(framed)[_DIGEST_BYTES:]
    if _digest(body, label) != framed[:_DIGEST_BYTES]:
        raise EncryptionError(
            "expected an intact ciphertext under these parameters, found another digest; "
            "ask for it again"
        )
    try:
        blocks = msgpack.unpackb(body, max_array_len=count)
    except (ValueError, TypeError):
        blocks = None
    if not isinstance(blocks, list) or [type(block) for block in blocks] != [bytes] * count:
        raise EncryptionError(f"expected {count} blocks, found others; refuse the sender")
    return blocks


def _digest(body: bytes | memoryview, label: str) -> bytes:
    digest = hashlib.sha256(f"{label}\0".encode())
    digest.update(body)
    return digest.digest()
