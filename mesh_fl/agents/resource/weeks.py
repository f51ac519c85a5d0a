"""Whether there are enough people for the weeks to come, as one's own last weeks were."""

from collections.abc import Sequence

import numpy as np

from mesh_fl.agents.resource.answer import WeeklyNeed
from mesh_fl.agents.resource.capacity import plan_capacity
from mesh_fl.agents.resource.capacity_demand import Demand, Member, Target
from mesh_fl.agents.resource.gathering import worked_hours
from mesh_fl.agents.resource.inputs import plain
from mesh_fl.agents.resource.own_queue import OwnQueue
from mesh_fl.agents.resource.technicians import Staff
from mesh_fl.errors import DataError

WEEKS = 8
WEEK_S = 7 * 86_400.0
FEWEST_TICKETS = 20
"""With their hours: fewer tell no variance."""

MOST_SKILLS = 50


def weekly_needs(
    queue: OwnQueue, staff: Sequence[Staff], now: float
) -> tuple[tuple[WeeklyNeed, ...], str]:
    """Return what each skill needs a week, and why there is nothing to tell.

    Work of a week is the tickets opened in the last weeks times the measured hours of those of them
    that are closed; nothing is predicted.
    """
    found = _demands(queue, now)
    if not found:
        return (), (
            f"fewer than {FEWEST_TICKETS} tickets of the last {WEEKS} weeks tell the work done "
            "(actual_hours, or time entries)"
        )
    members = [
        Member(one.technician_id, one.skills, 5 * (one.capacity_h_day or 0.0)) for one in staff
    ]
    try:
        planned = plan_capacity(found, members, Target())
    except DataError as error:
        return (), str(error)
    return tuple(
        WeeklyNeed(
            skill=one.skill,
            work_hours_week=one.work_hours_week,
            free_hours_week=one.free_hours_week,
            technicians=one.people,
            utilization=one.utilisation,
            wait_hours=one.wait_h,
            breaks_at=one.breaks_at,
            technicians_more=one.people_more,
            reason=one.reason,
        )
        for one in planned.skills
    ), ""


def _demands(queue: OwnQueue, now: float) -> list[Demand]:
    """Measure the work of each skill that enough tickets tell of."""
    if "tickets" not in queue.tables:
        return []
    tickets = queue.tables["tickets"]
    opened, closed = (tickets[name].astype(np.float64) for name in ("opened_at", "closed_at"))
    hours = worked_hours(tickets, queue.tables.get("time_entries"), now)
    recent = np.flatnonzero((opened > now - WEEKS * WEEK_S) & (opened <= now))
    done = (closed <= now) & np.isfinite(hours)
    counts: dict[str, int] = {}
    measured: dict[str, list[float]] = {}
    for place in recent.tolist():
        skill = plain(str(tickets["category"][place]))
        skill = skill if skill in queue.skills else ""
        counts[skill] = counts.get(skill, 0) + 1
        if done[place]:
            measured.setdefault(skill, []).append(float(hours[place]))
    return [
        Demand.measured(skill, counts[skill] / WEEKS, told)
        for skill, told in sorted(measured.items())[:MOST_SKILLS]
        if len(told) >= FEWEST_TICKETS
    ]
