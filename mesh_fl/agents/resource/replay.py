"""What another order of work would have saved, by playing a queue's own past again.

The past is first played in the order in which tickets came. Only where that comes near the waits
that were observed is anything claimed of other orders. What is saved is time that clients wait; no
order of work makes the work itself less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.dispatching import RULES, Fifo
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.agents.resource.replay_history import history_of
from mesh_fl.agents.resource.replay_past import Past, Saving
from mesh_fl.agents.resource.replay_predictions import foretold
from mesh_fl.errors import DataError
from mesh_fl.schema import Table

Vector = NDArray[np.float64]

FEWEST_TICKETS, FEWEST_WEEKS = 100, 8

MOST_LEFT_OUT = 0.1
"""Share of the rows of tickets, and of time entries, that may be unreadable."""

LEAST_TAKING_PART = 0.5
"""Share of the closed tickets: the work of the others is missing, and no fit can know it."""

TOLERANCE = 0.25
"""By which share the mean wait of the second half may be off."""

NEAR_H = 0.25
"""Waits that are this near are near enough, however short."""

ALIKE = 0.5
"""Correlation of the weekly mean waits at least."""

MOST_GAINED = 0.25
"""Share of what the policy gains that the past may have gained itself."""

NO_LABOUR = (
    "another order changes when work is done, not how much: travel, handing over and overtime are "
    "not in the tables that are played again"
)


@dataclass(frozen=True)
class Replay:
    """A queue's past, played again.

    Parameters
    ----------
    policy : str
        Which was asked for.
    reason : str
        Why nothing is claimed; empty where something is.
    hours_saved_a_month, low, high : float or None
        Of clients' waiting, by that policy; with a 95 % interval.
    tickets, weeks, technicians : int
    left_out : mapping of str to int
        Rows that could not be read, by table.
    observed_wait_h, played_wait_h : float or None
        Mean wait of the second half, as it was and as FIFO has it.
    weekly_correlation : float or None
        Of the weekly mean waits of both, in all weeks.
    share_on_tickets : float or None
        Of the hours there are, fitted on the first half.
    gained_already : float or None
        Share of what the policy gains beside FIFO that the order kept in the past had gained.
    savings : tuple of Saving
        Of each policy on the same arrivals.
    labour_hours_saved_a_month : None
    labour_reason : str
    """

    policy: str
    reason: str = ""
    hours_saved_a_month: float | None = None
    low: float | None = None
    high: float | None = None
    tickets: int = 0
    weeks: int = 0
    technicians: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    observed_wait_h: float | None = None
    played_wait_h: float | None = None
    weekly_correlation: float | None = None
    share_on_tickets: float | None = None
    gained_already: float | None = None
    savings: tuple[Saving, ...] = ()
    labour_hours_saved_a_month: None = None
    labour_reason: str = NO_LABOUR


def replay(
    tickets: Table,
    technicians: Table | None = None,
    entries: Table | None = None,
    *,
    predicted_h: Vector | None = None,
    policy: str = "WSPT",
    policies: Sequence[DispatchPolicy] = RULES,
    seed: int = 0,
    left_out: Mapping[str, int] | None = None,
) -> Replay:
    """Play a queue's past in other orders.

    Parameters
    ----------
    tickets, technicians, entries : Table
        As `mesh_fl.msp_tables` has them; see `history_of`.
    predicted_h : ndarray, shape (tickets,), optional
        Hours that each ticket of the table was predicted to take as it was opened, by a model that
        has not seen it. By default from the member's own tickets closed before; see `foretold`.
    policy : str
        The one whose savings are told, chosen beforehand: the best of several would flatter.
    policies : sequence of DispatchPolicy
        To compare, `policy` among them.
    seed : int
        Of the bootstrap.
    left_out : mapping of str to int
        Rows of `tickets` and `time_entries` that could not be read: with many, nothing is claimed.

    Raises
    ------
    DataError
        If predictions are not one a ticket and above 0, or the policy is not among those.
    """
    if policy not in {one.name for one in policies}:
        known = ", ".join(one.name for one in policies)
        raise DataError(f"policy: expected one of {known}, found {policy!r}")
    found = Replay(policy, left_out=left_out or {})
    if reason := _unreadable(found.left_out, tickets, entries):
        return replace(found, reason=reason)
    try:
        history = history_of(tickets, technicians, entries)
    except DataError as error:
        return replace(found, reason=str(error))
    weeks = len(np.unique(history.week))
    found = replace(
        found, tickets=len(history.hours), weeks=weeks, technicians=len(history.crew.can)
    )
    if found.tickets < FEWEST_TICKETS or weeks < FEWEST_WEEKS:
        expected = f"at least {FEWEST_TICKETS} closed tickets in {FEWEST_WEEKS} weeks"
        return replace(found, reason=f"expected {expected}, found {found.tickets} in {weeks}")
    if reason := _absent(found.tickets, tickets):
        return replace(found, reason=reason)
    if predicted_h is None:
        past = Past(history, foretold(history))
    else:
        past = Past(history, _checked(predicted_h, tickets)[history.rows])
    return _compared(found, past, policies, seed)


def _unreadable(left_out: Mapping[str, int], tickets: Table, entries: Table | None) -> str:
    """Return why too little could be read; nothing where it is enough."""
    rows = {"tickets": len(tickets["ticket_id"])}
    if entries is not None:
        rows["time_entries"] = len(entries["ticket_id"])
    for name, count in rows.items():
        lost = left_out.get(name, 0)
        if lost > MOST_LEFT_OUT * (lost + count):
            return (
                f"{lost} of {lost + count} rows of {name} cannot be read, and their work would be "
                "missing: `mesh-client data check` tells why"
            )
    return ""


def _absent(taking_part: int, tickets: Table) -> str:
    """Return why too few tickets take part; nothing where they are enough."""
    is_closed = np.isfinite(tickets["closed_at"].astype(np.float64))
    closed = len(np.unique(tickets["ticket_id"][is_closed].astype(np.str_)))
    if taking_part >= LEAST_TAKING_PART * closed:
        return ""
    return (
        f"{taking_part} of {closed} closed tickets tell who did them, when work began and how long "
        f"it took, and the work of the others would be missing: expected {LEAST_TAKING_PART:.0%}"
    )


def _compared(found: Replay, past: Past, policies: Sequence[DispatchPolicy], seed: int) -> Replay:
    share = past.fitted_share()
    first = past.play(Fifo(), share)
    observed, played = (float(one[past.second].mean()) for one in past.waits(first))
    alike = past.correlation(first)
    found = replace(
        found,
        observed_wait_h=observed,
        played_wait_h=played,
        weekly_correlation=alike,
        share_on_tickets=share,
    )
    if reason := _unlike(observed, played, alike):
        return replace(found, reason=reason)
    asked = next(one for one in policies if one.name == found.policy)
    found = replace(found, gained_already=past.gained_already(past.play(asked, share), first))
    if reason := _gained(found):
        return replace(found, reason=reason)
    savings = tuple(past.saving(one, first, share, seed) for one in policies)
    chosen = next(one for one in savings if one.policy == found.policy)
    return replace(
        found,
        hours_saved_a_month=chosen.hours_saved_a_month,
        low=chosen.low,
        high=chosen.high,
        savings=savings,
    )


def _unlike(observed: float, played: float, alike: float) -> str:
    """Return why FIFO does not tell the past; nothing where it does."""
    if abs(played - observed) > max(NEAR_H, TOLERANCE * observed):
        return (
            f"the past is not understood: in the second half of the weeks tickets waited "
            f"{observed:.1f} h, but {played:.1f} h where they are played again, first come, first "
            f"served; more than {TOLERANCE:.0%} off"
        )
    if not alike >= ALIKE and observed > NEAR_H:
        return (
            f"the past is not understood: weekly mean waits, as observed and as played again, "
            f"correlate by {alike:.2f}; expected {ALIKE:g}"
        )
    return ""


def _gained(found: Replay) -> str:
    """Return why a policy would bring less than it does beside FIFO; nothing where it would not."""
    if found.gained_already is None or found.gained_already <= MOST_GAINED:
        return ""
    return (
        "the past did not go first come, first served: short tickets already waited less than "
        f"long ones, which gained {found.gained_already:.0%} of what {found.policy} gains beside "
        f"first come, first served; expected at most {MOST_GAINED:.0%}"
    )


def _checked(predicted: Vector, tickets: Table) -> Vector:
    shape = tickets["ticket_id"].shape
    if predicted.shape != shape or not (np.isfinite(predicted) & (predicted > 0)).all():
        raise DataError(f"predicted_h: expected {shape[0]} figures above 0, found others")
    return predicted
