"""Declared columns: what a value may be, told before any data is seen.

A `Field` is public configuration. Its bounds and levels are declared by people, never fitted on
private data, so reading a table costs no privacy budget.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from mesh_fl.errors import DataError

Table = Mapping[str, NDArray[np.generic]]
"""Columns by field name, one entry per record."""

Value = float | str

NUMERIC = frozenset({"number", "flag", "time"})
"""Kinds whose values are floats."""

EPOCH = re.compile(r"\d{9,14}(\.\d+)?")
SMALLEST_EPOCH_MS = 1e11
"""In seconds this would be the year 5138, in milliseconds it is 1973."""

TRUE_WORDS = frozenset({"1", "true", "yes", "y", "t", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "n", "f", "off"})


class Field(BaseModel):
    """One declared column.

    Parameters
    ----------
    name : str
        Canonical name, the same at every member.
    kind : {"number", "flag", "category", "text", "document", "time"}
        What a value is. A flag is read as 0 or 1, a category as one of `levels`. A document is a
        JSON object or array, or one written as text; its value is the text. A time is a date or a
        moment (ISO 8601, RFC 3339; UTC where it names no offset) or an epoch in seconds or
        milliseconds; its value is the epoch in seconds.
    low, high : float, optional
        Bounds of a number; a value outside is an error.
    levels : tuple of str
        The allowed values of a category, in order.
    optional : bool
        Whether a record may lack the value; it is then NaN (or the empty text).
    description : str
        One line for people, shown by the API.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    kind: Literal["number", "flag", "category", "text", "document", "time"]
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    optional: bool = False
    description: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "Field":
        if self.kind == "category" and len(set(self.levels)) < 2:
            raise ValueError(f"category {self.name!r} needs at least two different levels")
        if any(level != level.strip() or not level for level in self.levels):
            raise ValueError(f"category {self.name!r}: a level is empty or has space around it")
        if len(set(self.levels)) < len(self.levels):
            raise ValueError(f"category {self.name!r}: a level stands twice in {self.levels}")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"{self.name!r}: low {self.low} must be below high {self.high}")
        return self

    def parse(self, value: object) -> Value:
        """Read one value.

        Parameters
        ----------
        value : object
            As it stands in a file or a request: text, number, boolean or None.

        Returns
        -------
        float or str
            A number (a flag is 0.0 or 1.0, a time seconds since 1970 in UTC, a missing optional
            number NaN), or text.

        Raises
        ------
        DataError
            With the field, what it expects, and the value found.
        """
        text = self._text(self._written(value) if self.kind == "document" else value)
        if text == "":
            return self._missing()
        match self.kind:
            case "number":
                return self._number(text)
            case "flag":
                return self._flag(text)
            case "category":
                return self._level(text)
            case "time":
                return self._time(text)
            case "text" | "document":
                return text

    def expects(self) -> str:
        """Say in words what a value must be."""
        match self.kind:
            case "number" if self.low is None and self.high is None:
                return "a number"
            case "number":
                return f"a number from {_bound(self.low)} to {_bound(self.high)}"
            case "flag":
                return "yes or no"
            case "category":
                return "one of " + ", ".join(self.levels)
            case "text":
                return "text"
            case "document":
                return "a JSON object or array"
            case "time":
                return "a date or time such as 2026-03-31 or 2026-03-31T14:05:00Z"

    def _text(self, value: object) -> str:
        if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
            return ""
        if isinstance(value, dict | list | tuple | set | bytes):
            raise self._refuse(value)
        if self.kind in ("text", "category") and isinstance(value, float) and value.is_integer():
            value = int(value)  # a number of a column with gaps is a float in Parquet
        try:
            text = str(value).strip()
            text.encode()
        except ValueError:  # an integer of more than 4300 digits, or half a surrogate pair
            raise DataError(
                f"{self.name}: expected {self.expects()}, found what cannot be written as text"
            ) from None
        return text

    def _written(self, value: object) -> object:
        """Write a JSON object or array as text."""
        if not isinstance(value, dict | list):
            return value
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        except (RecursionError, ValueError):
            raise DataError(
                f"{self.name}: expected {self.expects()}, found one nested too deeply"
            ) from None

    def _missing(self) -> Value:
        if not self.optional:
            raise DataError(f"{self.name}: expected {self.expects()}, found nothing")
        return math.nan if self.kind in NUMERIC else ""

    def _refuse(self, value: object) -> DataError:
        found = repr(value[:80]) if isinstance(value, str) else f"a {type(value).__name__}"
        return DataError(f"{self.name}: expected {self.expects()}, found {found}")

    def _number(self, text: str) -> float:
        try:
            # float() reads "1_000" as a thousand, which no export means.
            number = math.nan if "_" in text else float(text)
        except ValueError:
            raise self._refuse(text) from None
        inside = (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )
        if not math.isfinite(number) or not inside:
            raise self._refuse(text)
        return number

    def _time(self, text: str) -> float:
        try:
            if EPOCH.fullmatch(text) and not _is_stamp(text):
                number = float(text)
                return number / 1000 if number >= SMALLEST_EPOCH_MS else number
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        except (ValueError, OverflowError):
            raise self._refuse(text) from None

    def _flag(self, text: str) -> float:
        word = {"1.0": "1", "0.0": "0"}.get(text, text.lower())
        if word in TRUE_WORDS:
            return 1.0
        if word in FALSE_WORDS:
            return 0.0
        raise self._refuse(text)

    def _level(self, text: str) -> str:
        if text not in self.levels:
            raise self._refuse(text)
        return text


def _is_stamp(text: str) -> bool:
    """Tell digits that are a date and a time, 202603020843, from those of an epoch."""
    form = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(text))
    try:
        return form is not None and 1900 <= datetime.strptime(text, form).year < 2200
    except ValueError:
        return False


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:.15g}"


def column_of(field: Field, values: Sequence[Value]) -> NDArray[np.generic]:
    """Make one column of parsed values: floats, levels as fixed-width text, any text as objects."""
    match field.kind:
        case "number" | "flag" | "time":
            return np.array(values, dtype=np.float64)
        case "category":
            return np.array(values, dtype=np.str_)
        case "text" | "document":
            # Text of fixed width would give every value the width of the longest.
            return np.array(values, dtype=np.object_)


def table_of(fields: tuple[Field, ...], records: list[Mapping[str, Value]]) -> Table:
    """Stack parsed records into columns."""
    return {field.name: column_of(field, [r[field.name] for r in records]) for field in fields}
