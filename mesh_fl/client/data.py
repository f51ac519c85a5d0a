"""Data in: one table file becomes checked records, and every bad row is named."""

import codecs
import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

from pydantic import field_validator, model_validator

from mesh_fl.client.tables import Row, open_table
from mesh_fl.config import ConfigPath, Settings, did_you_mean
from mesh_fl.errors import DataError
from mesh_fl.schema import FALSE_WORDS, TRUE_WORDS, Field, Table, Value, column_of


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
    """

    column: str | None = None
    columns: tuple[str, ...] = ()
    values: Mapping[str, str | int | float | bool] = {}

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
    """

    path: ConfigPath
    id: str
    columns: Mapping[str, ColumnMap] = {}
    encoding: str = "utf-8"
    delimiter: str | None = None

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
    """What is wrong with one row, or with one value in it."""

    file: str
    line: int
    column: str
    value: str
    message: str

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.file} line {self.line}{column}: {self.message}"


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
    Neighbouring tables differ in all rows of one record id. At most one row of an id is kept, so
    the neighbour of the result differs in one record. A person or company under two ids is two
    records, and is protected as such.
    """
    fields = tuple(_FieldReader.of(field, source) for field in schema)
    wanted = (source.id, *(name for reader in fields for name in reader.sources))
    file = open_table(source.path, wanted, source.encoding, source.delimiter)
    _check_columns(file.columns(), source, fields)
    kept = _Kept(source, fields)
    places = {name: place for place, name in enumerate(file.wanted)}
    for row in file.rows():
        kept.take(row, places)
    return kept.records()
