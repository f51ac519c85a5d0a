"""Stretches of time in UTC, and steps of days, weeks, months, quarters and years."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNITS = ("minute", "hour", "day", "week", "month", "quarter", "year")


@dataclass(frozen=True)
class Span:
    """From `start` up to before `end`; None is open.

    Parameters
    ----------
    start, end : datetime, optional
        In UTC.
    text : str
        How it was said.
    rolling : bool
        Whether it is counted back from, or on from, the moment of asking.
    """

    start: datetime | None
    end: datetime | None
    text: str
    rolling: bool = False


def day_of(moment: datetime) -> datetime:
    """Return the start of a day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def start_of(moment: datetime, unit: str) -> datetime:
    """Return the start of the day, week (from Monday), month, quarter or year."""
    day = day_of(moment)
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def moved(moment: datetime, unit: str, count: int) -> datetime:
    """Return a moment `count` units later; the day is cut to the month's last."""
    steps = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
    steps["week"] = timedelta(days=7)
    try:
        if unit in steps:
            return moment + steps[unit] * count
        months = moment.year * 12 + moment.month - 1
        months += count * {"month": 1, "quarter": 3, "year": 12}[unit]
        year, month = months // 12, months % 12 + 1
        day = min(moment.day, monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day)
    except (OverflowError, ValueError):
        return datetime(1, 1, 1, tzinfo=UTC) if count < 0 else datetime(9999, 1, 1, tzinfo=UTC)
