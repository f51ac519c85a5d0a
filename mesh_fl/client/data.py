"""Data in: one table file becomes checked records, and every bad row is named."""

import sys
import unicodedata
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from mesh_fl.client.columns import (
    ColumnMap,
    FieldReader,
    Problem,
    TableSource,
    field_readers,
    place,
    shown,
    wanted_columns,
    word_of,
)
from mesh_fl.client.tables import Row, open_table
from mesh_fl.config import nearest
from mesh_fl.errors import DataError
from mesh_fl.schema import NUMERIC, Field, Table, Value, column_of

__all__ = ["ColumnMap", "Problem", "Records", "TableSource", "read_records", "record_id"]

TWICE = "expected each record id once, found it again"

MOST_COLUMNS = 5
"""Whose first problem is told where no row is good."""

MOST_NAMES = 50
"""Columns that an error tells at most."""


@dataclass(frozen=True)
class Records:
    """The good rows of a table.

    Parameters
    ----------
    ids : tuple of str
        Record ids, no two alike, in the order of the file.
    table : Table
        A column for each field.
    problems : tuple of Problem
        Why rows were left out.
    rows_read : int
        Good and bad rows together.
    sources : mapping
        The member's columns that each field was read from.
    """

    ids: tuple[str, ...] = field(repr=False)
    table: Table = field(repr=False)
    problems: tuple[Problem, ...] = field(repr=False)
    rows_read: int
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_records(source: TableSource, schema: tuple[Field, ...]) -> Records:
    """Read the good rows of a table and name the bad ones.

    Parameters
    ----------
    source : TableSource
        The file and its column map; fields in it that `schema` lacks are left alone.
    schema : tuple of Field
        What to read.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or has no good row.

    Guarantee
    ---------
    Neighbouring tables differ in all rows of one record id. At most one row of an id is kept and
    no row changes how another is read, so their records differ in one. Two things break this: a
    person or company under two ids, which is two records, and an unclosed quote in a CSV file,
    which can swallow the rows that follow it.
    """
    readers = field_readers(source, schema)
    file = open_table(
        source.path, wanted_columns(source, schema), source.encoding, source.delimiter
    )
    _check_columns(source, readers, file.columns())
    kept = _Kept(source, readers)
    for row in file.rows():
        kept.take(row)
    return kept.records()


class _Kept:
    """The rows kept so far, column by column, and what was wrong with the others."""

    def __init__(self, source: TableSource, readers: Sequence[FieldReader]) -> None:
        self._source = source
        self._readers = readers
        self._lines: dict[str, int] = {}
        # Eight bytes for a number, and one pointer for a level however often it occurs.
        self._columns: dict[str, array[float] | list[str]] = {
            reader.field.name: array("d") if reader.field.kind in NUMERIC else []
            for reader in readers
        }
        self._problems: list[Problem] = []
        self._rows_read = 0

    def take(self, row: Row) -> None:
        """Keep a good row, or note what is wrong with it."""
        self._rows_read += 1
        if row.damage:
            self._problems.append(Problem(self._source.path.name, row.line, "", "", row.damage))
            return
        found = self._record_id(row)
        values = {reader.field.name: reader.read(row) for reader in self._readers}
        problems = [one for one in (found, *values.values()) if isinstance(one, Problem)]
        self._problems.extend(problems)
        if not problems:
            self._lines[str(found)] = row.line
            self._keep(values)

    def records(self) -> Records:
        """Return what was kept.

        Raises
        ------
        DataError
            If nothing was, with the first problem of each column.
        """
        path = self._source.path
        if self._rows_read == 0:
            raise DataError(f"{path}: expected rows below the column names, found none")
        if not self._lines:
            by_column: dict[str, Problem] = {}
            for problem in self._problems:
                by_column.setdefault(problem.column, problem)
            first = "\n".join(f"  {problem}" for problem in [*by_column.values()][:MOST_COLUMNS])
            raise DataError(f"{path}: none of {self._rows_read} rows can be used:\n{first}")
        fields = [reader.field for reader in self._readers]
        return Records(
            ids=tuple(self._lines),
            table={field.name: column_of(field, self._columns[field.name]) for field in fields},
            problems=tuple(self._problems),
            rows_read=self._rows_read,
            sources={reader.field.name: reader.sources for reader in self._readers},
        )

    def _keep(self, values: Mapping[str, Value | Problem]) -> None:
        for name, column in self._columns.items():
            value = values[name]
            if isinstance(column, list):
                column.append(sys.intern(str(value)))
            elif isinstance(value, float):
                column.append(value)

    def _record_id(self, row: Row) -> str | Problem:
        cell, file = row.cells[0], self._source.path.name
        try:
            found = record_id(cell)
            if found in self._lines:
                kept = place(file, self._lines[found])
                raise DataError(f"{TWICE}; {kept} is kept")
        except DataError as error:
            return Problem(file, row.line, self._source.id, shown(cell), str(error))
        return found


def record_id(cell: object) -> str:
    """Return a record id as text: 0012 stays 0012, whole numbers in decimal, one Unicode form."""
    if isinstance(cell, Decimal) and cell == cell.to_integral_value():
        cell = int(cell)
    text = word_of(cell)
    if text == "":
        raise DataError("expected a record id, found nothing")
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        raise DataError(f"expected text or a whole number, found a {type(cell).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError("expected a record id in Unicode, found half a surrogate pair")
    return unicodedata.normalize("NFKC", text)


def _check_columns(
    source: TableSource, readers: Sequence[FieldReader], columns: Sequence[str]
) -> None:
    """Refuse a file whose columns are not those that the column map speaks of."""
    faults = [
        f"{count} columns are named {name!r}; give each a name of its own"
        for name, count in Counter(columns).items()
        if name and count > 1
    ]
    faults += _misnamed_fields(source, readers)
    # Of JSON Lines without a single sound object nothing is known; its rows tell more.
    if columns:
        faults += _absent_columns(source, readers, columns)
    if faults:
        raise DataError("\n".join(f"{source.path.name}: {fault}" for fault in faults))


def _misnamed_fields(source: TableSource, readers: Sequence[FieldReader]) -> list[str]:
    """Find fields of the column map that can only be slips: near a field that it does not list."""
    names = [reader.field.name for reader in readers]
    unlisted = [name for name in names if name not in source.columns]
    strangers = (name for name in source.columns if name not in names)
    guesses = {name: nearest(name, unlisted, cutoff=0.8) for name in strangers}
    return [
        f"no field {name!r} in this schema; did you mean {guess!r}?"
        for name, guess in guesses.items()
        if guess
    ]


def _absent_columns(
    source: TableSource, readers: Sequence[FieldReader], columns: Sequence[str]
) -> list[str]:
    needs = [("the record id", source.id)]
    needs += [
        (f"field {reader.field.name}", column)
        for reader in readers
        if reader.needed
        for column in reader.sources
    ]
    faults = []
    for purpose, column in needs:
        if column not in columns:
            guess = nearest(column, columns)
            hint = f"; did you mean {guess!r}?" if guess else ""
            faults.append(f"no column {column!r} for {purpose}{hint}")
    if not faults:
        return []
    names = ", ".join(repr(column) for column in columns[:MOST_NAMES])
    more = ", ..." if len(columns) > MOST_NAMES else ""
    if len(columns) < len({column for _, column in needs}):
        more += "; lines above the column names have to be removed, if there are any"
    return [*faults, f"its columns are {names}{more}"]
