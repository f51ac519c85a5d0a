"""Agreements whose price per seat lies below the own median."""

import math
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from mesh_fl.agents.revenue.accounts import Accounts, Agreement
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.wording import called, currency_of, money

FEWEST_RATES = 5
LEAST_GAP = 0.1
"""Below the median, as a share of it."""


def price_rises(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the agreements that cost clearly less per seat than most of their kind."""
    by_kind: dict[str, list[Agreement]] = defaultdict(list)
    for one in accounts.running:
        if math.isfinite(one.seat_rate):
            by_kind[one.kind].append(one)
    for agreements in by_kind.values():
        if len(agreements) < FEWEST_RATES:
            continue
        usual = median(one.seat_rate for one in agreements)
        for one in agreements:
            if one.seat_rate <= (1 - LEAST_GAP) * usual:
                yield _rise(accounts, one, usual, len(agreements))


def _rise(accounts: Accounts, cheap: Agreement, usual: float, count: int) -> Opportunity:
    client = accounts.client(cheap.client_id)
    paid, usual = round(cheap.seat_rate, 2), round(usual, 2)
    rate, median_rate = (money(one, accounts.currency) for one in (paid, usual))
    of_kind = f"{cheap.kind or 'unnamed'} agreement"
    return Opportunity(
        kind="price rise",
        effect="adds",
        client_id=cheap.client_id,
        client=client.name or None,
        action=f"Review the price of the {of_kind} of {called(client)}: {rate} a seat and month.",
        amount=round(12 * cheap.seats * (usual - paid), 2),
        currency=currency_of(accounts),
        arithmetic=f"({median_rate} - {rate}) x {cheap.seats:g} seats x 12 months",
        evidence=(
            Evidence(because="its rate per seat and month", value=paid),
            Evidence(because=f"the median of your {count} {of_kind}s with seats", value=usual),
        ),
    )


def seat_rate_of(opportunity: Opportunity) -> float:
    """Return the rate that a price rise is about."""
    return opportunity.evidence[0].value
