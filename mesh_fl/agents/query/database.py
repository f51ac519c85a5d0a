"""The product tables in an in-memory database that can do nothing but answer."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.query.currency_code import currency_code
from mesh_fl.agents.query.result import Cell, Source
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Field
from mesh_fl.site import OwnTable

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LONGEST_S = 5.0
"""A statement that runs longer is ended."""

MOST_ROWS = 1000
"""Rows of a result."""

_LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "threads": "1",
    "memory_limit": "1GB",
    "temp_directory": "",
    "max_temp_directory_size": "0B",
}

_EXACT = 2.0**53
"""Whole numbers up to here are exact as floats."""


@dataclass(frozen=True)
class Loaded:
    """One table as it was read.

    Parameters
    ----------
    stamp : tuple of int
        Of the file that it was read from.
    source : Source
        How much was read.
    filled : frozenset of str
        Columns with at least one value.
    fault : str
        Why it could not be read; empty if it was.
    """

    stamp: tuple[int, ...]
    source: Source
    filled: frozenset[str] = field(repr=False)
    fault: str = ""


@dataclass(frozen=True)
class Result:
    """What a statement gave."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    truncated: bool


class Database:
    """The product tables of a member; read again when a file has changed.

    Parameters
    ----------
    tables : mapping
        By the name in client.toml; those that are no product table are left alone.

    Raises
    ------
    ConfigError
        If DuckDB is not installed.
    """

    def __init__(self, tables: Mapping[str, OwnTable]) -> None:
        self._own = {name: tables[name] for name in TABLES if name in tables}
        self._loaded: dict[str, Loaded] = {}
        self._lock = threading.Lock()
        self._connection = _locked_connection()

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        """Every table by name, also those that could not be read."""
        return self._loaded

    def refresh(self) -> bool:
        """Read again what has changed; say whether anything had."""
        with self._lock:
            stale = [
                name
                for name, own in self._own.items()
                if name not in self._loaded or self._loaded[name].stamp != own.stamp
            ]
            # A new mapping, so that a question under way keeps the one it began with.
            self._loaded = self._loaded | {name: self._load(name) for name in stale}
        return bool(stale)

    def _load(self, name: str) -> Loaded:
        own, declared = self._own[name], TABLES[name]
        stamp = own.stamp
        try:
            read = own.read(declared.fields, declared.key)
        except (DataError, ConfigError) as error:
            self._connection.execute(f'DROP TABLE IF EXISTS "{name}"')
            return Loaded(stamp, Source(name, 0, 0), frozenset(), str(error))
        columns = {f.name: _arrow(f, _spelt(f, read.table[f.name])) for f in declared.fields}
        self._store(name, columns)
        filled = frozenset(
            key for key, values in columns.items() if values.null_count < len(values)
        )
        rows = len(read.table[declared.key])
        return Loaded(stamp, Source(name, rows, read.left_out), filled)

    def _store(self, name: str, columns: Mapping[str, "pa.Array"]) -> None:
        import pyarrow as pa

        self._connection.register("incoming", pa.table(dict(columns)))
        # The name is a key of TABLES, never text of a question.
        self._connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608
        self._connection.unregister("incoming")

    def run(self, sql: str, most_rows: int = MOST_ROWS) -> Result:
        """Run a single SELECT.

        Raises
        ------
        DataError
            If it is anything else, fails, or runs for longer than `LONGEST_S`.
        """
        import duckdb

        cursor = self._connection.cursor()
        _check(cursor, sql)
        try:
            with _ended_after(cursor, LONGEST_S):
                cursor.execute(sql)
                rows = cursor.fetchmany(most_rows + 1)
        except duckdb.InterruptException:
            raise DataError(
                f"expected an answer within {LONGEST_S:g} s, it took longer; ask for a shorter time"
            ) from None
        except duckdb.Error as error:
            raise DataError(f"the tables cannot answer this: {error}") from None
        names = tuple(str(column[0]) for column in cursor.description or ())
        shown = tuple(tuple(_cell(value) for value in row) for row in rows[:most_rows])
        return Result(names, shown, len(rows) > most_rows)


def _locked_connection() -> "duckdb.DuckDBPyConnection":
    try:
        import duckdb
    except ImportError:
        raise ConfigError(
            "expected the package duckdb, found none; install it: pip install 'mesh_fl[query]'"
        ) from None
    connection = duckdb.connect(":memory:", config=dict(_LOCKED))
    connection.execute("SET lock_configuration = true")
    return connection


def _check(cursor: "duckdb.DuckDBPyConnection", sql: str) -> None:
    import duckdb

    try:
        statements = cursor.extract_statements(sql)
    except duckdb.Error as error:
        raise DataError(f"expected one SELECT, found what is no SQL: {error}") from None
    if [s.type for s in statements] != [duckdb.StatementType.SELECT]:
        raise DataError(f"expected one SELECT, found {len(statements)} statements or another")


@contextmanager
def _ended_after(cursor: "duckdb.DuckDBPyConnection", limit_s: float) -> Iterator[None]:
    timer = threading.Timer(limit_s, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # Else a timer that has just run out would interrupt whatever comes next.
        timer.join()


def _spelt(declared: Field, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Write each currency in one way; everything else stays as it stands."""
    if declared.name != "currency":
        return values
    return np.array([currency_code(str(value)) for value in values.tolist()], dtype=np.object_)


def _arrow(declared: Field, values: NDArray[np.generic]) -> "pa.Array":
    """Turn a column into one with nulls: times as UTC moments, flags as booleans."""
    import pyarrow as pa

    if declared.kind not in {"number", "flag", "time"}:
        return pa.array([str(v) if v else None for v in values.tolist()], type=pa.string())
    numbers = np.asarray(values, dtype=np.float64)
    missing = ~np.isfinite(numbers)
    safe = np.where(missing, 0.0, numbers)
    if declared.kind == "time":
        return pa.array(np.rint(safe * 1e6).astype("datetime64[us]"), mask=missing)
    if declared.kind == "flag":
        return pa.array(safe != 0, mask=missing)
    whole = bool(np.all((safe == np.rint(safe)) & (np.abs(safe) < _EXACT)))
    return pa.array(safe.astype(np.int64) if whole else safe, mask=missing)


def _cell(value: object) -> Cell:
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value)


def text_values(database: Database, table: str, column: str, most: int) -> Sequence[str]:
    """Return the different values of a column; both names are declared ones."""
    sql = f'SELECT DISTINCT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL'  # noqa: S608
    return [str(row[0]) for row in database.run(sql, most).rows]
