"""What clients owe, and what they are billed for every month without an agreement."""

from collections import defaultdict
from collections.abc import Iterator
from statistics import median

import numpy as np

from mesh_fl.agents.revenue.accounts import Accounts
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.months import month_of, months_of_days
from mesh_fl.agents.revenue.wording import called, counted, currency_of, money

LEAST_OWED = 1.0

LAST_MONTHS = 6
FEWEST_MONTHS = 5
"""Of the last ones, with one-off work."""

RECURRING = ("recur", "subscription", "agreement", "contract", "managed", "monthly", "licen")
"""Parts of words that tell an invoice for what is agreed already."""


def overdue(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the clients with invoices that are past their day; also those that have left.

    What a client has to its credit is taken off, whichever invoice it was meant for.
    """
    invoices = accounts.invoices
    late = (invoices.due < accounts.day) & (invoices.unpaid > 0)
    count = len(accounts.ids)
    credit = -np.bincount(invoices.client, np.minimum(invoices.unpaid, 0.0), count)
    owed: dict[int, list[tuple[float, float]]] = defaultdict(list)
    columns = (invoices.client[late], invoices.unpaid[late], accounts.day - invoices.due[late])
    for place, unpaid, days in zip(*(one.tolist() for one in columns), strict=True):
        owed[place].append((unpaid, days))
    for place, found in owed.items():
        open_credit = round(float(credit[place]), 2)
        is_owed = sum(unpaid for unpaid, _ in found) - open_credit >= LEAST_OWED
        if accounts.ids[place] and is_owed:
            yield _debt(accounts, accounts.ids[place], found, open_credit)


def _debt(
    accounts: Accounts, client_id: str, owed: list[tuple[float, float]], credit: float
) -> Opportunity:
    client, unpaid = accounts.client(client_id), round(sum(unpaid for unpaid, _ in owed), 2)
    bills = counted(len(owed), "invoice")
    told, less = f"what is unpaid of {bills} past due", "open credits of the client"
    evidence = [Evidence(because="days since the oldest of them was due", value=_oldest(owed))]
    if credit:
        sum_ = f"{money(unpaid, accounts.currency)} - {money(credit, accounts.currency)}"
        told = f"{sum_}: {told}, less {less}"
        evidence.append(Evidence(because=less, value=credit))
    amount = round(unpaid - credit, 2)
    return Opportunity(
        kind="overdue",
        effect="collects",
        client_id=client_id,
        client=client.name or None,
        action=f"Collect {money(amount, accounts.currency)} from {called(client)}.",
        amount=amount,
        currency=currency_of(accounts),
        arithmetic=told,
        evidence=tuple(evidence),
    )


def _oldest(owed: list[tuple[float, float]]) -> float:
    return max(days for _, days in owed)


def recurring_work(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the clients that one-off work is billed to almost every month."""
    invoices = accounts.invoices
    month = months_of_days(invoices.issued)
    now = month_of(accounts.day)
    kept = (month >= now - LAST_MONTHS) & (month < now) & (invoices.amount > 0)
    is_one_off = {kind: _is_one_off(str(kind)) for kind in set(invoices.kind[kept].tolist())}
    billed: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    columns = (invoices.kind, invoices.client, month, invoices.amount)
    for kind, place, one, amount in zip(*(each[kept].tolist() for each in columns), strict=True):
        if is_one_off[kind]:
            billed[place][one] += amount
    for place, months in billed.items():
        client_id = accounts.ids[place]
        if len(months) >= FEWEST_MONTHS and accounts.stays(client_id):
            yield _steady(accounts, client_id, list(months.values()))


def _is_one_off(kind: str) -> bool:
    return kind != "" and "credit" not in kind and not any(part in kind for part in RECURRING)


def _steady(accounts: Accounts, client_id: str, amounts: list[float]) -> Opportunity:
    client, usual = accounts.client(client_id), median(amounts)
    told = f"of the last {LAST_MONTHS} whole months, those in which one-off work was billed"
    return Opportunity(
        kind="recurring work",
        effect="steadies",
        client_id=client_id,
        client=client.name or None,
        action=f"Offer {called(client)} an agreement for the work it is billed for every month.",
        amount=round(12 * usual, 2),
        currency=currency_of(accounts),
        arithmetic=f"{money(usual, accounts.currency)}, the median of those months, x 12",
        evidence=(Evidence(because=told, value=len(amounts)),),
    )
