"""Tasks as a request tells them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mesh_fl.agents._reading import items, kind, parse_json, text
from mesh_fl.agents.resource.inputs import Input
from mesh_fl.agents.resource.told import (
    FARTHEST_H,
    HOUR_S,
    Reader,
    named,
    read_number,
    read_skills,
    read_time,
)
from mesh_fl.errors import DataError
from mesh_fl.schema import Value

LONGEST_H = 24.0 * 366
MOST_IGNORED = 20

NAMES = {
    "id": "task_id",
    "ticket_id": "task_id",
    "required_skills": "skills",
    "estimated_hours": "est_hours",
    "duration_hours": "hours",
    "deadline": "due_at",
}
"""What others call a field, and what it is called here."""

URGENCY = {"critical": 1, "urgent": 1, "high": 2, "medium": 3, "normal": 3, "low": 4}
"""Priorities in words."""

USUAL_PRIORITY = 3


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is known of a task before anything is predicted.

    Parameters
    ----------
    task_id : str
    inputs : mapping
        Of the duration model, as far as they are told.
    hours : float or None
        The requester's own figure; it goes before the prediction.
    priority : int
        1, the most urgent, to 4.
    skills : frozenset of str
    due_h, release_h : float or None
        Hours from now; a task that waits already was released before.
    ignored : tuple of str
        Fields that nothing here reads.
    """

    task_id: str
    inputs: Mapping[str, Value] = field(default_factory=dict, repr=False)
    hours: float | None = None
    priority: int = USUAL_PRIORITY
    skills: frozenset[str] = frozenset()
    due_h: float | None = None
    release_h: float | None = None
    ignored: tuple[str, ...] = ()


OwnTicket = Callable[[str], Told | None]
"""Finds one's own open ticket by its id."""


def read_tasks(
    written: str, inputs: tuple[Input, ...], now: float, most: int, own: OwnTicket
) -> tuple[Told, ...]:
    """Read a list of tasks.

    Parameters
    ----------
    written : str
        A JSON list of objects, or of ids of own open tickets.
    inputs : tuple of Input
    now : float
        In seconds since 1970; `due_at` and `release_at` are relative to it.
    most : int
        Tasks at most.
    own : callable
        A task of such an id is what the ticket tells, and what the request tells besides.

    Raises
    ------
    DataError
        If it is no such list, too long, an id stands twice, or a value cannot be read.
    """
    found = parse_json(written, "tasks", DataError)
    if not isinstance(found, list):
        raise DataError(f"tasks: expected a list of objects, found {kind(found)}")
    if len(found) > most:
        raise DataError(f"tasks: expected at most {most}, found {len(found)}; send fewer")
    declared = {one.name: one for one in inputs}
    tasks = tuple(_task(place, one, declared, now, own) for place, one in enumerate(items(found)))
    seen: set[str] = set()
    for one in tasks:
        if one.task_id in seen:
            raise DataError(f"tasks: expected each id once, found {one.task_id[:80]!r} again")
        seen.add(one.task_id)
    return tasks


def _task(
    place: int, found: object, inputs: Mapping[str, Input], now: float, own: OwnTicket
) -> Told:
    where = f"tasks[{place}]"
    if isinstance(found, str):
        return _own_ticket(where, found, own)
    if not isinstance(found, dict):
        raise DataError(f"{where}: expected an object or the id of a ticket, found {kind(found)}")
    told = named(found, NAMES)
    reader = Reader(where, told)
    task_id = reader.identity("task_id") or f"task {place + 1}"
    base = own(task_id) or Told(task_id=task_id)
    priority = _priority(reader) or base.priority
    known = {**base.inputs, **dict(_inputs(reader, inputs, priority))}
    released = _otherwise(read_time(reader, "release", now), _opened_h(known, now))
    return Told(
        task_id=task_id,
        inputs=known,
        hours=_otherwise(read_number(reader, "hours", 0.0, LONGEST_H), base.hours),
        priority=priority,
        skills=read_skills(reader, "skills") | base.skills,
        due_h=_otherwise(read_time(reader, "due", now), base.due_h),
        release_h=_otherwise(released, base.release_h),
        ignored=tuple(reader.unread())[:MOST_IGNORED],
    )


def _own_ticket(where: str, ticket: str, own: OwnTicket) -> Told:
    found = own(ticket.strip())
    if found is None:
        raise DataError(
            f"{where}: expected the id of an open ticket of your own tables, found "
            f"{ticket[:80]!r}, which is none; tell the task as an object"
        )
    return found


def _inputs(
    reader: Reader, inputs: Mapping[str, Input], priority: int
) -> Iterator[tuple[str, Value]]:
    for name, one in inputs.items():
        if name == "priority":
            if reader.has(name):
                yield name, float(priority)
        elif reader.has(name):
            yield name, reader.parse(one)


def _priority(reader: Reader) -> int | None:
    """Read 1 to 4, or a word for it."""
    found = reader.take("priority")
    if found is None:
        return None
    word = text(found).lower()
    if word in URGENCY:
        return URGENCY[word]
    number = read_number(reader, "priority", 1, 4)
    return None if number is None else round(number)


def _opened_h(inputs: Mapping[str, Value], now: float) -> float | None:
    """Return since when a task waits, in hours from now: since it was opened, if it was yet."""
    opened = inputs.get("opened_at")
    if not isinstance(opened, float) or not opened <= now:
        return None
    return max((opened - now) / HOUR_S, -FARTHEST_H)


def _otherwise(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value
