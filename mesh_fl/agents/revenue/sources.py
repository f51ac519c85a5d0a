"""Where a request's history comes from: the request, invoices, or agreements."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from mesh_fl.agents.revenue.account_history import GONE, folded
from mesh_fl.agents.revenue.books import Books
from mesh_fl.agents.revenue.entries import Entries, agreed, day_or_never, invoiced, named
from mesh_fl.agents.revenue.history import LARGEST
from mesh_fl.agents.revenue.months import day_name, month_name, month_of
from mesh_fl.agents.revenue.projection import History
from mesh_fl.agents.revenue.request import Request, plain_id
from mesh_fl.agents.revenue.series import NO_ENTRY, Series, series_of
from mesh_fl.agents.revenue.wording import counted
from mesh_fl.errors import DataError

NO_TABLES = (
    "no history was given, and client.toml names no table of invoices or agreements: give history, "
    "a list of monthly amounts, or add [tables.invoices]"
)


@dataclass(frozen=True)
class Found:
    """A history, or why there is none.

    Parameters
    ----------
    history : History or None
    source : str
        Empty where there is none.
    currency : str
    notes : tuple of str
    why_none : str
    """

    history: History | None = None
    source: Literal["request", "invoices", "agreements", ""] = ""
    currency: str = ""
    notes: tuple[str, ...] = ()
    why_none: str = ""


def find_history(request: Request, books: Books) -> Found:
    """Return the whole months of which a request asks what follows.

    Raises
    ------
    DataError
        If the client stands in no table, or the history that was told has no whole month.
    """
    now = month_of(request.as_of)
    if request.history is not None:
        return _told(request, now)
    if request.client_id and books.tables:
        _check_known(request.client_id, books)
        if why := _why_gone(request, books):
            return Found(currency=request.currency, why_none=why)
    key = ("history", request.client_id, request.currency, now)
    return books.kept(key, lambda: _from_tables(request, books, now))


def _told(request: Request, now: int) -> Found:
    amounts = request.history if request.history is not None else np.zeros(0)
    first = now - len(amounts) if request.start is None else request.start
    whole = History(first, amounts).before(now)
    if len(whole.amounts) == 0:
        raise DataError(
            f"history: expected at least one whole month before {month_name(now)}, found none; "
            "send earlier months, or a later as_of"
        )
    dropped = len(amounts) - len(whole.amounts)
    notes: tuple[str, ...] = ()
    if dropped:
        months = counted(dropped, "amount")
        notes = (f"{months} from {month_name(now)} on left out: that month is not over",)
    return Found(whole, "request", request.currency, notes)


def _check_known(client_id: str, books: Books) -> None:
    if client_id not in client_ids(books):
        raise DataError(
            f"client_id: expected a client of your tables, found {client_id[:80]!r}, who is in "
            "none of them"
        )


def _why_gone(request: Request, books: Books) -> str:
    """Return since when a client is one no more; empty where it is, or no table tells."""
    clients = books.tables.get("clients")
    if clients is None:
        return ""
    rows = np.flatnonzero(named(clients["client_id"], plain_id) == request.client_id)
    for row in rows.tolist():
        one = clients["lost_at"][row : row + 1]
        lost = float(day_or_never(one)[0])
        whose = f"client {request.client_id[:80]} left"
        if lost <= request.as_of:
            return f"{whose} on {day_name(int(lost))}: nothing more is expected of it"
        if folded(str(clients["status"][row])) in GONE and lost == np.inf:
            status = str(clients["status"][row])[:40]
            return f"{whose}, as its status {status!r} says: nothing more is expected of it"
    return ""


def client_ids(books: Books) -> frozenset[object]:
    """Return the ids of all clients that a table names."""
    return books.kept("clients", lambda: frozenset(_named_clients(books)))


def _named_clients(books: Books) -> Iterator[object]:
    for table in books.tables.values():
        yield from (one for one in named(table["client_id"], plain_id).tolist() if one)


def _from_tables(request: Request, books: Books, now: int) -> Found:
    """Read invoices, or agreements where no invoice tells anything."""
    notes, why = [], []
    for entries in _entries(books, now):
        own = entries
        if request.client_id:
            own = entries.of(entries.client == request.client_id)
        series = series_of(own, _last_month(entries, now), request.currency or None)
        if series is None:
            why.append(_why_none(own, request))
            continue
        notes += list(_notes(series, entries, request.client_id, now))
        history = History(series.first, series.amounts)
        return Found(history, series.source, series.currency, tuple(notes))
    faults = [f"{name}: {fault}" for name, fault in books.faults.items()]
    nothing = NO_ENTRY if books.tables else NO_TABLES
    return Found(currency=request.currency, why_none="; ".join(faults or why or [nothing]))


def _entries(books: Books, now: int) -> Iterator[Entries]:
    for name, read in (("invoices", invoiced), ("agreements", agreed)):
        if name in books.tables:
            table = books.tables[name]
            yield books.kept((name, now), partial(read, table, now))


def _last_month(entries: Entries, now: int) -> int:
    """Return the last month that the table covers: an export that ends early is no lost revenue."""
    if entries.source == "agreements" or not len(entries.month):
        return now - 1
    return min(now - 1, int(entries.month.max()))


def _why_none(entries: Entries, request: Request) -> str:
    whose = f" of client {request.client_id[:80]}" if request.client_id else ""
    where = f" in {request.currency[:20]}" if request.currency else ""
    if entries.currency.size and where:
        named_ones = ", ".join(sorted({str(one) or "none" for one in entries.currency}))[:80]
        return f"{entries.source}{whose} are not{where}; their currencies: {named_ones}"
    largest = f"or a month beyond {LARGEST:g}"
    return f"the table of {entries.source} tells no amount{whose} of a whole month, {largest}"


def _notes(series: Series, entries: Entries, client_id: str, now: int) -> Iterator[str]:
    for currency, count in list(series.others.items())[:5]:
        told = f"in {currency[:20]}" if currency else "without a currency"
        which = counted(count, "entry", "entries") + f" of {series.source}"
        yield f"{which} {told} left out: currencies are not converted; ask for another by currency"
    bad = int((entries.left_out == client_id).sum()) if client_id else len(entries.left_out)
    if bad:
        yield f"{counted(bad, 'row')} of {series.source} left out: no date or no amount"
    if series.source == "agreements":
        yield "no invoices: amounts are those of agreements, spread over their periods"
    missing = now - 1 - series.last
    if missing > 0:
        newest = month_name(series.last)
        yield f"the newest invoice is of {newest}: {counted(missing, 'month')} since forecast too"
