"""A member's events and readings as they were read last; read again when a file has changed."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.gathering import KEY, TABLE, TIME, read_events
from mesh_fl.agents.anomaly.own_forest import positions
from mesh_fl.agents.anomaly.request import LARGEST
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.agents.anomaly.usual import Sample
from mesh_fl.agents.anomaly.words import Words
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table
from mesh_fl.site import OwnTable

T = TypeVar("T")

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

READINGS = "metrics"
MOST_KEPT = 2048
"""Things computed from tables that are kept, those that were asked for last."""


@dataclass(frozen=True)
class Events:
    """Events in the order of time; those without a time come last.

    Parameters
    ----------
    table : Table
        The traits' columns.
    ids : ndarray of str, shape (n,)
    ts : ndarray, shape (n,)
        In seconds since 1970; NaN where it is not told.
    places, at : ndarray, shape (n, traits)
    words : tuple of Words or None
        For each trait whose cells several words may share.
    left_out : int
        Rows that could not be read.
    """

    table: Table = field(repr=False)
    ids: NDArray[np.generic] = field(repr=False)
    ts: Vector = field(repr=False)
    places: Places = field(repr=False)
    at: Vector = field(repr=False)
    words: tuple[Words | None, ...] = field(repr=False)
    left_out: int = 0

    @classmethod
    def of(cls, own: OwnTable, traits: tuple[Trait, ...]) -> "Events":
        """Read the table.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        schema = tuple({one.column: one.told_as for one in traits}.values())
        read = read_events(own, schema)
        rows = read.table
        order = np.argsort(rows[TIME].astype(np.float64), kind="stable")
        table = {one.name: rows[one.name][order] for one in schema}
        places = np.stack([one.places(table[one.column]) for one in traits], axis=1)
        ts = rows[TIME].astype(np.float64)[order]
        at = positions(traits, table)
        words = tuple(
            Words.of(one.tokens(table[one.column])) if one.is_hashed else None for one in traits
        )
        return cls(table, rows[KEY][order], ts, places, at, words, read.left_out)

    def part(self, rows: slice | Places) -> Sample:
        """Return some of them as they are judged."""
        words = tuple(None if one is None else one.of_records[rows] for one in self.words)
        table = {name: column[rows] for name, column in self.table.items()}
        return Sample(table, self.places[rows], words)

    def between(self, since: float, until: float) -> slice:
        """Return where the events after a moment, and up to another one, stand."""
        return slice(*(int(np.searchsorted(self.ts, one, side="right")) for one in (since, until)))


@dataclass(frozen=True)
class Readings:
    """One series, in the order of time."""

    ts: Vector = field(repr=False)
    values: Vector = field(repr=False)


@dataclass(frozen=True)
class Series:
    """All series of a table by their id, and how many rows could not be read."""

    by_id: Mapping[str, Readings] = field(default_factory=dict, repr=False)
    left_out: int = 0


@dataclass(frozen=True)
class Books:
    """What was read of the tables, and what was computed of it.

    Parameters
    ----------
    events : Events or None
    series : mapping
        Readings by the id of their series.
    faults : mapping
        Why a table could not be read.
    left_out : mapping
        How many rows of a table could not be read, where there are any.
    """

    events: Events | None = None
    series: Mapping[str, Readings] = field(default_factory=dict, repr=False)
    faults: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
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
        By the name in client.toml; all but events and metrics are left alone.
    traits : tuple of Trait
    """

    def __init__(self, tables: Mapping[str, OwnTable], traits: tuple[Trait, ...]) -> None:
        self._own = {name: tables[name] for name in (TABLE, READINGS) if name in tables}
        self._traits = traits
        self._read: dict[str, tuple[tuple[int, ...], Events | Series | str]] = {}
        self._books = Books()
        self._lock = threading.Lock()

    def newest(self) -> Books:
        """Return the books; a table is read again if its file has changed."""
        with self._lock:
            # Stamps are taken before reading: a file that changes meanwhile is read once more.
            stamps = {name: own.stamp for name, own in self._own.items()}
            changed = [
                name
                for name, stamp in stamps.items()
                if name not in self._read or self._read[name][0] != stamp
            ]
            for name in changed:
                self._read[name] = stamps[name], self._or_fault(name)
            if changed:
                self._books = _bound({name: found for name, (_, found) in self._read.items()})
            return self._books

    def _or_fault(self, name: str) -> Events | Series | str:
        """Read a table, or tell why it cannot be read."""
        own = self._own[name]
        try:
            return Events.of(own, self._traits) if name == TABLE else _series_of(own)
        except (DataError, ConfigError) as error:
            return error.brief


def _bound(found: Mapping[str, Events | Series | str]) -> Books:
    """Return what was read as books."""
    events, series = found.get(TABLE), found.get(READINGS)
    return Books(
        events=events if isinstance(events, Events) else None,
        series=series.by_id if isinstance(series, Series) else {},
        faults={name: one for name, one in found.items() if isinstance(one, str)},
        left_out={
            name: one.left_out
            for name, one in found.items()
            if not isinstance(one, str) and one.left_out
        },
    )


def _series_of(own: OwnTable) -> Series:
    """Return the readings that have a time, by series."""
    read = own.read(TABLES[READINGS].fields, TABLES[READINGS].key)
    table = read.table
    ts, values = (table[name].astype(np.float64) for name in ("ts", "value"))
    names = table["series_id"].astype(np.str_)
    # As with values of a request: squares of larger ones lose all digits.
    values = np.where(np.abs(values) <= LARGEST, values, np.nan)
    told = np.isfinite(ts)
    order = np.lexsort((ts[told], names[told]))
    ids, starts = np.unique(names[told][order], return_index=True)
    parts = zip(
        np.split(ts[told][order], starts[1:]),
        np.split(values[told][order], starts[1:]),
        strict=True,
    )
    by_id = {str(one): Readings(*part) for one, part in zip(ids.tolist(), parts, strict=False)}
    return Series(by_id, read.left_out)
