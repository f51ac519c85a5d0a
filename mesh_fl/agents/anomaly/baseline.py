"""What was expected of each reading: a trend, steps, a season and a level, all by medians."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.baseline_level import beside_neighbours
from mesh_fl.agents.anomaly.baseline_season import found_period, phases, usable
from mesh_fl.agents.anomaly.drift_steps import Step, steps

Vector = NDArray[np.float64]

LINE_PARTS = 32
"""Parts of a series whose medians tell its straight trend."""

TO_SD = 1.4826
"""Of a normal distribution: standard deviation over median absolute deviation."""

MEAN_TO_SD = 1.2533
"""Of a normal distribution: standard deviation over mean absolute deviation."""

FARTHEST = 1e-100
"""A standard deviation is at least so much of the farthest residual: sizes stay finite."""

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Of the sizes that a residual is the difference of: smaller ones are rounding, not readings."""

LEAST_FOR_A_LINE = 12

LEAST_OF_A_SIDE = 0.4


@dataclass(frozen=True)
class Baseline:
    """A series beside what was expected of it.

    Parameters
    ----------
    expected, residual : ndarray, shape (n,)
        NaN where there is no reading.
    sizes : ndarray, shape (n,)
        Residuals in robust standard deviations, those above and those below for themselves.
    slope : float
        Of the trend, a reading.
    period : int or None
        Readings in a season.
    steps : tuple of Step
        Where the level moved and stayed.
    neighbours : int or None
        Readings that a level is the median of; None for all.
    """

    expected: Vector = field(repr=False)
    residual: Vector = field(repr=False)
    sizes: Vector = field(repr=False)
    slope: float
    period: int | None
    steps: tuple[Step, ...]
    neighbours: int | None

    @classmethod
    def of(cls, values: Vector, period: int | None = None) -> "Baseline":
        """Fit a series of at least one finite value.

        Seasonal medians and the trend are fitted in turn (as in STL: Cleveland and others 1990,
        with medians in place of loess); what is left is compared with its neighbours, as many as
        tell most: a few in a random walk, all of them in noise.

        Parameters
        ----------
        values : ndarray, shape (n,)
            At equal steps; NaN where one is missing.
        period : int or None
            Found when left out.
        """
        filled = _filled(values)
        found = usable(period, len(values)) if period else found_period(filled)
        season = phases(filled, found)
        moved = steps(np.where(np.isfinite(values), filled - season, np.nan))
        stairs = sum((one.over(len(values)) for one in moved), np.zeros(len(values)))
        if found is not None and moved:
            season = phases(filled - stairs, found)
        rest = filled - season - stairs
        slope = _slope(rest)
        line = slope * np.arange(float(len(rest)))
        around = beside_neighbours(rest - line)
        is_told = np.isfinite(values)
        rounded = ROUNDING * (np.abs(filled) + np.abs(season) + np.abs(stairs) + np.abs(line))
        left = np.where(np.abs(around.residual) <= rounded, 0.0, around.residual)
        residual = np.where(is_told, left, np.nan)
        sizes = np.where(is_told, left * around.shrink, np.nan)
        expected = np.where(is_told, values - residual, np.nan)
        return cls(expected, residual, _in_sd(sizes), slope, found, moved, around.neighbours)


def _filled(values: Vector) -> Vector:
    """Return the series with straight lines over what is missing."""
    known = np.flatnonzero(np.isfinite(values))
    filled: Vector = np.interp(np.arange(len(values)), known, values[known]).astype(np.float64)
    return filled


def _slope(values: Vector) -> float:
    """Return the straight trend: the median slope between medians of parts (Theil 1950)."""
    if len(values) < LEAST_FOR_A_LINE:
        return 0.0
    size = max(1, len(values) // LINE_PARTS)
    middles = np.median(values[: len(values) // size * size].reshape(-1, size), axis=1)
    one, other = np.triu_indices(len(middles), k=max(1, len(middles) // 4))
    return float(np.median((middles[other] - middles[one]) / (other - one))) / size


def _in_sd(residual: Vector) -> Vector:
    """Divide by the robust standard deviation of the same side, so that skewed noise is even."""
    known = residual[np.isfinite(residual)]
    whole = max(_scale(np.abs(known)), FARTHEST * float(np.max(np.abs(known))))
    if whole <= 0:
        return residual
    above, below = (
        whole * _share(side, known, whole) for side in (known[known > 0], known[known < 0])
    )
    return np.where(residual > 0, residual / above, residual / below)


def _share(side: Vector, known: Vector, whole: float) -> float:
    """Return how much wider one side is than both; 1 where it has few of the readings."""
    if len(side) < LEAST_OF_A_SIDE * len(known):
        return 1.0
    # Means, for medians of counts are coarse; a spike adds no more than any other far reading.
    other = known[known != 0]
    own, both = (float(np.mean(np.minimum(np.abs(one), 5 * whole))) for one in (side, other))
    return own / both


def _scale(sizes: Vector) -> float:
    """Return a standard deviation by the median, or the mean where the median is 0."""
    if not len(sizes):
        return 0.0
    # The median of n is too small in small samples (Croux and Rousseeuw 1992).
    middle = float(np.median(sizes)) * len(sizes) / max(len(sizes) - 0.8, 0.2)
    return TO_SD * middle if middle > 0 else MEAN_TO_SD * float(np.mean(sizes))
