"""How rarely a reading is as far off: by rank, and by a tail where that is fine enough.

Of n sizes, one as good as another, at most k have rank k or higher: that needs no distribution.
What is farther out than ranks can tell is judged by a generalised Pareto tail (Pickands 1975; of
streams: Siffer and others 2017). Its shape is read off three quantiles, which spikes hardly move;
it is taken heavier than found by half of its standard error, and its chances are doubled.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

TAIL = 0.2
"""Part of the sizes that counts as the tail."""

QUANTILES = (1 - TAIL, 1 - TAIL / 2, 1 - TAIL / 4)

FEWEST = 400
"""Sizes that a tail can be told from."""

HEAVIEST = 1.0
SAFETY = 2.0
"""The tail's chance is taken so many times higher: its shape is an estimate."""

RANKS_SHARE = 0.9
"""Of a rate, what ranks take where a tail judges, too; the rest is for the tail's errors."""

REACH = 100.0
"""So many times rarer than ranks can tell may the tail call a size, and no more."""

FEWEST_DIFFERENT = 5
"""Sizes of the tail that must differ: of fewer, ranks alone tell."""


@dataclass(frozen=True)
class ParetoTail:
    """Chances beyond a threshold.

    Parameters
    ----------
    threshold, width, shape : float
    middle : float
        Exceeded by half of the tail.
    least : float
        No chance is told below it.
    """

    threshold: float
    width: float
    shape: float
    middle: float
    least: float

    @classmethod
    def of(cls, quantiles: tuple[float, float, float], count: float) -> "ParetoTail | None":
        """Read a tail off the `QUANTILES` of so many sizes; None where they are too few."""
        first, second, third = quantiles
        near, far = second - first, third - second
        if count < FEWEST or near <= 0 or far <= 0 or first <= 0:
            return None
        error = 1.8 / math.sqrt(TAIL * count)
        shape = min(max(math.log2(far / near), 0.0) + error, HEAVIEST)
        return cls(first, near * shape / (2**shape - 1), shape, second, 1 / (REACH * count))

    def p_value(self, size: float) -> float:
        """Return how probable a size at least as large is, at most."""
        beyond = max(size - self.threshold, 0.0) / self.width
        found = SAFETY * TAIL * (1 + self.shape * beyond) ** (-1 / self.shape)
        return max(float(found), self.least)


def p_values(sizes: Vector) -> Vector:
    """Return the p-value of each size; NaN where there is none.

    Parameters
    ----------
    sizes : ndarray, shape (n,)
        Signed; NaN where one is missing.
    """
    off = np.abs(sizes)
    rising = np.sort(off[np.isfinite(off)])
    if not len(rising):
        return off
    reached = len(rising) - np.searchsorted(rising, off, side="left")
    found = np.where(np.isfinite(off), reached / len(rising), np.nan)
    tail = _tail(rising)
    if tail is None:
        return found
    found = np.minimum(found / RANKS_SHARE, 1.0)
    # Counts and rounded readings stand for what is nearer to them than to the next ones.
    half_a_grain = float(np.median(np.diff(np.unique(rising)))) / 2
    # Only beyond the tail's middle, so that several spikes do not hide each other.
    for place in np.flatnonzero(off > tail.middle).tolist():
        found[place] = min(found[place], tail.p_value(float(off[place]) - half_a_grain))
    return found


def _tail(rising: Vector) -> ParetoTail | None:
    different, counts = np.unique(rising, return_counts=True)
    if len(different) < 2:
        return None
    edges = np.concatenate([(different[1:] + different[:-1]) / 2, different[-1:]])
    first, second, third = np.interp(
        np.multiply(QUANTILES, len(rising)), np.cumsum(counts), edges
    ).tolist()
    if np.count_nonzero(different > first) < FEWEST_DIFFERENT:
        return None
    return ParetoTail.of((first, second, third), len(rising))
