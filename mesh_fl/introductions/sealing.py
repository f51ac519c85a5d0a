"""Sealed envelopes: what a relay sees of a request or a reply.

Sealing is HPKE in base mode (RFC 9180) with X25519, HKDF-SHA256 and ChaCha20-Poly1305. What is
sealed is filled up to a few sizes first, so that the envelope's length tells little.
"""

import base64
import binascii
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mesh_fl.entry import parsed
from mesh_fl.errors import ConfigError, EncryptionError, ProtocolError

LARGEST_BYTES = 64 << 10

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_LENGTH = struct.Struct(">I")


def _spelt_once(text: str) -> str:
    """Refuse all but one of the spellings that base64 has for the same bytes."""
    try:
        sole = base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (ValueError, binascii.Error):
        sole = ""
    # The last character of base64 may hold bits that belong to no byte (RFC 4648, section 3.5).
    if not text or text != sole:
        raise ValueError("expected sealed bytes in canonical base64, found other text")
    return text


Base64 = Annotated[str, Field(max_length=LARGEST_BYTES), AfterValidator(_spelt_once)]


class Envelope(BaseModel):
    """What travels: one line of JSON around sealed bytes.

    Parameters
    ----------
    kind : str
        What it is, with the version of its form.
    sealed : str
        Base64 of what `seal` returned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    what: ClassVar[str] = "an envelope"

    kind: str
    sealed: Base64

    @classmethod
    def loads(cls, blob: bytes) -> Self:
        """Read an envelope that is spelt just as `dumps` spells it, but for space around it.

        Raises
        ------
        ProtocolError
            If it holds something else, or another spelling of an envelope.
        """
        what = cls.what
        if len(blob) > LARGEST_BYTES:
            raise ProtocolError(f"expected {what} of at most {LARGEST_BYTES} bytes, found more")
        found = parsed(blob, cls.model_validate_json, what)
        # One request has one spelling, so a copy that was touched is never taken for another one.
        if found.dumps() != blob.strip():
            raise ProtocolError(f"expected {what} as it was written, found it rewritten on its way")
        return found

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an envelope's file.

        Raises
        ------
        ConfigError
            If it cannot be read or is none.
        """
        try:
            with path.open("rb") as file:
                return cls.loads(file.read(LARGEST_BYTES + 1))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"cannot read {path}: {reason}") from None
        except ProtocolError as error:
            raise ConfigError(f"{path}: {error}; ask its sender for the file again") from None

    def dumps(self) -> bytes:
        """Return the envelope as JSON."""
        return self.model_dump_json().encode()

    @property
    def sealed_bytes(self) -> bytes:
        """What `seal` returned, before it was put into base64."""
        return base64.b64decode(self.sealed, validate=True)


def seal(plain: bytes, recipient: str, context: str, sizes: Sequence[int]) -> str:
    """Return bytes that only one recipient can open, in base64.

    Parameters
    ----------
    plain : bytes
        What to seal.
    recipient : str
        X25519 public key, hexadecimal.
    context : str
        What it is and for whom; must be the same when it is opened.
    sizes : sequence of int
        In bytes, rising; the plain bytes are filled up to the first that holds them.

    Raises
    ------
    EncryptionError
        If it is longer than the last size, or the recipient's key is a degenerate point.

    Guarantee
    ---------
    Confidential to the recipient (IND-CCA2): others learn the context's recipient as far as they
    know it, and which of `sizes` it is. Anybody can seal, so the sender has to sign inside. A
    recipient's key that leaks later opens what was sealed to it.
    """
    needed = _LENGTH.size + len(plain)
    size = next((one for one in sizes if one >= needed), None)
    if size is None:
        raise EncryptionError(
            f"expected at most {sizes[-1] - _LENGTH.size} bytes to seal, found {len(plain)}: "
            "shorten the message"
        )
    filled = (_LENGTH.pack(len(plain)) + plain).ljust(size, b"\0")
    try:
        key = X25519PublicKey.from_public_bytes(bytes.fromhex(recipient))
        return base64.b64encode(_SUITE.encrypt(filled, key, info=_info(context))).decode()
    except ValueError:
        raise EncryptionError(
            "expected a usable X25519 key of the recipient, found a degenerate one: ask for "
            "another card"
        ) from None


def unseal(sealed: bytes, key: X25519PrivateKey, context: str) -> bytes:
    """Return what `seal` sealed to us.

    Raises
    ------
    EncryptionError
        If it was sealed to another key or for another context, or is damaged.
    """
    try:
        filled = _SUITE.decrypt(sealed, key, info=_info(context))
        (length,) = _LENGTH.unpack_from(filled)
    except (InvalidTag, ValueError, struct.error):
        raise EncryptionError(
            "expected something sealed to our key, found one that does not open with it: it is "
            "for somebody else, or was damaged or forged"
        ) from None
    return filled[_LENGTH.size : _LENGTH.size + length]


def _info(context: str) -> bytes:
    return b"mesh_fl/introduction\0" + context.encode()
