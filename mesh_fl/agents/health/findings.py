"""What is known of one request's client: measured of its rows, or told by the request."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents._features import Feature
from mesh_fl.agents.health.history import History
from mesh_fl.agents.health.product_features import within_bounds
from mesh_fl.agents.health.request import Request
from mesh_fl.agents.health.windows import Known, NotKnownError, measure, people, recent_tickets

UNTOLD = "not told, and no client_id was asked for"
TICKETS = "tickets_per_employee"


@dataclass(frozen=True)
class Found:
    """What is known of one request's client.

    Parameters
    ----------
    request : Request
    known : Known
        The client's own rows; none where no client was asked for.
    features : dict of str to float or str
        Of each feature its value, or why there is none.
    ignored : dict of str to str
        Fields of the request that count nothing, and why.
    """

    request: Request
    known: Known
    features: dict[str, float | str]
    ignored: dict[str, str]


def find(request: Request, history: History, at: float, features: tuple[Feature, ...]) -> Found:
    """Measure a client, and let what the request tells go before that."""
    measured: Mapping[str, float | str] = measure(history, at) if request.client_id else {}
    found = {one.name: measured.get(one.name, UNTOLD) for one in features}
    known, ignored = Known.of(history, at), dict(request.ignored)
    for field, value in _tickets(request, known).items():
        if TICKETS in request.told:
            ignored[field] = f"{TICKETS} was told, too, and counts"
        elif TICKETS not in found:
            ignored[field] = f"there is no feature {TICKETS} here"
        elif isinstance(value, str):
            ignored[field] = value
        else:
            declared = next(one for one in features if one.name == TICKETS)
            found[TICKETS] = within_bounds(declared, value)
    return Found(request, known, {**found, **request.told}, ignored)


def _tickets(request: Request, known: Known) -> dict[str, float | str]:
    """Return tickets for each employee by each field that tells of them, or why there are none."""
    told = {"ticket_volume": request.ticket_volume, "employees": request.employees}
    try:
        volume = request.ticket_volume
        tickets = recent_tickets(known) if np.isnan(volume) else volume
        staff = people(known) if np.isnan(request.employees) else request.employees
        found: float | str = tickets / staff if staff > 0 else "nobody works there"
    except NotKnownError as error:
        found = str(error)
    return {name: found for name, value in told.items() if not np.isnan(value)}
