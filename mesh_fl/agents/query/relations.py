"""How the product tables hang together: which column of one names a row of another."""

from collections.abc import Mapping
from functools import cache

Path = tuple[str, ...]
"""Columns to follow from a table to one that it refers to; empty is the table itself."""

REFERENCES: Mapping[str, Mapping[str, str]] = {
    "agreements": {"client_id": "clients"},
    "invoices": {"client_id": "clients"},
    "tickets": {"client_id": "clients", "assignee_id": "technicians"},
    "time_entries": {"technician_id": "technicians", "ticket_id": "tickets"},
    "appointments": {"technician_id": "technicians"},
    "devices": {"client_id": "clients"},
    "events": {"client_id": "clients", "device_id": "devices"},
}
"""By table and column, the table that is referred to; many rows refer to one."""


@cache
def path_between(table: str, other: str) -> Path | None:
    """Return the shortest way from a table to one that it refers to; None if there is none."""
    ways: list[tuple[Path, str]] = [((), table)]
    for way, at in ways:
        if at == other:
            return way
        # A ticket's technician is not the technician who logged time on it.
        ways.extend(((*way, column), to) for column, to in REFERENCES.get(at, {}).items())
    return None


def table_at(table: str, path: Path) -> str:
    """Return the table that a path leads to."""
    for column in path:
        table = REFERENCES[table][column]
    return table
