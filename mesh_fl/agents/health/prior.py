"""What is known before any training, as trees can tell it: weights on values in small steps."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

STEPS = 16
"""From neutral to an end of the scale."""

STAIRS = np.arange(-STEPS, STEPS + 1) / STEPS
"""The steps, encoded: the neutral value and the ends are among them."""

CUTS = (STAIRS[:-1] + STAIRS[1:]) / 2


def snap(x: Matrix) -> Matrix:
    """Return the nearest step of each value from -1 to 1; between two, the lower."""
    return STAIRS[np.searchsorted(CUTS, x, side="left")]


def prior_log_odds(weights: Vector, x: Matrix) -> Vector:
    """Return what weights say of records, the last of them being the bias.

    Parameters
    ----------
    weights : ndarray, shape (d,)
    x : ndarray, shape (n, d)
        Encoded, with a last column of ones.
    """
    if not weights[:-1].any():
        return np.full(len(x), weights[-1])
    log_odds: Vector = snap(x[:, :-1]) @ weights[:-1] + weights[-1]
    return log_odds
