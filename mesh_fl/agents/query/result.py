"""What a question leads to: a result that was found in the tables, or a refusal."""

from dataclasses import dataclass
from typing import Literal

Cell = str | float | int | bool | None
"""One value of a result; a moment is written as ISO 8601 in UTC."""


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Parameters
    ----------
    name : str
        As in the SQL.
    title : str
        For people.
    unit : str, optional
        Such as hours or EUR.
    """

    name: str
    title: str
    unit: str | None = None


@dataclass(frozen=True)
class Source:
    """A table that was read.

    Parameters
    ----------
    table : str
        Its name in client.toml.
    rows : int
        Rows that were read.
    left_out : int
        Rows of the file that could not be.
    """

    table: str
    rows: int
    left_out: int


@dataclass(frozen=True)
class Chart:
    """How a result can be drawn.

    Parameters
    ----------
    kind : {"bar", "line", "number"}
        A line where x is time.
    x : str, optional
        Name of the column along the axis; none for a number.
    y : tuple of str
        Names of the columns that are drawn.
    """

    kind: Literal["bar", "line", "number"]
    x: str | None
    y: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """An answer and how it was come by.

    Parameters
    ----------
    sentence : str
        The answer in words; every number is from the rows.
    interpretation : str
        How the question was understood.
    sql : str
        Runs as it stands on the same tables.
    columns, rows : tuple
        The result.
    truncated : bool
        Whether there are more rows than these.
    chart : Chart, optional
        None where there is nothing to draw.
    sources : tuple of Source
        The tables that were read.
    confidence : float
        Share of the question's meaningful words that were understood exactly as written; a
        corrected misspelling or a reading by default counts half.
    """

    sentence: str
    interpretation: str
    sql: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    truncated: bool
    chart: Chart | None
    sources: tuple[Source, ...]
    confidence: float


@dataclass(frozen=True)
class Refused:
    """Why there is no answer.

    Parameters
    ----------
    reason : str
        What is missing or doubtful.
    words : tuple of str
        Words of the question that nothing here accounts for.
    suggestions : tuple of str
        What can be asked instead.
    """

    reason: str
    words: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
