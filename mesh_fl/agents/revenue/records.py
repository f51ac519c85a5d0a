"""Histories as a training sees them: their last months held out, in units of their own naive miss.

The unit is that of the mean absolute scaled error (Hyndman and Koehler 2006): what "like a year
ago" misses by, on the months before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents.revenue.blend import PLAIN, Blend
from mesh_fl.agents.revenue.conformal import grown, own_reach
from mesh_fl.agents.revenue.forecasters import ahead
from mesh_fl.agents.revenue.rolling import trials_of
from mesh_fl.agents.revenue.seasonality import LEAST, SEASON

Vector = NDArray[np.float64]

FEWEST_HELD_OUT = 6
"""Months; a history that is too short for them is not learned from."""


def records_of(histories: Sequence[Vector], horizon: int, blend: Blend = PLAIN) -> Data:
    """Return one record per history; NaN for months that one has not.

    Parameters
    ----------
    histories : sequence of ndarray
    horizon : int
        Months that are held out of a long one.
    blend : Blend

    Returns
    -------
    dict
        "actual", "missed", "reach": shape (n, horizon), what came, what the public blend missed by,
        and how far it reaches; "apart", shape (n, horizon, moves), how forecasts move by direction.
    """
    n, moves = len(histories), len(blend.steps)
    data = {name: np.full((n, horizon), np.nan) for name in ("actual", "missed", "reach")}
    apart = np.full((n, horizon, moves), np.nan)
    places = [place for place, one in enumerate(histories) if held_out(one, horizon)]
    held = [held_out(histories[place], horizon) for place in places]
    known = [histories[place][:-months] for place, months in zip(places, held, strict=True)]
    forecasts, trials = ahead(known, horizon), trials_of(known)
    for row, place in enumerate(places):
        unit, months = naive_miss(known[row]), held[row]
        if unit <= 0:
            continue
        actual = histories[place][-months:] / unit
        each = blend.completed(known[row], forecasts[row, :months]) / unit
        data["actual"][place, :months] = actual
        data["missed"][place, :months] = actual - each @ blend.public_weights
        data["reach"][place, :months] = own_reach(trials[row]) / unit * grown(months)
        apart[place, :months] = each @ blend.directions
    return {**data, "apart": apart}


def held_out(history: Vector, horizon: int) -> int:
    """Return how many of the last months are held out; 0 of a short history."""
    months = min(horizon, len(history) - LEAST)
    return months if months >= min(FEWEST_HELD_OUT, horizon) else 0


def shortest(horizon: int) -> int:
    """Return how many months a history has at least that teaches something."""
    return LEAST + min(FEWEST_HELD_OUT, horizon)


LEAST_UNIT = 1e-6
"""Of the largest amount, and of an amount at all: below it a miss in units would mean nothing."""


def naive_miss(history: Vector) -> float:
    """Return the mean miss of "like a year ago", or of "like last month" in a short history.

    It is 0 for a history that is flat but for rounding.
    """
    back = SEASON if len(history) > SEASON else 1
    if len(history) <= back:
        return 0.0
    miss = float(np.abs(history[back:] - history[:-back]).mean())
    least = LEAST_UNIT * max(float(np.abs(history).max()), LEAST_UNIT)
    return miss if miss > least else 0.0
