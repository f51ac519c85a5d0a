"""What an agreement costs for each seat and month, and why that cannot be said of another."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MONTHS = {
    **dict.fromkeys(("week", "weekly", "1 week"), 12 / 52),
    **dict.fromkeys(("month", "monthly", "m", "mo", "pm", "1 month"), 1.0),
    **dict.fromkeys(("quarter", "quarterly", "3 months"), 3.0),
    **dict.fromkeys(("half-year", "half year", "half-yearly", "semiannual", "6 months"), 6.0),
    **dict.fromkeys(("year", "yearly", "annum", "annual", "annually", "pa", "yr"), 12.0),
    **dict.fromkeys(("1 year", "12 months"), 12.0),
}
"""How long an agreement's period is."""

PERIODS = "week, month, quarter, half-year, year"

_LEADING = re.compile(r"^(?:per|each|every|a|one|/)\s*(?=\w)")


def months_of(period: str) -> float:
    """Return how many months a period is, as in "monthly" or "per month"; NaN if it is none."""
    written = " ".join(period.lower().replace(".", "").split())
    plain = _LEADING.sub("", written)
    return MONTHS.get(written, MONTHS.get(plain, math.nan))


def seat_rates(amounts: Vector, periods: Sequence[str], seats: Vector) -> Vector:
    """Return what agreements cost for each seat and month, NaN where that cannot be said."""
    months = np.array([months_of(one) for one in periods])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rates: Vector = amounts / months.reshape(len(amounts)) / np.where(seats > 0, seats, np.nan)
    return rates


def why_no_rate(amount: float, period: str, seats: float) -> str:
    """Say why an agreement gives no rate; empty where nothing of one was told.

    Parameters
    ----------
    amount, seats : float
        NaN where it was not told.
    period : str
        Empty where it was not told.
    """
    if not period and math.isnan(amount) and math.isnan(seats):
        return ""
    if period and math.isnan(months_of(period)):
        return f"period {period[:40]!r} is none of {PERIODS}"
    for name, number in (("amount", amount), ("seats", seats)):
        if not math.isnan(number) and not 0 < number < math.inf:
            return f"{name}: expected a number above 0, found {number:g}"
    told = {"amount": not math.isnan(amount), "period": period, "seats": not math.isnan(seats)}
    missing = " and ".join(name for name, is_told in told.items() if not is_told)
    if missing:
        return f"an agreement is told without its {missing}: give amount, period and seats"
    return "amount, period and seats give no rate that is a number above 0"
