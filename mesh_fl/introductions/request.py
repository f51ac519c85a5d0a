"""A request for an introduction: who asks whom for what, sealed to the card that is asked."""

import secrets
from collections.abc import Mapping
from datetime import date, timedelta
from typing import ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mesh_fl.card import Name
from mesh_fl.entry import parsed
from mesh_fl.errors import ProtocolError
from mesh_fl.introductions.sealing import Envelope, seal, unseal
from mesh_fl.introductions.texts import Contact, Long
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.signing import sign, verifies
from mesh_fl.profile import Handle, Key, Profile

TAG = "introduction request"
SIZES_BYTES = (4 << 10, 8 << 10, 16 << 10, 40 << 10)
"""The last holds the longest texts, whatever their script."""

LONGEST = timedelta(days=90)


class SealedRequest(Envelope):
    """A request for an introduction: to a relay it shows the handle that is asked, nothing else.

    Parameters
    ----------
    handle : str
        Of the card that is asked.
    """

    what: ClassVar[str] = "a request for an introduction"

    kind: Literal["mesh introduction request 1"] = "mesh introduction request 1"
    handle: Handle

    @property
    def digest(self) -> str:
        """SHA-256 of the handle and the sealed bytes, hexadecimal: the introduction's id."""
        told = {"kind": self.kind, "handle": self.handle, "sealed": self.sealed_bytes.hex()}
        return digest_of("sealed introduction request", told)


class Request(BaseModel):
    """What only the asked member reads.

    Parameters
    ----------
    handle : str
        Whom it asks.
    name, contact : str
        Who asks: its name on the roster, and how to reach it.
    requirements, message : str
        What it looks for, and a letter.
    asked, expires : date
        Days in UTC.
    reply_key : str
        X25519 public key made for this request, hexadecimal; the reply is sealed to it.
    nonce : str
        128 random bits, hexadecimal.
    signature : str
        Ed25519 by the asking member's roster key over everything else, base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    handle: Handle
    name: Name
    contact: Contact = Field(min_length=1)
    requirements: Long
    message: Long
    asked: date
    expires: date
    reply_key: Key
    nonce: Handle
    signature: str = Field(default="", max_length=128)

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if not timedelta() <= self.expires - self.asked <= LONGEST:
            raise ValueError(f"expected a request for at most {LONGEST.days} days")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the signature, hexadecimal."""
        return digest_of(TAG, self.model_dump(mode="json", exclude={"signature"}))

    def signed(self, key: Ed25519PrivateKey) -> Self:
        """Return it with the asking member's signature."""
        return self.model_copy(update={"signature": sign(key, TAG, self.digest)})

    def comes_from_a_member(self, keys: Mapping[str, bytes]) -> bool:
        """Tell whether a member of the roster asks; False where nobody there is called so.

        Parameters
        ----------
        keys : mapping of str to bytes
            Ed25519 public keys on the roster, by name.

        Raises
        ------
        ProtocolError
            If it uses a member's name without that member's signature.
        """
        if self.name not in keys:
            return False
        if not verifies(keys[self.name], TAG, self.digest, self.signature):
            raise ProtocolError(
                f"expected {self.name}'s signature on the request, found another: somebody uses "
                "that name; do not answer, and tell that member"
            )
        return True

    def check_day(self, today: date) -> None:
        """Check that it may still be answered.

        Raises
        ------
        ProtocolError
            If it expired, or comes from a day that has not begun anywhere.
        """
        if today > self.expires:
            raise ProtocolError(
                f"expected a request that is still open on {today}, found one that expired on "
                f"{self.expires}: {self.name} may ask again"
            )
        if self.asked > today + timedelta(days=1):
            raise ProtocolError(
                f"expected a request of {today} or before, found one of {self.asked}: check the "
                "clock of this machine"
            )


def new_nonce() -> str:
    """Return 128 random bits, hexadecimal."""
    return secrets.token_hex(16)


def seal_request(request: Request, profile: Profile) -> SealedRequest:
    """Seal a request to the card that it asks.

    Guarantee
    ---------
    A relay sees the handle and one of four sizes. Who asks, and for what, is confidential to who
    holds the card's private key, now and as long as nobody else gets it: there is no forward
    secrecy. The signature inside names the handle, so the asked member cannot pass the request on
    as if it had been meant for another card; it can show others that it was asked.
    """
    plain = request.model_dump_json().encode()
    context = f"request {profile.handle}"
    return SealedRequest(
        handle=profile.handle, sealed=seal(plain, profile.seal_key, context, SIZES_BYTES)
    )


def open_request(sealed: SealedRequest, key: X25519PrivateKey) -> Request:
    """Return a request that was sealed to our card.

    Raises
    ------
    EncryptionError
        If it does not open.
    ProtocolError
        If it holds no request, or one for another card.
    """
    plain = unseal(sealed.sealed_bytes, key, f"request {sealed.handle}")
    request = parsed(plain, Request.model_validate_json, "a request for an introduction")
    if request.handle != sealed.handle:
        raise ProtocolError(
            f"expected a request for card {sealed.handle}, found one that was written for "
            f"{request.handle}: somebody passes it on; do not answer"
        )
    return request
