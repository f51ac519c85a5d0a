"""Reading an object of a request field by field, and knowing what nobody read."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from mesh_fl.agents._reading import kind, text
from mesh_fl.agents.resource.inputs import plain
from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Value

LONGEST_ID = 200
MOST_SKILLS = 50
HOUR_S = 3600.0
FARTHEST_H = 24.0 * 366 * 10
"""Of a moment told from now; what is further away is cut to it."""


@dataclass(frozen=True)
class Reader:
    """An object, with the place where it stands.

    Parameters
    ----------
    where : str
        For messages.
    told : mapping
        Its fields.
    """

    where: str
    told: Mapping[str, object] = field(repr=False)
    _read: set[str] = field(default_factory=set, repr=False)

    def has(self, name: str) -> bool:
        """Tell whether a field is there."""
        return name in self.told

    def take(self, name: str) -> object:
        """Return a field, None if it is not there."""
        self._read.add(name)
        return self.told.get(name)

    def parse(self, declared: Field) -> Value:
        """Read a field by its declaration.

        Raises
        ------
        DataError
            With the place.
        """
        try:
            return declared.parse(self.take(declared.name))
        except DataError as error:
            raise DataError(f"{self.where}.{error}") from None

    def identity(self, name: str) -> str:
        """Read an id; "" if there is none.

        Raises
        ------
        DataError
            If it is neither text nor a whole number, or too long.
        """
        found = self.take(name)
        if found is None:
            return ""
        is_number = isinstance(found, int) and not isinstance(found, bool)
        written = str(found)[: LONGEST_ID + 1] if is_number else text(found, LONGEST_ID + 1)
        if not written or len(written) > LONGEST_ID:
            expected = f"text of 1 to {LONGEST_ID} characters that can be seen"
            raise DataError(f"{self.where}.{name}: expected {expected}, found {kind(found)}")
        return written

    def unread(self) -> Iterator[str]:
        """Yield the fields that nobody took."""
        yield from (text(name, 60) for name in self.told if name not in self._read)


def named(found: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """Return the fields that are there by the names that they have here, which go first."""
    told = {str(name): value for name, value in found.items() if value is not None}
    others = {names[name]: value for name, value in told.items() if name in names}
    return others | {name: value for name, value in told.items() if name not in names}


def read_number(reader: Reader, name: str, low: float, high: float) -> float | None:
    """Read a number between bounds; None if it is not told."""
    if not reader.has(name):
        return None
    number = float(reader.parse(_number(name, low, high)))
    return number if math.isfinite(number) else None


def read_time(reader: Reader, name: str, now: float) -> float | None:
    """Read a moment in hours from now, told as `NAME_h`, or as a date in `NAME_at`."""
    hours = read_number(reader, f"{name}_h", -FARTHEST_H, FARTHEST_H)
    if not reader.has(f"{name}_at"):
        return hours
    moment = float(reader.parse(_time(f"{name}_at")))
    if hours is not None or not math.isfinite(moment):
        return hours
    return min(max((moment - now) / HOUR_S, -FARTHEST_H), FARTHEST_H)


@lru_cache(maxsize=64)
def _number(name: str, low: float, high: float) -> Field:
    return Field(name=name, kind="number", low=low, high=high, optional=True)


@lru_cache(maxsize=64)
def _time(name: str) -> Field:
    return Field(name=name, kind="time", optional=True)


def read_skills(reader: Reader, name: str) -> frozenset[str]:
    """Read a list of skills, or a text that ; or , separate.

    Raises
    ------
    DataError
        If it is neither, or too long.
    """
    found = reader.take(name)
    if found is None:
        return frozenset()
    if not isinstance(found, str | list):
        raise DataError(f"{reader.where}.{name}: expected a list of texts, found {kind(found)}")
    skills = split_skills(found) if isinstance(found, str) else [text(one) for one in found]
    if len(skills) > MOST_SKILLS or any(not one for one in skills):
        expected = f"at most {MOST_SKILLS} texts"
        raise DataError(f"{reader.where}.{name}: expected {expected}, found others")
    return frozenset(plain(one) for one in skills)


def split_skills(written: str) -> list[str]:
    """Split a text at ; and ,."""
    parts = written[: MOST_SKILLS * LONGEST_ID].replace(";", ",").split(",")
    return [one.strip() for one in parts if one.strip()]
