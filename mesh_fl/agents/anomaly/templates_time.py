"""The time that a line of a log begins with: ISO 8601, RFC 3164, access logs, or an epoch."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

AHEAD_S = 86_400.0
"""How far a clock elsewhere may be ahead of ours."""

YEARS_TRIED = 9
"""Between two 29ths of February there may be eight years."""

EPOCHS_S = (946_684_800.0, 4_102_444_800.0)
"""2000 to 2100: other numbers are rather something else."""

_MONTHS = {
    name: place + 1
    for place, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    )
}
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
_OFFSET = r"(?P<offset>Z|[+-]\d\d:?\d\d)"
_PRIORITY = r"(?:<\d{1,3}>)?"

_FORMS = (
    # RFC 5424 has its version before an ISO 8601 time.
    re.compile(
        rf"{_PRIORITY}(?:1 )?\[?(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]"
        rf"{_CLOCK}{_OFFSET}?"
    ),
    # RFC 3164 has no year; some devices put one there, and a star where their clock is not set.
    re.compile(
        rf"{_PRIORITY}[*.]?{_MONTH} +(?P<day>\d{{1,2}}) (?:(?P<year>(?:19|20)\d\d) )?{_CLOCK}"
    ),
    re.compile(
        rf"\[?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} +(?P<day>\d{{1,2}}) {_CLOCK} "
        r"(?P<year>\d{4})\b"
    ),
    re.compile(
        rf"(?:\S{{1,255}} \S{{1,255}} \S{{1,255}} )?\[?(?P<day>\d\d)/{_MONTH}/(?P<year>\d{{4}}):"
        rf"{_CLOCK}(?: {_OFFSET})?"
    ),
)
_EPOCH = re.compile(r"\[?(\d{10}(?:\.\d{1,9})?|\d{13})(?![\w.])")


class LineTimes:
    """Reads the time that a line begins with.

    Where no year is told it is the one by which the time comes last, but no more than a day from
    now. Where no offset is told it is UTC.

    Parameters
    ----------
    now : callable
        Returns seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def of(self, line: str) -> float | None:
        """Return a line's time in seconds since 1970; None where it begins with none."""
        for form in _FORMS:
            found = form.match(line)
            if found is not None:
                return self._of(found.groupdict())
        epoch = _EPOCH.match(line)
        return None if epoch is None else _of_epoch(epoch[1])

    def _of(self, parts: dict[str, str | None]) -> float | None:
        since_midnight_s = _seconds(str(parts["clock"]))
        if since_midnight_s is None:
            return None
        month, day, year = str(parts["month"]), str(parts["day"]), parts["year"]
        if year is None:
            return self._last(month, day, since_midnight_s)
        midnight = _midnight(int(year), month, day, parts.get("offset"))
        return None if midnight is None else midnight + since_midnight_s

    def _last(self, month: str, day: str, since_midnight_s: float) -> float | None:
        latest = self._now() + AHEAD_S
        year = time.gmtime(latest).tm_year
        for tried in range(year, year - YEARS_TRIED, -1):
            midnight = _midnight(tried, month, day)
            if midnight is not None and midnight + since_midnight_s <= latest:
                return midnight + since_midnight_s
        return None


def _of_epoch(text: str) -> float | None:
    found = float(text) / (1000 if len(text) == 13 and "." not in text else 1)
    return found if EPOCHS_S[0] <= found < EPOCHS_S[1] else None


def _seconds(clock: str) -> float | None:
    hour, minute, second = int(clock[:2]), int(clock[3:5]), float(clock[6:].replace(",", "."))
    # A leap second is the 60th.
    return 3600 * hour + 60 * minute + second if hour < 24 and minute < 60 and second < 61 else None


# The same few days come again and again.
@lru_cache(256)
def _midnight(year: int, month: str, day: str, offset: str | None = None) -> float | None:
    try:
        zone = timezone(_ahead(offset)) if offset else UTC
        return datetime(year, _MONTHS.get(month) or int(month), int(day), tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None


def _ahead(offset: str) -> timedelta:
    if offset == "Z":
        return timedelta()
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return -ahead if offset[0] == "-" else ahead
