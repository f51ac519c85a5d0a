"""What is signed: each sentence that a party may be held to later.

::

    Call       operator    whom it asks for what, over which sum
    Presence   member      its keys for one epoch, and where its ledger stands
    KeyNotice  member      that it made the epoch's key, for whom
    Account    member      what it sealed, what it opened, and where its ledger stands

All are bound to the training, its plan, the step, the attempt and the cohort, so none can be passed
off for another. Two that contradict each other name their author; silence names nobody.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.signing import sign, verifies

Phase = Literal["train", "measure", "close"]
Key = bytes
"""32 bytes: a public key."""


class Statement(BaseModel):
    """A frozen record with a signature (Ed25519, RFC 8032) over all its other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tag: ClassVar[str]
    signature: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything but the signature, hexadecimal."""
        return digest_of(self.tag, self.model_dump(mode="json", exclude={"signature"}))

    def signed(self, key: Ed25519PrivateKey) -> Self:
        """Return a copy that carries our signature."""
        # Neither `model_copy` nor `dict`: both take along a digest that was computed before.
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        fields["signature"] = ""
        digest = type(self)(**fields).digest
        return type(self)(**{**fields, "signature": sign(key, self.tag, digest)})

    def verifies(self, public: Key) -> bool:
        """Tell whether the signature was made with the private part of a key."""
        return verifies(public, self.tag, self.digest, self.signature)


class Call(Statement):
    """The operator's word on what it asks, the same for every member asked.

    Parameters
    ----------
    training, agent, plan : str
        Id of the training, name of its agent, digest of its plan.
    phase : {"train", "measure", "close"}
        "close" asks for no contribution and charges nothing.
    step : int
        The release asked for, counted from 1 in the plan's schedule.
    attempt : int
        Number of this attempt, never used twice in a training; 0 when closing.
    cohort : tuple of str
        All members asked, in the order in which slices are dealt.
    epoch : str
        Digest of the epoch's charter.
    model, seen : str, int
        Digest of the state before `pending` is applied: the chain of all totals so far, and their
        number.
    pending : str
        SHA-256 of the encrypted sum to be opened, or empty.
    circle : str
        Digest of the attempt's keys in a large cohort, whose members may drop out; else empty.
    """

    tag: ClassVar = "call"

    training: str = Field(pattern=r"^[0-9a-f]{32}$")
    agent: str
    plan: str
    phase: Phase
    step: int = Field(ge=1)
    attempt: int = Field(ge=0)
    cohort: tuple[str, ...]
    epoch: str
    model: str
    seen: int = Field(ge=0)
    pending: str
    circle: str = ""

    def binding(self, model: str) -> str:
        """Return what a charge and its masks are bound to: all that fixes an attempt.

        Parameters
        ----------
        model : str
            Digest of the state that the rows are computed from (after `pending` was applied).
        """
        terms = self.model_dump(mode="json", exclude={"signature", "model", "seen", "pending"})
        return digest_of("attempt", {**terms, "model": model})


class Presence(Statement):
    """A member's word that it takes part in an epoch, by keys that live as long as the epoch.

    Parameters
    ----------
    by : str
        The member.
    training, plan, roster : str
        Id of the training, digest of its plan, head of the roster.
    epoch : int
        Number of the epoch within the training, from 1.
    sealing, masking : str
        X25519 public keys, hexadecimal: the epoch's key is sealed to one, masks are agreed by the
        other.
    lines, head : int, str
        Length and last link of the member's ledger.
    """

    tag: ClassVar = "presence"

    by: str
    training: str
    plan: str
    roster: str
    epoch: int = Field(ge=1)
    sealing: str = Field(pattern=r"^[0-9a-f]{64}$")
    masking: str = Field(pattern=r"^[0-9a-f]{64}$")
    lines: int = Field(ge=0)
    head: str


class KeyNotice(Statement):
    """A member's word that it made an epoch's key, and for whom.

    Parameters
    ----------
    by, training : str
        Who, in which training.
    epoch : int
        Number of the epoch.
    presences : str
        Digest of the presences of all to whom it sealed the key.
    fingerprint : str
        Of the key and its parameters (`Epoch.fingerprint`).
    """

    tag: ClassVar = "key"

    by: str
    training: str
    epoch: int = Field(ge=1)
    presences: str
    fingerprint: str


class Account(Statement):
    """A member's word on what its reply holds.

    Parameters
    ----------
    by, training, plan : str
        Who, in which training, under which plan.
    step, attempt : int
        As in the call.
    call, operator : str
        Digest of the call that it answers, and the operator's signature on that.
    sealed : str
        SHA-256 of the sealed contribution, or empty.
    model : str
        Digest of the state after all sums that the member opened: the chain of integer totals.
    slice : str
        SHA-256 of the values of the last total that it hands over, or empty.
    lines, head : int, str
        Length and last link of the member's ledger, this attempt's charge included.
    """

    tag: ClassVar = "account"

    by: str
    training: str
    plan: str
    step: int = Field(ge=1)
    attempt: int = Field(ge=0)
    call: str
    operator: str
    sealed: str
    model: str
    slice: str
    lines: int = Field(ge=0)
    head: str

    def receipt(self, operator: Ed25519PrivateKey) -> str:
        """Return the operator's signature on having received what this accounts for."""
        return sign(operator, "receipt", self.digest)

    def receipted(self, receipt: str, operator: Key) -> bool:
        """Tell whether a receipt is the operator's, for this account."""
        return verifies(operator, "receipt", self.digest, receipt)


class Charter(BaseModel):
    """Who takes part in an epoch, by which keys, under which encryption key.

    Parameters
    ----------
    presences : tuple of Presence
        One a member, sorted by name.
    notice : KeyNotice
        Of the member that made the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    presences: tuple[Presence, ...]
    notice: KeyNotice

    @cached_property
    def digest(self) -> str:
        """What every call and account of the epoch is bound to, the key's hash included."""
        return digest_of("charter", [presences_digest(self.presences), self.notice.digest])

    @property
    def members(self) -> frozenset[str]:
        """Who takes part."""
        return frozenset(presence.by for presence in self.presences)

    def presence(self, name: str) -> Presence | None:
        """Return a member's presence."""
        return next((one for one in self.presences if one.by == name), None)


def presences_digest(presences: Sequence[Presence]) -> str:
    """Return the digest that a key notice states."""
    return digest_of("presences", [one.digest for one in presences])
