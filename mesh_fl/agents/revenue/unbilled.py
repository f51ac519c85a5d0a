"""Seats and hours that grew while what is paid for them did not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.accounts import Accounts, Agreement
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.entries import Vector
from mesh_fl.agents.revenue.months import Integers
from mesh_fl.agents.revenue.wording import called, currency_of, money

FEWEST_SEATS = 2
LEAST_SHARE = 0.1
"""Of the seats, that must be uncovered."""

STRETCH_DAYS = 182
"""The half year that is compared with the one before it."""

LEAST_HOURS = 10.0
"""In the earlier half year."""

LEAST_GROWTH = 0.25
"""Of the hours, beyond the growth of what was invoiced."""

MOST_OF_ONE = 0.6
"""Share of a half year that one invoice may be: a bill for a whole year is no pace of pay."""


def unbilled_seats(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the clients with more people than any of their agreements covers."""
    largest: dict[str, Agreement] = {}
    for one in accounts.running:
        known = largest.get(one.client_id)
        if one.seats > 0 and (known is None or one.seats > known.seats):
            largest[one.client_id] = one
    for client_id, agreement in largest.items():
        employees = accounts.client(client_id).employees
        more = employees - agreement.seats
        if more >= max(FEWEST_SEATS, LEAST_SHARE * agreement.seats):
            yield _seats(accounts, agreement, employees)


def _seats(accounts: Accounts, agreement: Agreement, employees: float) -> Opportunity:
    client = accounts.client(agreement.client_id)
    more, rate = employees - agreement.seats, round(agreement.seat_rate, 2)
    return Opportunity(
        kind="unbilled seats",
        effect="adds",
        client_id=client.client_id,
        client=client.name or None,
        action=f"Count the seats at {called(client)}: it has {more:g} more people than seats.",
        amount=round(12 * more * rate, 2),
        currency=currency_of(accounts),
        arithmetic=f"{more:g} seats x {money(rate, accounts.currency)} a month x 12",
        evidence=(
            Evidence(because="employees of the client", value=employees),
            Evidence(
                because=f"seats of its {agreement.kind or 'unnamed'} agreement",
                value=agreement.seats,
            ),
        ),
    )


def unbilled_work(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the clients whose hours grew faster than their invoices."""
    work, invoices = accounts.work, accounts.invoices
    if not len(invoices.issued):
        return
    # Hours after the newest invoice are not unbilled: their invoices are not here yet.
    until = int(invoices.issued.max()) + 1
    count = len(accounts.ids)
    hours = Halves.of(until, work.client, work.opened, work.hours, count)
    paid = Halves.of(until, invoices.client, invoices.issued, invoices.amount, count)
    known = (hours.before >= LEAST_HOURS) & paid.are_steady
    for place in np.flatnonzero(known).tolist():
        worked, billed = hours.change(place), paid.change(place)
        outgrown = worked.growth - max(billed.growth, 0.0)
        if outgrown >= LEAST_GROWTH and accounts.stays(accounts.ids[place]):
            yield _work(accounts, accounts.ids[place], worked, billed)


@dataclass(frozen=True)
class Change:
    """What the half year before last brought, and the last one."""

    before: float
    now: float

    @property
    def growth(self) -> float:
        """Return by which share the last one brought more."""
        return self.now / self.before - 1


@dataclass(frozen=True)
class Halves:
    """What both half years brought by client, and the largest entry of each.

    Parameters
    ----------
    before, now, largest_before, largest_now : ndarray, shape (clients,)
    """

    before: Vector
    now: Vector
    largest_before: Vector
    largest_now: Vector

    @classmethod
    def of(
        cls, until: int, client: Integers, day: Integers, amount: Vector, clients: int
    ) -> "Halves":
        """Add up the entries of the two half years before a day."""
        sums, largest = [], []
        for end in (until - STRETCH_DAYS, until):
            inside = (day >= end - STRETCH_DAYS) & (day < end)
            who, what = client[inside], amount[inside]
            sums.append(np.bincount(who, what, clients).astype(np.float64))
            most = np.zeros(clients)
            np.maximum.at(most, who, what)
            largest.append(most)
        return cls(*sums, *largest)

    @property
    def are_steady(self) -> NDArray[np.bool_]:
        """Tell where both brought something, and neither most of it by one entry."""
        before = (self.before > 0) & (self.largest_before <= MOST_OF_ONE * self.before)
        now = (self.now > 0) & (self.largest_now <= MOST_OF_ONE * self.now)
        return before & now

    def change(self, place: int) -> Change:
        """Return what one client brought."""
        return Change(float(self.before[place]), float(self.now[place]))


def _work(accounts: Accounts, client_id: str, worked: Change, billed: Change) -> Opportunity:
    client, rate = accounts.client(client_id), round(billed.before / worked.before, 2)
    hours, paid = round(worked.now, 2), round(billed.now, 2)
    at_rate = f"{hours:g} h x {money(rate, accounts.currency)} an hour, as before"
    grew = f"in {STRETCH_DAYS} days up to the newest invoice, against those before"
    return Opportunity(
        kind="unbilled work",
        effect="adds",
        client_id=client_id,
        client=client.name or None,
        action=f"Talk to {called(client)} about its agreement: its hours outgrew its invoices.",
        amount=round(2 * (hours * rate - paid), 2),
        currency=currency_of(accounts),
        arithmetic=f"({at_rate}, - {money(paid, accounts.currency)} invoiced) x 2",
        evidence=(
            Evidence(because=f"growth of ticket hours {grew}", value=worked.growth),
            Evidence(because=f"growth of what was invoiced {grew}", value=billed.growth),
            Evidence(because="ticket hours of those days", value=hours),
        ),
    )
