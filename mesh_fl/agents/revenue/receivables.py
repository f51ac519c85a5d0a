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
    """Yield the clients with invoices that are past their day; also those that have left."""
    invoices = accounts.invoices
    late = (invoices.due < accounts.day) & (invoices.unpaid > 0)
    owed: dict[str, list[tuple[float, float]]] = defaultdict(list)
    rows = (invoices.client[late].tolist(), invoices.unpaid[late].tolist(), invoices.due[late])
    for client_id, unpaid, due in zip(*rows, strict=True):
        owed[str(client_id)].append((unpaid, accounts.day - float(due)))
    for client_id, found in owed.items():
        if client_id and sum(unpaid for unpaid, _ in found) >= LEAST_OWED:
            yield _debt(accounts, client_id, found)


def _debt(accounts: Accounts, client_id: str, owed: list[tuple[float, float]]) -> Opportunity:
    client, amount = accounts.client(client_id), sum(unpaid for unpaid, _ in owed)
    days = max(late for _, late in owed)
    bills = counted(len(owed), "invoice")
    return Opportunity(
        kind="overdue",
        effect="collects",
        client_id=client_id,
        client=client.name or None,
        action=f"Collect {money(amount, accounts.currency)} from {called(client)}.",
        amount=round(amount, 2),
        currency=currency_of(accounts),
        arithmetic=f"what is unpaid of {bills} past due",
        evidence=(Evidence(because="days since the oldest of them was due", value=days),),
    )


def recurring_work(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the clients that one-off work is billed to almost every month."""
    invoices = accounts.invoices
    month = months_of_days(invoices.issued)
    now = month_of(accounts.day)
    is_one_off = {kind: _is_one_off(str(kind)) for kind in set(invoices.kind.tolist())}
    kept = np.array([is_one_off[one] for one in invoices.kind.tolist()], dtype=bool)
    kept &= (month >= now - LAST_MONTHS) & (month < now) & (invoices.amount > 0)
    billed: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    rows = (invoices.client[kept].tolist(), month[kept].tolist(), invoices.amount[kept].tolist())
    for client_id, one, amount in zip(*rows, strict=True):
        billed[str(client_id)][one] += amount
    for client_id, months in billed.items():
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
