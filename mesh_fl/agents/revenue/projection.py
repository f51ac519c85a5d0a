"""A period's revenue: forecasts of months, and the share of each that lies in the period."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.answer import MonthForecast
from mesh_fl.agents.revenue.months import first_day, month_name, month_of, shares_of_months
from mesh_fl.errors import DataError

Vector = NDArray[np.float64]

MOST_MONTHS_AGO = 24
"""A history that ended longer ago tells nothing of now."""


@dataclass(frozen=True)
class Period:
    """The days that are asked about, and the months from a history's end to theirs.

    Parameters
    ----------
    begin : int
        First day.
    days : int
    after : int
        The history's last month.
    """

    begin: int
    days: int
    after: int

    def __post_init__(self) -> None:
        """Refuse a history that is too old."""
        ago = month_of(self.begin) - 1 - self.after
        if ago > MOST_MONTHS_AGO:
            raise DataError(
                f"history: expected months up to the last one or {MOST_MONTHS_AGO} before, found "
                f"the last to be {month_name(self.after)}, {ago} before; send newer ones, or "
                "another as_of"
            )

    @property
    def end(self) -> int:
        """Return the day after the last."""
        return self.begin + self.days

    @property
    def months(self) -> int:
        """Return how many months are to be forecast."""
        return month_of(self.end - 1) - self.after

    @property
    def shares(self) -> Vector:
        """Return which share of each of them lies in the period."""
        return shares_of_months(self.after + 1, self.months, self.begin, self.end)

    def told(self, mean: Vector, lower: Vector, upper: Vector) -> tuple[MonthForecast, ...]:
        """Return the months of the period with what they will bring."""
        shares = self.shares
        running = np.cumsum(mean * shares)
        return tuple(
            MonthForecast(
                month=month_name(self.after + 1 + number),
                revenue=round(float(mean[number]), 2),
                share_in_period=float(shares[number]),
                cumulative=round(float(running[number]), 2),
                lower_bound=_bound(lower[number]),
                upper_bound=_bound(upper[number]),
            )
            for number in np.flatnonzero(shares > 0).tolist()
        )

    def repeated(self, total: float) -> tuple[MonthForecast, ...]:
        """Return the months of the period, where each of its days brings the same."""
        first, last = self.after + 1, self.after + self.months
        lengths = np.diff([first_day(month) for month in range(first, last + 2)])
        nobody_knows = np.full(self.months, np.nan)
        return self.told(total / self.days * lengths, nobody_knows, nobody_knows)


@dataclass(frozen=True)
class History:
    """Monthly amounts.

    Parameters
    ----------
    first : int
        Month of the first.
    amounts : ndarray, shape (n,)
    """

    first: int
    amounts: Vector = field(repr=False)

    @property
    def last(self) -> int:
        """Return the month of the last amount."""
        return self.first + len(self.amounts) - 1

    def before(self, month: int) -> "History":
        """Return the amounts of the months before one."""
        return History(self.first, self.amounts[: max(0, month - self.first)])

    def latest(self, days: int) -> float | None:
        """Return what the last so many days brought; None where they go back too far."""
        end = first_day(self.last + 1)
        if end - days < first_day(self.first):
            return None
        shares = shares_of_months(self.first, len(self.amounts), end - days, end)
        return float(self.amounts @ shares)


def _bound(value: float) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None
