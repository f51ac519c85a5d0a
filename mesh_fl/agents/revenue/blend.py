"""One forecast of six: public weights, and the directions in which a network may move them.

Weights may leave zero and one: more of theta and less of simple smoothing is more of a trend. Every
direction keeps their sum at one.
"""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.forecasters import FORECASTERS

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

PUBLIC = {
    "holt_winters": 0.5,
    "damped_trend": 0.15,
    "theta": 0.15,
    "autoregression": 0.1,
    "seasonal_naive": 0.1,
    "simple_smoothing": 0.0,
}
"""Set by hand on the monthly series of the M1 competition, and on no other."""

STEPS = (
    ("theta", "simple_smoothing", 3.0),
    ("holt_winters", "damped_trend", 1.0),
    ("autoregression", "damped_trend", 1.0),
    ("seasonal_naive", "simple_smoothing", 0.7),
    ("damped_trend", "theta", 1.5),
)
"""What gains weight, what loses it, and by how much, so that forecasts move about alike."""

CLOSE = 0.02
"""Of a usual error: misses below it count by their square in a fit."""

ITERATIONS = 40

PUBLIC_WEIGHTS = np.array([PUBLIC[name] for name in FORECASTERS])


def _directions() -> Matrix:
    found = np.zeros((len(FORECASTERS), len(STEPS)))
    for column, (gains, loses, size) in enumerate(STEPS):
        found[FORECASTERS.index(gains), column] = size
        found[FORECASTERS.index(loses), column] = -size
    return found


DIRECTIONS = _directions()
"""Shape (6, 5)."""


def weights_of(moved: Vector) -> Vector:
    """Return the forecasters' weights; they add up to 1.

    Parameters
    ----------
    moved : ndarray, shape (5,)
        How far along each direction.
    """
    return PUBLIC_WEIGHTS + DIRECTIONS @ moved


def misses(missed: Matrix, apart: NDArray[np.float64], moved: Vector) -> Matrix:
    """Return what the blend misses by, shape (n, months).

    Parameters
    ----------
    missed : ndarray, shape (n, months)
        What the public blend misses by.
    apart : ndarray, shape (n, months, 5)
        How forecasts move along each direction.
    moved : ndarray, shape (5,)
    """
    left: Matrix = missed - (apart * moved).sum(axis=2)
    return left


def refit(missed: Matrix, apart: NDArray[np.float64], around: Vector, precision: float) -> Vector:
    """Return the move with the least mean absolute misses, held to one that is known.

    Minimises sum over records of the mean |miss|, plus precision / 2 times the squared distance, by
    iteratively reweighted least squares (Schlossmacher 1973).

    Parameters
    ----------
    missed, apart : ndarray
        As in `misses`; NaN where a month is not known.
    around : ndarray, shape (5,)
    precision : float
    """
    known = np.isfinite(missed)
    share = (known / np.maximum(known.sum(axis=1, keepdims=True), 1))[known]
    y, x = missed[known], apart[known]
    moved = around
    for _ in range(ITERATIONS):
        weight = share / np.maximum(np.abs(y - x @ moved), CLOSE)
        weighted = x * weight[:, None]
        hessian = weighted.T @ x + precision * np.eye(len(around))
        moved = around + np.linalg.solve(hessian, weighted.T @ (y - x @ around))
    return moved
