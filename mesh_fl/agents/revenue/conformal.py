"""Bands around forecasts, in multiples of a history's own errors (split conformal prediction).

A history's reach is how far the public blend missed on its own earlier months, grown with the
months ahead. Bands are factors times it. The factors are quantiles of others' misses beyond their
own reach (Vovk, Gammerman and Shafer 2005; Lei et al. 2018, arXiv 1604.04173), tracked by the
share that falls outside (Gibbs and Candes 2021, arXiv 2106.00170).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.blend import PUBLIC_WEIGHTS
from mesh_fl.agents.revenue.rolling import Trial

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LEVEL = 0.9
"""Share of months that bands are to hold."""

KNOTS = (1.0, 6.0, 18.0)
"""Months ahead whose factors are told; between them they run straight in the month's logarithm."""

GROWTH = 0.35
"""How misses grow: with the months ahead to this power."""

PUBLIC_FACTOR = 2.3
"""Set by hand on the monthly series of the M1 competition, and on no other."""

SHORT_FACTOR, SHORT_GROWTH = 3.3, 0.25
"""The same for short histories, in mean deviations: rough, and learned from nobody."""


def public_logs() -> Vector:
    """Return the logarithms of the factors before any training: shape (3,)."""
    return np.full(len(KNOTS), math.log(PUBLIC_FACTOR))


def grown(months: int) -> Vector:
    """Return how far misses reach by month, in those of the first: shape (months,)."""
    return np.arange(1.0, months + 1) ** GROWTH


def factors(logs: Vector, months: int) -> Vector:
    """Return how many reaches wide half a band is, by month: shape (months,)."""
    wide: Vector = np.exp(shares_of_knots(months) @ logs)
    return wide


def shares_of_knots(months: int) -> Matrix:
    """Return how much each month's factor is each knot's: shape (months, 3), rows adding to 1."""
    place = np.interp(np.log(np.arange(1, months + 1)), np.log(KNOTS), np.arange(len(KNOTS)))
    shares: Matrix = np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(len(KNOTS))))
    return shares


def own_reach(trials: Sequence[Trial]) -> float:
    """Return a history's mean miss one month ahead, as its trials tell it; NaN without any."""
    if not trials:
        return math.nan
    public = len(PUBLIC_WEIGHTS)
    ratios = [
        np.abs(one.actual - one.forecasts[:, :public] @ PUBLIC_WEIGHTS) / grown(len(one.actual))
        for one in trials
    ]
    return float(np.concatenate(ratios).mean())


def short_reach(history: Vector, months: int) -> Vector:
    """Return half the band of a short history, by month, in its mean deviation."""
    deviation = float(np.abs(history - history.mean()).mean())
    return SHORT_FACTOR * deviation * np.arange(1.0, months + 1) ** SHORT_GROWTH


def outside(misses: Matrix, reach: Matrix, logs: Vector) -> Matrix:
    """Return for each month whether it falls outside of its band, 1 or 0; NaN if not known."""
    wide = factors(logs, misses.shape[1]) * reach
    found: Matrix = np.where(np.isfinite(misses), np.abs(misses) > wide, np.nan)
    return found


def own_shift(misses: Matrix, reach: Matrix, logs: Vector, prior_records: float) -> float:
    """Return what to add to the logarithms so that `LEVEL` of one's own misses lie inside.

    Counted by records, since the months of one are alike: the shift of n records is shrunk by
    n / (n + prior_records).
    """
    wide = factors(logs, misses.shape[1]) * reach
    known = np.isfinite(misses) & (wide > 0)
    records = int(known.any(axis=1).sum())
    if records == 0:
        return 0.0
    ratios = np.abs(misses[known]) / wide[known]
    quantile = float(np.quantile(ratios, LEVEL))
    shift = math.log(max(quantile, 1e-3))
    return shift * records / (records + prior_records)
