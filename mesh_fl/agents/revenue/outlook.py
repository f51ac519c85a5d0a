"""What a history leads to: months to come, growth, and how good such forecasts were."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from mesh_fl.agent import State
from mesh_fl.agents.revenue.answer import BacktestReport, ForecastError, MonthForecast
from mesh_fl.agents.revenue.backtest import Backtest, Figures, backtest_from
from mesh_fl.agents.revenue.blend import Blend
from mesh_fl.agents.revenue.conformal import LEVEL
from mesh_fl.agents.revenue.forecast import Forecast, forecast_from, mean_of, study
from mesh_fl.agents.revenue.history import LONGEST
from mesh_fl.agents.revenue.months import first_day, month_name, month_of
from mesh_fl.agents.revenue.projection import History, Period
from mesh_fl.agents.revenue.request import Request
from mesh_fl.agents.revenue.rolling import Study
from mesh_fl.agents.revenue.unusual import unusual_months, without

Keep = Callable[[int, Callable[[], Study]], Study]
"""Returns what was studied of the same history and as many months before, or studies it."""

FEWEST_TRIED = 31
"""Months from which a back-test is told."""


@dataclass(frozen=True)
class Outlook:
    """The part of an answer that comes of a history.

    Parameters
    ----------
    months : tuple of MonthForecast
    previous : float or None
    growth_from : str or None
    growth : float or None
    coverage : float or None
    backtest : BacktestReport or None
    method, model : str or None
    notes : tuple of str
    why_none : mapping
        By field of the answer.
    """

    months: tuple[MonthForecast, ...] = ()
    previous: float | None = None
    growth_from: Literal["history", "current_revenue"] | None = None
    growth: float | None = None
    coverage: float | None = None
    backtest: BacktestReport | None = None
    method: str | None = None
    model: str = "none: nothing was there to forecast from"
    notes: tuple[str, ...] = ()
    why_none: tuple[tuple[str, str], ...] = ()

    @property
    def projected(self) -> float | None:
        """Return the revenue of the whole period."""
        return self.months[-1].cumulative if self.months else None


def outlook(state: State, request: Request, history: History, blend: Blend, keep: Keep) -> Outlook:
    """Forecast a history over a request's period.

    Raises
    ------
    DataError
        If the history ended too long ago.
    """
    period = Period(request.as_of, request.period_days, history.last)
    studied = keep(period.months, lambda: study(history.amounts, period.months, blend))
    found, tried = forecast_from(state, studied), backtest_from(state, studied)
    months = period.told(found.mean, found.lower, found.upper)
    previous, growth_from = _previous(request, history)
    growth, why_no_growth = _growth(months[-1].cumulative, previous, request.period_days)
    is_blend = found.method == "blend"
    whys = [
        ("previous_revenue", "" if previous is not None else why_no_growth),
        ("growth_rate", why_no_growth),
        ("growth_from", "" if growth_from else why_no_growth),
        ("interval_coverage", found.note),
        ("backtest", "" if tried else _too_short(len(history.amounts))),
    ]
    return Outlook(
        months=months,
        previous=None if previous is None else round(previous, 2),
        growth_from=growth_from,
        growth=growth,
        coverage=LEVEL if is_blend and not found.note else None,
        backtest=_report(tried) if tried else None,
        method=found.method,
        model=_model(state, found, len(blend.forecasters)),
        notes=(*_notes(request, period, found, tried), *_unusual(state, history, period, blend)),
        why_none=tuple((name, why) for name, why in whys if why),
    )


def repeated(request: Request, current_revenue: float) -> Outlook:
    """Return the same once more: a single number has neither a trend nor a season."""
    period = Period(request.as_of, request.period_days, month_of(request.as_of) - 1)
    why = "current_revenue alone is no history: give history, a list of monthly amounts"
    names = ("growth_rate", "interval_coverage", "history_read", "backtest")
    return Outlook(
        months=period.repeated(current_revenue),
        previous=current_revenue,
        growth_from="current_revenue",
        method="repeated",
        model="none: current_revenue is repeated",
        notes=("current_revenue is repeated, since nothing tells how it changes",),
        why_none=tuple((name, why) for name in names),
    )


def _previous(
    request: Request, history: History
) -> tuple[float | None, Literal["history", "current_revenue"] | None]:
    if request.current_revenue is not None:
        return request.current_revenue, "current_revenue"
    latest = history.latest(request.period_days)
    return latest, None if latest is None else "history"


LEAST_MOVED = 0.05
"""Share of what is projected, that unusual months must move to be told."""

LEAST_AMOUNT = 0.01
"""Of a currency: growth against less would be a ratio to nothing."""


def _growth(projected: float, previous: float | None, days: int) -> tuple[float | None, str]:
    if previous is None:
        return None, f"the history does not go back {days} days, as long as the period"
    if previous < LEAST_AMOUNT:
        return None, f"the stretch before brought {previous:,.2f}: growth is against more than 0"
    return projected / previous - 1, ""


def _too_short(months: int) -> str:
    return f"{months} months of history, expected {FEWEST_TRIED} or more to try forecasts on"


def _unusual(state: State, history: History, period: Period, blend: Blend) -> Iterator[str]:
    """Name the months that stand far out, where the forecast rests on them."""
    amounts = history.amounts[-LONGEST:]
    found = unusual_months(amounts)
    if not found:
        return
    both = (mean_of(state, one, period.months, blend) for one in (amounts, without(amounts, found)))
    projected, calm = (float(one @ period.shares) for one in both)
    if abs(projected - calm) > LEAST_MOVED * abs(projected):
        first = history.last - len(amounts) + 1
        told = ", ".join(
            f"{month_name(first + one.place)} brought {one.amount:,.2f} where {one.usual:,.2f} "
            "is usual"
            for one in found
        )
        yield f"unusual months: {told}; with that instead, {calm:,.2f} would be projected"


def _notes(
    request: Request, period: Period, found: Forecast, tried: Backtest | None
) -> Iterator[str]:
    if found.note:
        yield found.note
    if tried is not None and tried.coverage is not None and tried.refutes_level:
        yield (
            f"of the {tried.months} months tried, {tried.coverage:.0%} lay inside of their bands, "
            f"where {LEVEL:.0%} should; those misses count by now, and bands are "
            f"{tried.widened:.1f} times as wide as then"
        )
    now = month_of(request.as_of)
    if request.as_of > first_day(now):
        yield f"{month_name(now)} is not over: it is forecast, and its days from as_of on count"


def _model(state: State, found: Forecast, forecasters: int) -> str:
    if found.method != "blend":
        return f"{found.method}, of this history alone"
    weights = "the network's" if float(state["round"]) > 0 else "public"
    return f"blend of {forecasters} forecasters around {weights} weights; conformal bands"


def _report(tried: Backtest) -> BacktestReport:
    return BacktestReport(
        months_back=tried.origins,
        months=tried.months,
        blend=_error(tried.blend),
        forecasters={name: _error(one) for name, one in tried.forecasters.items()},
        coverage=tried.coverage,
    )


def _error(figures: Figures) -> ForecastError:
    return ForecastError(mase=figures.mase, smape=figures.smape)
