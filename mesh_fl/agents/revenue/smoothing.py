"""Exponential smoothing of many histories at once, its parameters chosen from a grid.

One pass over the months serves all histories and all parameters; those with the least squared
errors one month ahead are taken. No optimiser, so the same numbers everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.seasonality import SEASON

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

GRID_SIZE = 48

SIMPLE_GRID = np.array([(alpha, 0.0, 1.0, 0.0) for alpha in np.arange(1, 49) / GRID_SIZE])
"""Of each grid: shares of an error that level and trend take over, what a month damps the trend by,
and the season's share. Here there is a level alone."""

HOLT_GRID = np.array(
    [
        (alpha, alpha * share, damping, 0.0)
        for alpha in (0.1, 0.2, 0.35, 0.5, 0.7, 0.95)
        for share in (0.02, 0.2)
        for damping in (0.8, 0.9, 0.95, 0.98)
    ]
)

WINTERS_GRID = np.array(
    [
        (alpha, alpha * share, damping, gamma * (1 - alpha))
        for alpha in (0.1, 0.3, 0.5, 0.8)
        for share in (0.02, 0.1)
        for damping in (0.9, 0.98)
        for gamma in (0.02, 0.1, 0.3)
    ]
)

FIRST = 12
"""Months that a trend starts from."""


@dataclass(frozen=True)
class Start:
    """A history, and what smoothing begins with before its first month.

    Parameters
    ----------
    values : ndarray, shape (months,)
    level, trend : float
    season : ndarray, shape (12,)
        From the first month on; amounts.
    grid : ndarray, shape (48, 4)
    """

    values: Vector
    level: float
    trend: float
    season: Vector
    grid: Matrix


@dataclass(frozen=True)
class Smoothed:
    """Where smoothing ends, with the parameters that fit best.

    Parameters
    ----------
    level, trend : ndarray, shape (n,)
    season : ndarray, shape (n, 12)
        From the first month ahead on.
    parameters : ndarray, shape (n, 4)
    """

    level: Vector
    trend: Vector
    season: Matrix
    parameters: Matrix

    def ahead(self, months: int) -> Matrix:
        """Return forecasts, shape (n, months)."""
        fading = (self.parameters[:, 2:3] ** np.arange(1, months + 1)).cumsum(axis=1)
        season = self.season[:, np.arange(months) % SEASON]
        forecasts: Matrix = self.level[:, None] + self.trend[:, None] * fading + season
        return forecasts


def simple(values: Vector) -> Start:
    """Begin at the first month, without a trend (Brown 1959)."""
    return Start(values, float(values[0]), 0.0, np.zeros(SEASON), SIMPLE_GRID)


def damped(values: Vector) -> Start:
    """Begin with a line through a year, whose trend fades (Gardner and McKenzie 1985)."""
    level, trend = first_line(values)
    return Start(values, level - trend, trend, np.zeros(SEASON), HOLT_GRID)


def first_line(values: Vector) -> tuple[float, float]:
    """Return level at the first month and slope of a line through the first year."""
    first = values[:FIRST]
    away = np.arange(len(first)) - (len(first) - 1) / 2
    slope = float(away @ first) / max(float(away @ away), 1.0)
    return float(first.mean()) - slope * (len(first) - 1) / 2, slope


def smooth(starts: Sequence[Start]) -> Smoothed:
    """Smooth each history with its whole grid, and keep what fits it best."""
    months = max(len(start.values) for start in starts)
    shape = (len(starts), GRID_SIZE)
    alpha, beta, damping, gamma = np.array([start.grid for start in starts]).transpose(2, 0, 1)
    gains, lines = np.stack([alpha, beta]), np.zeros((2, *shape))
    damping, gamma = np.ascontiguousarray(damping), np.ascontiguousarray(gamma)
    levels, trends = lines
    squares, error, part, both = (np.zeros(one) for one in (shape, shape, shape, lines.shape))
    seasons, calendar = np.zeros((SEASON, *shape)), np.arange(SEASON)
    columns, beginning = _aligned([start.values for start in starts], months)
    for month in range(months):
        for row in beginning.get(month, ()):
            # What ran before a history's first month is overwritten as it begins.
            levels[row], trends[row], squares[row] = starts[row].level, starts[row].trend, 0.0
            seasons[:, row] = starts[row].season[(calendar - month) % SEASON, None]
        season = seasons[month % SEASON]
        trends *= damping
        levels += trends
        np.subtract(columns[month], levels, out=error)
        error -= season
        # Into arrays that are there already: most of the time goes into calls, not numbers.
        lines += np.multiply(gains, error, out=both)
        season += np.multiply(gamma, error, out=part)
        squares += np.multiply(error, error, out=part)
    best = squares.argmin(axis=1)
    rows = np.arange(len(starts))
    coming = np.roll(seasons, -months, axis=0)[:, rows, best].T
    grids = np.stack([alpha, beta, damping, gamma], axis=2)
    return Smoothed(levels[rows, best], trends[rows, best], coming, grids[rows, best])


def _aligned(
    histories: Sequence[Vector], months: int
) -> tuple[NDArray[np.float64], dict[int, list[int]]]:
    """Put histories side by side so that they end together, and tell which begin when."""
    columns = np.zeros((months, len(histories), 1))
    beginning: dict[int, list[int]] = {}
    for row, history in enumerate(histories):
        begins = months - len(history)
        columns[begins:, row, 0] = history
        beginning.setdefault(begins, []).append(row)
    return columns, beginning
