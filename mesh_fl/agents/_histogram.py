"""Histograms of a whole network: what each record adds, and what the noise leaves to be told.

A record adds a one to the cell that it falls into. Several releases of the same histogram are
averaged, which for Gaussian noise is as good as one release at the same total budget (Dong, Roth
and Su 2019, arXiv 1905.02383, corollary 3.3). How large the noise was need not be told by anybody:
it is read off cells that no record can fill.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EMPTY = 32
"""Cells that no record can fill: what stands there after a sum is noise and nothing else."""

LEVEL = 0.9
"""Probability of a band."""

WELL_ABOVE = 3.0
"""Bands that a sum must be away from 0 before anything is told of its parts."""

REACH = float(stdtrit(EMPTY, (1 + LEVEL) / 2))
"""Half of a band, in standard deviations as they are read off the empty cells (Student 1908)."""


def one_hot(places: NDArray[np.int64], cells: int) -> Matrix:
    """Return a row per record with a one at its place, then the empty cells.

    Parameters
    ----------
    places : ndarray, shape (n,)
        -1 for a record that falls into no cell; its row is zero.
    cells : int

    Returns
    -------
    ndarray, shape (n, cells + EMPTY)
        Of length at most 1.
    """
    rows = np.zeros((len(places), cells + EMPTY))
    known = np.flatnonzero(places >= 0)
    rows[known, places[known]] = 1.0
    return rows


def average(mean: Vector, total: Vector, rounds: float) -> Vector:
    """Return the mean of a release and of as many before it."""
    return mean + (total - mean) / (rounds + 1)


@dataclass(frozen=True)
class Band:
    """A figure, and where it lies with probability `LEVEL`: the noise is all that is uncertain."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Histogram:
    """Released counts.

    Parameters
    ----------
    counts : ndarray, shape (cells,)
        With noise: they may be below zero.
    noise_sd : float
        Standard deviation of the noise in each.
    """

    counts: Vector
    noise_sd: float

    @classmethod
    def of(cls, released: Vector) -> "Histogram":
        """Read a released block: the cells, then `EMPTY` empty ones."""
        noise = released[-EMPTY:]
        return cls(released[:-EMPTY], math.sqrt(float(np.mean(noise**2))))

    def cells(self, start: int, stop: int) -> "Histogram":
        """Return a part."""
        return Histogram(self.counts[start:stop], self.noise_sd)

    @cached_property
    def records(self) -> Band:
        """How many records fell into any cell."""
        found = float(self.counts.sum())
        reach = self._reach
        return Band(max(0.0, found), max(0.0, found - reach), max(0.0, found + reach))

    @property
    def _reach(self) -> float:
        """Half of the band of the sum of all cells."""
        return REACH * self.noise_sd * math.sqrt(len(self.counts))

    @cached_property
    def is_seen(self) -> bool:
        """Whether the noise lets anything be seen: the records stand well out of it.

        Bands of shares hold for a sum that is large beside its noise; just above it they are too
        narrow.
        """
        return self.records.value > 0 and self.records.value >= WELL_ABOVE * self._reach

    @cached_property
    def shares(self) -> Vector:
        """The nearest distribution: at least 0 each, 1 in all; even where nothing is seen."""
        size = float(self.counts.sum())
        if size <= 0:
            return np.full(len(self.counts), 1 / len(self.counts))
        return _on_simplex(self.counts / size)

    def share(self, cells: Vector) -> Band:
        """Return the share of the records that fall into some cells.

        Parameters
        ----------
        cells : ndarray, shape (cells,)
            How much of each is meant, 0 to 1. The band is that of a ratio whose sum is well above
            its noise (delta method).
        """
        size = float(self.counts.sum())
        if size <= 0:
            return Band(math.nan, 0.0, 1.0)
        value = float(cells @ self.counts) / size
        reach = REACH * self.noise_sd * float(np.linalg.norm(cells - value)) / size
        value, low, high = (float(np.clip(x, 0, 1)) for x in (value, value - reach, value + reach))
        return Band(value, low, high)


def total_variation(one: Vector, other: Vector) -> float:
    """Return half the sum of the differences of two distributions: 0 alike, 1 apart."""
    return float(np.abs(one - other).sum()) / 2


def _on_simplex(values: Vector) -> Vector:
    """Return the nearest point with parts of at least 0 that add up to 1.

    Held, Wolfe and Crowder 1974; Wang and Carreira-Perpinan 2013 (arXiv 1309.1541), algorithm 1.
    """
    falling = np.sort(values)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(values) + 1)
    last = int(np.flatnonzero(falling > excess)[-1])
    nearest: Vector = np.maximum(values - excess[last], 0.0)
    return nearest
