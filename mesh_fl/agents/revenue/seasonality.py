"""Months that are always high or low: tested for, and taken out (classical decomposition).

As in the benchmarks of the M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SEASON = 12
"""Months."""

LEAST = 2 * SEASON + 1
"""Months from which a season can be told from chance."""

CHANCE = 1.645
"""Standard errors that the autocorrelation must stand out by: 90 %."""

LEAST_FACTOR = 0.01
"""Of a usual month; what is smaller is no season to divide by."""


@dataclass(frozen=True)
class Seasonality:
    """Indices by month, counted from a history's first.

    Parameters
    ----------
    indices : ndarray, shape (12,)
        Factors of mean 1, or amounts of mean 0.
    is_factor : bool
    """

    indices: Vector
    is_factor: bool

    def along(self, start: int, months: int) -> Vector:
        """Return the indices of some months, from the one at `start` on."""
        return self.indices[np.arange(start, start + months) % SEASON]

    def removed(self, history: Vector) -> Vector:
        """Return a history without its season."""
        indices = self.along(0, len(history))
        return history / indices if self.is_factor else history - indices

    def put_back(self, forecasts: Vector, start: int) -> Vector:
        """Return forecasts, shape (..., months), with the season of the months from `start` on."""
        indices = self.along(start, forecasts.shape[-1])
        return forecasts * indices if self.is_factor else forecasts + indices


NONE = Seasonality(np.zeros(SEASON), is_factor=False)


def seasonality_of(history: Vector) -> Seasonality:
    """Return the season of a history; `NONE` where it does not stand out of chance.

    Factors where every month is above zero, else amounts.
    """
    if not _stands_out(history):
        return NONE
    is_factor = bool(history.min() > 0)
    found = Seasonality(monthly_indices(history, is_factor=is_factor), is_factor)
    return NONE if is_factor and found.indices.min() < LEAST_FACTOR else found


def monthly_indices(history: Vector, *, is_factor: bool) -> Vector:
    """Return how each month of the year lies to the mean of a year around it.

    Parameters
    ----------
    history : ndarray, shape (months,)
        At least `LEAST` of them.
    is_factor : bool
        Factors of mean 1, which needs months above zero; else amounts of mean 0.
    """
    trend = _moving_mean(history)
    inner = history[SEASON // 2 : SEASON // 2 + len(trend)]
    apart = inner / trend if is_factor else inner - trend
    month = np.arange(SEASON // 2, SEASON // 2 + len(trend)) % SEASON
    means = np.bincount(month, apart, SEASON) / np.bincount(month, minlength=SEASON)
    indices: Vector = means / means.mean() if is_factor else means - means.mean()
    return indices


def _stands_out(history: Vector) -> bool:
    months = len(history)
    if months < LEAST:
        return False
    centred = history - history.mean()
    power = float(centred @ centred)
    if power <= 0:
        return False
    found = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, SEASON + 1)]) / power
    error = math.sqrt((1 + 2 * float(found[:-1] @ found[:-1])) / months)
    return bool(abs(found[-1]) > CHANCE * error)


def _moving_mean(history: Vector) -> Vector:
    """Return the centred mean over a year: eleven whole months and two halves of the same one."""
    weights = np.full(SEASON + 1, 1 / SEASON)
    weights[[0, -1]] /= 2
    return np.convolve(history, weights, "valid")
