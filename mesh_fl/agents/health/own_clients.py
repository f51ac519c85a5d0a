"""A member's own clients, read again once a file has changed."""

import threading
from collections.abc import Mapping

from mesh_fl.agents.health.client_tables import ClientTable, ClientTables
from mesh_fl.agents.health.history import KEPT
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.site import OwnTable


class OwnClients:
    """One's own tables by client.

    Parameters
    ----------
    own : mapping
        The tables of client.toml; those that tell nothing of a client are left alone.
    """

    def __init__(self, own: Mapping[str, OwnTable]) -> None:
        self._own = {name: own[name] for name in KEPT if name in own}
        self._read: dict[str, tuple[tuple[int, ...], ClientTable | str]] = {}
        self._lock = threading.Lock()

    def newest(self) -> tuple[ClientTables, dict[str, str]]:
        """Return what can be read, and of each other table why it cannot."""
        with self._lock:
            found = {name: self._table(name) for name in self._own}
        sound = {name: one for name, one in found.items() if isinstance(one, ClientTable)}
        faults = {name: one for name, one in found.items() if isinstance(one, str)}
        return ClientTables(sound), faults

    def _table(self, name: str) -> ClientTable | str:
        stamp = self._own[name].stamp
        if name not in self._read or self._read[name][0] != stamp:
            self._read[name] = stamp, _read_or_why(name, self._own[name])
        return self._read[name][1]


def _read_or_why(name: str, own: OwnTable) -> ClientTable | str:
    try:
        return ClientTable.read(name, own)
    except (DataError, ConfigError) as error:
        return f"table {name} cannot be read: {error.brief}"
