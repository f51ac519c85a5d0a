"""Technicians as a queue is simulated: what each can do, and when each works."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.schedule_grid import Span
from mesh_fl.errors import DataError

Flags = NDArray[np.bool_]
Vector = NDArray[np.float64]

WEEK_H = 168.0


@dataclass(frozen=True)
class Calendar:
    """When somebody works, in hours.

    After the last span work goes on without an end, so that every queue empties.

    Parameters
    ----------
    spans : tuple of (float, float)
        Rising, not touching; without any, it is always.

    Raises
    ------
    DataError
        If spans do not rise.
    """

    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        rises = all(start < end for start, end in self.spans)
        if not rises or any(one[1] > other[0] for one, other in pairwise(self.spans)):
            raise DataError("calendar: expected rising spans that do not overlap, found others")

    @classmethod
    def weekly(cls, spans: Iterable[Span], weeks: int) -> "Calendar":
        """Return the same spans in each of some weeks from hour 0."""
        week = tuple(spans)
        return cls(tuple((a + n * WEEK_H, b + n * WEEK_H) for n in range(weeks) for a, b in week))

    @cached_property
    def _starts(self) -> list[float]:
        return [start for start, _ in self.spans]

    @cached_property
    def _ends(self) -> list[float]:
        return [*(end for _, end in self.spans[:-1]), math.inf]

    @cached_property
    def _before(self) -> list[float]:
        """Hours worked before each span."""
        lengths = [end - start for start, end in self.spans[:-1]]
        return [0.0, *np.cumsum(lengths).tolist()]

    def opens(self, now: float) -> float:
        """Return the first moment from now on at which there is work."""
        if not self.spans:
            return now
        place = bisect_right(self._starts, now) - 1
        if place >= 0 and now < self._ends[place]:
            return now
        return self._starts[place + 1]

    def ends(self, start: float, hours: float) -> float:
        """Return when work is done that begins at a moment of work and pauses between spans."""
        if not self.spans:
            return start + hours
        place = bisect_right(self._starts, start) - 1
        if start + hours <= self._ends[place]:
            return start + hours
        total = self._before[place] + (start - self._starts[place]) + hours
        last = bisect_left(self._before, total) - 1
        return self._starts[last] + total - self._before[last]

    def left(self, now: float) -> float:
        """Return the hours until the shift ends that is on; infinite where none ends."""
        if not self.spans:
            return math.inf
        place = bisect_right(self._starts, now) - 1
        return max(0.0, self._ends[place] - now) if place >= 0 else 0.0

    def worked(self, start: float, end: float) -> float:
        """Return the hours of work between two moments."""
        return max(0.0, self._until(end) - self._until(start))

    def _until(self, moment: float) -> float:
        if not self.spans:
            return moment
        place = bisect_right(self._starts, moment) - 1
        if place < 0:
            return 0.0
        return self._before[place] + min(moment, self._ends[place]) - self._starts[place]


@dataclass(frozen=True)
class Crew:
    """Technicians.

    Parameters
    ----------
    can : ndarray of bool, shape (technicians, skills)
        Who has which skill.
    calendars : tuple of Calendar
        One a technician.

    Raises
    ------
    DataError
        If there is nobody, or the shapes differ.
    """

    can: Flags
    calendars: tuple[Calendar, ...]

    def __post_init__(self) -> None:
        if self.can.ndim != 2 or not len(self.can) or len(self.can) != len(self.calendars):
            raise DataError(
                f"crew: expected technicians with a calendar each, found {self.can.shape} skills "
                f"and {len(self.calendars)} calendars"
            )

    @classmethod
    def alike(cls, technicians: int, calendar: Calendar = Calendar()) -> "Crew":
        """Return technicians who all can do everything."""
        return cls(np.ones((technicians, 1), dtype=np.bool_), (calendar,) * technicians)

    @cached_property
    def able(self) -> tuple[tuple[int, ...], ...]:
        """For each skill those who have it; first whoever can do least, to keep others for more."""
        order = np.argsort(self.can.sum(axis=1), kind="stable")
        return tuple(
            tuple(order[self.can[order, skill]].tolist()) for skill in range(self.can.shape[1])
        )

    @cached_property
    def scarcity(self) -> Vector:
        """Logarithm of all technicians over those with each skill, shape (skills,)."""
        scarce: Vector = np.log(len(self.can) / np.maximum(1, self.can.sum(axis=0)))
        return scarce
