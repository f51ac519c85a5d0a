"""Smoothing of level, fading trend and months of the year together (Winters 1960).

In logarithms where months are well above zero, since seasons of amounts grow with them. It begins
with `SHRUNK` of the season that decomposition finds, since few years tell it badly (Miller and
Williams 2003).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.seasonality import LEAST, SEASON, monthly_indices
from mesh_fl.agents.revenue.smoothing import WINTERS_GRID, Start, first_line

Vector = NDArray[np.float64]

SHRUNK = 0.7

WELL_ABOVE = 0.05
"""Of the mean: logarithms of months below are too far apart."""

FARTHEST = 3.0
"""Above the largest logarithm; forecasts end there."""


@dataclass(frozen=True)
class HoltWinters:
    """A history as it is smoothed.

    Parameters
    ----------
    values : ndarray, shape (months,)
    in_logarithms : bool
    """

    values: Vector
    in_logarithms: bool

    @classmethod
    def of(cls, history: Vector) -> "HoltWinters":
        """Take logarithms where that is sound."""
        in_logarithms = bool(history.min() > WELL_ABOVE * history.mean())
        return cls(np.log(history) if in_logarithms else history, in_logarithms)

    @property
    def start(self) -> Start:
        """What smoothing begins with."""
        season = np.zeros(SEASON)
        if len(self.values) >= LEAST:
            season = SHRUNK * monthly_indices(self.values, is_factor=False)
        level, trend = first_line(self.values - np.resize(season, len(self.values)))
        return Start(self.values, level - trend, trend, season, WINTERS_GRID)

    def amounts(self, forecasts: Vector) -> Vector:
        """Return forecasts as amounts."""
        if not self.in_logarithms:
            return forecasts
        found: Vector = np.exp(np.minimum(forecasts, self.values.max() + FARTHEST))
        return found
