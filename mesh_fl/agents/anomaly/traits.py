"""What is looked at in a record: declared traits, each with public cells that a value falls into.

Cells come from public knowledge only, such as that bytes spread over powers of ten. A value that is
exactly at a bound stands apart from those near it: a rate of 0 or 1, a count of none.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mesh_fl import schema
from mesh_fl.agents.anomaly.templates import masked

Vector = NDArray[np.float64]
Places = NDArray[np.int64]
Column = NDArray[np.generic]

MOST_CELLS = 4096
LONGEST_WORD = 4000
"""Characters of a word or a line that are looked at."""

HOUR_S = 3600
CYCLE_HOURS = {"day": 24, "week": 168}
EPOCH_IS_THURSDAY_H = 72
"""Hours from a Monday to the start of the epoch."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class Trait(BaseModel):
    """One thing to look at.

    Parameters
    ----------
    name : str
        As answers call it.
    field : str
        The column that holds it; `name` when left out.
    kind : {"number", "level", "words", "template", "moment"}
        A level is one of `levels`, or another; words fall into a cell by a public hash, a template
        does after numbers, addresses and the like were masked in it; a moment falls into a part of
        the day or the week (UTC).
    low, high : float
        Bounds of a number. What lies beyond falls into the cell of the bound.
    scale : {"linear", "log"}
        Between which numbers the cells are equally wide; "log" is log(1 + value - low).
    bins : int
        Cells between the bounds of a number, of a hash, or of a cycle.
    levels : tuple of str
    scored : bool
        Whether the levels are numbers: requests that tell a word, or one beyond, are refused.
    cycle : {"day", "week"}
    description : str
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    field: str = ""
    kind: Literal["number", "level", "words", "template", "moment"]
    low: float = 0.0
    high: float = 1.0
    scale: Literal["linear", "log"] = "linear"
    bins: int = Field(default=8, ge=1, le=MOST_CELLS)
    levels: tuple[str, ...] = ()
    scored: bool = False
    cycle: Literal["day", "week"] = "day"
    description: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "Trait":
        if self.kind == "number" and not 0 < self.high - self.low < math.inf:
            raise ValueError(f"{self.name}: low {self.low} must be below high {self.high}")
        if self.kind == "level" and (not self.levels or len(set(self.levels)) < len(self.levels)):
            raise ValueError(f"{self.name}: expected different levels, found {self.levels}")
        if self.scored and (self.kind != "level" or not all(map(_is_number, self.levels))):
            raise ValueError(f"{self.name}: only levels that are numbers can be scored")
        if self.kind == "moment" and CYCLE_HOURS[self.cycle] % self.bins:
            raise ValueError(f"{self.name}: expected bins that divide a {self.cycle}'s hours")
        return self

    @property
    def column(self) -> str:
        """The field of a table that holds it."""
        return self.field or self.name

    @property
    def told_as(self) -> schema.Field:
        """The column as a declared field; any record may lack it."""
        kinds: dict[str, Literal["number", "text", "time"]]
        kinds = {"number": "number", "moment": "time"}
        about = self.description or f"What {self.name} is read from."
        return schema.Field(
            name=self.column, kind=kinds.get(self.kind, "text"), optional=True, description=about
        )

    @property
    def asked_as(self) -> schema.Field:
        """The same in a request, which can be told that a score is none."""
        field = self.told_as
        if not self.scored:
            return field
        scores = [float(one) for one in self.levels]
        bounds = {"kind": "number", "low": min(scores), "high": max(scores)}
        return field.model_copy(update=bounds)

    @cached_property
    def cells(self) -> int:
        """How many there are: the two bounds of a number and any other level have their own."""
        extra = {"number": 2, "level": 1}.get(self.kind, 0)
        return (len(self.levels) if self.kind == "level" else self.bins) + extra

    def places(self, column: Column) -> Places:
        """Return the cell of each value, -1 where none is told.

        Parameters
        ----------
        column : ndarray, shape (n,)
            As `schema.Field.parse` gives them.
        """
        match self.kind:
            case "number":
                return self._of_numbers(column.astype(np.float64))
            case "moment":
                return self._of_moments(column.astype(np.float64))
            case "level":
                known = {level.lower(): number for number, level in enumerate(self.levels)}
                return _of_texts(column, lambda text: _known_as(text, known))
            case "template" | "words":
                return _of_texts(self.tokens(column), lambda text: _hashed(text, self.bins))

    @property
    def is_hashed(self) -> bool:
        """Whether several words may share a cell."""
        return self.kind in {"words", "template"}

    def tokens(self, column: Column) -> Column:
        """Return words as they are counted: in lower case, or as templates; empty for nothing.

        Parameters
        ----------
        column : ndarray, shape (n,)

        Returns
        -------
        ndarray of str objects, shape (n,)
        """
        read = masked if self.kind == "template" else _plain
        seen: dict[str, str] = {"": ""}
        found = []
        for value in column.tolist():
            text = _written(value)
            if text not in seen:
                seen[text] = read(text[:LONGEST_WORD])
            found.append(seen[text])
        return np.array(found, dtype=np.object_)

    def positions(self, column: Column) -> Vector:
        """Return where each number or moment stands between its bounds, 0 to 1; NaN for words."""
        if self.kind == "number":
            values = np.clip(column.astype(np.float64), self.low, self.high) - self.low
            if self.scale == "log":
                return np.log1p(values) / math.log1p(self.high - self.low)
            return values / (self.high - self.low)
        if self.kind == "moment":
            seconds = column.astype(np.float64)
            hours = np.where(np.isfinite(seconds), seconds, np.nan) / HOUR_S + EPOCH_IS_THURSDAY_H
            return np.mod(hours, CYCLE_HOURS[self.cycle]) / CYCLE_HOURS[self.cycle]
        return np.full(len(column), np.nan)

    def called(self, cell: int) -> str:
        """Say what a cell holds; hashed words cannot be told from their cell."""
        match self.kind:
            case "number":
                return self._interval(cell)
            case "level":
                return self.levels[cell] if cell < len(self.levels) else "none of the levels"
            case "moment":
                return self._part(cell)
        return ""

    def _of_numbers(self, values: Vector) -> Places:
        with np.errstate(invalid="ignore", over="ignore"):
            inside = np.clip(values, self.low, self.high)
            inner = np.searchsorted(self._edges[1:-1], inside, side="right") + 1
            placed = np.where(values <= self.low, 0, inner)
            placed = np.where(values >= self.high, self.bins + 1, placed)
        return np.where(np.isnan(values), -1, placed).astype(np.int64)

    @cached_property
    def _edges(self) -> Vector:
        if self.scale == "linear":
            return np.linspace(self.low, self.high, self.bins + 1)
        steps = np.linspace(0, math.log1p(self.high - self.low), self.bins + 1)
        edges: Vector = self.low + np.expm1(steps)
        return edges

    def _interval(self, cell: int) -> str:
        if cell == 0:
            return f"{self.low:g} or less"
        if cell > self.bins:
            return f"{self.high:g} or more"
        return f"{self._edges[cell - 1]:.4g} to {self._edges[cell]:.4g}"

    def _of_moments(self, seconds: Vector) -> Places:
        known = np.isfinite(seconds)
        hours = np.floor(np.where(known, seconds, 0.0) / HOUR_S) + EPOCH_IS_THURSDAY_H
        of_cycle = np.mod(hours, CYCLE_HOURS[self.cycle])
        return np.where(known, of_cycle // self._hours, -1).astype(np.int64)

    @property
    def _hours(self) -> int:
        return CYCLE_HOURS[self.cycle] // self.bins

    def _part(self, cell: int) -> str:
        day, hour = divmod(cell * self._hours, 24)
        until = hour + self._hours
        span = f"{hour:02d}:00 to {until:02d}:00 UTC" if until <= 24 else f"from {hour:02d}:00 UTC"
        return span if self.cycle == "day" else f"{DAYS[day]} {span}"


EVENT_TRAITS = (
    Trait(
        name="source", kind="words", bins=32, description="Which system told it, such as firewall."
    ),
    Trait(name="kind", kind="words", bins=32, description="What happened, such as login_failed."),
    Trait(
        name="severity",
        kind="level",
        levels=("0", "1", "2", "3", "4"),
        scored=True,
        description="0 (information) to 4 (critical).",
    ),
    Trait(
        name="message",
        kind="template",
        bins=64,
        description="In words; numbers, addresses and names of files do not count.",
    ),
    Trait(
        name="hour_of_week",
        field="ts",
        kind="moment",
        cycle="week",
        bins=28,
        description="When it happened.",
    ),
)
"""Of a row of the table `events`."""


def _of_texts(column: Column, place: Callable[[str], int]) -> Places:
    """Return the cell of each text, each different one placed once; -1 for an empty one."""
    seen: dict[str, int] = {"": -1}
    found = []
    for value in column.tolist():
        text = _written(value)
        if text not in seen:
            seen[text] = place(text[:LONGEST_WORD])
        found.append(seen[text])
    return np.array(found, dtype=np.int64)


def _written(value: object) -> str:
    """Return a text as it stands; 3.0 and "3" are one and the same."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.15g}"
    return str(value).strip()


def _known_as(text: str, known: Mapping[str, int]) -> int:
    """Return the place of a level, also of 3 that is written as 3.0; the last one for any other."""
    plain = _plain(text)
    if plain not in known:
        try:
            plain = f"{float(plain):.15g}"
        except ValueError:
            return len(known)
    return known.get(plain, len(known))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


@lru_cache(maxsize=65536)
def _hashed(text: str, cells: int) -> int:
    """Return a cell by SHA-256 (FIPS 180-4), the same at every member."""
    digest = sha256(text.encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big") % cells
