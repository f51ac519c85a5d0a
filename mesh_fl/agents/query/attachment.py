"""Which table a word bears on, and the condition that it makes."""

from collections.abc import Iterable

from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.plan import Among, Condition, HasItem, InState, Known, Within
from mesh_fl.agents.query.reading import AbsentTableError, Filter, Reading, UnclearError
from mesh_fl.agents.query.spans import Span
from mesh_fl.agents.query.values import FAMILIES, LISTS
from mesh_fl.agents.query.vocabulary import Meaning

NUMBERS = frozenset({"priority", "severity", "csat"})
LATER = frozenset({"end_at", "start_at"})
LASTING = frozenset({"last_seen_at", "last_touch_at", "last_exec_touch_at"})
"""Moments of the last time something happened: not for 30 days means before that."""


def table_for(reading: Reading, i: int, candidates: Iterable[str]) -> str:
    """Choose the table that a chunk bears on.

    In this order: the noun it stands before, the nearest one before it, the one that is asked
    about, another that is named, one that is linked with what is asked about.

    Raises
    ------
    UnclearError
        If none or several are as near.
    """
    wanted = [t for t in dict.fromkeys(candidates) if t in reading.tables]
    if not wanted:
        first = next(iter(candidates))
        raise AbsentTableError(first)
    for choice in (_noun_after(reading, i), *_nouns_before(reading, i), reading.fact):
        if choice in wanted:
            return choice
    mentioned = [m.table for m in reading.mentions if m.table in wanted]
    if mentioned:
        return mentioned[0]
    return _linked(reading, i, wanted)


def _linked(reading: Reading, i: int, wanted: list[str]) -> str:
    above = [t for t in wanted if reading.reaches(reading.fact, t)]
    below = [t for t in wanted if reading.reaches(t, reading.fact)]
    for group in (above, below):
        if len(group) == 1:
            return group[0]
        if len(group) > 1:
            text = reading.chunks[i].text
            raise UnclearError(f"{text!r} can mean {' or '.join(group)}: say which", text)
    text = reading.chunks[i].text
    raise UnclearError(f"{text!r} has nothing to do with {reading.fact} in these tables", text)


def _noun_after(reading: Reading, i: int) -> str:
    """Return the noun that an adjective stands before."""
    j = i + 1
    while reading.kind_at(j, "value", "state", "not", "event") and not reading.mention_at(j):
        if reading.chunks[j].after_comma:
            return ""
        j += 1
    found = reading.mention_at(j)
    if found is not None and not reading.chunks[j].after_comma:
        return found.table
    if reading.kind_at(j, "quantity") and not reading.chunks[j].after_comma:
        return reading.chunks[j].of("quantity")[0].table
    return ""


def _nouns_before(reading: Reading, i: int) -> list[str]:
    """Tables before a chunk, the nearest first."""
    found = []
    for j in range(i - 1, -1, -1):
        mention = reading.mention_at(j)
        if mention is not None and mention.role != "group":
            found.append(mention.table)
        elif reading.kind_at(j, "quantity"):
            found.append(reading.chunks[j].of("quantity")[0].table)
    return found


def meaning_for(reading: Reading, i: int, kinds: tuple[str, ...]) -> tuple[Meaning, ...]:
    """Return what a chunk means: meanings of one kind and one table."""
    chunk = reading.chunks[i]
    meanings = [m for kind in kinds for m in chunk.of(kind)]
    meanings = [m for m in meanings if _is_told(reading, m)] or meanings
    table = table_for(reading, i, [m.table for m in meanings])
    here = [m for m in meanings if m.table == table]
    kind = next(kind for kind in kinds if any(m.kind == kind for m in here))
    return tuple(m for m in here if m.kind == kind)


def _is_told(reading: Reading, meaning: Meaning) -> bool:
    if meaning.table not in reading.tables:
        return False
    if meaning.kind == "state":
        needs = reading.known.states[meaning.table, meaning.name].needs
        return reading.is_filled(meaning.table, *needs)
    return meaning.kind != "event" or reading.is_filled(meaning.table, meaning.name)


def value_filter(reading: Reading, i: int) -> Filter:
    """Make the condition that a value of the data is meant.

    Raises
    ------
    UnclearError
        If several values are as near.
    """
    found = meaning_for(reading, i, ("value", "state", "event"))
    if found[0].kind == "state":
        return state_filter(reading, i, found[0])
    if found[0].kind == "event":
        return event_filter(reading, i, found[0], None)
    first, chunk = found[0], reading.chunks[i]
    name = f"{first.table}.{first.name}"
    found = tuple(m for m in found if m.name == first.name)
    if len(found) > 1 and name not in FAMILIES:
        listed = ", ".join(repr(m.value) for m in found[:5])
        raise UnclearError(f"{chunk.text!r} can mean {listed}: say which", chunk.text)
    if name in LISTS and len(found) == 1:
        return Filter(i, first.table, HasItem((), first.name, first.value))
    values = tuple(float(m.value) if m.name in NUMBERS else m.value for m in found)
    return Filter(i, first.table, Among((), first.name, values))


def state_filter(reading: Reading, i: int, meaning: Meaning) -> Filter:
    """Make the condition that a row is in a state."""
    state = reading.known.states[meaning.table, meaning.name]
    reading.demand(state.table, *state.needs)
    if (state.table, state.name) == ("agreements", "active"):
        say_running(reading)
    return Filter(i, state.table, InState((), state.table, state.name))


def say_running(reading: Reading) -> None:
    """Say what is assumed of agreements whose table does not tell when they begin or end."""
    told = [c for c in ("end_at", "cancelled_at") if reading.is_filled("agreements", c)]
    if not told:
        reading.said.append(
            "The table tells neither ends nor cancellations of agreements: all are taken for "
            "running."
        )
    elif told == ["cancelled_at"]:
        reading.said.append("The table tells no ends of agreements, only cancellations.")
    if not reading.is_filled("agreements", "start_at"):
        reading.said.append(
            "The table does not tell when agreements begin: all are taken as begun."
        )


def event_filter(reading: Reading, i: int, meaning: Meaning, span: Span | None) -> Filter:
    """Make the condition that something happened, in a time or at all."""
    reading.demand(meaning.table, meaning.name)
    if span is not None:
        return Filter(i, meaning.table, Within((), meaning.name, span.start, span.end))
    if meaning.name in LATER and meaning.table != "appointments":
        condition: Condition = Within((), meaning.name, None, reading.now)
        return Filter(i, meaning.table, condition)
    return Filter(i, meaning.table, Known((), meaning.name))


def negated(found: Filter, chunk: Chunk) -> Filter:
    """Turn a condition into its opposite, as far as the data tells."""
    condition = found.condition
    match condition:
        case Within(_, column, start, end) if column in LASTING:
            before = Within((), column, None, start if start is not None else end)
            return Filter(found.at, found.table, before)
        case Within(_, column, _, _):
            raise UnclearError(
                f"not {chunk.text!r} in a time can mean at another time or never: ask for one",
                chunk.text,
            )
        case Known(path, column, was):
            return Filter(found.at, found.table, Known(path, column, not was))
        case Among(path, column, values, was):
            return Filter(found.at, found.table, Among(path, column, values, not was))
        case HasItem(path, column, item, was):
            return Filter(found.at, found.table, HasItem(path, column, item, not was))
        case InState(path, table, state, was):
            return Filter(found.at, found.table, InState(path, table, state, not was))
    raise UnclearError(f"I cannot turn {chunk.text!r} into its opposite", chunk.text)
