"""When technicians work: so many hours of each weekday, from nine in their own time zone."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from mesh_fl.agents.resource.technicians import Span
from mesh_fl.agents.resource.told import HOUR_S

BEGINS_AT = 9
USUAL_CAPACITY_H = 8.0
WORKDAYS = 5
LAST_HOUR = 24


def working_hours(
    now: float, window_h: float, capacity_h_day: float, zone: str
) -> tuple[Span, ...]:
    """Return the spans that somebody works, in hours from now, up to the end of a window.

    Parameters
    ----------
    now : float
        In seconds since 1970.
    window_h, capacity_h_day : float
        Hours; NaN means 8 a day. Days of more hours than are left after nine begin earlier.
    zone : str
        IANA name; UTC where it is not known.
    """
    capacity = USUAL_CAPACITY_H if math.isnan(capacity_h_day) else capacity_h_day
    if capacity <= 0:
        return ()
    days = _days(now, window_h, min(capacity, 24.0), zone_of(zone))
    return tuple((max(0.0, start), min(end, window_h)) for start, end in days)


def _days(now: float, window_h: float, capacity: float, zone: tzinfo) -> Iterator[Span]:
    day = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = min(float(BEGINS_AT), LAST_HOUR - capacity)
    # One day more than the window is long, since it may begin late in a day.
    for _ in range(int(window_h // 24) + 2):
        if day.weekday() < WORKDAYS:
            # By the clock, which on some days jumps before work begins.
            first = day.replace(hour=int(begins), minute=int(begins % 1 * 60))
            start = (first.timestamp() - now) / HOUR_S
            if start < window_h and start + capacity > 0:
                yield start, start + capacity
        day += timedelta(days=1)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name, UTC where there is none of that name."""
    return _known_zone(name.strip()) or UTC


def is_zone(name: str) -> bool:
    """Tell whether a time zone is known by this name; no name means UTC."""
    return not name.strip() or _known_zone(name.strip()) is not None


@lru_cache(maxsize=256)
def _known_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError):
        return None
