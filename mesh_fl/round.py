"""The walk of one round, on one page: what a member does, then what the server does.

::

    server                                         member
    ask(step, last encrypted sum)            →     open the sum, apply it: the new model
                                                   charge the ledger, durably
                                                   rows → clip → sum → noise → encrypt
    assemble the opened total, apply it      ←     reply(sealed rows, slice of the opened total)
    add the sealed rows, still encrypted
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Rows, State
from mesh_fl.errors import (
    AgentError,
    BudgetError,
    ConfigError,
    DataError,
    EncryptionError,
    LedgerError,
    MeshError,
    PrivacyError,
)
from mesh_fl.layout import unpack
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Cause, Enrol, Pending, Refusal, Reply, ToMember, ToServer
from mesh_fl.privacy.pipeline import (
    Cipher,
    Opened,
    Sealed,
    add,
    assemble,
    fills,
    hand_over,
    next_digest,
    open_sum,
    rescale,
    seal,
)
from mesh_fl.privacy.plan import Kind, Plan, Release
from mesh_fl.seat import Seat

CAUSES: tuple[tuple[type[MeshError], Cause, bool], ...] = (
    (BudgetError, "budget", True),
    (LedgerError, "ledger", True),
    (EncryptionError, "key", False),
    (PrivacyError, "plan", True),
    (DataError, "data", True),
    (AgentError, "agent", True),
    # A full disk or an unreadable file can be mended while the server runs on.
    (ConfigError, "setup", False),
    (MeshError, "order", False),
)
"""What the server is told of an error, and whether it lasts; the first that fits."""


def respond(message: ToMember, member: Member) -> ToServer:
    """Answer whatever the server sent; an error becomes a `Refusal` without its words."""
    try:
        if isinstance(message, Enrol):
            return member.enrol(message)
        return client_turn(message, member)
    except MeshError as error:
        member.on_error(error)
        cause, lasting = next((c, lasts) for kind, c, lasts in CAUSES if isinstance(error, kind))
        return Refusal(cause=cause, lasting=lasting)


def client_turn(ask: Ask, member: Member) -> Reply:
    """Answer an ask: open, apply, charge, contribute.

    Raises
    ------
    PrivacyError, ProtocolError
        Before any data is touched, if the ask is older, bound to something else, over the budget,
        or over a cohort that is too small.
    """
    seat = member.seat(ask)
    opened = catch_up(ask, seat)
    member.on_model(seat)
    if ask.phase == "close":
        return Reply(training=ask.training, step=ask.step, attempt=0, sealed=None, opened=opened)
    if not member.charge(ask, seat) and (stored := member.stored_reply(ask)):
        return stored
    release = seat.plan.release(ask.phase)
    sealed = seal(rows_of(ask.phase, seat), release, seat.cipher, member.source)
    reply = Reply(
        training=ask.training, step=ask.step, attempt=ask.attempt, sealed=sealed, opened=opened
    )
    member.store_reply(reply)
    return reply


def catch_up(ask: Ask, seat: Seat) -> Opened | None:
    """Open the last sum, bring the seat's model up to it, and return our slice of it."""
    if ask.pending is None:
        seat.start_from(ask.digest, ask.seen, ask.state)
        return None
    kind = seat.plan.schedule[ask.pending.step - 1]
    total = open_sum(ask.pending.encrypted, seat.plan.release(kind), seat.cipher)
    after = next_digest(ask.digest, total)
    if seat.digest != after:
        seat.start_from(ask.digest, ask.seen, ask.state)
        state = step_model(seat.agent, seat.plan, kind, seat.state, total)
        seat.advance(state, after, ask.pending.step)
    return hand_over(total, after, ask.cohort.index(seat.name), len(ask.cohort))


def rows_of(kind: Kind, seat: Seat) -> Rows:
    """Return what the seat's agent contributes or measures."""
    make = seat.agent.contribute if kind == "train" else seat.agent.measure
    try:
        rows = make(seat.state, seat.dataset.data)
    except Exception as error:
        raise AgentError(
            f"{seat.name}: agent {seat.plan.agent} failed in {make.__name__}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if rows.shape[0] != seat.rows:
        raise AgentError(
            f"{seat.name}: agent {seat.plan.agent}: expected {seat.rows} rows from "
            f"{make.__name__}, got {rows.shape[0]}: run `mesh-sim check` on it"
        )
    return rows


def step_model(
    agent: Agent, plan: Plan, kind: Kind, state: State, total: NDArray[np.int64]
) -> State:
    """Apply an opened total to a model; a measure leaves the model as it is."""
    if kind == "measure":
        return state
    return agent.apply(state, unpack(agent.layout(state), rescale(total, plan.release(kind))))


def fits(reply: Reply, ask: Ask, name: str, plan: Plan) -> bool:
    """Tell whether a reply holds all that an ask wanted of a member, in its place."""
    if (reply.training, reply.step, reply.attempt) != (ask.training, ask.step, ask.attempt):
        return False
    if (reply.sealed is None) != (ask.phase == "close"):
        return False
    # A stored reply may hold a slice of a sum that was settled in the meantime.
    if ask.pending is None:
        return True
    if reply.opened is None:
        return False
    size = plan.release(plan.schedule[ask.pending.step - 1]).dimension
    return fills(reply.opened, size, ask.cohort.index(name), len(ask.cohort))


@dataclass(frozen=True)
class Split:
    """Members who opened the same sum differently: nobody can go on from here."""

    groups: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        told = "; ".join(f"{digest[:12]}: {', '.join(who)}" for digest, who in self.groups.items())
        return f"members opened different totals of the same sum ({told})"


def settle(
    pending: Pending | None, replies: Mapping[str, Reply], digest: str, plan: Plan
) -> NDArray[np.int64] | Split | None:
    """Put the opened total together from the members' slices.

    Returns
    -------
    ndarray of int64, Split or None
        None where nothing was pending or a slice is still missing.
    """
    if pending is None:
        return None
    slices = {name: reply.opened for name, reply in replies.items() if reply.opened is not None}
    groups: dict[str, tuple[str, ...]] = {}
    for name, opened in slices.items():
        groups[opened.digest] = (*groups.get(opened.digest, ()), name)
    if len(groups) > 1:
        return Split(groups)
    size = plan.release(plan.schedule[pending.step - 1]).dimension
    if len(slices) < max((opened.step for opened in slices.values()), default=1):
        return None
    return assemble(list(slices.values()), size, digest)


def server_turn(
    ask: Ask, replies: Mapping[str, Reply], plan: Plan, cipher: Cipher
) -> Pending | tuple[str, ...]:
    """Add up what a whole cohort sealed.

    Returns
    -------
    Pending or tuple of str
        The encrypted sum; or the members whose contribution is missing or cannot be added.
    """
    release = plan.release(plan.schedule[ask.step - 1])
    sealed = {name: reply.sealed for name, reply in replies.items() if reply.sealed is not None}
    missing = tuple(name for name in ask.cohort if name not in sealed)
    if missing:
        return missing
    try:
        whole = add([sealed[name] for name in ask.cohort], release, cipher)
        return Pending(step=ask.step, encrypted=whole)
    except EncryptionError:
        return tuple(name for name in ask.cohort if not _adds(sealed[name], release, cipher))


def _adds(sealed: Sealed, release: Release, cipher: Cipher) -> bool:
    try:
        add([sealed], release, cipher)
    except EncryptionError:
        return False
    return True
