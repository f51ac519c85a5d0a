"""Records made of a member's own events, each of one row."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime

import numpy as np

from mesh_fl.errors import DataError
from mesh_fl.schema import Field
from mesh_fl.site import Gathered, OwnRows, OwnTable

TABLE, KEY, TIME = "events", "event_id", "ts"

ID = Field(name=KEY, kind="text", description="Id of an event.")
WHEN = Field(name=TIME, kind="time", optional=True, description="When.")


def is_day(written: str) -> bool:
    """Tell whether a text is empty or a date such as 2026-03-31."""
    try:
        return not written or math.isfinite(moment_of(written))
    except ValueError:
        return False


def moment_of(day: str) -> float:
    """Return when a day begins, in seconds since 1970.

    Raises
    ------
    ValueError
        If it is no date.
    """
    found = date.fromisoformat(day)
    return datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()


def gather_events(
    tables: Mapping[str, OwnTable], schema: tuple[Field, ...], as_of: str
) -> Gathered:
    """Make a record of each event, or of each before a date.

    Parameters
    ----------
    tables : mapping
    schema : tuple of Field
        What a record may have.
    as_of : str
        Date; empty for all events.

    Raises
    ------
    DataError
        If there is no such table or no such event.

    Guarantee
    ---------
    A record depends on its own event and the configuration only.
    """
    if TABLE not in tables:
        raise DataError(f"anomaly: expected table {TABLE}, found {', '.join(tables) or 'none'}")
    every = read_events(tables[TABLE], schema).table
    kept = np.ones(len(every[KEY]), dtype=np.bool_)
    if as_of:
        kept = every[TIME].astype(np.float64) < moment_of(as_of)
    if not kept.any():
        raise DataError(
            f"anomaly: expected events before {as_of}, found none of {len(kept)}; map {TIME}, or "
            "set another as_of"
        )
    ids = tuple(map(str, every[KEY][kept].tolist()))
    return Gathered(ids, {field.name: every[field.name][kept] for field in schema})


def read_events(own: OwnTable, schema: tuple[Field, ...]) -> OwnRows:
    """Return the good rows with the fields of a schema, their ids and when they happened."""
    others = tuple(one for one in (ID, WHEN) if one.name not in {each.name for each in schema})
    return own.read((*others, *schema), key=KEY)
