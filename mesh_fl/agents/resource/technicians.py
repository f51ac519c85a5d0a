"""Technicians as a request tells them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_fl.agents._reading import items, kind, parse_json, table, text
from mesh_fl.agents.resource.told import (
    HOUR_S,
    Reader,
    named,
    read_number,
    read_skills,
    read_time,
)
from mesh_fl.errors import DataError

Span = tuple[float, float]

MOST_SPANS = 400
MOST_COST_H = 1e6
MOST_IGNORED = 20
SHOWN_IDS = 10

NAMES = {
    "id": "technician_id",
    "hourly_cost": "cost_h",
    "hourly_rate": "cost_h",
    "capacity_hours": "available_hours",
    "appointments": "busy",
    "availability": "available",
    "skill_level": "level",
}
"""What others call a field, and what it is called here."""

LEVELS = {
    "trainee": 1.0,
    "apprentice": 1.0,
    "junior": 1.0,
    "l1": 1.0,
    "tier 1": 1.0,
    "intermediate": 2.0,
    "mid": 2.0,
    "l2": 2.0,
    "tier 2": 2.0,
    "senior": 3.0,
    "l3": 3.0,
    "tier 3": 3.0,
    "expert": 4.0,
    "lead": 4.0,
    "principal": 4.0,
}
"""Levels in words, the most able last."""

HIGHEST = 4.0


@dataclass(frozen=True, kw_only=True)
class Staff:
    """A technician; hours are from now.

    Parameters
    ----------
    technician_id : str
    skills : frozenset of str
    cost_h : float or None
    level : float or None
        0 to 4, as `LEVELS` has it.
    available : tuple of spans or None
        None is all the time.
    busy : tuple of spans
    capacity_h_day : float or None
        Hours of a working day, where a calendar is known.
    ignored : tuple of str
        Fields that nothing here reads.
    """

    technician_id: str
    skills: frozenset[str] = frozenset()
    cost_h: float | None = None
    level: float | None = None
    available: tuple[Span, ...] | None = None
    busy: tuple[Span, ...] = ()
    capacity_h_day: float | None = None
    ignored: tuple[str, ...] = ()

    @property
    def spans(self) -> int:
        """How many there are, available or busy."""
        return len(self.available or ()) + len(self.busy)


def read_technicians(
    written: str, now: float, most: int, own: Mapping[str, Staff]
) -> tuple[Staff, ...]:
    """Read a list of technicians.

    Parameters
    ----------
    own : mapping
        One's own by their id, who tell what is left out here.

    Raises
    ------
    DataError
        If it is no list of objects, too long, an id is missing, stands twice or is by itself and
        nobody's, or a value cannot be read.
    """
    found = parse_json(written, "technicians", DataError)
    if not isinstance(found, list):
        raise DataError(f"technicians: expected a list of objects, found {kind(found)}")
    if len(found) > most:
        raise DataError(f"technicians: expected at most {most}, found {len(found)}; send fewer")
    staff = tuple(_technician(place, one, now, own) for place, one in enumerate(items(found)))
    seen: set[str] = set()
    for one in staff:
        if one.technician_id in seen:
            raise DataError(f"technicians: {one.technician_id[:80]!r} stands there twice")
        seen.add(one.technician_id)
    return staff


def level_of(word: object) -> float | None:
    """Return a level as a number: of a word that is known, or of a number from 0 to 4."""
    if isinstance(word, int | float) and not isinstance(word, bool):
        return float(word) if 0 <= word <= HIGHEST else None
    return LEVELS.get(" ".join(text(word).lower().replace("-", " ").split()))


def _technician(place: int, found: object, now: float, own: Mapping[str, Staff]) -> Staff:
    where = f"technicians[{place}]"
    if isinstance(found, str):
        _refuse_unknown(where, found, own)
        found = {"technician_id": found}
    if not isinstance(found, dict):
        raise DataError(f"{where}: expected an object, found {kind(found)}")
    told = named(found, NAMES)
    reader = Reader(where, told)
    technician = reader.identity("technician_id")
    if not technician:
        raise DataError(f"{where}: expected technician_id, found none; name it")
    usual = own.get(technician, Staff(technician_id=technician))
    available = tuple(_spans(reader, "available", now)) if reader.has("available") else None
    hours = read_number(reader, "available_hours", 0.0, 24.0 * 366)
    if hours is not None and available is None:
        available = ((0.0, hours),)
    cost_h, level = read_number(reader, "cost_h", 0.0, MOST_COST_H), _level(reader)
    return Staff(
        technician_id=technician,
        skills=read_skills(reader, "skills") if reader.has("skills") else usual.skills,
        cost_h=usual.cost_h if cost_h is None else cost_h,
        level=usual.level if level is None else level,
        available=usual.available if available is None else available,
        busy=tuple(_spans(reader, "busy", now)) if reader.has("busy") else usual.busy,
        capacity_h_day=usual.capacity_h_day,
        ignored=tuple(reader.unread())[:MOST_IGNORED],
    )


def _refuse_unknown(where: str, technician: str, own: Mapping[str, Staff]) -> None:
    """Refuse an id alone that is none of one's own technicians, where there are any."""
    if own and technician.strip() not in own:
        known = ", ".join(list(own)[:SHOWN_IDS])
        raise DataError(
            f"{where}: expected one of your own technicians ({known}), or an object that tells "
            f"skills, found {technician[:80]!r}"
        )


def _level(reader: Reader) -> float | None:
    found = reader.take("level")
    if found is None:
        return None
    level = level_of(found)
    if level is None:
        words = ", ".join(LEVELS)
        raise DataError(
            f"{reader.where}.level: expected 0 to {HIGHEST:g} or one of {words}, found "
            f"{kind(found)}"
        )
    return level


def _spans(reader: Reader, name: str, now: float) -> Iterator[Span]:
    found = reader.take(name)
    if found is None:
        return
    if not isinstance(found, list) or len(found) > MOST_SPANS:
        expected = f"a list of at most {MOST_SPANS} spans"
        raise DataError(f"{reader.where}.{name}: expected {expected}, found {_found(found)}")
    for place, one in enumerate(found):
        where = f"{reader.where}.{name}[{place}]"
        start, end = _pair(where, one, now)
        if start is None or end is None or not start <= end:
            raise DataError(
                f"{where}: expected two rising hours from now such as [1, 2.5], or start_at and "
                f"end_at, found {kind(one)}"
            )
        yield start, end


def _pair(where: str, found: object, now: float) -> tuple[float | None, float | None]:
    if isinstance(found, list) and len(found) == 2:
        found = {"start_h": found[0], "end_h": found[1]}
    reader = Reader(where, table(found))
    return read_time(reader, "start", now), read_time(reader, "end", now)


def _found(value: object) -> str:
    return f"{len(value)} of them" if isinstance(value, list) else kind(value)


def working_span(start_s: float, end_s: float, now: float) -> Span | None:
    """Return two moments in hours from now; None if they do not rise."""
    if not (math.isfinite(start_s) and math.isfinite(end_s)) or end_s <= start_s:
        return None
    return (start_s - now) / HOUR_S, (end_s - now) / HOUR_S
