"""A member's tables as they were read last; read again when a file has changed."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table
from mesh_fl.site import OwnTable

T = TypeVar("T")

READ = ("clients", "agreements", "invoices", "tickets")

MOST_KEPT = 128
"""Things computed from tables that are kept, those that were asked for last."""


@dataclass(frozen=True)
class Books:
    """What was read of the tables, and what was computed of it.

    Parameters
    ----------
    tables : mapping
        Those that could be read.
    left_out : mapping
        How many rows of each could not.
    faults : mapping
        Why a table could not be read.
    """

    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    _kept: dict[object, object] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def kept(self, key: object, make: Callable[[], T]) -> T:
        """Return what was made under a key, making it the first time.

        Two threads may both make it; nobody waits for another.
        """
        with self._lock:
            found = self._kept.pop(key, None)
        made = make() if found is None else cast(T, found)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return made


class Shelf:
    """Holds the books of the newest files.

    Parameters
    ----------
    tables : mapping
        By the name in client.toml; those that revenue has no use for are left alone.
    """

    def __init__(self, tables: Mapping[str, OwnTable]) -> None:
        self._own = {name: tables[name] for name in READ if name in tables}
        self._stamps: dict[str, tuple[int, ...]] | None = None
        self._books = Books()
        self._lock = threading.Lock()

    def newest(self) -> Books:
        """Return the books, read again if a file has changed."""
        with self._lock:
            # Taken before reading: a file that changes meanwhile is read once more.
            stamps = {name: own.stamp for name, own in self._own.items()}
            if stamps != self._stamps:
                self._books = self._read()
                self._stamps = stamps
            return self._books

    def _read(self) -> Books:
        tables, left_out, faults = {}, {}, {}
        for name, own in self._own.items():
            try:
                rows = own.read(TABLES[name].fields, TABLES[name].key)
            except (DataError, ConfigError) as error:
                faults[name] = str(error)
                continue
            tables[name], left_out[name] = rows.table, rows.left_out
        return Books(tables, left_out, faults)
