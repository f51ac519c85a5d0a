"""What is known of a ticket as it is opened, as cells that a model keeps a weight for.

Each declared input becomes one or more groups of cells: a level or a band of a number has a cell of
its own, a word that nobody declared falls into a public cell by its hash (Weinberger et al. 2009,
arXiv 0902.2206), since members name their categories as they like. Nothing is fitted on data.
"""

import hashlib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table

Vector = NDArray[np.float64]
Cells = NDArray[np.int64]

NOWHERE = -1
"""The cell of what is not known."""

BIAS_WEIGHT = 0.5
"""Of the cell that every ticket falls into."""

LONGEST_WORD = 200

MOST_WEIGHT = 1000.0
"""Of an input, beside others; a thousandth is the least."""
"""Characters of a word that count."""

DAY_S, HOUR_S, WEEK_D = 86_400, 3600, 7
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIRST_DAY = 3
"""1970 began on a Thursday."""


class Input(Field):
    """A declared input of the duration model.

    A text is a word among `words`, or hashed into one of `cells`; a number falls between `edges`; a
    time into its hour of the day and its day of the week, in UTC. What is missing falls nowhere and
    counts nothing.

    Parameters
    ----------
    words : tuple of str
        Of a text: those that have a cell of their own; upper and lower case are alike.
    cells : int
        Of a text: how many cells other words share.
    edges : tuple of float
        Of a number: rising; a value on an edge belongs above it.
    weight : float
        How strongly the input's cells count in a row, beside the others.
    factors : tuple of float
        By how much each cell multiplies the hours, as public knowledge has it; all 1 when empty.
    """

    optional: bool = True
    words: tuple[str, ...] = ()
    cells: int = 64
    edges: tuple[float, ...] = ()
    weight: float = 1.0
    factors: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _encodable(self) -> "Input":
        if self.kind == "document":
            raise ValueError(f"{self.name!r}: expected text, category, number, flag or time")
        if self.kind == "number" and not self.edges:
            raise ValueError(f"number {self.name!r} needs edges, such as [1, 2, 4]")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"{self.name!r}: edges must rise, found {self.edges}")
        if len(set(map(plain, self.words))) < len(self.words):
            raise ValueError(f"{self.name!r}: a word stands twice in {self.words}")
        if not 0 <= self.cells <= 4096 or (
            self.kind == "text" and self.cells + len(self.words) < 1
        ):
            raise ValueError(f"{self.name!r}: expected 1 to 4096 cells, found {self.cells}")
        if not 1 / MOST_WEIGHT <= self.weight <= MOST_WEIGHT:
            raise ValueError(
                f"{self.name!r}: weight must be {1 / MOST_WEIGHT:g} to {MOST_WEIGHT:g}, found "
                f"{self.weight}"
            )
        if self.factors and len(self.factors) != sum(self.widths):
            found = f"expected {sum(self.widths)} factors, one a cell, found {len(self.factors)}"
            raise ValueError(f"{self.name!r}: {found}")
        if any(not 0 < factor < math.inf for factor in self.factors):
            raise ValueError(f"{self.name!r}: factors must be above 0, found {self.factors}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of cells of each of its groups."""
        match self.kind:
            case "text":
                return (len(self.words) + self.cells,)
            case "category":
                return (len(self.levels),)
            case "number":
                return (len(self.edges) + 1,)
            case "flag":
                return (2,)
        return (24, WEEK_D)

    def place(self, column: NDArray[np.generic]) -> Cells:
        """Return the cell of each value in each group, `NOWHERE` if it is not known.

        Returns
        -------
        ndarray, shape (n, groups)

        Raises
        ------
        DataError
            If a category is none of the levels, or a number is text.
        """
        if self.kind in ("text", "category"):
            return self._words(column)[:, None]
        try:
            numbers = column.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{self.name}: expected {self.expects()}, found text") from None
        known = np.isfinite(numbers)
        whole = np.where(known, numbers, 0.0)
        found = np.stack(self._bands(whole), axis=1)
        return np.where(known[:, None], found, NOWHERE).astype(np.int64)

    def _bands(self, numbers: Vector) -> Sequence[NDArray[np.generic]]:
        if self.kind == "number":
            return [np.searchsorted(np.array(self.edges), numbers, side="right")]
        return [numbers > 0.5] if self.kind == "flag" else _clock(numbers)

    def describe(self, group: int, cell: int, value: object) -> str:
        """Say what a ticket's cell means, in words."""
        if self.kind == "time":
            return f"opened at {cell} h UTC" if group == 0 else f"opened on a {DAYS[cell]}"
        if self.kind == "number":
            return f"{self.name} {_told(value)}"
        return f"{self.name} {str(value)[:80]}" if str(value).strip() else self.name

    def _words(self, column: NDArray[np.generic]) -> Cells:
        values = [str(one) for one in column.tolist()]
        cells = {one: self._cell(one) for one in set(values)}
        return np.array([cells[one] for one in values], dtype=np.int64)

    def _cell(self, value: str) -> int:
        word = plain(value)
        if not word:
            return NOWHERE
        known = self._known
        if word in known:
            return known[word]
        if self.kind == "category":
            raise DataError(f"{self.name}: expected {self.expects()}, found {value[:80]!r}")
        if not self.cells:
            return NOWHERE
        digest = hashlib.blake2b(word.encode(), digest_size=8, person=b"ticket word").digest()
        return len(self.words) + int.from_bytes(digest) % self.cells

    @property
    def _known(self) -> dict[str, int]:
        words = self.levels if self.kind == "category" else self.words
        return {plain(word): place for place, word in enumerate(words)}


@dataclass(frozen=True)
class Inputs:
    """All inputs of a model, in the order of their cells; the bias is the last.

    Parameters
    ----------
    declared : tuple of Input
    usual_hours : float
        What a ticket takes of which nothing is known, as public knowledge has it.
    """

    declared: tuple[Input, ...]
    usual_hours: float = 1.0

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Cells of each group."""
        return tuple(width for one in self.declared for width in one.widths)

    @property
    def size(self) -> int:
        """Cells in all, the bias included."""
        return sum(self.widths) + 1

    @cached_property
    def strengths(self) -> Vector:
        """What a ticket has in its cell of each group, and in the bias: of length 1 together."""
        weights = [one.weight for one in self.declared for _ in one.widths]
        strengths = np.array([*weights, BIAS_WEIGHT])
        scaled: Vector = strengths / np.linalg.norm(strengths)
        return scaled

    @cached_property
    def prior(self) -> Vector:
        """Return the weights of public knowledge, shape (size,)."""
        each = np.repeat(self.strengths[:-1], self.widths)
        factors = [one.factors or (1.0,) * sum(one.widths) for one in self.declared]
        logs = np.log(np.array([factor for of_one in factors for factor in of_one]))
        return np.append(logs / each, math.log(self.usual_hours) / self.strengths[-1])

    def place(self, table: Table) -> Cells:
        """Return the cells of each record among all, shape (n, groups + 1).

        Columns that a table lacks are not known.

        Raises
        ------
        DataError
            If a value cannot be read, or columns differ in length.
        """
        lengths = {len(column) for column in table.values()}
        if len(lengths) > 1:
            raise DataError(f"expected columns of one length, found lengths {sorted(lengths)}")
        n = lengths.pop() if lengths else 0
        groups = [self._groups(one, table, n) for one in self.declared]
        own = np.concatenate([*groups, np.zeros((n, 1), dtype=np.int64)], axis=1)
        starts = np.concatenate([[0], np.cumsum(self.widths)])
        return np.where(own == NOWHERE, NOWHERE, own + starts)

    def rows(self, cells: Cells) -> NDArray[np.float64]:
        """Return records as the model sees them, shape (n, size); none is longer than 1."""
        rows = np.zeros((len(cells), self.size))
        record, group = np.nonzero(cells != NOWHERE)
        rows[record, cells[record, group]] = self.strengths[group]
        return rows

    def factors(self, cells: Cells, weights: Vector) -> NDArray[np.float64]:
        """Return what each group of each record adds to the logarithm of hours; 0 if not known.

        Returns
        -------
        ndarray, shape (n, groups + 1)
        """
        return np.where(cells != NOWHERE, weights[cells] * self.strengths, 0.0)

    def told(self, table: Table, record: int, group: int, cell: int) -> str:
        """Say what it means that a record falls into a cell of a group, in words."""
        one, part, start = self._owners[group]
        own = cell - start
        return one.describe(part, own, table[one.name][record])

    @cached_property
    def _owners(self) -> tuple[tuple[Input, int, int], ...]:
        """The input of each group, which of its groups it is, and its first cell."""
        owners = [(one, part) for one in self.declared for part in range(len(one.widths))]
        starts = np.cumsum([0, *self.widths]).tolist()
        return tuple((*owner, start) for owner, start in zip(owners, starts, strict=False))

    @staticmethod
    def _groups(one: Input, table: Table, n: int) -> Cells:
        if one.name not in table:
            return np.full((n, len(one.widths)), NOWHERE, dtype=np.int64)
        return one.place(table[one.name])


def plain(word: str) -> str:
    """Write a word in one way: members differ in case, spaces and Unicode forms."""
    return " ".join(unicodedata.normalize("NFKC", word[:LONGEST_WORD]).casefold().split())


def _clock(seconds: Vector) -> Sequence[NDArray[np.generic]]:
    days = np.floor(seconds / DAY_S)
    return np.floor((seconds - days * DAY_S) / HOUR_S).clip(0, 23), (days + FIRST_DAY) % WEEK_D


def _told(value: object) -> str:
    return f"{float(str(value)):g}"
