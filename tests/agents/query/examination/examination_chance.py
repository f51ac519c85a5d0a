"""What the made-up tables are drawn with."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from examination_company import BEGIN, DAY, NOW, TECHNICIANS
from numpy.random import Generator

Row = dict[str, Any]


def maybe(rng: Generator, value: object, missing: float) -> object:
    return None if rng.random() < missing else value


def pick(rng: Generator, shares: Mapping[str, float]) -> str:
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]


def technician(rng: Generator) -> str:
    return pick(rng, {key: one.pull for key, one in TECHNICIANS.items()})


def working(rng: Generator, begin: datetime, end: datetime, count: int) -> list[datetime]:
    """Return sorted times, mostly in the daytime of working days."""
    span = (end - begin).days
    found: list[datetime] = []
    while len(found) < count:
        day = begin + int(rng.integers(0, span + 1)) * DAY
        if rng.random() > _busyness(day):
            continue
        when = day.replace(hour=0) + timedelta(seconds=int(rng.normal(12.2, 2.6) * 3600))
        if begin <= when < min(end + DAY, NOW - timedelta(minutes=20)):
            found.append(when)
    return sorted(found)


def _busyness(day: datetime) -> float:
    weekend = 0.12 if day.weekday() >= 5 else 1.0
    holiday = (day.month, day.day) >= (12, 23) or (day.month == 8 and day.day < 16)
    growth = 0.75 + 0.25 * (day - BEGIN) / (NOW - BEGIN)
    return weekend * (0.35 if holiday else 1) * growth
