"""What most of the similar clients have and a client has not."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import median

from mesh_fl.agents.revenue.accounts import Accounts, Client
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.likeness import Alike, Group, described
from mesh_fl.agents.revenue.wording import called, currency_of, money

MOST_SHARE = 0.6
"""Share of the similar clients that must have what is offered."""

FEWEST_PRICES = 3
"""Prices that a median is taken of."""

Yearly = Mapping[str, Mapping[str, float]]
"""What each client's agreements of each kind bring in a year."""


def upsells(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the kinds of agreements that clients lack, compared with similar ones."""
    yearly: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in accounts.running:
        if one.kind:
            yearly[one.client_id][one.kind] += one.yearly
    clients = [accounts.client(client_id) for client_id in yearly]
    alike = Alike(clients)
    usual: dict[Group, dict[str, list[float]]] = {}
    for client in clients:
        group = alike.group_of(client)
        if group is None:
            continue
        if group not in usual:
            usual[group] = _usual(alike.members(group), yearly)
        others = len(alike.members(group)) - 1
        for kind, prices in usual[group].items():
            if kind not in yearly[client.client_id]:
                yield _offer(accounts, client, kind, prices, others, described(group))


def _usual(members: list[str], yearly: Yearly) -> dict[str, list[float]]:
    """Return the kinds that most of the others have, with their prices."""
    found: dict[str, list[float]] = defaultdict(list)
    for client_id in members:
        for kind, amount in yearly[client_id].items():
            found[kind].append(amount)
    fewest = max(FEWEST_PRICES, MOST_SHARE * (len(members) - 1))
    return {kind: prices for kind, prices in found.items() if len(prices) >= fewest}


def _offer(
    accounts: Accounts, client: Client, kind: str, prices: list[float], others: int, alike: str
) -> Opportunity:
    usual, share = median(prices), len(prices) / others
    told = f"{len(prices)} of {others} other clients {alike} have a {kind} agreement ({share:.0%})"
    return Opportunity(
        kind="upsell",
        effect="adds",
        client_id=client.client_id,
        client=client.name or None,
        action=f"Offer {called(client)} a {kind} agreement.",
        amount=round(usual, 2),
        currency=currency_of(accounts),
        arithmetic=f"{money(usual, accounts.currency)} a year, the median of those {len(prices)}",
        evidence=(Evidence(because=told, value=share),),
    )
