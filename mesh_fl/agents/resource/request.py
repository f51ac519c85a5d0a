"""What a request for a plan may tell, as columns of a table."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

import numpy as np

from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table, Value, table_of

Mode = Literal["balanced", "speed", "cost", "quality"]

MOST_TASKS = 1000
MOST_TECHNICIANS = 200
MOST_SECONDS = 10.0
USUAL_SECONDS = 2.0

LONGEST_WINDOW_H = 24.0 * 92

DAY_S = 86_400
EARLIEST, LATEST = 365 * DAY_S, 84_000 * DAY_S
"""Moments that may be asked about: 1971 to 2199."""


def _number(name: str, low: float, high: float, about: str) -> Field:
    return Field(name=name, kind="number", low=low, high=high, optional=True, description=about)


ASKED = (
    Field(
        name="tasks",
        kind="document",
        optional=True,
        description="A list of tasks, or of ids of own tickets; left out, one's open tickets.",
    ),
    Field(
        name="technicians",
        kind="document",
        optional=True,
        description="A list of technicians; left out, one's own, but for tasks that are told.",
    ),
    _number("time_window_hours", 0, LONGEST_WINDOW_H, "Hours from now to plan for."),
    Field(
        name="priority_mode",
        kind="category",
        levels=get_args(Mode),
        optional=True,
        description="What the plan is for; balanced by default.",
    ),
    Field(
        name="as_of",
        kind="time",
        optional=True,
        description="What now means; the clock by default.",
    ),
    _number("seconds", 0, MOST_SECONDS, f"To search for a plan; {USUAL_SECONDS:g} by default."),
)
"""Fields of a request that are no inputs; records that are learned from need none of them."""

NAMES = frozenset(one.name for one in ASKED)


MOST_PLANS = 20
MOST_TASKS_AT_ONCE = 10_000
MOST_SPANS_AT_ONCE = 50_000
"""Of all requests of one call; spans in which somebody is available, or busy."""


@dataclass
class Budget:
    """What one call may still ask for, whatever number of requests it holds."""

    tasks: int = MOST_TASKS_AT_ONCE
    seconds: float = MOST_SECONDS
    plans: int = MOST_PLANS
    spans: int = MOST_SPANS_AT_ONCE

    def take(self, *, tasks: int, plans: int, spans: int, seconds: float) -> None:
        """Take the part of one request.

        Raises
        ------
        DataError
            If all together ask for too much.
        """
        self.tasks -= tasks
        self.seconds -= seconds
        self.plans -= plans
        self.spans -= spans
        for is_over, most in (
            (self.tasks < 0, f"{MOST_TASKS_AT_ONCE} tasks"),
            (self.plans < 0, f"{MOST_PLANS} plans"),
            (self.spans < 0, f"{MOST_SPANS_AT_ONCE} spans of technicians, available or busy,"),
            (self.seconds < -1e-9, f"{MOST_SECONDS:g} seconds of search"),
        ):
            if is_over:
                raise DataError(
                    f"expected at most {most} in all requests of one call, found more; send fewer, "
                    f"or tell less `seconds` ({USUAL_SECONDS:g} where none are told)"
                )


@dataclass(frozen=True, kw_only=True)
class Request:
    """One record of a table, as a question.

    Parameters
    ----------
    row : int
        Which record.
    tasks, technicians : str
        JSON, empty where they are not told.
    window_h : float or None
    mode : str
    as_of : float
        In seconds since 1970.
    seconds : float
    """

    row: int
    tasks: str = field(default="", repr=False)
    technicians: str = field(default="", repr=False)
    window_h: float | None = None
    mode: Mode = "balanced"
    as_of: float
    seconds: float = USUAL_SECONDS


def requests_of(table: Table, now: float) -> Iterator[Request]:
    """Yield the questions of a table; columns that it lacks were told by nobody.

    Parameters
    ----------
    table : Table
        See `ASKED`.
    now : float
        What is meant where a record tells no moment.

    Raises
    ------
    DataError
        If a moment is too far away.
    """
    records = len(next(iter(table.values()), ()))
    columns = {name: table.get(name, column).tolist() for name, column in unasked(records).items()}
    for row in range(records):
        told = {name: column[row] for name, column in columns.items()}
        yield Request(
            row=row,
            tasks=str(told["tasks"]).strip(),
            technicians=str(told["technicians"]).strip(),
            window_h=_known(told["time_window_hours"]),
            mode=cast("Mode", str(told["priority_mode"]) or "balanced"),
            as_of=_moment(told["as_of"], now),
            seconds=_otherwise(_known(told["seconds"]), USUAL_SECONDS),
        )


def unasked(records: int) -> Table:
    """Return the columns of `ASKED` for records that are no requests."""
    empty: dict[str, Value] = {one.name: one.parse(None) for one in ASKED}
    return table_of(ASKED, [empty] * records)


def _known(value: object) -> float | None:
    number = float(np.float64(str(value)))
    return number if math.isfinite(number) else None


def _otherwise(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _moment(value: object, now: float) -> float:
    seconds = _otherwise(_known(value), now)
    if not EARLIEST <= seconds < LATEST:
        raise DataError("as_of: expected a date from 1971 to 2199, found one outside")
    return seconds
