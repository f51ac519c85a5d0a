"""Readings beside the median of their neighbours, which do not include themselves.

A spike does not move what is expected of it. How many neighbours tell most is read off the series:
of noise around a level all of them, of a random walk the nearest few.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

SIDES = (2, 5, 10, 25, 60)
"""Neighbours on each side that are tried."""

WIDE_ENOUGH = 1.08
"""More neighbours are taken if they leave at most so many times the spread of fewer."""

LEAST_SIDES_SEEN = 6
"""How many times a series must be as long as the neighbours on one side."""

FAR = 0.95

SAMPLED = 800
"""Readings at which a number of neighbours is tried."""


@dataclass(frozen=True)
class Around:
    """What is left beside the neighbours.

    Parameters
    ----------
    residual : ndarray, shape (n,)
    shrink : ndarray, shape (n,)
        Near the ends neighbours stand on one side and tell less: residuals times this are alike.
    neighbours : int or None
        None where it is all.
    """

    residual: Vector = field(repr=False)
    shrink: Vector = field(repr=False)
    neighbours: int | None


@dataclass(frozen=True)
class _Windows:
    """All windows of an odd number of readings, by the middle three of each.

    Parameters
    ----------
    values : ndarray, shape (n,)
    side : int
        A window has twice as many readings, and one more.
    lower, middle, upper : ndarray, shape (n,)
        Of the window around each reading; at the ends the series is mirrored.
    """

    values: Vector = field(repr=False)
    side: int
    lower: Vector = field(repr=False)
    middle: Vector = field(repr=False)
    upper: Vector = field(repr=False)

    @classmethod
    def of(cls, values: Vector, side: int) -> "_Windows":
        from scipy.ndimage import rank_filter

        three = [
            rank_filter(values, side + one, size=2 * side + 1, mode="mirror") for one in (-1, 0, 1)
        ]
        return cls(values, side, *three)

    def left(self, places: Places, rights: Places) -> Vector:
        """Return readings less the median of the others in a window.

        Parameters
        ----------
        places, rights : ndarray, of shapes that broadcast
            Of the readings, and how many others stand after each; the rest stand before.
        """
        around = places + rights - self.side
        value, middle = self.values[places], self.middle[around]
        below = np.where(value < middle, middle, self.lower[around])
        above = np.where(value > middle, middle, self.upper[around])
        left: Vector = value - (below + above) / 2
        return left


def beside_neighbours(values: Vector) -> Around:
    """Compare each reading with as many neighbours as tell most."""
    side = _best(values)
    if side is None:
        return Around(values - np.median(values), np.ones(len(values)), None)
    windows, count = _Windows.of(values, side), len(values)
    residual = windows.left(np.arange(count), np.array(side))
    shrink = np.ones(count)
    rights = np.arange(side)
    first, last = rights, count - 1 - rights
    residual[last] = windows.left(last, rights)
    residual[first] = windows.left(first, 2 * side - rights)
    shrink[first] = shrink[last] = _ratios(windows)
    return Around(residual, shrink, 2 * side)


def _ratios(windows: _Windows) -> Vector:
    """Return by how much residuals are shrunk of which few stand after: none, one, and so on.

    What is far out near an end must be alike to what is far out elsewhere.
    """
    side = windows.side
    places = _sampled(len(windows.values), 2 * side)
    sizes = np.abs(windows.left(places, np.arange(side + 1)[:, None]))
    *_, inner = far = np.quantile(sizes, FAR, axis=1)
    ratios: Vector = np.divide(inner, far[:-1], out=np.ones(side), where=far[:-1] > 0)
    return np.minimum(1.0, ratios)


def _best(values: Vector) -> int | None:
    """Return the neighbours on each side that leave least, None for the whole series."""
    fits = [one for one in SIDES if LEAST_SIDES_SEEN * one <= len(values)]
    if not fits:
        return None
    spreads = []
    for side in fits:
        spreads.append(_spread(_left(values, _sampled(len(values), side), side, side)))
    least = min(spreads)
    if _spread(values - np.median(values)) <= WIDE_ENOUGH * least:
        return None
    return next(
        side
        for side, spread in zip(reversed(fits), reversed(spreads), strict=True)
        if spread <= WIDE_ENOUGH * least
    )


def _sampled(count: int, margin: int) -> Places:
    """Return places, spread evenly, that have so many neighbours on each side."""
    return np.unique(np.linspace(margin, count - 1 - margin, SAMPLED).astype(np.int64))


def _left(values: Vector, places: Places, before: int, after: int) -> Vector:
    """Return readings less the median of so many before and after them."""
    around = np.concatenate([np.arange(-before, 0), np.arange(1, after + 1)])
    left: Vector = values[places] - np.median(values[places[:, None] + around], axis=1)
    return left


def _spread(values: Vector) -> float:
    # The median of sizes; of coarse readings it is often 0, so that a little of the mean decides.
    sizes = np.abs(values)
    return float(np.median(sizes) + 0.01 * np.mean(np.minimum(sizes, 5 * np.median(sizes))))
