"""A member's tables as opportunities need them: read once, and cut to any day."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.accounts import Accounts, Agreement, Client, Invoices, Work
from mesh_fl.agents.revenue.books import READ, Books
from mesh_fl.agents.revenue.entries import (
    LARGEST_AMOUNT,
    Vector,
    Words,
    day_or_never,
    days_of,
    monthly_rates,
    named,
    signed,
)
from mesh_fl.agents.revenue.months import Integers
from mesh_fl.agents.revenue.request import plain_currency, plain_id
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table, table_of

LARGEST_COUNT = 1e7
"""Of seats or employees; a larger one is a slip, and taken for not told."""

GONE = frozenset({"lost", "left", "former", "inactive", "cancelled", "canceled", "churned"})
"""States of a client that is none any more."""


def accounts_of(books: Books, day: int, currency: str) -> Accounts:
    """Return what tables tell of all clients on a day, in one currency."""
    return books.kept("accounts", lambda: AccountHistory.of(books)).on(day, currency)


@dataclass(frozen=True)
class Bills:
    """All invoices with a day and an amount; other days are infinite where they are not told.

    Parameters
    ----------
    balance : ndarray, shape (n,)
        Below zero for credits; NaN where it is not told.
    """

    client: Integers
    issued: Integers
    amount: Vector
    due: Vector
    paid: Vector
    balance: Vector
    currency: Words
    kind: Words

    def before(self, day: int, currency: str) -> Invoices:
        """Return what was issued before a day, in one currency."""
        kept = (self.issued < day) & (self.currency == currency)
        return Invoices(
            client=self.client[kept],
            issued=self.issued[kept],
            amount=self.amount[kept],
            due=self.due[kept],
            unpaid=self._unpaid(day)[kept],
            kind=self.kind[kept],
        )

    def _unpaid(self, day: int) -> Vector:
        """Return balances; where none is told, the total of an invoice that is not paid.

        Without any date of payment nobody knows which ones are paid.
        """
        is_paid = self.paid <= day
        otherwise = self.amount if is_paid.any() else np.zeros(len(self.amount))
        unpaid = np.where(np.isfinite(self.balance), self.balance, otherwise)
        return np.where(is_paid, 0.0, np.clip(unpaid, -LARGEST_AMOUNT, LARGEST_AMOUNT))


@dataclass(frozen=True)
class AccountHistory:
    """What the tables tell, of any day and in any currency.

    Parameters
    ----------
    ids : tuple of str
        Clients of invoices and tickets.
    clients : tuple of (Client, float)
        With the day from which each is none any more; infinite for those that stay.
    deals : tuple of (Agreement, str, float)
        With their currencies, and the days on which they were cancelled.
    bills : Bills
    work : Work
    """

    ids: tuple[str, ...]
    clients: tuple[tuple[Client, float], ...]
    deals: tuple[tuple[Agreement, str, float], ...]
    bills: Bills
    work: Work

    @classmethod
    def of(cls, books: Books) -> "AccountHistory":
        """Read the tables; those that are not there are empty."""
        tables = {name: books.tables.get(name, table_of(TABLES[name].fields, [])) for name in READ}
        places: dict[str, int] = {}
        bills, work = _bills(tables["invoices"], places), _work(tables["tickets"], places)
        clients, deals = _clients(tables["clients"]), _deals(tables["agreements"])
        return cls(tuple(places), tuple(clients), tuple(deals), bills, work)

    def on(self, day: int, currency: str) -> Accounts:
        """Return what is known on a day, in one currency."""
        clients = {
            one.client_id: replace(one, is_gone=True) if gone <= day else one
            for one, gone in self.clients
        }
        is_gone = {name for name, one in clients.items() if one.is_gone}
        agreements = tuple(
            one
            for one, told_in, cancelled in self.deals
            if told_in == currency
            and one.end >= day
            and cancelled > day
            and one.client_id not in is_gone
        )
        opened = self.work.opened < day
        work = Work(self.work.client[opened], self.work.opened[opened], self.work.hours[opened])
        bills = self.bills.before(day, currency)
        return Accounts(day, currency, self.ids, clients, agreements, bills, work)


def _clients(table: Table) -> Iterator[tuple[Client, float]]:
    status = named(table["status"], folded)
    columns = (
        named(table["client_id"], plain_id),
        table["name"],
        named(table["industry"], folded),
        _count(table["employees"]),
        np.array([one in GONE for one in status.tolist()], dtype=bool),
        day_or_never(table["lost_at"]),
    )
    for client, name, industry, employees, gone, lost in zip(
        *(one.tolist() for one in columns), strict=True
    ):
        yield (
            Client(str(client), str(name), str(industry), float(employees), bool(gone)),
            float(lost),
        )


def _deals(table: Table) -> Iterator[tuple[Agreement, str, float]]:
    start, has_start = days_of(table["start_at"])
    monthly = monthly_rates(table)
    client = named(table["client_id"], plain_id)
    kept = (monthly > 0) & (monthly <= LARGEST_AMOUNT) & (client != "")
    columns = (
        client,
        named(table["type"], folded),
        np.where(has_start, start, -np.inf),
        day_or_never(table["end_at"]),
        monthly,
        _count(table["seats"]),
        named(table["currency"], plain_currency),
        day_or_never(table["cancelled_at"]),
    )
    for row in zip(*(one[kept].tolist() for one in columns), strict=True):
        yield Agreement(str(row[0]), str(row[1]), *map(float, row[2:6])), str(row[6]), float(row[7])


def _bills(table: Table, places: dict[str, int]) -> Bills:
    issued, is_told = days_of(table["issued_at"])
    amount, balance = signed(table), table["balance"].astype(np.float64)
    kept = is_told & (np.abs(amount) <= LARGEST_AMOUNT)
    return Bills(
        client=_placed(table, places)[kept],
        issued=issued[kept],
        amount=amount[kept],
        due=day_or_never(table["due_at"])[kept],
        paid=day_or_never(table["paid_at"])[kept],
        balance=np.where(amount < 0, -np.abs(balance), balance)[kept],
        currency=named(table["currency"], plain_currency)[kept],
        kind=named(table["kind"], folded)[kept],
    )


def _work(table: Table, places: dict[str, int]) -> Work:
    opened, is_told = days_of(table["opened_at"])
    hours = table["actual_hours"].astype(np.float64)
    kept = is_told & (hours >= 0) & (hours <= LARGEST_AMOUNT)
    return Work(_placed(table, places)[kept], opened[kept], hours[kept])


def _placed(table: Table, places: dict[str, int]) -> Integers:
    """Return each row's client as a place among all, new ones behind the others."""
    ids = named(table["client_id"], plain_id).tolist()
    found = [places.setdefault(str(one), len(places)) for one in ids]
    return np.array(found, dtype=np.int64)


def _count(column: NDArray[np.generic]) -> Vector:
    counts = column.astype(np.float64)
    return np.where(counts <= LARGEST_COUNT, counts, np.nan)


def folded(written: str) -> str:
    """Write words in one way."""
    return " ".join(written.lower().split())
