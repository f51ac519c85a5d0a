"""The tail of what is usual, from few quantiles: a generalised Pareto tail (Pickands 1975).

Spikes hardly move quantiles; the shape is taken heavier than found by its error.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

TAIL = 0.1
"""Part of the residuals that counts as the tail."""

FEWEST = 400
"""Residuals that a tail can be told from."""

GRAIN = 0.01
"""Of the tail's first half: sizes that differ by less are the same."""

HEAVIEST = 1.0


@dataclass(frozen=True)
class ParetoTail:
    """Chances beyond a threshold.

    Parameters
    ----------
    threshold, width, shape : float
    """

    threshold: float
    width: float
    shape: float

    def chance(self, sizes: Vector) -> Vector:
        """Return how probable a size at least as large is."""
        beyond = np.maximum(sizes - self.threshold, 0.0) / self.width
        found: Vector = TAIL * (1 + self.shape * beyond) ** (-1 / self.shape)
        return found


def pareto_tail(sizes: Vector) -> ParetoTail | None:
    """Read a tail off the quantiles of sizes; None where they are too few or too coarse."""
    if len(sizes) < FEWEST:
        return None
    first, second, third = np.quantile(sizes, [1 - TAIL, 1 - TAIL / 2, 1 - TAIL / 4])
    near, far = float(second - first), float(third - second)
    if near <= 0 or far <= 0 or first <= 0:
        return None
    steps = np.round((sizes[sizes > first] - first) / near / GRAIN)
    if len(np.unique(steps)) < len(steps) / 2:
        return None  # counts, or rounded: no smooth tail
    found = math.log2(far / near)
    error = 1.8 / math.sqrt(TAIL * len(sizes))
    shape = min(max(found, 0.0) + error, HEAVIEST)
    width = near * shape / (2**shape - 1)
    return ParetoTail(float(first), width, shape)
