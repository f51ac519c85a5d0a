"""A member's own open tickets and technicians, read again once a file has changed."""

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.calendars import USUAL_CAPACITY_H, is_zone, working_hours
from mesh_fl.agents.resource.inputs import Input, plain
from mesh_fl.agents.resource.tasks import USUAL_PRIORITY, Told
from mesh_fl.agents.resource.technicians import Span, Staff, level_of, working_span
from mesh_fl.agents.resource.told import FARTHEST_H, HOUR_S, split_skills
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table, Value
from mesh_fl.site import OwnTable

READ = ("tickets", "technicians", "appointments", "time_entries")


@dataclass(frozen=True)
class OwnQueue:
    """What was read of the tables.

    Parameters
    ----------
    tables : mapping
        Those that could be read.
    faults : mapping
        Why a table could not be read.
    left_out : mapping
        How many rows of a table could not be read, where there are any.
    """

    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)
    faults: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def open_tickets(self, inputs: tuple[Input, ...], now: float, most: int) -> tuple[Told, ...]:
        """Return the tickets that are open, the most urgent first, then the oldest."""
        if "tickets" not in self.tables:
            return ()
        places = _open(self.tables["tickets"], now)
        kept = [place for place in places.tolist() if self._is_first(place)]
        return tuple(self._ticket(place, inputs, now) for place in kept[:most])

    def ticket(self, ticket_id: str, inputs: tuple[Input, ...], now: float) -> Told | None:
        """Return a ticket by its id, None if it is not there or not open."""
        place = self._places.get(ticket_id)
        if place is None or place not in _open(self.tables["tickets"], now, place):
            return None
        return self._ticket(place, inputs, now)

    def open_count(self, now: float) -> int:
        """Return how many tickets are open."""
        return len(_open(self.tables["tickets"], now)) if "tickets" in self.tables else 0

    @property
    def tells_closing(self) -> bool:
        """Whether any ticket was closed: otherwise nobody knows which are open."""
        if "tickets" not in self.tables:
            return False
        return bool(np.isfinite(self.tables["tickets"]["closed_at"].astype(np.float64)).any())

    def _ticket(self, place: int, inputs: tuple[Input, ...], now: float) -> Told:
        tickets = self.tables["tickets"]
        known = {one.name: tickets[one.name][place] for one in inputs if one.name in tickets}
        category = plain(str(tickets["category"][place]))
        return Told(
            task_id=str(tickets["ticket_id"][place]),
            inputs={name: _value(value) for name, value in known.items()},
            priority=_priority(float(tickets["priority"][place])),
            skills=frozenset({category} & self.skills),
            due_h=_hours_from(float(tickets["due_at"][place]), now),
            release_h=_hours_from(float(tickets["opened_at"][place]), now),
        )

    def _is_first(self, place: int) -> bool:
        """Tell whether no earlier row has the same id."""
        return self._places[str(self.tables["tickets"]["ticket_id"][place])] == place

    @cached_property
    def _places(self) -> dict[str, int]:
        """The first row of each ticket."""
        if "tickets" not in self.tables:
            return {}
        found: dict[str, int] = {}
        for place, ticket in enumerate(self.tables["tickets"]["ticket_id"].tolist()):
            found.setdefault(str(ticket), place)
        return found

    def staff(self, now: float, window_h: float) -> Iterator[Staff]:
        """Yield the technicians with their working hours, less their appointments."""
        if "technicians" not in self.tables:
            return
        people = self.tables["technicians"]
        busy = self._busy(now, window_h)
        places = {str(one): place for place, one in enumerate(people["technician_id"].tolist())}
        for technician, place in places.items():
            capacity = float(people["capacity_h_day"][place])
            cost = float(people["cost_h"][place])
            yield Staff(
                technician_id=technician,
                skills=frozenset(map(plain, split_skills(str(people["skills"][place])))),
                cost_h=None if np.isnan(cost) else cost,
                level=level_of(str(people["level"][place])),
                available=working_hours(now, window_h, capacity, str(people["timezone"][place])),
                busy=tuple(busy.get(technician, ())),
                capacity_h_day=USUAL_CAPACITY_H if np.isnan(capacity) else capacity,
            )

    @cached_property
    def strange_zones(self) -> tuple[str, ...]:
        """Time zones of one's technicians that are none, by name."""
        if "technicians" not in self.tables:
            return ()
        told = {str(one).strip() for one in self.tables["technicians"]["timezone"].tolist()}
        return tuple(sorted(one for one in told if not is_zone(one)))

    @cached_property
    def skills(self) -> frozenset[str]:
        """All skills of one's technicians: a ticket of such a category needs one who has it."""
        if "technicians" not in self.tables:
            return frozenset()
        written = self.tables["technicians"]["skills"].tolist()
        return frozenset(plain(one) for text in written for one in split_skills(str(text)))

    def _busy(self, now: float, window_h: float) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        if "appointments" not in self.tables:
            return found
        told = self.tables["appointments"]
        columns = (told[name].tolist() for name in ("technician_id", "start_at", "end_at"))
        for technician, start, end in zip(*columns, strict=True):
            span = working_span(start, end, now)
            if span is not None and span[1] > 0 and span[0] < window_h:
                found.setdefault(str(technician), []).append(span)
        return found


class QueueShelf:
    """Holds what was read of the newest files.

    Parameters
    ----------
    tables : mapping
        Of client.toml; those that tell nothing of a queue are left alone.
    """

    def __init__(self, tables: Mapping[str, OwnTable]) -> None:
        self._own = {name: tables[name] for name in READ if name in tables}
        self._stamps: dict[str, tuple[int, ...]] | None = None
        self._queue = OwnQueue()
        self._lock = threading.Lock()

    def newest(self) -> OwnQueue:
        """Return the tables, read again if a file has changed."""
        with self._lock:
            # Taken before reading: a file that changes meanwhile is read once more.
            stamps = {name: own.stamp for name, own in self._own.items()}
            if stamps != self._stamps:
                self._queue = _read(self._own)
                self._stamps = stamps
            return self._queue


def _read(own: Mapping[str, OwnTable]) -> OwnQueue:
    tables, faults, left_out = {}, {}, {}
    for name, one in own.items():
        try:
            rows = one.read(TABLES[name].fields, TABLES[name].key)
        except (DataError, ConfigError) as error:
            faults[name] = f"table {name} cannot be read: {error.brief}"
            continue
        tables[name] = rows.table
        if rows.left_out:
            left_out[name] = rows.left_out
    return OwnQueue(tables, faults, left_out)


def _open(tickets: Table, now: float, place: int | None = None) -> NDArray[np.int64]:
    """Return the rows of open tickets, or that one row if its ticket is open."""
    rows = slice(None) if place is None else slice(place, place + 1)
    opened, closed, priority = (
        tickets[name][rows].astype(np.float64) for name in ("opened_at", "closed_at", "priority")
    )
    places = np.flatnonzero(~(opened > now) & ~(closed <= now))
    urgency = np.where(np.isnan(priority), USUAL_PRIORITY, priority)
    order = np.lexsort((opened[places], urgency[places]))
    return (places[order] + (place or 0)).astype(np.int64)


def _priority(value: float) -> int:
    return USUAL_PRIORITY if np.isnan(value) else round(value)


def _hours_from(moment: float, now: float) -> float | None:
    if math.isnan(moment):
        return None
    return min(max((moment - now) / HOUR_S, -FARTHEST_H), FARTHEST_H)


def _value(value: object) -> Value:
    return value if isinstance(value, str) else float(str(value))
