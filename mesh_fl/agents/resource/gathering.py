"""Labelled records of closed tickets, made of a member's tables as of a public moment."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.inputs import Input
from mesh_fl.agents.resource.request import unasked
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Field, Table, column_of
from mesh_fl.site import Gathered, OwnTable

HOUR_S = 3600.0

Vector = NDArray[np.float64]


def gather_tickets(
    own: Mapping[str, OwnTable], inputs: tuple[Input, ...], label: str, as_of: str, now: float
) -> Gathered:
    """Make a record of each ticket that was closed before a public moment.

    Parameters
    ----------
    own : mapping
        Tickets, and time entries, which are added up where a ticket does not tell its hours.
    inputs : tuple of Input
    label : str
        "actual_hours" is the work done, "elapsed_hours" the time from opening to closing; a ticket
        without it is left out, and neither stands for the other.
    as_of : str
        Day that everything read is before.
    now : float
        The clock, in seconds since 1970.

    Raises
    ------
    DataError
        If there is no such ticket, the table knows none of the inputs, or the day is not over.

    Guarantee
    ---------
    A record depends on the rows of its own ticket, whichever table holds them, and on public
    configuration.
    """
    until = _past(as_of, now)
    if "tickets" not in own:
        raise DataError(
            f"resource: expected table tickets, found {', '.join(own) or 'none'}; name it in tables"
        )
    _check_known(inputs)
    tickets = read(own["tickets"], "tickets")
    hours = _hours(tickets, own, label, until)
    ids = [str(one) for one in tickets["ticket_id"].tolist()]
    first = {one: place for place, one in reversed(list(enumerate(ids)))}
    closed = tickets["closed_at"].astype(np.float64)
    is_first = np.array([first[one] == place for place, one in enumerate(ids)], dtype=np.bool_)
    kept = np.flatnonzero(is_first & (closed < until) & np.isfinite(hours))
    if not len(kept):
        raise DataError(
            f"resource: expected tickets closed before {as_of} that tell {label}, found none among "
            f"{len(ids)}; map closed_at and {_needed(label)}, or set another as_of"
        )
    table = {**_told(tickets, inputs, kept), label: hours[kept], **unasked(len(kept))}
    return Gathered(tuple(ids[place] for place in kept), table)


def read(own: OwnTable, name: str) -> Table:
    """Read one of the product's tables.

    Raises
    ------
    DataError
        If it cannot be read or has no good row.
    """
    return own.read(TABLES[name].fields, TABLES[name].key).table


def is_day(written: str) -> bool:
    """Tell whether a text is empty or a date."""
    try:
        return not written or bool(date.fromisoformat(written))
    except (TypeError, ValueError):
        return False


def worked_hours(tickets: Table, entries: Table | None, until: float) -> Vector:
    """Return the work done on each ticket: as it tells, or its time entries added up; else NaN."""
    told = tickets["actual_hours"].astype(np.float64)
    if entries is None:
        return told
    started = entries["started_at"].astype(np.float64)
    spent = entries["hours"].astype(np.float64)
    sums: dict[str, float] = {}
    for place in np.flatnonzero((started < until) & np.isfinite(spent)).tolist():
        ticket = str(entries["ticket_id"][place])
        sums[ticket] = sums.get(ticket, 0.0) + float(spent[place])
    added = [sums.get(str(one), np.nan) for one in tickets["ticket_id"].tolist()]
    return np.where(np.isfinite(told), told, np.array(added, dtype=np.float64))


def _hours(tickets: Table, own: Mapping[str, OwnTable], label: str, until: float) -> Vector:
    if label == "actual_hours":
        entries = read(own["time_entries"], "time_entries") if "time_entries" in own else None
        return worked_hours(tickets, entries, until)
    opened, closed = (tickets[name].astype(np.float64) for name in ("opened_at", "closed_at"))
    return np.where(closed >= opened, (closed - opened) / HOUR_S, np.nan)


def _past(as_of: str, now: float) -> float:
    if not as_of:
        raise DataError(
            "resource, as_of: expected a date that all members share, found none; name it in the "
            "plan's configuration to make records of tables"
        )
    day = date.fromisoformat(as_of)
    until = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    if until > now:
        today = datetime.fromtimestamp(now, UTC).date().isoformat()
        raise DataError(f"resource, as_of: expected a date by {today}, found {as_of}; set another")
    return until


def _check_known(inputs: tuple[Input, ...]) -> None:
    names = [one.name for one in TABLES["tickets"].fields]
    if not any(one.name in names for one in inputs):
        raise DataError(
            f"resource, inputs: expected some of {', '.join(names)}, found "
            f"{', '.join(one.name for one in inputs)}; name one table that has these columns: "
            'table = "..."'
        )


def _told(tickets: Table, inputs: tuple[Input, ...], kept: NDArray[np.int64]) -> Table:
    return {
        one.name: tickets[one.name][kept] if one.name in tickets else _nothing(one, len(kept))
        for one in inputs
    }


def _nothing(field: Field, records: int) -> NDArray[np.generic]:
    return column_of(field, [field.parse(None)] * records)


def _needed(label: str) -> str:
    return "actual_hours, or time entries" if label == "actual_hours" else "opened_at"
