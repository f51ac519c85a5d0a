"""What revenue answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal[
    "renewal",
    "upsell",
    "price rise",
    "unbilled seats",
    "unbilled work",
    "overdue",
    "recurring work",
]
Effect = Literal["keeps", "adds", "collects", "steadies"]


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MonthForecast(Answer):
    """One month to come.

    Attributes
    ----------
    revenue : float
        Of the whole month.
    share_in_period : float
        Which share of the month's days lies in the period.
    cumulative : float
        Of the period up to here: revenues times their shares, added up.
    lower_bound, upper_bound : float or None
        Band of this month's revenue by itself. Bands of months do not add up.
    """

    month: str
    revenue: float
    share_in_period: float
    cumulative: float
    lower_bound: float | None
    upper_bound: float | None


class HistoryRead(Answer):
    """The monthly amounts that were forecast from."""

    source: Literal["request", "invoices", "agreements"]
    first_month: str
    last_month: str
    months: int
    last_amount: float


class Evidence(Answer):
    """A computed value that an opportunity rests on."""

    because: str
    value: float


class Opportunity(Answer):
    """Something to do about one client.

    Attributes
    ----------
    effect : str
        What the amount would be: revenue kept, added, collected, or made steady. Amounts of
        different effects do not add up.
    amount : float
        If it works out; nobody computed how likely that is.
    arithmetic : str
        Where the amount comes from.
    """

    kind: Kind
    effect: Effect
    client_id: str
    client: str | None
    action: str
    amount: float
    currency: str | None
    arithmetic: str
    evidence: tuple[Evidence, ...]


class ForecastError(Answer):
    """How far forecasts were off.

    Attributes
    ----------
    mase : float or None
        Mean absolute error, in those of "like a year ago".
    smape : float
        Symmetric mean absolute percentage error, 0 to 200.
    """

    mase: float | None
    smape: float


class BacktestReport(Answer):
    """How this very history would have been forecast.

    Attributes
    ----------
    months_back : tuple of int
        How many months before the end the trials began.
    months : int
        Months forecast, in all trials together.
    coverage : float or None
        Share of them inside of their bands.
    """

    months_back: tuple[int, ...]
    months: int
    blend: ForecastError
    forecasters: dict[str, ForecastError]
    coverage: float | None


class RevenueAnswer(Answer):
    """Revenue to come, and what could be done for more.

    Attributes
    ----------
    client_id : str or None
        None for all clients together.
    currency : str or None
        None where nobody told it.
    as_of, period_start, period_end : str
        Days; the last one is the last of the period.
    projected_revenue : float or None
        Of the period.
    previous_revenue : float or None
        Of the stretch before, as long as the period; it ends with the last whole month.
    growth_rate : float or None
        Projected over previous revenue, less one.
    growth_from : str or None
        Who told the previous revenue.
    monthly_forecast : tuple of MonthForecast
    interval_coverage : float or None
        Share of months that bands are meant to hold.
    history_read : HistoryRead or None
    backtest : BacktestReport or None
    opportunities : tuple of Opportunity
        The largest amounts first.
    opportunities_found : int
        How many there are, those that are not told included.
    method : str or None
        What forecast.
    notes : tuple of str
        What should be known to judge it.
    model_used : str
    unavailable : dict of str to str
        Why each field that is None, or empty, could not be computed.
    """

    client_id: str | None
    currency: str | None
    as_of: str
    period_start: str
    period_end: str
    projected_revenue: float | None
    previous_revenue: float | None
    growth_rate: float | None
    growth_from: Literal["history", "current_revenue"] | None
    monthly_forecast: tuple[MonthForecast, ...]
    interval_coverage: float | None
    history_read: HistoryRead | None
    backtest: BacktestReport | None
    opportunities: tuple[Opportunity, ...]
    opportunities_found: int
    method: str | None
    notes: tuple[str, ...]
    model_used: str
    unavailable: dict[str, str]
