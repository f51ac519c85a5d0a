"""What the tables of an MSP hold of one client, and what of it was known at a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mesh_fl.schema import NUMERIC, Field, Table

DAY = 86_400.0
"""In seconds."""

MONTH = 365.25 / 12 * DAY
YEAR = 365 * DAY

READS = ("clients", "agreements", "invoices", "tickets")
"""Tables that tell something of a client, by their names in `mesh_fl.msp_tables`."""

BEGINS = {
    "clients": "since",
    "agreements": "start_at",
    "invoices": "issued_at",
    "tickets": "opened_at",
}
"""When a row comes to be known."""

SETTLED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "clients": {
        "lost_at": ("lost_at",),
        "last_touch_at": ("last_touch_at",),
        "last_exec_touch_at": ("last_exec_touch_at",),
    },
    "agreements": {"cancelled_at": ("cancelled_at",)},
    "invoices": {"paid_at": ("paid_at",)},
    "tickets": {"closed_at": ("closed_at", "sla_met", "csat")},
}
"""Moments from which columns of a row are known: rows are written over when something happens."""

KEPT = {
    "clients": ("since", "employees", "lost_at", "last_touch_at", "last_exec_touch_at"),
    "agreements": ("start_at", "end_at", "cancelled_at", "amount", "period", "seats", "currency"),
    "invoices": ("issued_at", "due_at", "paid_at", "total", "currency"),
    "tickets": ("opened_at", "closed_at", "sla_met", "csat"),
}
"""Columns that are read of; others tell a state of today, and not since when."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """The rows of one client.

    Parameters
    ----------
    tables : mapping
        Columns of each table that there is; of a table that there is not, nothing.
    """

    tables: Mapping[str, Table]

    def rows(self, table: str) -> int:
        """Return how many rows a table has."""
        return len(self.tables[table][BEGINS[table]]) if table in self.tables else 0

    def numbers(self, table: str, column: str) -> Vector:
        """Return a column of numbers or times; empty where there is no such table."""
        if table not in self.tables:
            return np.zeros(0)
        return self.tables[table][column].astype(np.float64, copy=False)

    def words(self, table: str, column: str) -> list[str]:
        """Return a column of text; empty where there is no such table."""
        return [str(word) for word in self.tables[table][column]] if table in self.tables else []

    def of_client(self, column: str) -> float:
        """Return a number or time of the client's own row; NaN where it is not told."""
        found = self.numbers("clients", column)
        return float(found[0]) if len(found) else np.nan

    def since(self) -> float:
        """Return since when it is a client, else since when it has an agreement; else NaN."""
        told = self.of_client("since")
        starts = self.numbers("agreements", "start_at")
        return told if told == told or np.isnan(starts).all() else float(np.nanmin(starts))

    def known_at(self, at: float) -> "History":
        """Return what was known before a moment.

        Guarantee
        ---------
        Rows that begin at `at` or later, rows of no known beginning, and what was settled at `at`
        or later have no part in it: nothing computed from it alone can tell what happened then.
        Agreed ends and due dates may lie ahead. A system that writes the real end of an agreement
        over the agreed one breaks this, and so does one that begins a row in hindsight.
        """
        return History({name: _known(name, table, at) for name, table in self.tables.items()})


def _known(name: str, table: Table, at: float) -> Table:
    begins = table[BEGINS[name]].astype(np.float64)
    # A client of unknown age is one all the same; its other rows tell whether it was one by then.
    kept = (begins < at) | (np.isnan(begins) if name == "clients" else False)
    found = {column: values[kept] for column, values in table.items()}
    for moment, columns in SETTLED[name].items():
        is_settled = found[moment].astype(np.float64) < at
        for column in columns:
            found[column] = np.where(is_settled, found[column].astype(np.float64), np.nan)
    return found


def empty_table(name: str, fields: tuple[Field, ...]) -> Table:
    """Return no rows of a table."""
    numeric = {field.name for field in fields if field.kind in NUMERIC}
    return {
        column: np.zeros(0) if column in numeric else np.zeros(0, dtype=np.object_)
        for column in KEPT[name]
    }


def day_of(moment: float) -> str:
    """Write the day of a moment, in UTC."""
    return moment_text(moment)[:10]


def moment_text(moment: float) -> str:
    """Write a moment as RFC 3339 has it."""
    return datetime.fromtimestamp(int(moment), tz=UTC).isoformat().replace("+00:00", "Z")
