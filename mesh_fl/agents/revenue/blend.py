"""One forecast of several: public weights, and the directions in which a network may move them.

Weights may leave zero and one: more of theta and less of simple smoothing is more of a trend. Every
direction keeps their sum at one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.forecasters import FORECASTERS
from mesh_fl.agents.revenue.prophet_forecast import PROPHET, prophet_ahead

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

Step = tuple[str, str, float]
"""What gains weight, what loses it, and by how much."""

PUBLIC = {
    "holt_winters": 0.5,
    "damped_trend": 0.15,
    "theta": 0.15,
    "autoregression": 0.1,
    "seasonal_naive": 0.1,
    "simple_smoothing": 0.0,
}
"""Set by hand on the monthly series of the M1 competition, and on no other."""

STEPS: tuple[Step, ...] = (
    ("theta", "simple_smoothing", 3.0),
    ("holt_winters", "damped_trend", 1.0),
    ("autoregression", "damped_trend", 1.0),
    ("seasonal_naive", "simple_smoothing", 0.7),
    ("damped_trend", "theta", 1.5),
)
"""Sized so that forecasts move about alike."""

PROPHET_STEP: Step = (PROPHET, "damped_trend", 1.0)

CLOSE = 0.02
"""Of a usual error: misses below it count by their square in a fit."""

ITERATIONS = 40


@dataclass(frozen=True)
class Blend:
    """Which forecasters are blended, and how their weights may move.

    Parameters
    ----------
    forecasters : tuple of str
        `FORECASTERS`; Prophet may follow them.
    steps : tuple of Step
        The directions, in order.
    """

    forecasters: tuple[str, ...] = FORECASTERS
    steps: tuple[Step, ...] = STEPS

    @cached_property
    def public_weights(self) -> Vector:
        """Return the weights before anything is learned, shape (forecasters,)."""
        return np.array([PUBLIC.get(name, 0.0) for name in self.forecasters])

    @cached_property
    def directions(self) -> Matrix:
        """Return how weights move along each direction, shape (forecasters, moves)."""
        found = np.zeros((len(self.forecasters), len(self.steps)))
        for column, (gains, loses, size) in enumerate(self.steps):
            found[self.forecasters.index(gains), column] = size
            found[self.forecasters.index(loses), column] = -size
        return found

    def weights_of(self, moved: Vector) -> Vector:
        """Return the forecasters' weights; they add up to 1.

        Parameters
        ----------
        moved : ndarray, shape (moves,)
            How far along each direction.
        """
        return self.public_weights + self.directions @ moved

    def completed(self, history: Vector, forecasts: Matrix) -> Matrix:
        """Return what all forecasters of the blend say, shape (months, forecasters).

        Parameters
        ----------
        history : ndarray, shape (n,)
        forecasts : ndarray, shape (months, 6)
            What `FORECASTERS` say.

        Raises
        ------
        ConfigError
            If Prophet is one of them and not installed.
        """
        if PROPHET not in self.forecasters:
            return forecasts
        found = prophet_ahead(history, len(forecasts))
        if found is None:
            # Where it says nothing, its direction leads nowhere.
            found = forecasts[:, FORECASTERS.index(PROPHET_STEP[1])]
        return np.column_stack([forecasts, found])


PLAIN = Blend()
WITH_PROPHET = Blend((*FORECASTERS, PROPHET), (*STEPS, PROPHET_STEP))

PUBLIC_WEIGHTS = PLAIN.public_weights
"""Of `FORECASTERS`; what may follow them weighs nothing before it is learned."""


def misses(missed: Matrix, apart: NDArray[np.float64], moved: Vector) -> Matrix:
    """Return what the blend misses by, shape (n, months).

    Parameters
    ----------
    missed : ndarray, shape (n, months)
        What the public blend misses by.
    apart : ndarray, shape (n, months, moves)
        How forecasts move along each direction.
    moved : ndarray, shape (moves,)
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
    around : ndarray, shape (moves,)
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
