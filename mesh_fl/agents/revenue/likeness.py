"""Which clients are alike: by industry and by size."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from mesh_fl.agents.revenue.accounts import Client

SIZES = (10, 50, 250)
"""Employees from which a client is of the next size."""

SIZE_NAMES = ("fewer than 10", "10 to 49", "50 to 249", "250 or more")

FEWEST_ALIKE = 5

Group = tuple[str, str]
"""What clients have in common, in words: industry and size; empty where that does not count."""


class Alike:
    """Groups of clients.

    Parameters
    ----------
    clients : iterable of Client
    """

    def __init__(self, clients: Iterable[Client]) -> None:
        self._members: dict[Group, list[str]] = defaultdict(list)
        for client in clients:
            for group in groups_of(client):
                self._members[group].append(client.client_id)

    def group_of(self, client: Client) -> Group | None:
        """Return the narrowest group with enough others in it; None if there is none."""
        enough = (one for one in groups_of(client) if len(self._members[one]) > FEWEST_ALIKE)
        return next(enough, None)

    def members(self, group: Group) -> list[str]:
        """Return the ids of a group's clients."""
        return self._members[group]


def groups_of(client: Client) -> list[Group]:
    """Return what a client is counted among, the narrowest first."""
    size = ""
    if math.isfinite(client.employees):
        size = SIZE_NAMES[bisect_right(SIZES, client.employees)]
    wanted = [(client.industry, size), ("", size), (client.industry, "")]
    if not client.industry or not size:
        wanted = wanted[1:]
    return [group for group in wanted if any(group)]


def described(group: Group) -> str:
    """Say what the clients of a group have in common."""
    industry, size = group
    parts = [f"in {industry}"] if industry else []
    parts += [f"with {size} employees"] if size else []
    return " ".join(parts)
