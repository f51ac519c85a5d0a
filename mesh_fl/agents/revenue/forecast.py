"""A forecast of one history with a model, and a band around it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents.revenue.blend import PLAIN, Blend
from mesh_fl.agents.revenue.conformal import factors, grown, own_reach, short_reach
from mesh_fl.agents.revenue.forecasters import FORECASTERS, ahead
from mesh_fl.agents.revenue.history import reckoned_with
from mesh_fl.agents.revenue.rolling import Study
from mesh_fl.agents.revenue.seasonality import LEAST, SEASON

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Method = Literal["blend", "seasonal naive", "level"]

FEWEST = 6
"""Months from which a band is told."""

FLAT = (
    "no month of this history could have been forecast better than it was: the band has no width, "
    "and says nothing of changes such as a new price"
)

STAND_INS: dict[Method, str] = {"seasonal naive": "seasonal_naive", "level": "simple_smoothing"}


@dataclass(frozen=True)
class Forecast:
    """Monthly amounts to come.

    Parameters
    ----------
    mean : ndarray, shape (months,)
    lower, upper : ndarray, shape (months,)
        Band of each month by itself, meant to hold 90 % of them; NaN where none can be told.
    method : str
        "blend", or what stands in for it: "seasonal naive" below 25 months, "level" below 12.
    note : str
        What should be known to judge it; empty for a blend.
    """

    mean: Vector
    lower: Vector
    upper: Vector
    method: Method
    note: str


def forecast(state: State, series: Vector, months: int, blend: Blend = PLAIN) -> Forecast:
    """Forecast a history.

    Amounts that were never below zero are not forecast below it.

    Parameters
    ----------
    state : State
        Any model: public, trained or adapted.
    series : ndarray, shape (n,)
        Monthly amounts, oldest first; the latest 240 are read.
    months : int
        How many to forecast, at least 1.
    blend : Blend
        The one that the model is of.

    Raises
    ------
    DataError
        If there is no month, or an amount is no number that can be reckoned with.
    """
    return forecast_from(state, study(series, months, blend))


def study(series: Vector, months: int, blend: Blend = PLAIN) -> Study:
    """Run the forecasters on a history, for a forecast and a back-test alike.

    Raises
    ------
    DataError
        As `forecast`.
    """
    return Study.of(reckoned_with(series), months, blend)


def forecast_from(state: State, found: Study) -> Forecast:
    """Forecast what was studied; see `forecast`."""
    months, known = len(found.ahead), len(found.history)
    method = method_for(known)
    mean = _mean(state, found.history, found.ahead, found.blend)
    if method == "blend":
        reach = factors(state["bands"], months) * own_reach(found.trials) * grown(months)
    else:
        reach = short_reach(found.history, months)
    if known < FEWEST:
        reach = np.full(months, np.nan)
    lower = np.maximum(mean - reach, _floor(found.history))
    note = FLAT if not np.nan_to_num(reach, nan=1.0).any() else _note(known)
    return Forecast(mean, lower, np.maximum(mean, mean + reach), method, note)


def mean_of(state: State, history: Vector, months: int, blend: Blend) -> Vector:
    """Return what a history's months to come bring, without a band: shape (months,)."""
    (found,) = ahead([history], months)
    return _mean(state, history, blend.completed(history, found), blend)


def _mean(state: State, history: Vector, forecasts: Matrix, blend: Blend) -> Vector:
    method = method_for(len(history))
    if method == "blend":
        mean = forecasts @ blend.weights_of(state["blend"])
    else:
        mean = forecasts[:, FORECASTERS.index(STAND_INS[method])]
    return np.maximum(mean, _floor(history))


def _floor(history: Vector) -> float:
    return 0.0 if history.min() >= 0 else -np.inf


def method_for(months: int) -> Method:
    """Say what a history of so many months is forecast by."""
    if months >= LEAST:
        return "blend"
    return "seasonal naive" if months >= SEASON else "level"


def _note(months: int) -> str:
    told = f"{months} month{'s' if months > 1 else ''} of history"
    match method_for(months):
        case "blend":
            return ""
        case "seasonal naive":
            return (
                f"{told}, too few for a blend, which needs {LEAST}: each month is that of a year "
                "before, the bands are rough"
            )
        case "level":
            band = "no band can be told" if months < FEWEST else "the bands are rough"
            return f"{told}, not enough for a season or a trend: every month is the level; {band}"
