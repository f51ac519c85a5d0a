"""What travels between server and member, as msgpack, checked field by field.

::

    server                                     member
    Enrol     the plan and the roster     →    Enrolled   consent
    Convene   a new epoch                 →    Convened   fresh public keys
    MakeKey   everybody's public keys     →    KeyMade    the epoch's key, sealed to each
    Ask       the last encrypted sum      →    Reply      its opening; the next sealed rows
                                               Refusal    why not

    and before and after the ask, in cohorts large enough that somebody always drops out:

    Advertise a new attempt               →    Keys       fresh public keys
    Deal      everybody's keys            →    Shares     sealed shares of our secrets
    Confirm   who survived                →    Confirmed  our signature on that
    Reveal    all signatures              →    Revealing  one share of each neighbour

A `Reply` holds only what `mesh_fl.privacy` made, so raw rows cannot be sent: it is a type error.
"""

from typing import Annotated, Literal

import msgpack
from pydantic import BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, ValidationError

from mesh_fl.errors import ProtocolError
from mesh_fl.privacy.circle import Advertised
from mesh_fl.privacy.pipeline import Opened, Sealed
from mesh_fl.privacy.plan import Kind, Plan
from mesh_fl.privacy.robust import Revealed
from mesh_fl.statements import Account, Call, Charter, KeyNotice, Presence


class Message(BaseModel):
    """A frozen message that refuses unknown fields and wrong types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Enrol(Message):
    """Server to member: here is the plan; do you take part.

    Parameters
    ----------
    training : str
        Id of the training; never Flower's run id, which changes when the server restarts.
    plan : Plan
        All that a member consents to.
    roster : bytes
        Who is a member, as the members signed it (`Roster.dumps`).
    latest : Account or Presence or None
        The last word that the server has from this member: a home that was restored from a backup
        does not remember it.
    """

    type: Literal["enrol"] = "enrol"
    training: str = Field(pattern=r"^[0-9a-f]{32}$")
    plan: Plan
    roster: bytes
    latest: Account | Presence | None


class Enrolled(Message):
    """Member to server: I take part, and my model has seen so many releases."""

    type: Literal["enrolled"] = "enrolled"
    step: int = Field(ge=0)


class Convene(Message):
    """Server to member: a new epoch begins; make keys for it."""

    type: Literal["convene"] = "convene"
    training: str
    epoch: int = Field(ge=1)


class Convened(Message):
    """Member to server: my public keys for the epoch."""

    type: Literal["convened"] = "convened"
    presence: Presence


class MakeKey(Message):
    """Server to one member: make the epoch's encryption key, for these members."""

    type: Literal["make-key"] = "make-key"
    training: str
    epoch: int = Field(ge=1)
    presences: tuple[Presence, ...]


class KeyMade(Message):
    """Member to server: the key, sealed to each."""

    type: Literal["key-made"] = "key-made"
    sealed_keys: dict[str, bytes]
    notice: KeyNotice


class Advertise(Message):
    """Server to member: an attempt of a large cohort begins; make keys for it."""

    type: Literal["advertise"] = "advertise"
    training: str
    step: int = Field(ge=1)
    attempt: int = Field(ge=1)


class Keys(Message):
    """Member to server: our public keys for the attempt."""

    type: Literal["keys"] = "keys"
    keys: Advertised


class Deal(Message):
    """Server to member: everybody's keys; share our secrets with our neighbours."""

    type: Literal["deal"] = "deal"
    training: str
    attempt: int = Field(ge=1)
    keys: dict[str, Advertised]


class Shares(Message):
    """Member to server: sealed shares, by neighbour."""

    type: Literal["shares"] = "shares"
    shares: dict[str, bytes]


class Confirm(Message):
    """Server to member: these survived."""

    type: Literal["confirm"] = "confirm"
    training: str
    attempt: int = Field(ge=1)
    survivors: tuple[str, ...]


class Confirmed(Message):
    """Member to server: our signature on who survived."""

    type: Literal["confirmed"] = "confirmed"
    signature: str


class Reveal(Message):
    """Server to member: so many signed the same survivors; reveal our shares."""

    type: Literal["reveal"] = "reveal"
    training: str
    attempt: int = Field(ge=1)
    confirmations: dict[str, str]


class Revealing(Message):
    """Member to server: of each neighbour one kind of share."""

    type: Literal["revealing"] = "revealing"
    revealed: Revealed


class Pending(Message):
    """The encrypted sum of the last round, to be opened by the members.

    Parameters
    ----------
    encrypted : bytes
        The sum, still encrypted.
    call : Call
        What was asked of those who are in it.
    accounts : tuple of Account
        What each member in the sum said it sealed, in the order of the call's cohort.
    """

    encrypted: bytes
    call: Call
    accounts: tuple[Account, ...]

    @property
    def step(self) -> int:
        """The release it is of, counted from 1 in the plan's schedule."""
        return self.call.step

    @property
    def kind(self) -> Kind:
        """What kind of release it is of."""
        return "measure" if self.call.phase == "measure" else "train"


class Ask(Message):
    """Server to member: open the last sum, go on from there, and contribute.

    Parameters
    ----------
    call : Call
        What is asked, signed by the operator.
    pending : Pending or None
        The sum to be opened; None where all sums are.
    missed : tuple of bytes
        Totals that this member did not open, oldest first: little-endian int64.
    witnesses : tuple of Account
        Members' words on the model that those totals lead to.
    recount : tuple of bytes
        For the member whose turn it is: everything sealed that `pending` is said to be the sum of.
    dealt : dict of str to bytes
        In a large cohort, what our neighbours sealed to us.
    advertised, revealed : dict of str to Advertised, dict of str to Revealed
        With `recount`, in a large cohort: its keys, and what took the masks off the sum.
    charter, sealed_key : Charter or None, bytes or None
        The epoch's, for a member that does not have them yet.
    model : bytes or None
        The operator's own model, to be compared.
    receipt : str
        The operator's signature on this member's last account.
    """

    type: Literal["ask"] = "ask"
    call: Call
    pending: Pending | None = None
    missed: tuple[bytes, ...] = ()
    witnesses: tuple[Account, ...] = ()
    recount: tuple[bytes, ...] = ()
    dealt: dict[str, bytes] = {}
    advertised: dict[str, Advertised] = {}
    revealed: dict[str, Revealed] = {}
    charter: Charter | None = None
    sealed_key: bytes | None = None
    model: bytes | None = None
    receipt: str = ""


class Reply(Message):
    """Member to server: what an ask asked for, made by `mesh_fl.privacy` alone.

    Parameters
    ----------
    sealed : Sealed or None
        The contribution.
    opened : Opened or None
        Our slice of the sum that was pending.
    account : Account
        Our signed word on both.
    """

    type: Literal["reply"] = "reply"
    sealed: Sealed | None
    opened: Opened | None
    account: Account


Cause = Literal[
    "plan", "budget", "ledger", "key", "peer", "data", "agent", "setup", "order", "reply", "gone"
]

REASONS: dict[Cause, str] = {
    "plan": "it does not accept the plan or the cohort",
    "budget": "its records cannot pay for this, plan a smaller epsilon",
    "ledger": "its ledger is damaged, or knows this attempt otherwise",
    "key": "it cannot open what it was sent",
    "peer": "it refuses a sum with a member whose ledger went back",
    "data": "its table cannot be used",
    "agent": "the agent does not run there as planned",
    "setup": "its settings or its disk need attention",
    "order": "it stands elsewhere in the training",
    "reply": "what it sent is no answer to what was asked",
    "gone": "it went away before it answered",
}


class Refusal(Message):
    """Member to server: that it does not answer, and the kind of cause.

    The words of an error may hold a cell, a count or a path, so they stay in the member's own log.

    Parameters
    ----------
    cause : str
        One of a few fixed words.
    lasting : bool
        True where asking again in this training is of no use.
    about : str
        Another member, where it is on its account.
    """

    type: Literal["refusal"] = "refusal"
    cause: Cause
    lasting: bool
    about: str = Field(default="", max_length=63)

    @property
    def reason(self) -> str:
        """What the operator is told: a fixed sentence for each cause."""
        return f"{REASONS[self.cause]}; its own log says more"


ToMember = Enrol | Convene | MakeKey | Ask | Advertise | Deal | Confirm | Reveal
ToServer = Enrolled | Convened | KeyMade | Reply | Keys | Shares | Confirmed | Revealing | Refusal
_ANY: TypeAdapter[ToMember | ToServer] = TypeAdapter(
    Annotated[ToMember | ToServer, Discriminator("type")]
)


def encode(message: ToMember | ToServer) -> bytes:
    """Return a message's bytes on the wire."""
    packed: bytes = msgpack.packb(message.model_dump())
    return packed


def decode(blob: bytes) -> ToMember | ToServer:
    """Read a message from the wire.

    Raises
    ------
    ProtocolError
        If the bytes are no message of ours.
    """
    try:
        return _ANY.validate_python(msgpack.unpackb(blob, use_list=False))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "message"
        raise ProtocolError(
            f"a message is malformed at {where}: {first['msg']}; check that both sides "
            "run the same version"
        ) from None
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ProtocolError(f"expected a mesh_fl message, got {len(blob)} other bytes") from error
