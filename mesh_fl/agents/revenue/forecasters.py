"""Six public forecasters of monthly amounts; nothing in them is learned from anybody else.

Four of them work on histories whose season, if it stands out, was taken out.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.autoregression import autoregression
from mesh_fl.agents.revenue.holt_winters import HoltWinters
from mesh_fl.agents.revenue.seasonality import SEASON, seasonality_of
from mesh_fl.agents.revenue.smoothing import damped, simple, smooth

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FORECASTERS = (
    "holt_winters",
    "damped_trend",
    "theta",
    "autoregression",
    "seasonal_naive",
    "simple_smoothing",
)

SEASON_TAKEN_OUT = ("damped_trend", "theta", "autoregression", "simple_smoothing")

AT_ONCE = 64
"""Histories; so many fit a processor's cache with all that is tried on them."""


def ahead(histories: Sequence[Vector], months: int) -> NDArray[np.float64]:
    """Forecast by each forecaster.

    Parameters
    ----------
    histories : sequence of ndarray
        Oldest first; each of any length but none.
    months : int

    Returns
    -------
    ndarray, shape (n, months, 6)
        In the order of `FORECASTERS`.
    """
    parts = [
        _ahead(histories[place : place + AT_ONCE], months)
        for place in range(0, len(histories), AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, months, len(FORECASTERS)))


def _ahead(histories: Sequence[Vector], months: int) -> NDArray[np.float64]:
    sizes = np.array([_power_of_two(one) for one in histories])
    scaled = [history / size for history, size in zip(histories, sizes, strict=True)]
    seasons = [seasonality_of(one) for one in scaled]
    plain = [season.removed(one) for season, one in zip(seasons, scaled, strict=True)]
    winters = [HoltWinters.of(one) for one in scaled]
    starts = [start(one) for start in (simple, damped) for one in plain]
    smoothed = smooth([*starts, *(one.start for one in winters)])
    flat, fading, seasonal = np.split(smoothed.ahead(months), 3)
    by_name = {
        "holt_winters": np.array(
            [one.amounts(row) for one, row in zip(winters, seasonal, strict=True)]
        ),
        "damped_trend": fading,
        "theta": flat + _half_drift(plain, smoothed.parameters[: len(plain), 0], months),
        "autoregression": autoregression(plain, months),
        "seasonal_naive": np.array([seasonal_naive(one, months) for one in scaled]),
        "simple_smoothing": flat,
    }
    for name in SEASON_TAKEN_OUT:
        by_name[name] = np.array(
            [
                season.put_back(row, len(one))
                for season, one, row in zip(seasons, plain, by_name[name], strict=True)
            ]
        )
    stacked = np.stack([by_name[name] for name in FORECASTERS], axis=-1)
    forecasts: NDArray[np.float64] = stacked * sizes[:, None, None]
    return forecasts


def seasonal_naive(history: Vector, months: int) -> Vector:
    """Repeat the last year; the last month where there is no whole year."""
    return np.resize(history[-SEASON:] if len(history) >= SEASON else history[-1:], months)


def _half_drift(histories: Sequence[Vector], alpha: Vector, months: int) -> Matrix:
    """Return what theta adds to simple smoothing (Hyndman and Billah 2003, equation 7)."""
    drift = np.array([_slope(history) for history in histories]) / 2
    lengths = np.array([len(history) for history in histories])
    lag = (1 - (1 - alpha) ** lengths) / alpha
    added: Matrix = drift[:, None] * (np.arange(months) + lag[:, None])
    return added


def _power_of_two(history: Vector) -> float:
    """Return what amounts are divided by, which leaves their digits as they are."""
    largest = float(np.abs(history).max())
    return math.ldexp(1.0, math.frexp(largest)[1])


def _slope(history: Vector) -> float:
    away = np.arange(len(history)) - (len(history) - 1) / 2
    return float(away @ history) / max(float(away @ away), 1.0)
