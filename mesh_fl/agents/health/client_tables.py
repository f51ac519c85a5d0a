"""A member's tables by client: read once, and looked up for each."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.history import KEPT, History, empty_table
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table
from mesh_fl.site import OwnTable

Places = NDArray[np.int64]


@dataclass(frozen=True)
class ClientTable:
    """The rows of one table, and where those of each client are.

    Parameters
    ----------
    columns : Table
    places : mapping
        Of each client id, in the order of the file.
    empty : Table
    """

    columns: Table = field(repr=False)
    places: Mapping[str, Places] = field(repr=False)
    empty: Table = field(repr=False)

    @classmethod
    def read(cls, name: str, own: OwnTable) -> "ClientTable":
        """Read a table.

        Raises
        ------
        DataError
            If it cannot be read or has no good row.
        """
        declared = TABLES[name]
        table = own.read(declared.fields, declared.key).table
        columns = {column: table[column] for column in KEPT[name]}
        places = _places([one_form(str(one)) for one in table["client_id"]])
        if name == "clients":
            places = {client: found[:1] for client, found in places.items()}
        return cls(columns, places, empty_table(name, declared.fields))

    def of(self, client: str) -> Table:
        """Return the rows of one client."""
        if client not in self.places:
            return self.empty
        found = self.places[client]
        return {name: column[found] for name, column in self.columns.items()}


@dataclass(frozen=True)
class ClientTables:
    """Several tables by client."""

    tables: Mapping[str, ClientTable]

    @classmethod
    def read(cls, own: Mapping[str, OwnTable]) -> "ClientTables":
        """Read those tables that tell something of a client.

        Raises
        ------
        DataError
            If one of them cannot be read or has no good row.
        """
        return cls({name: ClientTable.read(name, own[name]) for name in KEPT if name in own})

    def ids(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the clients that some tables tell of, each once."""
        found: dict[str, None] = {}
        for name in names:
            if name in self.tables:
                found.update(dict.fromkeys(self.tables[name].places))
        return tuple(found)

    def has(self, client: str) -> bool:
        """Tell whether any table tells of a client."""
        return any(client in table.places for table in self.tables.values())

    def history(self, client: str) -> History:
        """Return what the tables hold of one client."""
        return History({name: table.of(client) for name, table in self.tables.items()})


def one_form(client: str) -> str:
    """Write a client's id as the ledger of records does: in one Unicode form."""
    return unicodedata.normalize("NFKC", client.strip())


def _places(ids: list[str]) -> dict[str, Places]:
    found: dict[str, list[int]] = {}
    for place, client in enumerate(ids):
        if client:
            found.setdefault(client, []).append(place)
    return {client: np.array(places, dtype=np.int64) for client, places in found.items()}
