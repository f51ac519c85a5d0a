"""Whether there are enough technicians for the tasks at hand, skill by skill."""

import math
from collections.abc import Iterator, Sequence

from mesh_fl.agents.resource.answer import CapacityNeed
from mesh_fl.agents.resource.problem import Problem, Task, Technician

TARGET = 0.85
"""Share of the free hours that may be planned: beyond it queues grow fast."""

LEAST_HOURS = 1 / 60
"""Somebody with less free hours is no measure of what one more would do."""

MOST_SKILLS = 50
"""That are told, those with the most work first."""


def needs(problem: Problem) -> tuple[CapacityNeed, ...]:
    """Compare the work of each skill with the free hours of those who have it.

    Somebody of two skills counts for both, so that a skill can lack people though it seems to have
    enough; all work together stands first, without a skill.
    """
    skills = sorted({skill for one in problem.tasks for skill in one.skills})
    every = [_need(problem, skill) for skill in skills]
    every.sort(key=lambda one: -one.work_hours)
    return (_need(problem, ""), *every[:MOST_SKILLS])


def _need(problem: Problem, skill: str) -> CapacityNeed:
    tasks = [one for one in problem.tasks if not skill or skill in one.skills]
    people = [one for one in problem.technicians if not skill or skill in one.skills]
    work = math.fsum(_hours(tasks, problem.horizon_h))
    free = math.fsum(problem.free_hours[one.technician_id] for one in people)
    return CapacityNeed(
        skill=skill,
        work_hours=work,
        free_hours=free,
        utilization=work / free if free >= LEAST_HOURS else None,
        technicians=len(people),
        technicians_more=_more(work, free, people, problem),
        target_utilization=TARGET,
    )


def _hours(tasks: Sequence[Task], horizon_h: float) -> Iterator[float]:
    """Yield the hours of those tasks that can begin in the window."""
    yield from (one.hours for one in tasks if one.release_h < horizon_h)


def _more(work: float, free: float, people: Sequence[Technician], problem: Problem) -> int | None:
    """Return how many more would do, each with as many hours as those there have on average."""
    lacking = work / TARGET - free
    if lacking <= 0:
        return 0
    known = people if free >= LEAST_HOURS else problem.technicians
    hours = math.fsum(problem.free_hours[one.technician_id] for one in known) / max(len(known), 1)
    return math.ceil(lacking / hours - 1e-9) if hours >= LEAST_HOURS else None
