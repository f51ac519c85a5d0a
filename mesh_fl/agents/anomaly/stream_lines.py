"""Readings as lines of text: JSON objects, cells with a header, or bare numbers."""

import csv
import json
import math
from typing import Literal, NamedTuple

from mesh_fl.errors import DataError
from mesh_fl.schema import Field

COLUMNS = ("series_id", "ts", "value")
"""As in the product's table of readings; only `value` must be there."""

Delimiter = Literal[",", ";", "\t"]

DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t")
"""Between cells; which of them is read off the header."""

_TIME = Field(name="ts", kind="time", optional=True)
_VALUE = Field(name="value", kind="number", optional=True)


class Told(NamedTuple):
    """A reading of a line."""

    series: str
    ts: float | None
    value: float


class ReadingLines:
    """Reads lines one by one; remembers the header of cells, and what stands between them.

    Parameters
    ----------
    header : sequence of str, optional
        Where one was read before.
    delimiter : str, optional
        As there.
    """

    def __init__(self, header: tuple[str, ...] = (), delimiter: Delimiter = ",") -> None:
        self.header = header
        self.delimiter = delimiter

    def read(self, line: str) -> Told | None:
        """Return a line's reading; None for an empty line or a header.

        Raises
        ------
        DataError
            If there is none.
        """
        text = line.strip("\ufeff \r\n")
        if not text.strip():
            return None
        if text.lstrip().startswith("{"):
            return _of_cells(_object(text))
        if not self.header:
            self.delimiter = _delimiter_of(text)
        cells = _cells(text, self.delimiter)
        if "value" in cells:
            self.header = tuple(cells)
            return None
        if self.header:
            if len(cells) != len(self.header):
                raise DataError(f"expected {len(self.header)} cells, found {len(cells)}")
            return _of_cells(dict(zip(self.header, cells, strict=True)))
        if len(cells) == 1:
            return _of_cells({"value": cells[0]})
        raise DataError(
            "expected a header with value in it before cells, such as series_id,ts,value, or JSON "
            f"objects, or one number a line, found {text!a:.60}"
        )


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"expected a JSON object, found {text!a:.60}") from None
    return dict(found)


def _delimiter_of(header: str) -> Delimiter:
    """Return what stands between the cells of a header; a comma where it is none."""
    if "value" not in header:
        return ","
    return next((one for one in DELIMITERS if "value" in _cells(header, one)), ",")


def _cells(text: str, delimiter: Delimiter) -> list[str]:
    try:
        found = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"expected cells with {delimiter!a} between, found {error}") from None
    return [one.strip() for one in found]


def _of_cells(cells: dict[str, object]) -> Told:
    if "value" not in cells:
        raise DataError(f"expected a value, found {', '.join(map(ascii, list(cells)[:5]))}")
    return Told(_name(cells.get("series_id")), _time(cells.get("ts")), _value(cells))


def _name(told: object) -> str:
    name = "" if told is None else str(told)
    # JSON may escape half of a surrogate pair, which no file can hold.
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def _time(told: object) -> float | None:
    parsed = _TIME.parse(told)
    return parsed if isinstance(parsed, float) and math.isfinite(parsed) else None


def _value(cells: dict[str, object]) -> float:
    told = cells["value"]
    if isinstance(told, float) and math.isfinite(told):
        return told
    return float(_VALUE.parse(told))
