"""Invoices and agreements as amounts with months, whose sums are monthly revenue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.market.agreements import months_of
from mesh_fl.agents.revenue.months import DAY_S, Integers, first_day, first_days, months_of_days
from mesh_fl.agents.revenue.request import EARLIEST, LATEST, plain_currency, plain_id
from mesh_fl.schema import Table

Vector = NDArray[np.float64]
Words = NDArray[np.object_]
Source = Literal["invoices", "agreements"]

LARGEST_AMOUNT = 1e12
"""Of one invoice or agreement; a larger one is a slip."""


@dataclass(frozen=True)
class Entries:
    """Amounts of clients in months.

    Parameters
    ----------
    source : {"invoices", "agreements"}
        An invoice's amount counts in its month. An agreement has several entries: by how much they
        change what every month brings from then on.
    client, currency : ndarray of str, shape (n,)
    month : ndarray of int, shape (n,)
    amount : ndarray, shape (n,)
    left_out : ndarray of str
        Whose rows could not be counted, a client for each row.
    """

    source: Source
    client: Words
    currency: Words
    month: Integers
    amount: Vector
    left_out: Words

    def of(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Entries":
        """Return some of them; what was left out is told of them all."""
        return replace(
            self,
            client=self.client[kept],
            currency=self.currency[kept],
            month=self.month[kept],
            amount=self.amount[kept],
        )


def invoiced(table: Table, before: int) -> Entries:
    """Return the invoices of the months before one; credits count as negative amounts.

    Parameters
    ----------
    table : Table
        See `msp_tables`.
    before : int
        Month; nothing of it or after it is read.
    """
    day, is_told = days_of(table["issued_at"])
    amount = signed(table)
    month = months_of_days(day)
    known = is_told & (month < before)
    good = known & (np.abs(amount) <= LARGEST_AMOUNT)
    client, currency = named(table["client_id"], plain_id), named(table["currency"], plain_currency)
    return Entries(
        "invoices",
        client[good],
        currency[good],
        month[good],
        amount[good],
        client[(known & ~good) | ~is_told],
    )


def agreed(table: Table, before: int) -> Entries:
    """Return what agreements bring in the months before one: amounts spread over their periods.

    Parameters
    ----------
    table : Table
    before : int
        Month; what begins or ends in it or later is not read.
    """
    end_of_all = float(first_day(before))
    start, is_told = days_of(table["start_at"])
    ended, cancelled = (day_or_never(table[name]) for name in ("end_at", "cancelled_at"))
    end = np.minimum(np.minimum(ended, cancelled), end_of_all)
    rate = monthly_rates(table)
    began = ~is_told | (start < end_of_all)
    good = is_told & (start < end) & (rate > 0) & (rate <= LARGEST_AMOUNT)
    client, currency = named(table["client_id"], plain_id), named(table["currency"], plain_currency)
    changes = [
        *_steps(start[good], rate[good]),
        *_steps(end[good].astype(np.int64), -rate[good]),
    ]
    return Entries(
        "agreements",
        np.tile(client[good], len(changes)),
        np.tile(currency[good], len(changes)),
        np.concatenate([month for month, _ in changes]),
        np.concatenate([amount for _, amount in changes]),
        # An agreement that ended before it began brings nothing, whoever it is of.
        client[began & ~good],
    )


def day_or_never(seconds: NDArray[np.generic]) -> Vector:
    """Return days; infinite where they are not told."""
    day, is_told = days_of(seconds)
    return np.where(is_told, day, np.inf)


def _steps(day: Integers, rate: Vector) -> list[tuple[Integers, Vector]]:
    """Return the changes of what a month brings where a rate begins on a day, inside of a month."""
    month = months_of_days(day)
    begin, end = first_days(month), first_days(month + 1)
    gone = (day - begin) / (end - begin)
    return [(month, rate * (1 - gone)), (month + 1, rate * gone)]


def monthly_rates(table: Table) -> Vector:
    """Return what each agreement brings in a month; NaN where that cannot be said."""
    months = np.array([months_of(str(one)) for one in table["period"].tolist()], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rates: Vector = table["amount"].astype(np.float64) / months.reshape(-1)
    return rates


def signed(table: Table) -> Vector:
    """Return the totals of invoices; those of credits are below zero however they are written."""
    total = table["total"].astype(np.float64)
    is_credit = np.array(["credit" in str(one).lower() for one in table["kind"].tolist()], bool)
    amounts: Vector = np.where(is_credit, -np.abs(total), total)
    return amounts


def days_of(seconds: NDArray[np.generic]) -> tuple[Integers, NDArray[np.bool_]]:
    """Return days, and whether they are told and near enough to be reckoned with."""
    days = np.floor(seconds.astype(np.float64) / DAY_S)
    told = (days >= EARLIEST) & (days < LATEST)
    return np.where(told, days, 0).astype(np.int64), told


def named(column: NDArray[np.generic], spelt: Callable[[str], str]) -> Words:
    """Return words in one spelling; each is respelt once."""
    words: Sequence[object] = column.tolist()
    known = {one: spelt(str(one)) for one in set(words)}
    found = np.empty(len(words), dtype=np.object_)
    found[:] = [known[one] for one in words]
    return found
