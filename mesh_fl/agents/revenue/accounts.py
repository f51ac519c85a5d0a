"""Clients with their agreements and invoices, as opportunities are looked for among them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.query.currency_code import currency_code
from mesh_fl.agents.revenue.books import Books
from mesh_fl.agents.revenue.entries import (
    LARGEST_AMOUNT,
    Vector,
    days_of,
    monthly_rates,
    named,
    signed,
)
from mesh_fl.agents.revenue.months import Integers
from mesh_fl.agents.revenue.request import plain_id
from mesh_fl.schema import Table

LARGEST_COUNT = 1e7
"""Of seats or employees; a larger one is a slip, and taken for not told."""

GONE = frozenset({"lost", "left", "former", "inactive", "cancelled", "canceled", "churned"})
"""States of a client that is none any more."""


@dataclass(frozen=True)
class Client:
    """A client.

    Parameters
    ----------
    employees : float
        NaN where it is not told, as for every client that the table of clients lacks.
    """

    client_id: str
    name: str = field(default="", repr=False)
    industry: str = ""
    employees: float = math.nan
    is_gone: bool = False


@dataclass(frozen=True)
class Agreement:
    """An agreement that runs, or will.

    Parameters
    ----------
    start, end : float
        Days; infinite where they are not told.
    monthly : float
        What it brings in a month.
    seats : float
        NaN where they are not told.
    """

    client_id: str
    kind: str
    start: float
    end: float
    monthly: float
    seats: float

    @property
    def yearly(self) -> float:
        """Return what it brings in a year."""
        return 12 * self.monthly

    @property
    def seat_rate(self) -> float:
        """Return what it brings for each seat and month; NaN without seats."""
        return self.monthly / self.seats if self.seats > 0 else math.nan


@dataclass(frozen=True)
class Invoices:
    """Invoices that were issued, column by column.

    Parameters
    ----------
    client : ndarray of str, shape (n,)
    issued : ndarray of int
        Days.
    amount, due : ndarray
        Amounts; days, infinite where they are not told.
    unpaid : ndarray
        What is still to be paid.
    kind : ndarray of str
    """

    client: NDArray[np.object_]
    issued: Integers
    amount: Vector
    due: Vector
    unpaid: Vector
    kind: NDArray[np.object_]


@dataclass(frozen=True)
class Work:
    """Hours worked on tickets, by the day on which these were opened."""

    client: NDArray[np.object_]
    opened: Integers
    hours: Vector


@dataclass(frozen=True)
class Accounts:
    """What is known of all clients on a day, in one currency.

    Parameters
    ----------
    day : int
    currency : str
    clients : dict
        By id; those that only other tables name included.
    agreements : tuple of Agreement
        Those that have not ended, of clients that have not left.
    invoices : Invoices
        Those that were issued before the day.
    work : Work
        The same of tickets.
    """

    day: int
    currency: str
    clients: dict[str, Client] = field(repr=False)
    agreements: tuple[Agreement, ...] = field(repr=False)
    invoices: Invoices = field(repr=False)
    work: Work = field(repr=False)

    @property
    def running(self) -> list[Agreement]:
        """Return the agreements that have begun."""
        return [one for one in self.agreements if one.start <= self.day]

    def stays(self, client_id: str) -> bool:
        """Tell whether somebody is still a client, as far as is known."""
        return client_id != "" and not self.client(client_id).is_gone

    def client(self, client_id: str) -> Client:
        """Return a client, of whom nothing but the id may be known."""
        return self.clients.get(client_id, Client(client_id))


def accounts_of(books: Books, day: int, currency: str) -> Accounts:
    """Return what tables tell of all clients on a day, in one currency."""
    clients = {one.client_id: one for one in _clients(books.tables.get("clients"), day)}
    agreements = tuple(
        one
        for one in _agreements(books.tables.get("agreements"), day, currency)
        if one.client_id and not clients.get(one.client_id, Client("")).is_gone
    )
    return Accounts(
        day=day,
        currency=currency,
        clients=clients,
        agreements=agreements,
        invoices=_invoices(books.tables.get("invoices"), day, currency),
        work=_work(books.tables.get("tickets"), day),
    )


def _clients(table: Table | None, day: int) -> Iterator[Client]:
    if table is None:
        return
    lost, has_left = days_of(table["lost_at"])
    columns = (
        named(table["client_id"], plain_id),
        table["name"],
        named(table["industry"], folded),
        _count(table["employees"]),
        named(table["status"], folded),
        has_left & (lost <= day),
    )
    for client, name, industry, employees, status, left in zip(
        *(one.tolist() for one in columns), strict=True
    ):
        gone = bool(left) or status in GONE
        yield Client(str(client), str(name), str(industry), float(employees), gone)


def _agreements(table: Table | None, day: int, currency: str) -> Iterator[Agreement]:
    if table is None:
        return
    start, has_start = days_of(table["start_at"])
    end, has_end = days_of(table["end_at"])
    cancelled, was_cancelled = days_of(table["cancelled_at"])
    monthly = monthly_rates(table)
    kept = (named(table["currency"], currency_code) == currency) & (monthly > 0)
    kept &= monthly <= LARGEST_AMOUNT
    kept &= ~(has_end & (end < day)) & ~(was_cancelled & (cancelled <= day))
    columns = (
        named(table["client_id"], plain_id),
        named(table["type"], folded),
        np.where(has_start, start, -np.inf),
        np.where(has_end, end, np.inf),
        monthly,
        _count(table["seats"]),
    )
    for row in zip(*(one[kept].tolist() for one in columns), strict=True):
        yield Agreement(str(row[0]), str(row[1]), *map(float, row[2:]))


def _invoices(table: Table | None, day: int, currency: str) -> Invoices:
    if table is None:
        none = np.zeros(0)
        words = np.zeros(0, dtype=np.object_)
        return Invoices(words, none.astype(np.int64), none, none, none, words)
    issued, is_told = days_of(table["issued_at"])
    amount = signed(table)
    kept = is_told & (issued < day) & (np.abs(amount) <= LARGEST_AMOUNT)
    kept &= named(table["currency"], currency_code) == currency
    due, has_due = days_of(table["due_at"])
    return Invoices(
        client=named(table["client_id"], plain_id)[kept],
        issued=issued[kept],
        amount=amount[kept],
        due=np.where(has_due, due, np.inf)[kept],
        unpaid=_unpaid(table, day)[kept],
        kind=named(table["kind"], folded)[kept],
    )


def _unpaid(table: Table, day: int) -> Vector:
    """Return balances; where none is told, the total of an invoice that is not paid.

    Without any date of payment nobody knows which ones are paid.
    """
    balance = table["balance"].astype(np.float64)
    paid, is_paid = days_of(table["paid_at"])
    is_paid &= paid <= day
    total = np.where(is_paid, 0.0, signed(table)) if is_paid.any() else np.zeros(len(balance))
    unpaid = np.where(np.isfinite(balance), np.where(is_paid, 0.0, balance), total)
    return np.clip(unpaid, 0.0, LARGEST_AMOUNT)


def _work(table: Table | None, day: int) -> Work:
    if table is None:
        return Work(np.zeros(0, dtype=np.object_), np.zeros(0, dtype=np.int64), np.zeros(0))
    opened, is_told = days_of(table["opened_at"])
    hours = table["actual_hours"].astype(np.float64)
    kept = is_told & (opened < day) & (hours >= 0) & (hours <= LARGEST_AMOUNT)
    return Work(named(table["client_id"], plain_id)[kept], opened[kept], hours[kept])


def _count(column: NDArray[np.generic]) -> Vector:
    counts = column.astype(np.float64)
    return np.where(counts <= LARGEST_COUNT, counts, np.nan)


def folded(written: str) -> str:
    """Write words in one way."""
    return " ".join(written.lower().split())
