"""Autoregression by ridge, shrunk towards "next month is like this one"."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.seasonality import SEASON

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LAGS = np.array([1, 2, 3, SEASON])
"""Months back; the last one in long histories only."""

LEAST, LONG = 10, 3 * SEASON
"""Months from which anything is fitted, and from which the last lag is."""

RIDGE = 2.0
"""In squared standard deviations of the history."""

FARTHEST = 2.0
"""Standard deviations beyond what was seen; forecasts end there."""


def autoregression(histories: Sequence[Vector], months: int) -> Matrix:
    """Return forecasts, shape (n, months)."""
    means = np.array([history.mean() for history in histories])
    spreads = np.array([history.std() or 1.0 for history in histories])
    scaled = [
        (history - mean) / spread
        for history, mean, spread in zip(histories, means, spreads, strict=True)
    ]
    weights = np.array([_fitted(one) for one in scaled])
    seen = np.zeros((len(histories), SEASON + months))
    for row, one in enumerate(scaled):
        latest = one[-SEASON:]
        seen[row, SEASON - len(latest) : SEASON] = latest
    for month in range(SEASON, SEASON + months):
        seen[:, month] = (weights[:, :-1] * seen[:, month - LAGS]).sum(axis=1) + weights[:, -1]
    low = np.array([[one.min()] for one in scaled]) - FARTHEST
    high = np.array([[one.max()] for one in scaled]) + FARTHEST
    ahead = np.clip(seen[:, SEASON:], low, high)
    forecasts: Matrix = means[:, None] + spreads[:, None] * ahead
    return forecasts


def _fitted(values: Vector) -> Vector:
    """Return a weight for each of `LAGS`, and what is added."""
    weights: Vector = np.eye(len(LAGS) + 1)[0]
    if len(values) < LEAST:
        return weights
    lags = LAGS if len(values) >= LONG else LAGS[:-1]
    first = int(lags.max())
    before = [values[first - lag : len(values) - lag] for lag in lags]
    x = np.stack([*before, np.ones(len(values) - first)], axis=1)
    missed = values[first:] - before[0]
    shift = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ missed)
    weights[: len(lags)] += shift[:-1]
    weights[-1] += shift[-1]
    return weights
