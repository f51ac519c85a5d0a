"""What travels between server and member: five messages, as msgpack, checked field by field.

::

    server                                   member
    Enrol   the plan; keys to make      →    Enrolled   consent; sealed keys
    Ask     the last encrypted sum      →    Reply      its opening; the next sealed rows
                                             Refusal    why not

A `Reply` holds only what `mesh_fl.privacy` made, so raw rows cannot be sent: it is a type error.
"""

from typing import Annotated, Literal

import msgpack
from pydantic import BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, ValidationError

from mesh_fl.errors import ProtocolError
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.pipeline import Opened, Sealed
from mesh_fl.privacy.plan import Plan

Phase = Literal["train", "measure", "close"]
PublicKey = Annotated[bytes, Field(min_length=32, max_length=32)]


class Message(BaseModel):
    """A frozen message that refuses unknown fields and wrong types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Enrol(Message):
    """Server to member: here is the plan, and whom to seal the key to; do you take part.

    Parameters
    ----------
    training : str
        Id of the training; never Flower's run id, which changes when the server restarts.
    plan : Plan
        All that a member consents to.
    sealed_key : bytes or None
        The training's secret key, sealed to this member by another one.
    seal_to : dict of str to bytes
        X25519 public keys by member: seal the key to these. Whoever has no key makes it.
    """

    type: Literal["enrol"] = "enrol"
    training: str = Field(pattern=r"^[0-9a-f]{32}$")
    plan: Plan
    sealed_key: bytes | None
    seal_to: dict[str, PublicKey]


class Enrolled(Message):
    """Member to server: I take part; here are the sealed keys that you asked for."""

    type: Literal["enrolled"] = "enrolled"
    sealed_keys: dict[str, bytes]


class Pending(Message):
    """The encrypted sum of the last round, to be opened by the members.

    Parameters
    ----------
    step : int
        The release it is of, counted from 1 in the plan's schedule.
    encrypted : bytes
        The sum, still encrypted.
    """

    step: int = Field(ge=1)
    encrypted: bytes


class Ask(Message):
    """Server to member: open the last sum, go on from there, and contribute.

    Parameters
    ----------
    training, plan : str
        Id of the training and digest of its plan.
    phase : {"train", "measure", "close"}
        "close" asks for no contribution and charges nothing.
    step : int
        The release asked for, counted from 1 in the plan's schedule.
    attempt : int
        Number of this attempt, never used twice in a training; 0 when closing.
    cohort : tuple of str
        All members asked, in the order in which slices are dealt.
    digest, seen : str, int
        Of the state before `pending` is applied: the chain of all totals so far, and their number.
    pending : Pending or None
        None in the first round only.
    state : bytes or None
        That state itself, for a member that missed a round.
    """

    type: Literal["ask"] = "ask"
    training: str
    plan: str
    phase: Phase
    step: int = Field(ge=1)
    attempt: int = Field(ge=0)
    cohort: tuple[str, ...]
    digest: str
    seen: int = Field(ge=0)
    pending: Pending | None
    state: bytes | None

    def binding(self, digest: str) -> str:
        """Return what a charge is bound to: all that fixes an attempt.

        Parameters
        ----------
        digest : str
            Of the state that the rows are computed from (after `pending` was applied).
        """
        terms = self.model_dump(include={"training", "plan", "phase", "step", "attempt"})
        return digest_of("ask", {**terms, "cohort": list(self.cohort), "digest": digest})


class Reply(Message):
    """Member to server: what an ask asked for, made by `mesh_fl.privacy` alone."""

    type: Literal["reply"] = "reply"
    training: str
    step: int
    attempt: int
    sealed: Sealed | None
    opened: Opened | None


Cause = Literal["plan", "budget", "ledger", "key", "data", "agent", "setup", "order", "reply"]

REASONS: dict[Cause, str] = {
    "plan": "it does not accept the plan or the cohort",
    "budget": "its records cannot pay for this",
    "ledger": "its ledger is damaged, or knows this attempt otherwise",
    "key": "it cannot open what it was sent",
    "data": "its table cannot be used",
    "agent": "the agent does not run there as planned",
    "setup": "its settings or its disk need attention",
    "order": "it stands elsewhere in the training",
    "reply": "what it sent is no answer to what was asked",
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
    """

    type: Literal["refusal"] = "refusal"
    cause: Cause
    lasting: bool

    @property
    def reason(self) -> str:
        """What the operator is told: a fixed sentence for each cause."""
        return f"{REASONS[self.cause]}; its own log says more"


ToMember = Enrol | Ask
ToServer = Enrolled | Reply | Refusal
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
