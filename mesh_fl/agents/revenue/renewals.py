"""Agreements that end soon, with none to follow."""

from collections import defaultdict
from collections.abc import Iterator

from mesh_fl.agents.revenue.accounts import Accounts, Agreement
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.months import day_name
from mesh_fl.agents.revenue.wording import called, counted, currency_of

WITHIN_DAYS = 90

GAP_DAYS = 31
"""An agreement that begins so soon after another takes its place."""


def renewals(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the agreements of which nobody knows yet what follows."""
    of_kind: dict[tuple[str, str], list[Agreement]] = defaultdict(list)
    for one in accounts.agreements:
        of_kind[one.client_id, one.kind].append(one)
    for agreements in of_kind.values():
        # Only the one that ends last can lack a successor.
        last = max(agreements, key=lambda one: (one.end, one.start))
        begins = [one.start for one in agreements if one is not last]
        follows = any(last.end <= start <= last.end + GAP_DAYS for start in begins)
        if accounts.day <= last.end <= accounts.day + WITHIN_DAYS and not follows:
            yield _renewal(accounts, last)


def _renewal(accounts: Accounts, ending: Agreement) -> Opportunity:
    days = int(ending.end) - accounts.day
    client = accounts.client(ending.client_id)
    title = ending.kind or "unnamed"
    when = f"in {counted(days, 'day')}, on {day_name(int(ending.end))}"
    return Opportunity(
        kind="renewal",
        effect="keeps",
        client_id=ending.client_id,
        client=client.name or None,
        action=f"Renew the {title} agreement of {called(client)}, which ends {when}.",
        amount=round(ending.yearly, 2),
        currency=currency_of(accounts),
        arithmetic="what it brings in a year",
        evidence=(Evidence(because=f"the agreement ends {when}", value=days),),
    )
