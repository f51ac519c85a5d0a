"""Why tasks cannot be done, with figures."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents.resource.problem import Problem, Task
from mesh_fl.agents.resource.schedule_grid import Span

FUZZ_H = 1e-7
FEW = 5

MOST_DEMANDS = 200
"""Sets of skills whose hours are added up."""


@dataclass(frozen=True)
class Obstacle:
    """Why tasks cannot be done.

    Parameters
    ----------
    task_ids : tuple of str
        Which; for a lack of time those that compete for it.
    reason : str
        With figures.
    is_certain : bool
        Whether none of them can be done, rather than not all.
    """

    task_ids: tuple[str, ...]
    reason: str
    is_certain: bool


@dataclass(frozen=True)
class Demand:
    """What needs some skills, and the time of those who have them."""

    skills: frozenset[str]
    task_ids: tuple[str, ...]
    work_h: float
    free_h: float


def explain(problem: Problem) -> tuple[Obstacle, ...]:
    """Return what stands in the way of a problem, whoever plans.

    Tasks that nobody can do on their own, then skills of which more hours are wanted than there
    are free, then tasks that will be late however they are planned.
    """
    alone = tuple(
        Obstacle((task.task_id,), told, is_certain=True)
        for place, task in enumerate(problem.tasks)
        if (told := _alone(problem, place))
    )
    crowds = tuple(
        Obstacle(one.task_ids, _too_much(one, problem.horizon_h), is_certain=False)
        for one in _crowds(problem)
    )
    return alone + crowds + tuple(_late(problem))


def reasons(problem: Problem, places: Iterable[int]) -> Iterator[str]:
    """Yield why each of some tasks, by position, is in no plan."""
    crowds: list[Demand] | None = None
    for place in places:
        told = _alone(problem, place)
        if not told:
            crowds = list(_crowds(problem)) if crowds is None else crowds
            told = _no_time(problem, place, crowds)
        yield told


def _no_time(problem: Problem, place: int, crowds: Iterable[Demand]) -> str:
    """Return why a task that can be done alone is in no plan."""
    task = problem.tasks[place]
    for crowd in crowds:
        if crowd.skills <= task.skills:
            return _too_much(crowd, problem.horizon_h)
    able = int(problem.grid.can[place].sum())
    return (
        f"no free window of {_hours(task.hours)} is left: {able} can do it, and other tasks take "
        "the time"
    )


def _alone(problem: Problem, place: int) -> str:
    """Return why a task cannot be done even if it were the only one; "" if it can."""
    task, grid = problem.tasks[place], problem.grid
    if grid.can[place].any():
        return ""
    if not problem.technicians:
        return "there are no technicians"
    if not grid.skilled[place].any():
        return _nobody(problem, task)
    return _no_window(problem, task, np.flatnonzero(grid.skilled[place]).tolist())


def _nobody(problem: Problem, task: Task) -> str:
    known = frozenset[str]().union(*(one.skills for one in problem.technicians))
    if missing := sorted(task.skills - known):
        return f"nobody has the skill {_listed(missing)}"
    best = max(problem.technicians, key=lambda one: len(one.skills & task.skills))
    lacking = sorted(task.skills - best.skills)
    return (
        f"nobody has all of {_listed(sorted(task.skills))}; {best.technician_id!r} comes "
        f"closest and lacks {_listed(lacking)}"
    )


def _no_window(problem: Problem, task: Task, able: list[int]) -> str:
    begin, horizon_h = max(0.0, task.release_h), problem.horizon_h
    last = horizon_h if task.latest_start_h is None else task.latest_start_h
    if begin >= horizon_h:
        return f"it can begin at {_hours(begin)}, and the plan ends at {_hours(horizon_h)}"
    if last < begin:
        return f"it has to begin by {_hours(last)}, and can from {_hours(begin)} on"
    spans = [
        (max(begin, start), end)
        for one in able
        for start, end in problem.free[one]
        if end > begin and max(begin, start) <= last
    ]
    longest = max((end - start for start, end in spans), default=0.0)
    who = (
        f"of the {len(able)} who can do it"
        if len(able) > 1
        else f"of {problem.technicians[able[0]].technician_id!r}"
    )
    since = f" after {_hours(begin)}" if begin else ""
    until = f", beginning by {_hours(last)}" if task.latest_start_h is not None else ""
    if task.may_split:
        most = max(_hours_after(begin, problem.free[one]) for one in able)
        whose = "the free windows" if len(able) == 1 else "the most free windows of one"
        return (
            f"{whose} {who}{since}{until} come to {_hours(most)}, less than its "
            f"{_hours(task.hours)}"
        )
    return (
        f"the longest free window {who}{since}{until} is {_hours(longest)}, shorter than its "
        f"{_hours(task.hours)}"
    )


def _hours_after(begin: float, spans: Iterable[Span]) -> float:
    return sum(max(0.0, end - max(begin, start)) for start, end in spans)


def _crowds(problem: Problem) -> Iterator[Demand]:
    """Yield sets of skills of which more hours are wanted than are free, the largest first."""
    wanted = defaultdict(list)
    for place in np.flatnonzero(problem.grid.can.any(axis=1)).tolist():
        wanted[problem.tasks[place].skills].append(problem.tasks[place])
    # A demand of fewer skills holds those of more, so that the most common ones tell the most.
    common = sorted(wanted, key=lambda one: (-len(wanted[one]), sorted(one)))[:MOST_DEMANDS]
    people = [
        (one.skills, _hours_after(0.0, spans))
        for one, spans in zip(problem.technicians, problem.free, strict=True)
    ]
    for skills in sorted(common, key=lambda one: (-len(one), sorted(one))):
        tasks = [task for other, some in wanted.items() if skills <= other for task in some]
        work = sum(task.hours for task in tasks)
        free = sum(hours for known, hours in people if skills <= known)
        if work > free:
            yield Demand(skills, tuple(task.task_id for task in tasks), work, free)


def _late(problem: Problem) -> Iterator[Obstacle]:
    for place, task in enumerate(problem.tasks):
        begin = max(0.0, task.release_h)
        if task.due_h is None or not problem.grid.can[place].any():
            continue
        if begin + task.hours > task.due_h + FUZZ_H:
            told = (
                f"it will be late: due at {_hours(task.due_h)}, and done at "
                f"{_hours(begin + task.hours)} at the earliest"
            )
            yield Obstacle((task.task_id,), told, is_certain=False)


def _too_much(demand: Demand, horizon_h: float) -> str:
    skill = f" by somebody with {_listed(sorted(demand.skills))}" if demand.skills else ""
    return (
        f"{_hours(demand.work_h)} of work are to be done{skill}, and {_hours(demand.free_h)} are "
        f"free before {_hours(horizon_h)}"
    )


def _listed(skills: list[str]) -> str:
    shown = ", ".join(repr(one[:80]) for one in skills[:FEW])
    return shown + (f" and {len(skills) - FEW} more" if len(skills) > FEW else "")


def _hours(hours: float) -> str:
    return f"{hours:,.4g} h"
