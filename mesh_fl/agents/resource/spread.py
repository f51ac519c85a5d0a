"""How far hours lie from what the model says: quantiles of its misses, learned by counting.

A quantile rises while more misses than planned lie above it, and falls while fewer do (Robbins and
Monro 1951; Gibbs and Candes 2021, arXiv 2106.00170).
"""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LEVELS = (0.1, 0.5, 0.9)
"""Shares of tickets that take no longer than each quantile says."""

NORMAL = np.array([-1.2815515655446004, 0.0, 1.2815515655446004])
"""The same quantiles of a standard normal distribution."""

PUBLIC_LOG_SD = 1.0
"""Of the logarithm of hours, before any training: one ticket in ten takes 3.6 times as long."""

WEIGHT = 0.5
"""Of the counts in a row, beside the pull on the model."""

LONGEST = WEIGHT * float(np.sqrt(sum(max(level, 1 - level) ** 2 for level in LEVELS)))
"""What the counts take of a row's length at most."""


def public_spread() -> Vector:
    """Return the quantiles of misses before any training, in logarithms: shape (3,)."""
    return PUBLIC_LOG_SD * NORMAL


def excesses(missed: Vector, quantiles: Vector) -> Matrix:
    """Return how many misses more than planned lie above each quantile, shape (n, 3)."""
    above: Matrix = (missed[:, None] > quantiles) - (1 - np.array(LEVELS))
    return WEIGHT * above


def own_spread(missed: Vector, quantiles: Vector, prior_records: float) -> Vector:
    """Return quantiles moved towards those of one's own misses, by n / (n + prior_records)."""
    if not len(missed):
        return quantiles
    share = len(missed) / (len(missed) + prior_records)
    moved: Vector = (1 - share) * quantiles + share * np.quantile(missed, LEVELS)
    return moved


def log_sd(quantiles: Vector) -> float:
    """Return the standard deviation of a normal distribution that is as wide."""
    low, _, high = np.sort(quantiles)
    return float(max(high - low, 1e-3) / (NORMAL[-1] - NORMAL[0]))


def within(missed: Vector, quantiles: Vector) -> Vector:
    """Tell of each miss whether it lies between the outer quantiles, 1 or 0."""
    low, _, high = np.sort(quantiles)
    inside: Vector = ((missed > low) & (missed <= high)).astype(np.float64)
    return inside
