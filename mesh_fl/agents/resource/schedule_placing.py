"""A plan by position and minute, as rules and the solver make it, and as a schedule tells it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mesh_fl.agents.resource.problem import Problem
from mesh_fl.agents.resource.schedule import Assignment, Schedule, Unassigned
from mesh_fl.agents.resource.schedule_grid import HOUR_MIN, Grid, Minutes
from mesh_fl.agents.resource.schedule_obstacles import reasons

Piece = tuple[int, int]


@dataclass(frozen=True)
class Placement:
    """Who does a task, and when.

    Parameters
    ----------
    technician : int
    pieces : tuple of (int, int)
        Minutes from now, in order; one, but for a task that is split.
    """

    technician: int
    pieces: tuple[Piece, ...]

    @property
    def start(self) -> int:
        """When it begins."""
        return self.pieces[0][0]

    @property
    def end(self) -> int:
        """When it is done."""
        return self.pieces[-1][1]


Plan = tuple[Placement | None, ...]
"""Of each task by position, None where nobody does it."""


def pieces_from(windows: Minutes, begin: int, work: int) -> tuple[Piece, ...]:
    """Return when work that begins then is done, over breaks; empty if there is too little time."""
    found = []
    for start, end in windows.tolist():
        low = max(start, begin)
        if low >= end:
            continue
        high = min(end, low + work)
        found.append((low, high))
        work -= high - low
        if work == 0:
            return tuple(found)
    return ()


def gaps_beside(grid: Grid, placed: Iterable[Placement]) -> tuple[list[Piece], ...]:
    """Return when each technician has time besides what is placed, in order."""
    taken: list[list[Piece]] = [[] for _ in grid.windows]
    for one in placed:
        taken[one.technician].extend(one.pieces)
    return tuple(
        list(_without(windows.tolist(), sorted(mine)))
        for windows, mine in zip(grid.windows, taken, strict=True)
    )


def _without(spans: list[Piece], taken: list[Piece]) -> Iterator[Piece]:
    """Yield what is left of spans; both in order."""
    place = 0
    for start, end in spans:
        while place < len(taken) and taken[place][1] <= start:
            place += 1
        begin = start
        for low, high in taken[place:]:
            if low >= end:
                break
            if low > begin:
                yield begin, low
            begin = max(begin, high)
        if begin < end:
            yield begin, end


def schedule_of(
    problem: Problem,
    plan: Plan,
    method: str,
    *,
    is_optimal: bool = False,
    value: float = math.nan,
    bound: float = math.nan,
) -> Schedule:
    """Return a plan as a schedule, with a reason for each task that is left out."""
    return Schedule(
        assignments=tuple(sorted(_assignments(problem, plan), key=_by_time)),
        unassigned=_left_out(problem, plan),
        method=method,
        is_optimal=is_optimal,
        value=value,
        bound=bound,
    )


def _left_out(problem: Problem, plan: Plan) -> tuple[Unassigned, ...]:
    places = [place for place, placed in enumerate(plan) if placed is None]
    return tuple(
        Unassigned(problem.tasks[place].task_id, reason)
        for place, reason in zip(places, reasons(problem, places), strict=True)
    )


def _assignments(problem: Problem, plan: Plan) -> Sequence[Assignment]:
    return [
        Assignment(
            task_id=task.task_id,
            technician_id=problem.technicians[placed.technician].technician_id,
            start_h=start / HOUR_MIN,
            end_h=end / HOUR_MIN,
        )
        for task, placed in zip(problem.tasks, plan, strict=True)
        if placed is not None
        for start, end in placed.pieces
    ]


def _by_time(one: Assignment) -> tuple[float, float, str, str]:
    return one.start_h, one.end_h, one.technician_id, one.task_id
