"""How many technicians the work of coming weeks needs, skill by skill."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents.resource.capacity_demand import Demand, Member, Target
from mesh_fl.agents.resource.capacity_queue import hours_for_wait, mean_wait_h
from mesh_fl.agents.resource.capacity_sharing import Sharing
from mesh_fl.errors import DataError

__all__ = ["CapacityPlan", "Demand", "Member", "SkillCapacity", "Target", "plan_capacity"]

MOST_MEMBERS, MOST_SKILLS = 200, 50
MOST_PEOPLE_MORE = 100_000


@dataclass(frozen=True)
class SkillCapacity:
    """Whether there is time enough for the work of one skill.

    Parameters
    ----------
    skill : str
    work_hours_week : float
        That come.
    free_hours_week : float
        For this skill, where those who have several share their time so that the busiest skill is
        as little busy as can be.
    people : int
        Who have the skill.
    utilisation : float or None
        The work over the free hours; None if there are none.
    wait_h : float or None
        Mean wait until somebody begins, in working hours; None if the work is more than can be
        done.
    breaks_at : float or None
        How many times the work can be until the target is missed, where all work grows alike:
        below 1 it is missed now. None without work.
    people_more : int
        Of this skill, in the smallest number of people more with whom all skills keep the target.
    reason : str
        With figures.
    """

    skill: str
    work_hours_week: float
    free_hours_week: float
    people: int
    utilisation: float | None
    wait_h: float | None
    breaks_at: float | None
    people_more: int
    reason: str


@dataclass(frozen=True)
class CapacityPlan:
    """What the people there are can do, and how many more are needed.

    Parameters
    ----------
    skills : tuple of SkillCapacity
        That break first stand first.
    people_more : int
    breaks_at : float or None
        How many times all work can be until the first skill misses the target.
    """

    skills: tuple[SkillCapacity, ...]
    people_more: int
    breaks_at: float | None


def plan_capacity(
    demands: Sequence[Demand], members: Sequence[Member], target: Target, week_h: float = 40.0
) -> CapacityPlan:
    """Compare the work that is expected with the people there are.

    Parameters
    ----------
    demands : sequence of Demand
        One of each skill.
    members : sequence of Member
    target : Target
    week_h : float
        Hours that one more person works in a week.

    Raises
    ------
    DataError
        If a skill or a member stands there twice, there are too many, or `week_h` is not above 0.
    """
    _refuse(demands, members, week_h)
    sharing = Sharing(members, [one.skill for one in demands])
    work = np.array([one.hours_week for one in demands], dtype=float)
    given = sharing.evened(work)
    needed = np.array([_needed(one, target, week_h) for one in demands], dtype=float)
    if float(needed.sum()) > MOST_PEOPLE_MORE * week_h:
        raise DataError(
            f"demand: expected work for {MOST_PEOPLE_MORE:,} people at most, found "
            f"{needed.sum():,.4g} hours a week; check its units"
        )
    more = sharing.fewest_more(needed, week_h)
    able = [sum(not one.skill or one.skill in two.skills for two in members) for one in demands]
    skills = [
        _skill(*figures, target, week_h)
        for figures in zip(
            demands, given.tolist(), needed.tolist(), able, more.tolist(), strict=True
        )
    ]
    breaks = [one.breaks_at for one in skills if one.breaks_at is not None]
    skills.sort(key=lambda one: math.inf if one.breaks_at is None else one.breaks_at)
    return CapacityPlan(tuple(skills), int(more.sum()), min(breaks, default=None))


def _needed(demand: Demand, target: Target, week_h: float) -> float:
    """Return the hours a week that keep the target."""
    needed = demand.hours_week / target.utilisation
    if target.wait_h is None or demand.hours_week == 0:
        return needed
    return max(needed, hours_for_wait(demand, target.wait_h, week_h))


def _skill(
    demand: Demand,
    free: float,
    needed: float,
    people: int,
    more: int,
    target: Target,
    week_h: float,
) -> SkillCapacity:
    wait = mean_wait_h(demand, free, week_h)
    return SkillCapacity(
        skill=demand.skill,
        work_hours_week=demand.hours_week,
        free_hours_week=free,
        people=people,
        utilisation=demand.hours_week / free if free > 0 else None,
        wait_h=wait if math.isfinite(wait) else None,
        breaks_at=_breaks_at(demand, free, target, week_h),
        people_more=more,
        reason="; ".join(_reasons(demand, free, needed, people, more, wait)),
    )


def _breaks_at(demand: Demand, free: float, target: Target, week_h: float) -> float | None:
    """Return how many times the work keeps the target with these hours."""
    if demand.hours_week == 0:
        return None
    most = target.utilisation * free / demand.hours_week
    if target.wait_h is None:
        return most
    low, high = 0.0, most
    while high - low > 1e-9 * max(most, 1e-9):
        middle = (low + high) / 2
        if mean_wait_h(demand.times(middle), free, week_h) > target.wait_h:
            high = middle
        else:
            low = middle
    return high


def _reasons(
    demand: Demand, free: float, needed: float, people: int, more: int, wait: float
) -> Iterator[str]:
    yield (
        f"{demand.tasks_week:,.4g} tasks a week of {demand.mean_hours:,.3g} h each are "
        f"{demand.hours_week:,.4g} h"
    )
    if not people:
        yield "nobody has the skill"
    elif demand.hours_week:
        has = "has" if people == 1 else "have"
        yield f"{people} {has} the skill, and {free:,.4g} h for it"
    if 0 < wait < math.inf:
        yield f"a task waits {wait:,.3g} working hours on average"
    if more:
        yield f"the target takes {needed:,.4g} h, and {more} more of this skill"


def _refuse(demands: Sequence[Demand], members: Sequence[Member], week_h: float) -> None:
    if not 0 < week_h <= 168:
        raise DataError(f"week_h: expected above 0 and up to 168, found {week_h!r}")
    for name, ids, most in (
        ("demands", [one.skill for one in demands], MOST_SKILLS),
        ("members", [one.technician_id for one in members], MOST_MEMBERS),
    ):
        if len(ids) > most:
            raise DataError(f"{name}: expected at most {most}, found {len(ids)}; plan in parts")
        if len(set(ids)) < len(ids):
            twice = next(one for one in ids if ids.count(one) > 1)
            raise DataError(f"{name}: expected each once, found {twice!r} again")
