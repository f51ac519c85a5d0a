"""From an encrypted sum to the next model: opened by the members, put together by the server."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, State
from mesh_fl.errors import ProtocolError
from mesh_fl.layout import unpack
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Pending, Reply
from mesh_fl.privacy.circle import Circle, terms_of
from mesh_fl.privacy.pipeline import (
    Opened,
    Sealed,
    add,
    assemble,
    hand_over,
    next_digest,
    open_sum,
    rescale,
    slots_of,
    unmask,
)
from mesh_fl.privacy.plan import Kind, Plan
from mesh_fl.privacy.recovery import correction
from mesh_fl.quality import told
from mesh_fl.roster import Roster
from mesh_fl.seat import Seat
from mesh_fl.state import load_state
from mesh_fl.statements import Account
from mesh_fl.verification import (
    check_pending,
    check_recount,
    check_witnesses,
    recounter,
)

_log = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""How far two machines' models may differ: linear algebra is not the same to the last bit."""


def catch_up(ask: Ask, seat: Seat, member: Member) -> Opened | None:
    """Open the last sum, bring the seat's model up to it, and return our slice of it."""
    apply_missed(ask, seat, member.roster)
    pending, call = ask.pending, ask.call
    if pending is None:
        return None
    total = open_pending(ask, pending, seat, member)
    after = next_digest(call.model, total)
    if seat.step == pending.step and seat.digest != after:
        raise ProtocolError(f"the sum of step {pending.step} is not the one that others opened")
    if seat.digest != after:
        state = step_model(seat.agent, seat.plan, pending.kind, seat.state, total)
        keep_scores(seat, pending.kind, pending.step, total)
        seat.advance(state, after, pending.step, call.pending)
    return hand_over(total, after, call.cohort.index(seat.name), len(call.cohort))


def apply_missed(ask: Ask, seat: Seat, roster: Roster) -> None:
    """Apply totals that others opened, if enough of them signed for where they lead.

    Raises
    ------
    ProtocolError
        If they lead elsewhere, or too few members signed.
    """
    call, digest, state, step = ask.call, seat.digest, seat.state, seat.step
    # A model that has seen the pending sum was brought up to date before.
    current = (digest, step) == (call.model, call.seen)
    if current or (ask.pending is not None and seat.opened == call.pending):
        return
    check_witnesses(ask.witnesses, call, call.model, seat.plan, roster)
    ahead = call.seen - seat.step
    if not 0 <= ahead <= len(ask.missed):
        raise ProtocolError(f"expected {ahead} totals that we missed, got {len(ask.missed)}")
    for blob in ask.missed[len(ask.missed) - ahead :]:
        kind = seat.plan.schedule[step]
        total = _total_of(blob, seat.plan.release(kind).dimension)
        state = step_model(seat.agent, seat.plan, kind, state, total)
        keep_scores(seat, kind, step + 1, total)
        digest, step = next_digest(digest, total), step + 1
    if digest != call.model:
        raise ProtocolError("the totals that came along do not lead to the model that others have")
    seat.advance(state, digest, step)


def open_pending(ask: Ask, pending: Pending, seat: Seat, member: Member) -> NDArray[np.int64]:
    """Open the last sum, if it is that of one whole cohort.

    Raises
    ------
    ProtocolError
        If an account is missing or forged, or it is our turn to add everything up again and it does
        not add up.
    """
    call, release = ask.call, seat.plan.release(pending.kind)
    check_pending(pending, call, seat.plan, member.roster)
    member.peers.note(pending.accounts, member.roster)
    total = open_sum(pending.encrypted, release, seat.cipher, len(pending.accounts))
    # What our model has seen must come to the same total as then.
    if seat.step < pending.step and recounter(call.cohort, call.step) == seat.name:
        recount(ask, pending, total, seat)
    return total


def recount(ask: Ask, pending: Pending, total: NDArray[np.int64], seat: Seat) -> None:
    """Add up everything sealed again, and compare.

    Raises
    ------
    ProtocolError
        If something sealed is missing or not what its member signed for, or the sum is another.
    """
    check_recount(pending, ask.recount)
    release = seat.plan.release(pending.kind)
    again = add([Sealed(ciphertext=one) for one in ask.recount], release, seat.cipher)
    if pending.call.circle:
        circle, modulus = circle_of(ask, pending, seat), seat.plan.parameters.plain_modulus
        survivors = [one.by for one in pending.accounts]
        masks = correction(
            circle, pending.call.cohort, survivors, ask.revealed, modulus, slots_of(release)
        )
        again = unmask(again, masks.residues, seat.cipher, modulus)
    if not np.array_equal(open_sum(again, release, seat.cipher, len(ask.recount)), total):
        raise ProtocolError("the operator's sum is not the sum of what the members sealed")


def circle_of(ask: Ask, pending: Pending, seat: Seat) -> Circle:
    """Return the circle in which a sum was hidden: the survivors signed for its digest.

    Raises
    ------
    ProtocolError
        If the keys that came along make another one.
    """
    past = pending.call
    terms = terms_of(seat.plan, past.training, past.step, past.attempt, past.epoch)
    circle = Circle.of(ask.advertised, terms)
    if circle.digest != past.circle:
        raise ProtocolError("the keys that came along are not those of the attempt that it adds up")
    return circle


def compare_model(ask: Ask, seat: Seat) -> None:
    """Refuse an operator's model that is not the one that the opened totals lead to.

    Raises
    ------
    ProtocolError
        If a value differs by more than `TOLERANCE`; our own model stands.
    """
    if ask.model is None or ask.pending is not None:
        return
    theirs = load_state(ask.model, seat.state)
    for name, own in seat.state.items():
        if not np.allclose(theirs[name], own, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            raise ProtocolError(
                f"the operator's model differs from ours in {name!r} by more than {TOLERANCE:g}: "
                "refused; ours is what the opened totals lead to, and is served"
            )


def keep_scores(seat: Seat, kind: Kind, step: int, total: NDArray[np.int64]) -> None:
    """Read what a measure found over the network, for people; nothing depends on it."""
    if kind != "measure":
        return
    sums = unpack(seat.agent.measure_layout(), rescale(total, seat.plan.release(kind)))
    try:
        found = seat.agent.score(sums)
    except Exception as error:  # a stranger's agent can raise anything
        _log.warning("%s cannot tell a measure: %s", seat.plan.agent, error)
        return
    seat.keep_scores(step, told(found))


def step_model(
    agent: Agent, plan: Plan, kind: Kind, state: State, total: NDArray[np.int64]
) -> State:
    """Apply an opened total to a model; a measure leaves the model as it is."""
    if kind == "measure":
        return state
    return agent.apply(state, unpack(agent.layout(state), rescale(total, plan.release(kind))))


@dataclass(frozen=True)
class Opening:
    """What a server learns of a pending sum from the members' replies.

    Parameters
    ----------
    model : str
        Digest that more than T members signed for, and more than for any other; or empty.
    witnesses : tuple of Account
        Their accounts.
    dissenters : tuple of str
        Members who signed for another digest.
    total : ndarray of int64 or None
        Put together from the slices; None where one is missing or wrong.
    """

    model: str = ""
    witnesses: tuple[Account, ...] = ()
    dissenters: tuple[str, ...] = ()
    total: NDArray[np.int64] | None = None


def settle(ask: Ask, replies: Mapping[str, Reply], plan: Plan) -> Opening:
    """Put the opened total together from the slices of members who agree on it."""
    if ask.pending is None:
        return Opening()
    votes = Counter(reply.account.model for reply in replies.values())
    if not votes:
        return Opening()
    ranked = [*votes.most_common(2), ("", 0), ("", 0)]
    (model, most), (_, second) = ranked[0], ranked[1]
    if most <= plan.colluders or most == second:
        silent = len(ask.call.cohort) - len(replies)
        split = len(votes) > 1 and most + silent <= max(plan.colluders, second)
        return Opening(dissenters=tuple(replies) if split else ())
    agreed = {name: one for name, one in replies.items() if one.account.model == model}
    return Opening(
        model=model,
        witnesses=tuple(one.account for one in agreed.values()),
        dissenters=tuple(name for name in replies if name not in agreed),
        total=_assembled(ask, agreed.values(), plan, model),
    )


def _assembled(
    ask: Ask, replies: Iterable[Reply], plan: Plan, model: str
) -> NDArray[np.int64] | None:
    if ask.pending is None:
        return None
    size = plan.release(ask.pending.kind).dimension
    slices = [one.opened for one in replies if one.opened is not None]
    try:
        total = assemble(slices, size)
    except ProtocolError:
        return None
    return total if next_digest(ask.call.model, total) == model else None


def liars(replies: Mapping[str, Reply], total: NDArray[np.int64]) -> tuple[str, ...]:
    """Return who signed for a total and handed over a slice of another."""
    return tuple(
        name
        for name, reply in replies.items()
        if (one := reply.opened) is not None
        and total[one.first :: one.step].astype("<i8").tobytes() != one.values
    )


def _total_of(blob: bytes, size: int) -> NDArray[np.int64]:
    if len(blob) != 8 * size:
        raise ProtocolError(f"expected a total of {size} values, got {len(blob)} bytes")
    return np.frombuffer(blob, dtype="<i8").astype(np.int64)
