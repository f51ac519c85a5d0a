"""How a history's own months would have been forecast from what was known before them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents.revenue.blend import PLAIN, Blend
from mesh_fl.agents.revenue.conformal import LEVEL, factors, grown, own_reach
from mesh_fl.agents.revenue.forecast import study
from mesh_fl.agents.revenue.records import naive_miss
from mesh_fl.agents.revenue.rolling import Study, Trial
from mesh_fl.agents.revenue.seasonality import LEAST

Vector = NDArray[np.float64]

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Figures:
    """How good forecasts were.

    Parameters
    ----------
    mase : float, optional
        Mean absolute error in those of "like a year ago", as they were before each trial; None
        where that never missed.
    smape : float
        Symmetric mean absolute percentage error, 0 to 200.
    """

    mase: float | None
    smape: float


@dataclass(frozen=True)
class Backtest:
    """What came of several trials of one history.

    Parameters
    ----------
    origins : tuple of int
        Months before the end at which trials began.
    months : int
        Months forecast, all trials together; the same month may be forecast several times.
    blend : Figures
    forecasters : mapping
        The same for each forecaster by itself.
    coverage : float, optional
        Share of those months inside of their band, each band from trials of earlier months only;
        None where no trial is long enough for one.
    widened : float
        How wide bands are now, in those of the trials: misses of the trials count by now. 1 where
        that cannot be said.
    level : float
        What the coverage should be.
    """

    origins: tuple[int, ...]
    months: int
    blend: Figures
    forecasters: dict[str, Figures]
    coverage: float | None
    widened: float = 1.0
    level: float = LEVEL

    @property
    def refutes_level(self) -> bool:
        """Tell whether so few months inside would hardly come about by chance.

        A binomial test, one-sided, of as many months as the longest trial has: the others are of
        the same months.
        """
        if self.coverage is None:
            return False
        months = max(self.origins)
        inside = round(self.coverage * months)
        chances = (
            math.comb(months, k) * self.level**k * (1 - self.level) ** (months - k)
            for k in range(inside + 1)
        )
        return sum(chances) < SIGNIFICANCE


def backtest(state: State, series: Vector, blend: Blend = PLAIN) -> Backtest | None:
    """Forecast a history's latest months from several earlier ones, each time with the blend.

    The model may have been trained on later months, and on those that are compared with.

    Parameters
    ----------
    state : State
    series : ndarray, shape (n,)
        Monthly amounts, oldest first; the latest 240 are read.
    blend : Blend
        The one that the model is of.

    Returns
    -------
    Backtest or None
        None below 31 months: too little was known six months before.

    Raises
    ------
    DataError
        As `forecast`.
    """
    return backtest_from(state, study(series, 1, blend))


def backtest_from(state: State, found: Study) -> Backtest | None:
    """Back-test what was studied; see `backtest`."""
    pairs = zip(found.trials, found.earlier, strict=True)
    long_enough = [(one, before) for one, before in pairs if len(one.known) >= LEAST]
    if not long_enough:
        return None
    trials, earlier = [one for one, _ in long_enough], [before for _, before in long_enough]
    blended = [one.forecasts @ found.blend.weights_of(state["blend"]) for one in trials]
    reaches = [own_reach(before) for before in earlier]
    then = float(np.mean([one for one in reaches if np.isfinite(one)] or [0.0]))
    units = [naive_miss(one.known) for one in trials]
    return Backtest(
        origins=tuple(len(one.actual) for one in trials),
        months=sum(len(one.actual) for one in trials),
        blend=_figures(trials, units, blended),
        forecasters={
            name: _figures(trials, units, [one.forecasts[:, place] for one in trials])
            for place, name in enumerate(found.blend.forecasters)
        },
        coverage=_coverage(state, trials, reaches, blended),
        widened=own_reach(found.trials) / then if then > 0 else 1.0,
    )


def _figures(trials: list[Trial], units: list[float], forecasts: list[Vector]) -> Figures:
    scaled, percent = [], []
    for trial, unit, each in zip(trials, units, forecasts, strict=True):
        miss = np.abs(trial.actual - each)
        size = np.abs(trial.actual) + np.abs(each)
        percent.append(200 * miss / np.where(size > 0, size, 1.0))
        if unit > 0:
            scaled.append(miss / unit)
    mase = float(np.concatenate(scaled).mean()) if scaled else None
    return Figures(mase, float(np.concatenate(percent).mean()))


def _coverage(
    state: State, trials: list[Trial], reaches: list[float], forecasts: list[Vector]
) -> float | None:
    inside = []
    for trial, reach, each in zip(trials, reaches, forecasts, strict=True):
        if math.isfinite(reach):
            wide = factors(state["bands"], len(each)) * (reach * grown(len(each)))
            inside.append(np.abs(trial.actual - each) <= wide)
    return float(np.concatenate(inside).mean()) if inside else None
