"""A reply: yes with a name, or no with none, and from outside the same."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mesh_fl.card import Name
from mesh_fl.entry import parsed
from mesh_fl.errors import ProtocolError
from mesh_fl.introductions.sealing import Envelope, seal, unseal
from mesh_fl.introductions.texts import Contact, Note
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.signing import sign, verifies
from mesh_fl.profile import Handle, Key, SignedProfile

CARD_TAG, MEMBER_TAG = "introduction reply", "introduction acceptance"
SIZE_BYTES = 8 << 10
"""Holds the longest acceptance, whatever its script."""

_CONTEXT = "reply"


class SealedReply(Envelope):
    """A reply to a request for an introduction: a relay sees neither whom it is for, nor what."""

    what: ClassVar[str] = "a reply to a request"

    kind: Literal["mesh introduction reply 1"] = "mesh introduction reply 1"


class Reply(BaseModel):
    """What only the member that asked reads.

    Parameters
    ----------
    request : str
        Digest of the sealed request.
    handle : str
        The card that was asked.
    accepted : bool
        Whether the asked member wants to be introduced.
    name, contact, message : str
        Its name on the roster, how to reach it, and a line or two; empty in a refusal.
    member_signature : str
        Ed25519 by the roster key, base64; empty in a refusal.
    card_signature : str
        Ed25519 by the card's key over everything else, base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    request: Key
    handle: Handle
    accepted: bool
    name: Name | None = None
    contact: Contact = ""
    message: Note = ""
    member_signature: str = Field(default="", max_length=128)
    card_signature: str = Field(default="", max_length=128)

    @model_validator(mode="after")
    def _reveals_all_or_nothing(self) -> Self:
        told = (self.name or "", self.contact, self.message, self.member_signature)
        if not self.accepted and any(told):
            raise ValueError("expected a refusal without name, contact, message and signature")
        if self.accepted and not (self.name and self.contact):
            raise ValueError("expected an acceptance with name and contact")
        return self

    def signed(self, card: Ed25519PrivateKey, member: Ed25519PrivateKey) -> Self:
        """Return it with the card's signature, and the member's where it accepts."""
        named = self.accepted and {"member_signature": sign(member, MEMBER_TAG, self._accepted())}
        reply = self.model_copy(update=named or {})
        return reply.model_copy(update={"card_signature": sign(card, CARD_TAG, reply._whole())})

    def check_card(self, card: SignedProfile) -> None:
        """Check that it comes from the card that was asked, under the name that the card tells.

        Raises
        ------
        ProtocolError
            If it does not.
        """
        profile, key = card.profile, bytes.fromhex(card.key)
        ours = self.handle == profile.handle
        if not (ours and verifies(key, CARD_TAG, self._whole(), self.card_signature)):
            raise ProtocolError(
                f"expected a reply signed by card {profile.handle}, found one that is not: it is "
                "forged; go on waiting for the real one"
            )
        if self.accepted and profile.name not in (None, self.name):
            raise ProtocolError(
                f"expected {profile.name}, whose name is on the card, found a reply by "
                f"{self.name}: ask both of them"
            )

    def comes_from_a_member(self, keys: Mapping[str, bytes]) -> bool:
        """Tell whether a member of the roster accepts; False where nobody there is called so.

        Raises
        ------
        ProtocolError
            If it uses a member's name without that member's signature.
        """
        if self.name is None or self.name not in keys:
            return False
        key, digest = keys[self.name], self._accepted()
        if not verifies(key, MEMBER_TAG, digest, self.member_signature):
            raise ProtocolError(
                f"expected {self.name}'s signature on the acceptance, found another: the card's "
                "owner uses that name; do not write to it, and tell that member"
            )
        return True

    def _accepted(self) -> str:
        left = {"member_signature", "card_signature"}
        return digest_of(MEMBER_TAG, self.model_dump(exclude=left))

    def _whole(self) -> str:
        return digest_of(CARD_TAG, self.model_dump(exclude={"card_signature"}))


def seal_reply(reply: Reply, reply_key: str) -> SealedReply:
    """Seal a reply to the key that the request brought along.

    Guarantee
    ---------
    All replies have one length and no field outside, so a relay can tell neither yes from no nor
    which request it answers. It can still see who sent the file to whom, and when. A refusal says
    nothing about the card's owner but that it holds the card's key.
    """
    plain = reply.model_dump_json().encode()
    return SealedReply(sealed=seal(plain, reply_key, _CONTEXT, (SIZE_BYTES,)))


def open_reply(sealed: SealedReply, key: X25519PrivateKey) -> Reply:
    """Return a reply that was sealed to a request's own key.

    Raises
    ------
    EncryptionError
        If it answers another request, or is damaged.
    ProtocolError
        If it holds no reply.
    """
    plain = unseal(sealed.sealed_bytes, key, _CONTEXT)
    return parsed(plain, Reply.model_validate_json, "a reply to a request")
