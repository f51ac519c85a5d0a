"""A not beside an event and a person: not assigned to Priya, not opened by Acme, not closed by Tom.

To be opened or assigned is all there is between a ticket and the person, so the person is denied.
Not every ticket is closed: what is not closed by Tom is whatever is not both, closed and Tom's.
"""

from mesh_fl.agents.query.plan import Among, Excluded, Known
from mesh_fl.agents.query.reading import Filter, Reading, UnclearError
from mesh_fl.agents.query.relations import path_between
from mesh_fl.agents.query.vocabulary import Meaning

PEOPLE = frozenset({"technicians", "clients"})
_UNKNOWN = "I cannot tell whether the person or the event is denied"


def follow_denials(reading: Reading) -> None:
    """Join a not with the event and leave the person beside it, in place.

    Raises
    ------
    UnclearError
        If it is open what is denied.
    """
    for i in range(len(reading.chunks)):
        event_at = i + 1 if reading.kind_at(i, "not") else i
        person_at = _person_after(reading, event_at)
        column = _denied(reading, i, event_at)
        if person_at and column:
            _check(reading, person_at, column)
            denied = reading.chunks[i].only(_meaning(column))
            reading.chunks[i:person_at] = [denied]
            return


def _person_after(reading: Reading, event_at: int) -> int:
    """Return the chunk of the person after an event; 0 if there is none."""
    by = reading.kind_at(event_at + 1, "by")
    at = event_at + 1 + by
    if not reading.kind_at(event_at, "event", "state") or not reading.kind_at(at, "value"):
        return 0
    people = {m.table for m in reading.chunks[at].of("value")} & PEOPLE
    to = reading.chunks[event_at].text.lower().endswith("assigned") and "technicians" in people
    return at if people and (by or to) else 0


def _denied(reading: Reading, i: int, event_at: int) -> str:
    """Return the column that tells the event, where it is denied."""
    chunk = reading.chunks[event_at] if event_at < len(reading.chunks) else reading.chunks[i]
    text = chunk.text.lower()
    if i == event_at and not text.startswith("not "):
        return ""
    if text.endswith("assigned"):
        return "assignee_id"
    if any(m.table == "tickets" and m.name == "open" for m in chunk.of("state")):
        return "closed_at"
    return next((m.name for m in chunk.of("event") if m.table == "tickets"), "unknown")


def _check(reading: Reading, person_at: int, column: str) -> None:
    text = reading.chunks[person_at].text
    timed = column != "assignee_id" and reading.has("time")
    several = reading.kind_at(person_at + 1, "or", "and")
    named = any(m.name == "name" for m in reading.chunks[person_at].of("value"))
    if timed or several or not named or column not in {"assignee_id", "opened_at", "closed_at"}:
        raise UnclearError(f"{_UNKNOWN}: ask for one", text)


def _meaning(column: str) -> Meaning:
    return Meaning("denied", "tickets", column) if column == "closed_at" else Meaning("not")


def denied_filter(reading: Reading, i: int) -> Filter:
    """Return the condition that not both hold: that it happened, and that it was this person."""
    reading.take(i, i + 1)
    event, chunk = reading.chunks[i].of("denied")[0], reading.chunks[i + 1]
    people = [m for m in chunk.of("value") if m.table in PEOPLE and m.name == "name"]
    if len(people) > 1:
        listed = ", ".join(repr(m.value) for m in people[:5])
        raise UnclearError(f"{chunk.text!r} can mean {listed}: say which", chunk.text)
    person = people[0]
    path = path_between(event.table, person.table) or ()
    both = (Known((), event.name), Among(path, person.name, (person.value,)))
    reading.demand(event.table, event.name, *path[:1])
    return Filter(i, event.table, Excluded((), both))
