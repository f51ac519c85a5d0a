"""What is to be scheduled: tasks, technicians, and how far ahead to plan."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from mesh_fl.agents.resource.schedule_grid import Grid, Span
from mesh_fl.errors import DataError

MOST_TASKS = 5000
MOST_TECHNICIANS = 500
LONGEST_TASK_H = 10_000.0
LONGEST_HORIZON_H = 10_000.0
FARTHEST_H = 100_000.0
"""Of a moment from now, either way."""

MOST_COST_H = 1e7
MOST_WEIGHT = 1000.0

URGENCY = {1: 8.0, 2: 4.0, 3: 2.0, 4: 1.0}
"""What a task of each priority weighs: each step counts double."""


@dataclass(frozen=True)
class Task:
    """Work that one technician does.

    Parameters
    ----------
    task_id : str
    hours : float
        Of work, above 0.
    priority : int
        1, the most urgent, to 4.
    due_h : float or None
        Hours from now; what is done later is late. A task may be late.
    release_h : float
        When it could begin at the earliest; below 0 it waits already. Waiting counts from here, or
        from now if that is later.
    skills : frozenset of str
        All of them are needed.
    latest_start_h : float or None
        It begins by then or not at all.
    weight : float or None
        How much its waiting counts; by default as `URGENCY` has it.
    may_split : bool
        Whether it goes on in the next free window, by the same technician, where it is longer than
        every free window of everybody who can do it. Others are done in one piece.
    """

    task_id: str
    hours: float
    priority: int = 3
    due_h: float | None = None
    release_h: float = 0.0
    skills: frozenset[str] = frozenset()
    latest_start_h: float | None = None
    weight: float | None = None
    may_split: bool = False

    @property
    def weighs(self) -> float:
        """How much its waiting counts."""
        return URGENCY[self.priority] if self.weight is None else self.weight

    def complaints(self) -> Iterator[str]:
        """Yield what is wrong with it."""
        if not (isinstance(self.task_id, str) and self.task_id):
            yield f"expected a task_id, found {self.task_id!r}; name it"
        yield from _outside("hours", self.hours, 0.0, LONGEST_TASK_H, above=True)
        if self.priority not in URGENCY:
            yield f"priority: expected 1, the most urgent, to 4, found {self.priority!r}"
        yield from _outside("release_h", self.release_h, -FARTHEST_H, FARTHEST_H)
        for name, moment in (("due_h", self.due_h), ("latest_start_h", self.latest_start_h)):
            if moment is not None:
                yield from _outside(name, moment, -FARTHEST_H, FARTHEST_H)
        if self.weight is not None:
            yield from _outside("weight", self.weight, 0.0, MOST_WEIGHT, above=True)


@dataclass(frozen=True)
class Technician:
    """Somebody who works on one task at a time.

    Parameters
    ----------
    technician_id : str
    skills : frozenset of str
    cost_h : float or None
        What an hour of work costs.
    level : float or None
        How able, 0 to 4.
    busy, available : tuple of (float, float)
        Hours from now; they may overlap. Without any `available`, the whole horizon is.
    """

    technician_id: str
    skills: frozenset[str] = frozenset()
    cost_h: float | None = None
    level: float | None = None
    busy: tuple[Span, ...] = ()
    available: tuple[Span, ...] = ()

    def complaints(self) -> Iterator[str]:
        """Yield what is wrong with it."""
        if not (isinstance(self.technician_id, str) and self.technician_id):
            yield f"expected a technician_id, found {self.technician_id!r}; name it"
        if self.cost_h is not None:
            yield from _outside("cost_h", self.cost_h, 0.0, MOST_COST_H)
        if self.level is not None:
            yield from _outside("level", self.level, 0.0, 4.0)
        for name, spans in (("busy", self.busy), ("available", self.available)):
            for start, end in spans:
                if not (math.isfinite(start) and math.isfinite(end) and start <= end):
                    yield f"{name}: expected rising, finite hours, found ({start}, {end})"

    def free(self, horizon_h: float) -> tuple[Span, ...]:
        """Return when there is time to work: rising spans that do not touch, in hours from now."""
        return tuple(_without(merged(self.available or ((0.0, horizon_h),), horizon_h), self.busy))


@dataclass(frozen=True)
class Problem:
    """Tasks, technicians, and the hours from now in which tasks are to be done.

    Raises
    ------
    DataError
        If ids are missing or stand twice, figures are not finite or out of bounds, or there are
        too many.
    """

    tasks: tuple[Task, ...] = field(repr=False)
    technicians: tuple[Technician, ...] = field(repr=False)
    horizon_h: float

    def __post_init__(self) -> None:
        for complaint in _outside("horizon_h", self.horizon_h, 0.0, LONGEST_HORIZON_H):
            raise DataError(complaint)
        _at_most("tasks", self.tasks, MOST_TASKS)
        _at_most("technicians", self.technicians, MOST_TECHNICIANS)
        for task in self.tasks:
            _refuse(f"task {task.task_id!r}", task.complaints())
        for technician in self.technicians:
            _refuse(f"technician {technician.technician_id!r}", technician.complaints())
        _refuse_twice("task_id", (task.task_id for task in self.tasks))
        _refuse_twice("technician_id", (one.technician_id for one in self.technicians))

    @cached_property
    def free(self) -> tuple[tuple[Span, ...], ...]:
        """When each technician has time to work."""
        return tuple(one.free(self.horizon_h) for one in self.technicians)

    @cached_property
    def free_hours(self) -> dict[str, float]:
        """How much time that is, by the technician's id."""
        return {
            one.technician_id: sum(end - start for start, end in spans)
            for one, spans in zip(self.technicians, self.free, strict=True)
        }

    @cached_property
    def grid(self) -> Grid:
        """The same in whole minutes, by position in place of id."""
        return Grid.of(self)


def merged(spans: Iterable[Span], horizon_h: float) -> list[Span]:
    """Return spans in order, cut to 0 and the horizon, those that overlap or touch made one."""
    found: list[Span] = []
    for start, end in sorted((max(0.0, start), min(end, horizon_h)) for start, end in spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _without(spans: Sequence[Span], busy: Iterable[Span]) -> Iterator[Span]:
    """Yield what is left of spans in order that do not overlap."""
    if not spans:
        return
    taken = merged(busy, spans[-1][1])
    edges = [(-math.inf, -math.inf), *taken, (math.inf, math.inf)]
    gaps = [(before[1], after[0]) for before, after in pairwise(edges)]
    place = 0
    for start, end in spans:
        while gaps[place][1] <= start:
            place += 1
        for low, high in gaps[place:]:
            if low >= end:
                break
            if max(low, start) < min(high, end):
                yield max(low, start), min(high, end)


def _outside(
    name: str, value: float, low: float, high: float, above: bool = False
) -> Iterator[str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (above and value <= low):
        least = f"above {low:,g}" if above else f"{low:,g}"
        yield f"{name}: expected {least} to {high:,g}, found {value!r}"


def _refuse(where: str, complaints: Iterator[str]) -> None:
    for complaint in complaints:
        raise DataError(f"{where}: {complaint}")


def _at_most(name: str, found: Sequence[object], most: int) -> None:
    if len(found) > most:
        raise DataError(f"{name}: expected at most {most:,}, found {len(found):,}; plan in parts")


def _refuse_twice(name: str, ids: Iterable[str]) -> None:
    for one, times in Counter(ids).most_common(1):
        if times > 1:
            raise DataError(f"{name}: expected each once, found {one!r} {times} times; rename them")
