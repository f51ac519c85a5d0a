"""Where requests about clients are read, looked up in one's own tables and answered."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mesh_fl.agent import State
from mesh_fl.agents._features import Feature
from mesh_fl.agents.health.answer import ClientHealthAnswer
from mesh_fl.agents.health.client_answer import ClientAnswer
from mesh_fl.agents.health.client_tables import ClientTables
from mesh_fl.agents.health.findings import Found, find
from mesh_fl.agents.health.history import BEGINS, History, day_of
from mesh_fl.agents.health.own_clients import OwnClients
from mesh_fl.agents.health.product_features import columns_of
from mesh_fl.agents.health.request import Request, requests_of
from mesh_fl.agents.health.telling import tell
from mesh_fl.errors import DataError
from mesh_fl.schema import Table

Compose = Callable[[State, Table], list[ClientHealthAnswer]]


@dataclass(frozen=True)
class Desk:
    """Answers about clients.

    Parameters
    ----------
    features : tuple of Feature
        Measures, with their bounds.
    compose : callable
        Answers from features alone.
    clients : OwnClients
    now : callable
        The clock, in seconds since 1970.
    """

    features: tuple[Feature, ...]
    compose: Compose
    clients: OwnClients
    now: Callable[[], float] = time.time

    def answer(self, state: State, table: Table) -> list[ClientAnswer]:
        """Answer each request; see `request.ASKED` and the features.

        Raises
        ------
        DataError
            If a request tells nothing, or its client is in no table, had left by then or was none.
        """
        clients, faults = self.clients.newest()
        found = [
            self._found(request, clients, faults) for request in requests_of(table, self.features)
        ]
        columns = columns_of(self.features, [one.features for one in found])
        answers = self.compose(state, columns)
        return [tell(one, told, faults) for one, told in zip(found, answers, strict=True)]

    def _found(self, request: Request, clients: ClientTables, faults: Mapping[str, str]) -> Found:
        self._refuse_silent(request)
        _refuse_unknown(request, clients, faults)
        at = self.now() if np.isnan(request.as_of) else request.as_of
        history = clients.history(request.client_id) if request.client_id else History({})
        _refuse_lost(request.client_id, history, at)
        found = find(request, history, at, self.features)
        _refuse_unborn(found)
        return found

    def _refuse_silent(self, request: Request) -> None:
        if request.tells_nothing:
            names = ", ".join(one.name for one in self.features)
            raise DataError(
                f"client health: expected client_id, or at least one of {names}, found none of them"
            )


def _refuse_unknown(request: Request, clients: ClientTables, faults: Mapping[str, str]) -> None:
    client = request.client_id
    if not client or clients.has(client):
        return
    if clients.tables:
        read = ", ".join(clients.tables)
        also = "".join(f"; {fault}" for fault in faults.values())
        raise DataError(
            f"client_id: expected a client of table {read}, found {client[:80]!r}, which is in "
            f"none of them{also}"
        )
    if not request.told and np.isnan(request.ticket_volume):
        why = "; ".join(faults.values()) or "client.toml names no table of clients"
        raise DataError(
            f"client_id: expected a client of your own tables, found {client[:80]!r}, but {why}; "
            "tell its features instead"
        )


def _refuse_unborn(found: Found) -> None:
    """Refuse a client of whom no row had begun: the risk of nobody would read as a sound client."""
    request, tables = found.request, found.known.history.tables
    is_known = any(found.known.history.rows(name) for name in tables)
    if tables and not is_known and not request.told and np.isnan(request.ticket_volume):
        begins = ", ".join(BEGINS[name] for name in tables)
        raise DataError(
            f"client_id: expected a client of whom something was known before "
            f"{day_of(found.known.at)}, found {request.client_id[:80]!r}, whose rows all begin "
            f"later or tell no beginning ({begins}); ask with a later as_of, or map these columns"
        )


def _refuse_lost(client: str, history: History, at: float) -> None:
    lost_at = history.of_client("lost_at")
    if lost_at < at:
        raise DataError(
            f"client_id: expected a client that has not left, found {client[:80]!r}, which left "
            f"on {day_of(lost_at)}; ask with as_of of an earlier moment"
        )
