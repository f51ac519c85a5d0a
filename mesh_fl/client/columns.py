"""The column map: how a cell of a member's own table becomes the value of a declared field."""

import codecs
import csv
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from mesh_fl.client.notation import EXCEL, PLAIN, Notation, moment_of
from mesh_fl.client.notation_advice import advice
from mesh_fl.client.tables import Row
from mesh_fl.config import ConfigPath, Settings
from mesh_fl.errors import DataError
from mesh_fl.schema import FALSE_WORDS, TRUE_WORDS, Value
from mesh_fl.schema import Field as Declared

MOST_KNOWN = 4096
"""Words of a column that are read once, however often they stand there."""

MOST_ADVISED = 1000
"""Refused cells of a column that are looked at for a setting that would read them."""

LONGEST_KNOWN = 64
"""Characters of such a word."""

ColumnName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _known_timezone(name: str) -> str:
    try:
        return ZoneInfo(name).key if name else name
    except (ValueError, OSError, KeyError):
        raise ValueError("expected a time zone by its IANA name, as Europe/Berlin") from None


def _tells_a_day(form: str) -> bool:
    day = datetime(2026, 3, 31, tzinfo=UTC)
    # Hours of half a day need to know of which; beside others strptime does not listen.
    if ("%I" in form) != ("%p" in form):
        return False
    found = moment_of(day.strftime(form), form)
    return found is not None and found.date() == day.date()


TimeZone = Annotated[str, AfterValidator(_known_timezone)]


class ColumnMap(Settings):
    """Where a field is found in a member's own table.

    Parameters
    ----------
    column : str, optional
        The member's column.
    columns : tuple of str
        Several columns instead: numbers, or yes and no as 1 and 0, whose mean is the value.
    values : mapping
        The member's own words to canonical values; other words are passed on as they are.
    format : str or tuple of str
        How times are written, as of `datetime.strptime`: "%d.%m.%Y %H:%M"; "excel" for the days
        that spreadsheets count. Of several the first that fits is taken.
    timezone : str, optional
        As the table's, where this column has another.
    unit : str
        What stands before or behind numbers: "EUR".
    factor : float
        That numbers are multiplied by: 0.0166667 makes hours of minutes.
    """

    column: ColumnName | None = None
    columns: tuple[ColumnName, ...] = ()
    values: Mapping[str, str | int | float | bool] = {}
    format: str | tuple[str, ...] = ()
    timezone: TimeZone | None = None
    unit: str = ""
    factor: float = Field(default=1.0, gt=0)

    @field_validator("format")
    @classmethod
    def _tells_a_day(cls, formats: str | tuple[str, ...]) -> tuple[str, ...]:
        formats = (formats,) if isinstance(formats, str) else formats
        if not all(form == EXCEL or _tells_a_day(form) for form in formats):
            raise ValueError(
                "expected year, month and day, such as %d.%m.%Y, and %I with %p or %H alone"
            )
        return formats

    @model_validator(mode="after")
    def _one_kind(self) -> "ColumnMap":
        if (self.column is None) == (not self.columns):
            raise ValueError("expected exactly one of column and columns")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The member's columns."""
        return (self.column,) if self.column is not None else self.columns


class TableSource(Settings):
    """A member's table and how to read it.

    Parameters
    ----------
    path : Path
        A CSV, Parquet or JSON Lines file (.csv, .parquet, .jsonl, .ndjson).
    id : str
        Column that identifies a record; its privacy budget is kept under this name for life.
    columns : mapping
        Canonical field names to columns; a field not listed has a column of its own name.
    encoding : str
        Of CSV and JSON Lines.
    delimiter : str, optional
        Of CSV; one of comma, semicolon, tab and bar is found when None.
    decimal : {".", ","}, optional
        What stands before the decimals of numbers whose thousands may be grouped: 1.234,56; plain
        numbers when None.
    missing : tuple of str
        Words that stand for nothing, in any case: "n/a", "-".
    timezone : str
        IANA name of where clocks stand that the times were read from; UTC when empty.
    """

    path: ConfigPath
    id: ColumnName
    columns: Mapping[str, ColumnMap] = {}
    encoding: str = "utf-8"
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    missing: tuple[str, ...] = ()
    timezone: TimeZone = ""

    def notation(self, origin: ColumnMap) -> Notation:
        """Return how the cells of a column are written."""
        zone = self.timezone if origin.timezone is None else origin.timezone
        return Notation(
            missing=tuple(word.strip().lower() for word in self.missing),
            decimal=self.decimal,
            unit=origin.unit.strip(),
            factor=origin.factor,
            formats=tuple(origin.format),
            timezone=ZoneInfo(zone) if zone else None,
        )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            codecs.getincrementaldecoder(name)
            "".encode(name)
        except (LookupError, ValueError):
            raise ValueError("expected a text encoding such as utf-8 or cp1252") from None
        return name

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
            raise ValueError("expected one character such as , or ;")
        return delimiter


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one row, or with one value in it.

    Parameters
    ----------
    file : str
        Name of the file.
    line : int
        Line that the row starts on, from 1; in Parquet, number of the row.
    column : str
        The member's column, or empty when the row as a whole is wrong.
    value : str
        What stands there, cut to 80 characters.
    message : str
        What was expected and what was found.
    """

    file: str
    line: int
    column: str
    value: str
    message: str

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.file} {place(self.file, self.line)}{column}: {self.message}"


@dataclass(frozen=True)
class FieldReader:
    """Reads one field from the cells of a row.

    Parameters
    ----------
    file : str
        Name of the file, for problems.
    field : Field
        What the value may be.
    sources : tuple of str
        The member's columns; the mean of their values when there are several.
    places : tuple of int
        Where their cells stand in a row.
    values : mapping
        The member's own words to canonical values.
    needed : bool
        Whether the file must have the columns.
    notation : Notation
        How the cells are written.

    Raises
    ------
    DataError
        If several columns would be averaged to anything but a number, or if a canonical value in
        `values` is none that the field may have.
    """

    file: str
    field: Declared
    sources: tuple[str, ...]
    places: tuple[int, ...]
    values: Mapping[str, str | int | float | bool]
    needed: bool
    notation: Notation = PLAIN
    _known: dict[str, Value] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    _refused: Iterator[int] = dataclasses.field(
        default_factory=itertools.count, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if len(self.sources) > 1 and self.field.kind != "number":
            raise DataError(
                f"{self.field.name} is a {self.field.kind} and has columns"
                f" {', '.join(self.sources)}: only a number can be the mean of several columns;"
                " give it one column, or declare it as a number"
            )
        for word, value in self.values.items():
            if value != "":
                self._check_canonical(word, value)

    def read(self, row: Row) -> Value | Problem:
        """Return the value, or what is wrong with it."""
        if len(self.places) == 1:
            return self._remembered(row)
        values: list[float] = []
        for number in range(len(self.places)):
            value = self._cell(row, number)
            if not isinstance(value, float):
                return value
            values.append(value)
        return _mean(values)

    def _remembered(self, row: Row) -> Value | Problem:
        """Read the one cell; words that come again and again are read once."""
        cell = row.cells[self.places[0]]
        if not isinstance(cell, str):
            return self._cell(row, 0)
        known = self._known.get(cell)
        if known is not None:
            return known
        value = self._cell(row, 0)
        is_worth_it = len(self._known) < MOST_KNOWN and len(cell) <= LONGEST_KNOWN
        if is_worth_it and not isinstance(value, Problem):
            self._known[cell] = value
        return value

    def _cell(self, row: Row, number: int) -> Value | Problem:
        cell = row.cells[self.places[number]]
        try:
            if isinstance(cell, str) and len(cell) > csv.field_size_limit():
                raise DataError(f"expected up to {csv.field_size_limit()} characters, found more")
            return self._parse(self._canonical(cell))
        except DataError as error:
            message = str(error).removeprefix(f"{self.field.name}: ")
            if next(self._refused) < MOST_ADVISED:
                message += advice(self.notation, self.field, cell)
            return Problem(self.file, row.line, self.sources[number], shown(cell), message)

    def _canonical(self, cell: object) -> object:
        known = self.values.get(word_of(cell)) if self.values else None
        return self.notation.plain(self.field, cell) if known is None else known

    def _parse(self, cell: object) -> Value:
        if len(self.sources) > 1:
            word = word_of(cell).lower()
            cell = 1 if word in TRUE_WORDS else 0 if word in FALSE_WORDS else cell
        return self.field.parse(cell)

    def _check_canonical(self, word: str, value: object) -> None:
        try:
            self._parse(value)
        except DataError as error:
            raise DataError(f"the value that {word!r} is mapped to: {error}") from None


def field_readers(source: TableSource, schema: Sequence[Declared]) -> tuple[FieldReader, ...]:
    """Make a reader for each field, for rows of the cells that `wanted_columns` names."""
    names = wanted_columns(source, schema)
    readers = []
    for field in schema:
        origin = _origin(source, field)
        places = tuple(names.index(column) for column in origin.sources)
        needed = field.name in source.columns or not field.optional
        readers.append(
            FieldReader(
                file=source.path.name,
                field=field,
                sources=origin.sources,
                places=places,
                values=origin.values,
                needed=needed,
                notation=source.notation(origin),
            )
        )
    return tuple(readers)


def wanted_columns(source: TableSource, schema: Sequence[Declared]) -> tuple[str, ...]:
    """Name the columns to read, each once, the record id first."""
    columns = (column for field in schema for column in _origin(source, field).sources)
    return tuple(dict.fromkeys([source.id, *columns]))


def place(file: str, line: int) -> str:
    """Say where a row stands: Parquet has rows and no lines."""
    return f"{'row' if file.lower().endswith('.parquet') else 'line'} {line}"


def word_of(cell: object) -> str:
    """Write a cell as the word that a column map knows it by; nothing is the empty word."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell).strip()


def shown(cell: object) -> str:
    """Write a cell so that any terminal can print it, cut to 80 characters."""
    return word_of(cell)[:80].encode(errors="backslashreplace").decode()


def _origin(source: TableSource, field: Declared) -> ColumnMap:
    return source.columns.get(field.name) or ColumnMap(column=field.name)


def _mean(values: Sequence[float]) -> float:
    """Average without leaving the range of the values by a rounding error."""
    mean = fmean(values)
    return mean if math.isnan(mean) else min(max(mean, min(values)), max(values))
