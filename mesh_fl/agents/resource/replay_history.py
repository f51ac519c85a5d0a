"""A queue's own past, as a simulation can play it again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Known
from mesh_fl.agents.resource.dispatching_crew import WEEK_H, Calendar, Crew
from mesh_fl.agents.resource.gathering import HOUR_S, worked_hours
from mesh_fl.agents.resource.inputs import plain
from mesh_fl.agents.resource.problem import URGENCY
from mesh_fl.agents.resource.tasks import USUAL_PRIORITY
from mesh_fl.agents.resource.told import split_skills
from mesh_fl.errors import DataError
from mesh_fl.schema import Table

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

MONDAY_S = 4 * 86_400.0
"""1970 began on a Thursday."""

MOST_SKILLS = 30
LEAST_H = 0.01
FAR_SHARE = 0.02
"""Of starts at either end of a day that tell nothing of shifts."""

DAY_SHARE = 0.03
"""Of a week's starts that a day has at least on which people work."""

LONGEST_WEEKS = 520


@dataclass(frozen=True)
class History:
    """Closed tickets that tell when they were opened and begun, and how long they took.

    Hours count from the Monday before the first. Arrays have shape (n,), in order of opening.

    Parameters
    ----------
    rows : ndarray of int
        Where each ticket stands in the table.
    opened_h, start_h, closed_h, hours, weight, due_h : ndarray
    category : tuple of str
    skill : ndarray of int
    crew : Crew
        Those who worked, at the hours of the week at which they began tickets, in weeks in which
        they did.
    """

    rows: Places = field(repr=False)
    opened_h: Vector = field(repr=False)
    start_h: Vector = field(repr=False)
    closed_h: Vector = field(repr=False)
    hours: Vector = field(repr=False)
    weight: Vector = field(repr=False)
    due_h: Vector = field(repr=False)
    category: tuple[str, ...] = field(repr=False)
    skill: Places = field(repr=False)
    crew: Crew = field(repr=False)

    @property
    def week(self) -> Places:
        """In which week each was opened."""
        return np.asarray(self.opened_h // WEEK_H, dtype=np.int64)

    def known(self, predicted_h: Vector) -> Known:
        """Return what a policy may know, with predictions, shape (n,)."""
        return Known(self.opened_h, predicted_h, self.weight, self.due_h, self.skill)


def history_of(tickets: Table, technicians: Table | None, entries: Table | None) -> History:
    """Read a queue's past off one's tables.

    Work begins with a ticket's first time entry, or with its first response where there is none;
    who did it wrote that entry, or is the assignee.

    Parameters
    ----------
    tickets, technicians, entries : Table
        As `mesh_fl.msp_tables` has them; skills come of the technicians, work of the time entries.

    Raises
    ------
    DataError
        If no ticket tells all that is needed, or the past is too long.
    """
    opened, responded, closed, due, priority = (
        tickets[name].astype(np.float64)
        for name in ("opened_at", "first_response_at", "closed_at", "due_at", "priority")
    )
    begun, who = _begun(tickets, entries, responded)
    hours = worked_hours(tickets, entries, np.inf)
    told = (opened <= begun) & (begun <= closed) & (hours > 0)
    # A ticket that stays open for ten years tells of a placeholder for an unknown moment.
    told &= closed - opened <= LONGEST_WEEKS * WEEK_H * HOUR_S
    kept = np.flatnonzero(told & (who != "") & _first_of_id(tickets))
    if not len(kept):
        raise DataError(
            f"none of {len(opened)} tickets tells opened_at, closed_at, who did it, its hours "
            "(actual_hours, or time entries) and when work began (first_response_at, or time "
            "entries); map them"
        )
    kept = kept[np.argsort(opened[kept], kind="stable")]
    zero = MONDAY_S + np.floor((opened[kept[0]] - MONDAY_S) / (WEEK_H * HOUR_S)) * WEEK_H * HOUR_S
    at = {
        name: (one[kept] - zero) / HOUR_S
        for name, one in (("opened", opened), ("begun", begun), ("closed", closed), ("due", due))
    }
    if at["closed"].max() > LONGEST_WEEKS * WEEK_H:
        raise DataError(f"expected at most {LONGEST_WEEKS} weeks, found more; give newer tickets")
    category = tuple(plain(str(one)) for one in tickets["category"][kept].tolist())
    people = sorted(set(who[kept].tolist()))
    skill, can = _skills(category, who[kept].tolist(), people, technicians)
    urgency = np.where(np.isnan(priority[kept]), USUAL_PRIORITY, priority[kept]).round()
    return History(
        rows=kept,
        opened_h=at["opened"],
        start_h=at["begun"],
        closed_h=at["closed"],
        hours=np.maximum(hours[kept], LEAST_H),
        weight=np.array([URGENCY[int(np.clip(one, 1, 4))] for one in urgency]),
        due_h=np.where(np.isnan(at["due"]), np.inf, at["due"]),
        category=category,
        skill=skill,
        crew=Crew(can, tuple(_calendars(at["begun"], who[kept], people))),
    )


def _first_of_id(tickets: Table) -> NDArray[np.bool_]:
    """Tell rows from those that repeat a ticket, whose work would count twice."""
    is_first = np.zeros(len(tickets["ticket_id"]), dtype=np.bool_)
    is_first[np.unique(tickets["ticket_id"].astype(np.str_), return_index=True)[1]] = True
    return is_first


def _begun(
    tickets: Table, entries: Table | None, responded: Vector
) -> tuple[Vector, NDArray[np.str_]]:
    """Return when work began on each ticket, and who began it."""
    begun, who = responded.copy(), tickets["assignee_id"].astype(np.str_).astype(object)
    if entries is None:
        return begun, who.astype(np.str_)
    started = entries["started_at"].astype(np.float64)
    first: dict[str, int] = {}
    for place in np.argsort(-started, kind="stable").tolist():
        if np.isfinite(started[place]):
            first[str(entries["ticket_id"][place])] = place
    for place, ticket in enumerate(tickets["ticket_id"].tolist()):
        entry = first.get(str(ticket))
        if entry is not None:
            begun[place] = started[entry]
            who[place] = str(entries["technician_id"][entry]) or who[place]
    return begun, who.astype(np.str_)


def _skills(
    category: Sequence[str], who: Sequence[str], people: Sequence[str], technicians: Table | None
) -> tuple[Places, NDArray[np.bool_]]:
    """Return the skill that each ticket needs, and who has which; skill 0 has everybody.

    A ticket needs a skill where its category is that of a technician. Who did such a ticket can do
    it, whatever the table says.
    """
    has = _declared(technicians)
    found = {one for skills in has.values() for one in skills} & set(category)
    most = sorted(found, key=lambda one: (-category.count(one), one))[:MOST_SKILLS]
    column = {name: 1 + place for place, name in enumerate(most)}
    skill = np.array([column.get(one, 0) for one in category], dtype=np.int64)
    can = np.zeros((len(people), 1 + len(column)), dtype=np.bool_)
    can[:, 0] = True
    place = {name: one for one, name in enumerate(people)}
    for name, skills in has.items():
        if name in place:
            can[place[name], [column[one] for one in skills if one in column]] = True
    can[[place[one] for one in who], skill] = True
    return skill, can


def _declared(technicians: Table | None) -> dict[str, set[str]]:
    if technicians is None:
        return {}
    rows = zip(technicians["technician_id"].tolist(), technicians["skills"].tolist(), strict=True)
    return {str(one): set(map(plain, split_skills(str(skills)))) for one, skills in rows}


def _calendars(begun: Vector, who: NDArray[np.str_], people: Sequence[str]) -> list[Calendar]:
    """Return when each works: days and hours at which tickets are begun, in weeks of their own."""
    shift = _shift(begun)
    found = []
    for one in people:
        weeks = np.unique(begun[who == one] // WEEK_H).tolist()
        found.append(
            Calendar(tuple((w * WEEK_H + a, w * WEEK_H + b) for w in weeks for a, b in shift))
        )
    return found


def _shift(begun: Vector) -> tuple[tuple[float, float], ...]:
    """Return the spans of a week at which tickets are begun."""
    day, hour = (begun % WEEK_H) // 24, begun % 24
    low, high = np.quantile(hour, (FAR_SHARE, 1 - FAR_SHARE))
    start, end = np.floor(low), max(np.ceil(high), np.floor(low) + 1)
    days = [one for one in range(7) if (day == one).mean() >= DAY_SHARE]
    if start <= 0 and end >= 24 and len(days) == 7:
        return ((0.0, WEEK_H),)
    return tuple((24.0 * one + start, 24.0 * one + end) for one in days)
