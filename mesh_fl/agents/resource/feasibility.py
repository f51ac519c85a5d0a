"""Whether a schedule keeps every rule of its problem."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.schedule import Assignment, Schedule
from mesh_fl.agents.resource.schedule_obstacles import Obstacle, explain

__all__ = ["Obstacle", "check", "explain"]

ROUNDING_H = 1 / 60
"""A plan counts in whole minutes, rounded so that it is never too tight."""

FUZZ_H = 1e-7


def check(problem: Problem, schedule: Schedule) -> tuple[str, ...]:
    """Return what is wrong with a schedule; nothing if it can be done as it stands.

    Told apart from how schedules are made: it reads hours, not minutes.
    """
    return tuple(_accounts(problem, schedule)) or tuple(
        complaint
        for part in (_tasks(problem, schedule), _people(problem, schedule))
        for complaint in part
    )


def _accounts(problem: Problem, schedule: Schedule) -> Iterator[str]:
    """Every task once: planned or left out with a reason, never both."""
    known = {task.task_id for task in problem.tasks}
    people = {one.technician_id for one in problem.technicians}
    planned = {one.task_id for one in schedule.assignments}
    left = [one.task_id for one in schedule.unassigned]
    yield from (f"{one!r} is no task" for one in sorted((planned | set(left)) - known))
    yield from (
        f"{one!r} is neither planned nor left out" for one in sorted(known - planned - set(left))
    )
    yield from (f"{one!r} is planned and left out" for one in sorted(planned & set(left)))
    if len(left) != len(set(left)):
        yield "a task is left out twice"
    yield from (f"{one.task_id!r}: no reason" for one in schedule.unassigned if not one.reason)
    for one in schedule.assignments:
        if one.technician_id not in people:
            yield f"{one.technician_id!r} is no technician"


def _tasks(problem: Problem, schedule: Schedule) -> Iterator[str]:
    parts = defaultdict(list)
    for one in schedule.assignments:
        parts[one.task_id].append(one)
    people = {one.technician_id: one for one in problem.technicians}
    for task in problem.tasks:
        if task.task_id in parts:
            yield from _task(task, parts[task.task_id], people)


def _task(task: Task, parts: list[Assignment], people: dict[str, Technician]) -> Iterator[str]:
    name = repr(task.task_id)
    who = {one.technician_id for one in parts}
    if len(who) > 1:
        yield f"{name} is done by {len(who)} technicians"
    if len(parts) > 1 and not task.may_split:
        yield f"{name} is split into {len(parts)}, and may not be"
    for one in sorted(who):
        if missing := task.skills - people[one].skills:
            yield f"{name} needs {sorted(missing)}, which {one!r} does not have"
    worked = sum(one.hours for one in parts)
    if not -FUZZ_H <= worked - task.hours <= ROUNDING_H + FUZZ_H:
        yield f"{name} takes {task.hours} h, planned are {worked} h"
    start = min(one.start_h for one in parts)
    if start < max(0.0, task.release_h) - FUZZ_H:
        yield f"{name} begins at {start} h, before it can ({task.release_h} h)"
    if task.latest_start_h is not None and start > task.latest_start_h + FUZZ_H:
        yield f"{name} begins at {start} h, later than at {task.latest_start_h} h"


def _people(problem: Problem, schedule: Schedule) -> Iterator[str]:
    work = defaultdict(list)
    for one in schedule.assignments:
        work[one.technician_id].append(one)
    for technician in problem.technicians:
        mine = sorted(work[technician.technician_id], key=lambda one: (one.start_h, one.end_h))
        yield from _person(technician, mine, problem.horizon_h)


def _person(technician: Technician, work: list[Assignment], horizon_h: float) -> Iterator[str]:
    name = repr(technician.technician_id)
    for before, after in pairwise(work):
        if after.start_h < before.end_h - FUZZ_H:
            yield f"{name} does {before.task_id!r} and {after.task_id!r} at once"
    for one in work:
        if not _within(one, technician.available or ((0.0, horizon_h),)):
            yield f"{name} is not available for {one.task_id!r} from {one.start_h} h"
        if one.start_h < -FUZZ_H or one.end_h > horizon_h + FUZZ_H:
            yield f"{one.task_id!r} is outside of the horizon"
        for start, end in technician.busy:
            # A moment takes no time, whoever is busy at it.
            if min(end, one.end_h) - max(start, one.start_h) > FUZZ_H:
                yield f"{name} is busy from {start} h to {end} h, when {one.task_id!r} is planned"


def _within(one: Assignment, spans: Iterable[tuple[float, float]]) -> bool:
    """Tell whether spans that may overlap cover all of it."""
    reached = one.start_h
    for start, end in sorted(spans):
        if start <= reached + FUZZ_H:
            reached = max(reached, end)
    return reached >= one.end_h - FUZZ_H
