"""Monthly amounts of clients, made of their invoices, or else of their agreements."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.entries import Entries, Source, agreed, days_of, invoiced, named
from mesh_fl.agents.revenue.history import LARGEST, LONGEST
from mesh_fl.agents.revenue.months import DAY_S, first_day, month_of, months_of_days
from mesh_fl.agents.revenue.request import fields, plain_id
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table, Value, table_of
from mesh_fl.site import Gathered, OwnTable

Vector = NDArray[np.float64]

NO_ENTRY = (
    "expected invoices with client_id, issued_at and total, or agreements with client_id, "
    "start_at, amount and period, found none"
)


@dataclass(frozen=True)
class Series:
    """What months brought, in one currency.

    Parameters
    ----------
    source : {"invoices", "agreements"}
    first : int
        Month of the first amount.
    amounts : ndarray, shape (n,)
    currency : str
        Empty where nobody told it.
    others : mapping
        How many entries are in another currency, and so not in here.
    """

    source: Source
    first: int
    amounts: Vector = field(repr=False)
    currency: str
    others: Mapping[str, int]

    @property
    def last(self) -> int:
        """Return the month of the last amount."""
        return self.first + len(self.amounts) - 1


def series_of(entries: Entries, last: int, currency: str | None = None) -> Series | None:
    """Add up entries by month, from the first one to a last month; months without any bring 0.

    Parameters
    ----------
    entries : Entries
        Those of one client, or of all.
    last : int
        Month.
    currency : str, optional
        The one that most entries are in where None.

    Returns
    -------
    Series or None
        None where no month brings anything, or a month more than can be reckoned with.
    """
    counts = Counter(entries.currency.tolist())
    if not counts:
        return None
    chosen = min(counts, key=lambda one: (-counts[one], one)) if currency is None else currency
    earliest = last - LONGEST + 1
    kept = (entries.currency == chosen) & (entries.month <= last)
    if entries.source == "invoices":
        kept &= entries.month >= earliest
    if not kept.any():
        return None
    month = np.maximum(entries.month[kept], earliest)
    first = int(month.min())
    amounts = np.bincount(month - first, weights=entries.amount[kept], minlength=last - first + 1)
    if entries.source == "agreements":
        amounts = np.cumsum(amounts)
    if np.abs(amounts).max() > LARGEST:
        return None
    others = {one: count for one, count in sorted(counts.items()) if one != chosen}
    return Series(entries.source, first, np.round(amounts, 2), chosen, others)


def gather(tables: Mapping[str, OwnTable], as_of: str) -> Gathered:
    """Make a record of each client: what it brought in each month.

    Parameters
    ----------
    tables : mapping
        Of clients, invoices and agreements.
    as_of : str
        First day of a month; nothing of that day or later is read.

    Raises
    ------
    DataError
        If no client has a month.

    Guarantee
    ---------
    A record depends on the rows of its own client and on `as_of` only: neighbouring tables, which
    differ in all rows of one client, differ in one record at most. A client under two ids is two
    records.
    """
    last = month_of((date.fromisoformat(as_of) - date(1970, 1, 1)).days) - 1
    found = {name: _read(tables, name) for name in ("clients", "invoices", "agreements")}
    left = _left_months(found["clients"]) if found["clients"] is not None else None
    histories: dict[str, Series] = {}
    for entries in _entries(found, last + 1):
        for client, own in by_client(entries):
            if not client or client in histories or (left is not None and client not in left):
                continue
            until = min(last, left.get(client, last)) if left is not None else last
            series = series_of(own, until)
            if series is not None:
                histories[client] = series
    if not histories:
        raise DataError(f"revenue: {NO_ENTRY} of a client before {as_of}; map their columns")
    ids = tuple(sorted(histories))
    return Gathered(ids, _records([histories[one] for one in ids]))


def by_client(entries: Entries) -> Iterator[tuple[str, Entries]]:
    """Yield each client's entries."""
    codes: dict[object, int] = {}
    code = np.array([codes.setdefault(one, len(codes)) for one in entries.client.tolist()], int)
    order = np.argsort(code, kind="stable")
    cuts = np.searchsorted(code[order], np.arange(len(codes) + 1))
    for client, number in codes.items():
        yield str(client), entries.of(order[cuts[number] : cuts[number + 1]])


def _entries(found: Mapping[str, Table | None], before: int) -> Iterator[Entries]:
    """Yield entries, invoices first: where a client has both, they tell what it brought."""
    for name, read in (("invoices", invoiced), ("agreements", agreed)):
        table = found[name]
        if table is not None:
            yield read(table, before)


def _read(tables: Mapping[str, OwnTable], name: str) -> Table | None:
    if name not in tables:
        return None
    return tables[name].read(TABLES[name].fields, TABLES[name].key).table


def _left_months(clients: Table) -> dict[str, int]:
    """Return the clients, each with the month in which it left, or one that never comes.

    Whoever leaves from `as_of` on has not left yet: histories end before that anyway.
    """
    day, has_left = days_of(clients["lost_at"])
    months = np.where(has_left, months_of_days(day), np.iinfo(np.int64).max)
    ids = named(clients["client_id"], plain_id).tolist()
    return dict(zip(map(str, ids), months.tolist(), strict=True))


def _records(histories: list[Series]) -> Table:
    declared = fields()
    empty = {one.name: one.parse(None) for one in declared}
    records: list[Mapping[str, Value]] = [
        {
            **empty,
            "history": json.dumps(one.amounts.tolist()),
            "start": float(first_day(one.first) * DAY_S),
            "currency": one.currency,
        }
        for one in histories
    ]
    return table_of(declared, records)
