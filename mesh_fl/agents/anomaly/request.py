"""What a request about anomalies may tell, as columns of a table."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._reading import kind, text
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table

Vector = NDArray[np.float64]

USUAL_RANGE_HOURS = 24.0
LONGEST_RANGE_HOURS = 24 * 366 * 10

MOST_VALUES = 100_000
MOST_LINES = 10_000
LARGEST = 1e15
"""Value; sums of squares of larger ones lose all digits."""

EARLIEST, LATEST = 0.0, 7.258e9
"""Moments that may be asked about: 1970 to 2199."""

EXPECTED_VALUES = "a JSON list of numbers, oldest first, such as [12, 13.5, null, 12.8]"
EXPECTED_LINES = 'a JSON list of texts, such as ["disk full on C:", "login failed for x"]'

ASKED = (
    Field(
        name="metric_type",
        kind="text",
        optional=True,
        description="Which readings or events: a part of a series_id, or an event's kind or "
        "source; all of them when left out. With values, what they are.",
    ),
    Field(
        name="time_range_hours",
        kind="number",
        low=0.0,
        high=LONGEST_RANGE_HOURS,
        optional=True,
        description=f"Hours before `as_of` that are judged; {USUAL_RANGE_HOURS:g} by default.",
    ),
    Field(
        name="as_of",
        kind="time",
        optional=True,
        description="What now means; the clock by default.",
    ),
    Field(
        name="values",
        kind="document",
        optional=True,
        description="Readings at equal steps, oldest first, null where one is missing.",
    ),
    Field(
        name="period",
        kind="number",
        low=2.0,
        high=MOST_VALUES,
        optional=True,
        description="Values in a season, such as 24 of hourly ones; found when left out.",
    ),
    Field(
        name="lines",
        kind="document",
        optional=True,
        description="Lines of a log to judge.",
    ),
)

RESERVED = frozenset(one.name for one in ASKED)


def fields(traits: Sequence[Trait]) -> tuple[Field, ...]:
    """Return the traits' columns, each once, and what else may be asked."""
    columns = {one.column: one.asked_as for one in traits}
    return (*columns.values(), *ASKED)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One record of a table, as a question.

    Parameters
    ----------
    metric_type : str
    range_hours : float
    as_of : float
        In seconds since 1970.
    values : ndarray or None
        NaN where one is missing.
    period : int or None
    lines : tuple of str or None
    record : mapping or None
        A column of one entry for each field of the traits; None where none is told.
    """

    metric_type: str = ""
    range_hours: float = USUAL_RANGE_HOURS
    as_of: float
    values: Vector | None = field(default=None, repr=False)
    period: int | None = None
    lines: tuple[str, ...] | None = field(default=None, repr=False)
    record: Table | None = field(default=None, repr=False)

    @property
    def since(self) -> float:
        """When the range begins."""
        return self.as_of - 3600 * self.range_hours

    @property
    def asks_tables(self) -> bool:
        """Whether nothing is told that could be judged."""
        return self.values is None and self.lines is None and self.record is None


def requests_of(table: Table, traits: Sequence[Trait], now: float) -> Iterator[Request]:
    """Yield the questions of a table.

    Parameters
    ----------
    table : Table
        See `fields`; columns may be missing.
    traits : sequence of Trait
    now : float
        Moment that is meant where a record tells none.

    Raises
    ------
    DataError
        If values or lines cannot be read, or a time is too far away.
    """
    count = len(next(iter(table.values()), ()))
    columns = {one.name: _column(table, one, count) for one in ASKED}
    for row in range(count):
        told = {name: column[row] for name, column in columns.items()}
        values, lines = str(told["values"]), str(told["lines"])
        yield Request(
            metric_type=text(str(told["metric_type"]), 200),
            range_hours=_range(told["time_range_hours"]),
            as_of=_moment(told["as_of"], now),
            values=read_values(values) if values.strip() else None,
            period=_period(told["period"]),
            lines=read_lines(lines) if lines.strip() else None,
            record=_record(table, traits, row),
        )


def read_values(written: str) -> Vector:
    """Read a list of numbers: JSON, or numbers with commas between them.

    Raises
    ------
    DataError
        If it is neither, or too long, or a number is too large.
    """
    found = _listed(written, "values", EXPECTED_VALUES)
    if len(found) > MOST_VALUES:
        raise DataError(f"values: expected at most {MOST_VALUES}, found {len(found)}: send fewer")
    return np.array([_value(one) for one in found], dtype=np.float64)


def read_lines(written: str) -> tuple[str, ...]:
    """Read lines of a log: a JSON list of texts, or plain lines.

    Raises
    ------
    DataError
        If it is neither, or too long.
    """
    if written.lstrip()[:1] not in "[{":
        found: list[object] = list(written.splitlines())
    else:
        found = _listed(written, "lines", EXPECTED_LINES)
    if len(found) > MOST_LINES:
        raise DataError(f"lines: expected at most {MOST_LINES}, found {len(found)}: send fewer")
    wrong = next((one for one in found if not isinstance(one, str)), None)
    if wrong is not None or any(one is None for one in found):
        raise DataError(f"lines: expected {EXPECTED_LINES}, found {kind(wrong)} in it")
    return tuple(one for one in map(text, found) if one)


def _listed(written: str, name: str, expected: str) -> list[object]:
    stripped = written.strip()
    try:
        found = json.loads(stripped if stripped[:1] in "[{" else f"[{stripped}]")
    except (ValueError, RecursionError):
        raise DataError(f"{name}: expected {expected}, found {text(stripped, 60)!r}") from None
    if isinstance(found, dict) and name in found:
        found = found[name]
    if not isinstance(found, list):
        raise DataError(f"{name}: expected {expected}, found {kind(found)}")
    return found


def _value(one: object) -> float:
    if isinstance(one, dict):
        one = one.get("value")
    if one is None:
        return math.nan
    if isinstance(one, bool) or not isinstance(one, int | float):
        raise DataError(f"values: expected {EXPECTED_VALUES}, found {kind(one)} in it")
    if isinstance(one, float) and math.isnan(one):
        return math.nan
    if not -LARGEST <= one <= LARGEST:
        raise DataError(f"values: expected numbers up to {LARGEST:g}, found one beyond")
    return float(one)


def _column(table: Table, wanted: Field, count: int) -> list[object]:
    if wanted.name in table:
        return list(table[wanted.name].tolist())
    return [math.nan if wanted.kind in {"number", "time"} else ""] * count


def _record(table: Table, traits: Sequence[Trait], row: int) -> Table | None:
    """Return what is told of one record; None where that is nothing but a time."""
    columns = {one.column: one for one in traits if one.column in table}
    found = {name: table[name][row : row + 1] for name in columns}
    told = {name for name, one in columns.items() if one.places(found[name])[0] >= 0}
    of_moments = {name for name, one in columns.items() if one.kind == "moment"}
    return found if told - of_moments else None


def _range(value: object) -> float:
    hours = _number(value)
    if hours is None:
        return USUAL_RANGE_HOURS
    if hours == 0:
        raise DataError("time_range_hours: expected more than 0, found 0: nothing lies in no time")
    return hours


def _period(value: object) -> int | None:
    period = _number(value)
    if period is None:
        return None
    if period != int(period):
        raise DataError(
            f"period: expected a whole number of values, found {period:g}: leave it out to have it "
            "found"
        )
    return int(period)


def _number(value: object) -> float | None:
    number = float(np.float64(str(value)))
    return number if math.isfinite(number) else None


def _moment(value: object, now: float) -> float:
    seconds = _number(value)
    moment = now if seconds is None else seconds
    if not EARLIEST <= moment < LATEST:
        raise DataError("as_of: expected a moment from 1970 to 2199, found one outside")
    return moment
