"""How a history's own months would have been forecast from what was known before them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents.revenue.blend import weights_of
from mesh_fl.agents.revenue.conformal import LEVEL, factors, grown, own_reach
from mesh_fl.agents.revenue.forecast import study
from mesh_fl.agents.revenue.forecasters import FORECASTERS
from mesh_fl.agents.revenue.records import naive_miss
from mesh_fl.agents.revenue.rolling import Study, Trial
from mesh_fl.agents.revenue.seasonality import LEAST

Vector = NDArray[np.float64]


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
    level : float
        What the coverage should be.
    """

    origins: tuple[int, ...]
    months: int
    blend: Figures
    forecasters: dict[str, Figures]
    coverage: float | None
    level: float = LEVEL


def backtest(state: State, series: Vector) -> Backtest | None:
    """Forecast a history's latest months from several earlier ones, each time with the blend.

    The model may have been trained on later months, and on those that are compared with.

    Parameters
    ----------
    state : State
    series : ndarray, shape (n,)
        Monthly amounts, oldest first; the latest 240 are read.

    Returns
    -------
    Backtest or None
        None below 31 months: too little was known six months before.

    Raises
    ------
    DataError
        As `forecast`.
    """
    return backtest_from(state, study(series, 1))


def backtest_from(state: State, found: Study) -> Backtest | None:
    """Back-test what was studied; see `backtest`."""
    pairs = zip(found.trials, found.earlier, strict=True)
    long_enough = [(one, before) for one, before in pairs if len(one.known) >= LEAST]
    if not long_enough:
        return None
    trials, earlier = [one for one, _ in long_enough], [before for _, before in long_enough]
    blended = [one.forecasts @ weights_of(state["blend"]) for one in trials]
    return Backtest(
        origins=tuple(len(one.actual) for one in trials),
        months=sum(len(one.actual) for one in trials),
        blend=_figures(trials, blended),
        forecasters={
            name: _figures(trials, [one.forecasts[:, place] for one in trials])
            for place, name in enumerate(FORECASTERS)
        },
        coverage=_coverage(state, trials, earlier, blended),
    )


def _figures(trials: list[Trial], forecasts: list[Vector]) -> Figures:
    scaled, percent = [], []
    for trial, each in zip(trials, forecasts, strict=True):
        miss = np.abs(trial.actual - each)
        size = np.abs(trial.actual) + np.abs(each)
        percent.append(200 * miss / np.where(size > 0, size, 1.0))
        unit = naive_miss(trial.known)
        if unit > 0:
            scaled.append(miss / unit)
    mase = float(np.concatenate(scaled).mean()) if scaled else None
    return Figures(mase, float(np.concatenate(percent).mean()))


def _coverage(
    state: State, trials: list[Trial], earlier: list[list[Trial]], forecasts: list[Vector]
) -> float | None:
    inside = []
    for trial, before, each in zip(trials, earlier, forecasts, strict=True):
        reach = own_reach(before) * grown(len(each))
        if np.isfinite(reach).all():
            wide = factors(state["bands"], len(each)) * reach
            inside.append(np.abs(trial.actual - each) <= wide)
    return float(np.concatenate(inside).mean()) if inside else None
