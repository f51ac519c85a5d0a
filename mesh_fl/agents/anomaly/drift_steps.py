"""Where a series moved to another level and stayed there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.level_shift import level_shift

Vector = NDArray[np.float64]

MOST_STEPS = 5

PARTS = 40
"""Into so many parts a shift is told; the place is searched two parts around."""


@dataclass(frozen=True)
class Step:
    """A change of level.

    Parameters
    ----------
    place : int
        The first reading after it.
    before, after : float
        Medians, without season and trend.
    chance : float
        How probable so clear a change is without any, at most.
    """

    place: int
    before: float
    after: float
    chance: float

    def over(self, count: int) -> Vector:
        """Return the step as a series of so many readings, 0 before it."""
        return np.where(np.arange(count) < self.place, 0.0, self.after - self.before)


def steps(values: Vector) -> tuple[Step, ...]:
    """Return the steps of a series without season, the clearest first.

    Parameters
    ----------
    values : ndarray, shape (n,)
        NaN where one is missing.
    """
    return tuple(_steps(values.copy()))


def _steps(rest: Vector) -> Iterator[Step]:
    for _ in range(MOST_STEPS):
        found = level_shift(rest)
        if found is None or found.before == found.after:
            return
        place = _place(rest, found.place)
        before, after = (float(np.nanmedian(part)) for part in (rest[:place], rest[place:]))
        step = Step(place, before, after, found.chance)
        yield step
        rest -= step.over(len(rest))


def _place(values: Vector, about: int) -> int:
    """Return the cut that leaves least beside the medians on both of its sides."""
    reach = 2 * max(1, -(-len(values) // PARTS))
    first, stop = max(0, about - reach), min(len(values), about + reach)
    near = values[first:stop]
    known = np.flatnonzero(np.isfinite(near))
    if len(known) < 2:
        return about
    before = float(np.nanmedian(values[:about]))
    after = float(np.nanmedian(values[about:]))
    costs = np.abs(near[known] - before) - np.abs(near[known] - after)
    cut = int(np.argmin(np.concatenate([[0.0], np.cumsum(costs)])[1:]))
    return int(first + known[cut]) + 1
