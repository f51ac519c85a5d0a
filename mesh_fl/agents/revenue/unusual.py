"""Months that stand out so far that a forecast should not go on with them unseen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.seasonality import SEASON

Vector = NDArray[np.float64]

FEWEST = 6
"""Months from which anything is usual."""

FAR, LARGE = 20.0, 5.0
"""Times the usual distance from the months around, and times the usual amount: both."""

MOST = 2
"""Months; where more stand out, standing out is usual, as where work is billed now and then."""


@dataclass(frozen=True)
class UnusualMonth:
    """A month far beyond all others.

    Parameters
    ----------
    place : int
        In the history.
    amount, usual : float
        What it brought, and the median of the months around it.
    """

    place: int
    amount: float
    usual: float


def unusual_months(history: Vector) -> tuple[UnusualMonth, ...]:
    """Return the months, if they are few, that no month around and no year explains."""
    large = LARGE * float(np.median(np.abs(history))) if len(history) else 0.0
    if len(history) < FEWEST or np.ptp(history) <= large:
        return ()
    usual = _medians_around(history)
    away = np.abs(history - usual)
    if len(history) > SEASON:
        year = np.abs(history[SEASON:] - history[:-SEASON])
        # What comes each year is a season.
        away[SEASON:] = np.minimum(away[SEASON:], year)
        away[:-SEASON] = np.minimum(away[:-SEASON], year)
    least = max(FAR * float(np.median(away)), large)
    found = np.flatnonzero(away > least).tolist()
    if len(found) > MOST:
        return ()
    return tuple(UnusualMonth(one, float(history[one]), float(usual[one])) for one in found)


def without(history: Vector, unusual: Sequence[UnusualMonth]) -> Vector:
    """Return a history in which usual amounts stand in place of others."""
    calm = history.copy()
    for one in unusual:
        calm[one.place] = one.usual
    return calm


def _medians_around(history: Vector) -> Vector:
    """Return the median of the year before and after each month; beyond the ends, mirrored."""
    padded = np.pad(history, SEASON, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * SEASON + 1)
    medians: Vector = np.median(around, axis=1)
    return medians
