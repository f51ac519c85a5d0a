"""Agreements that end soon, with none to follow."""

import math
from collections import defaultdict
from collections.abc import Iterator

from mesh_fl.agents.revenue.accounts import Accounts, Agreement
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.months import day_name
from mesh_fl.agents.revenue.wording import called, counted, currency_of

WITHIN_DAYS = 90

GAP_DAYS = 31
"""An agreement that begins so shortly before or after another's end takes its place."""

Begun = dict[float, float]
"""The last end of the agreements that begin on a day."""


def renewals(accounts: Accounts) -> Iterator[Opportunity]:
    """Yield the agreements of which nobody knows yet what follows."""
    of_kind: dict[tuple[str, str], list[Agreement]] = defaultdict(list)
    for one in accounts.agreements:
        of_kind[one.client_id, one.kind].append(one)
    for agreements in of_kind.values():
        begun = _begun(agreements)
        for one in agreements:
            ends_soon = accounts.day <= one.end <= accounts.day + WITHIN_DAYS
            if ends_soon and not _is_followed(one, begun):
                yield _renewal(accounts, one)


def _begun(agreements: list[Agreement]) -> Begun:
    ends: Begun = {}
    for one in agreements:
        ends[one.start] = max(one.end, ends.get(one.start, -math.inf))
    return ends


def _is_followed(ending: Agreement, begun: Begun) -> bool:
    """Tell whether another takes over; one that runs beside it for longer does not.

    Of one that does not tell when it began nobody knows which it is: it is let pass.
    """
    end = int(ending.end)
    days = (-math.inf, *range(end - GAP_DAYS, end + GAP_DAYS + 1))
    return any(begun.get(day, -math.inf) > ending.end for day in days)


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
