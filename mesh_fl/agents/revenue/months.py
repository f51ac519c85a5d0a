"""Days and months as whole numbers: 0 is the first of January 1970, and its month."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

DAY_S = 86_400


def months_of_days(days: Integers) -> Integers:
    """Return the month of each day."""
    found: Integers = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return found


def first_days(months: Integers) -> Integers:
    """Return each month's first day."""
    found: Integers = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return found


def month_of(day: int) -> int:
    """Return a day's month."""
    return int(months_of_days(np.array([day], dtype=np.int64))[0])


def first_day(month: int) -> int:
    """Return a month's first day."""
    return int(first_days(np.array([month], dtype=np.int64))[0])


def month_name(month: int) -> str:
    """Write a month as 2026-03."""
    return str(np.datetime64(month, "M"))


def day_name(day: int) -> str:
    """Write a day as 2026-03-31."""
    return str(np.datetime64(day, "D"))


def shares_of_months(first: int, months: int, begin: int, end: int) -> NDArray[np.float64]:
    """Return which share of each month lies within a stretch of days.

    Parameters
    ----------
    first, months : int
        The months: so many from the first on.
    begin, end : int
        First day of the stretch, and the day after its last.

    Returns
    -------
    ndarray, shape (months,)
    """
    edges = first_days(np.arange(first, first + months + 1, dtype=np.int64))
    inside = np.clip(edges, begin, end)
    shares: NDArray[np.float64] = np.diff(inside) / np.diff(edges)
    return shares
