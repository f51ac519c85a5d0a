"""Conditions on one table as conditions on the rows that are asked about."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mesh_fl.agents.query.plan import Among, Condition, Known, Linked
from mesh_fl.agents.query.reading import Filter, Reading, UnclearError, moved_to
from mesh_fl.agents.query.relations import path_between

ADJECTIVES = ("value", "state", "event", "and", "or")


def conditions_of(reading: Reading, found: Sequence[Filter]) -> tuple[Condition, ...]:
    """Bring every condition to the rows that are asked about.

    A condition on what a row refers to follows the reference. One on rows that refer to it asks
    whether there is such a row, one for each noun of the question.

    Raises
    ------
    UnclearError
        If two tables are not linked.
    """
    own = [c for m in reading.mentions if (c := _without(reading, m.at, m.table, m.role))]
    below = {
        (m.table, m.at): list[Filter]()
        for m in reading.mentions
        if m.role == "" and not reading.reaches(reading.fact, m.table)
    }
    children = {f.table for f in found if not reading.reaches(reading.fact, f.table)}
    children |= {table for table, _ in below}
    for f in found:
        path = path_between(reading.fact, f.table)
        if path is not None:
            own.append(moved_to(f.condition, path))
            continue
        # A condition on the devices of events belongs to the events.
        lower = (c for c in children if c != f.table and reading.reaches(c, f.table))
        table = next(lower, f.table)
        below.setdefault((table, _noun_of(reading, f, table)), []).append(f)
    linked = [
        c for (table, at), filters in below.items() for c in _linked(reading, table, at, filters)
    ]
    return (*merged(own), *linked)


def _without(reading: Reading, at: int, table: str, role: str) -> Condition | None:
    """Read events without a device: what a row would refer to is missing."""
    path = path_between(reading.fact, table)
    if role or not path or len(path) > 1 or not reading.kind_at(at - 1, "not"):
        return None
    reading.take(at - 1)
    return Known((), path[0], negated=True)


def _noun_of(reading: Reading, f: Filter, table: str) -> int:
    """Return the noun that a condition bears on: the one after it, else the one before."""
    nouns = [m.at for m in reading.mentions if m.table == table and m.role == ""]
    j = f.at
    while reading.kind_at(j, *ADJECTIVES, "not") and j not in nouns:
        j += 1
    if j in nouns:
        return j
    before = [at for at in nouns if at < f.at]
    return (before[-1:] or nouns[:1] or [-1])[0]


def _linked(reading: Reading, table: str, at: int, filters: list[Filter]) -> list[Linked]:
    if not reading.reaches(table, reading.fact):
        raise UnclearError(f"{table} and {reading.fact} are not linked in these tables")
    none = _is_negated(reading, at) or any(f.negated for f in filters)
    conditions = merged(moved_to(f.condition, path_between(table, f.table) or ()) for f in filters)
    several = [c for c in conditions if isinstance(c, Among) and len(c.values) > 1]
    if none or not several or not _is_one_of_each(reading, filters):
        return [Linked((), table, tuple(conditions), none)]
    rest = [c for c in conditions if c is not several[0]]
    each = [replace(several[0], values=(value,)) for value in several[0].values]
    return [Linked((), table, (*rest, one)) for one in each]


def _is_one_of_each(reading: Reading, filters: list[Filter]) -> bool:
    """Tell a security and a backup agreement, which are two, from one word for several values."""
    return reading.has("and") and not reading.has("or") and len({f.at for f in filters}) > 1


def _is_negated(reading: Reading, at: int) -> bool:
    """Say whether a not stands before a noun and its adjectives."""
    j = at - 1
    while reading.kind_at(j, *ADJECTIVES):
        j -= 1
    if not reading.kind_at(j, "not"):
        return False
    reading.take(j)
    return True


def merged(conditions: Iterable[Condition]) -> list[Condition]:
    """Join values of one column: Acme and Globex are two of the values that it may have."""
    found: list[Condition] = []
    for condition in conditions:
        same = next((i for i, other in enumerate(found) if _are_values(condition, other)), None)
        if same is None:
            found.append(condition)
        elif isinstance(condition, Among) and isinstance(other := found[same], Among):
            values = tuple(dict.fromkeys((*other.values, *condition.values)))
            found[same] = replace(other, values=values)
    return found


def _are_values(left: Condition, right: Condition) -> bool:
    return (
        isinstance(left, Among)
        and isinstance(right, Among)
        and (left.path, left.column, left.negated) == (right.path, right.column, right.negated)
    )
