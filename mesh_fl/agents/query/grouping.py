"""What rows are put together by, and how the results are ranked."""

from typing import get_args

from mesh_fl.agents.query.comparing import Having
from mesh_fl.agents.query.plan import Among, Condition, Group, Known, Order, Unit, Within
from mesh_fl.agents.query.reading import Filter, Mention, Reading, UnclearError
from mesh_fl.agents.query.relations import path_between
from mesh_fl.agents.query.roles import UP, Roles, is_plural
from mesh_fl.msp_tables import TABLES

OF_SIZE = frozenset({"largest", "biggest", "highest", "smallest", "lowest", "greatest"})
"""Superlatives of an amount; most and fewest are of a number."""


def groups_of(
    reading: Reading, roles: Roles, having: Having | None, found: list[Filter]
) -> tuple[Group, ...]:
    """Return what rows are put together by."""
    groups = []
    for i in roles.group_tables:
        mention = reading.mention_at(i)
        if mention is not None and mention.table != reading.fact:
            groups.append(_entity(reading, mention.table))
    groups.extend(_dimension(reading, i) for i in roles.group_dimensions)
    if roles.bucket:
        groups.append(Group((), _moment_of(reading, roles, found), roles.bucket))
    if not groups and (roles.superlative or having or roles.ranked_by):
        groups.extend(_ranked(reading, roles, found))
    return tuple(dict.fromkeys(groups))


def asked_column(
    reading: Reading, roles: Roles, conditions: tuple[Condition, ...]
) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """Return a column that is asked for: what level is Sam, what systems do servers run.

    Returns
    -------
    tuple of tuple of Group and tuple of str
        What rows are put together by, or the column to show of the one row that is named.
    """
    left = [i for i in reading.all_of("dimension") if i not in reading.used]
    if len(left) != 1 or roles.quantity is not None:
        return (), ()
    group = _dimension(reading, left[0])
    names = {TABLES[reading.fact].key, reading.known.tables[reading.fact].label}
    named = any(isinstance(c, Among) and not c.path and c.column in names for c in conditions)
    if named and not group.path:
        return (), (group.column,)
    return (group,), ()


def _entity(reading: Reading, table: str) -> Group:
    path = path_between(reading.fact, table)
    if path is None:
        raise UnclearError(f"{reading.fact} do not belong to {table} in these tables")
    reading.demand(table, TABLES[table].key)
    reading.demand(reading.fact, *path[:1])
    return Group(path, TABLES[table].key)


def _dimension(reading: Reading, i: int) -> Group:
    meanings = [m for m in reading.chunks[i].of("dimension") if m.table in reading.tables]
    here = [m for m in meanings if m.table == reading.fact]
    if not here:
        above = [m for m in meanings if reading.reaches(reading.fact, m.table)]
        named = [m for m in above if any(x.table == m.table for x in reading.mentions)]
        here = named or above
    if len(here) != 1:
        text = reading.chunks[i].text
        raise UnclearError(f"{reading.fact} cannot be put together by {text!r}", text)
    reading.take(i)
    reading.demand(here[0].table, here[0].name)
    return Group(path_between(reading.fact, here[0].table) or (), here[0].name)


def _moment_of(reading: Reading, roles: Roles, found: list[Filter]) -> str:
    """Return the moment by which rows are put together in months or the like."""
    own = [f.condition for f in found if f.table == reading.fact]
    times = {c.column for c in own if isinstance(c, Within)}
    events = {c.column for c in own if isinstance(c, Known) and not c.negated}
    columns = times or events
    if len(columns) == 1:
        return columns.pop()
    column = reading.known.tables[reading.fact].time
    if roles.quantity is not None and roles.quantity.time:
        column = roles.quantity.time
    if not column or columns:
        raise UnclearError(f"say which moment of {reading.fact} is meant")
    reading.demand(reading.fact, column)
    return column


def _ranked(reading: Reading, roles: Roles, found: list[Filter]) -> list[Group]:
    """Find what is ranked: a column, a unit of time, or a noun beside what is counted."""
    for i in reading.all_of("dimension"):
        if i not in reading.used:
            return [_dimension(reading, i)]
    for i in reading.all_of("asked_bucket"):
        roles.bucket = next(u for u in get_args(Unit) if u == reading.chunks[i].unit)
        reading.take(i)
        return [Group((), _moment_of(reading, roles, found), roles.bucket)]
    if roles.superlative in {"newest", "oldest"} and roles.quantity is None:
        return []
    for mention in reading.mentions:
        path = path_between(reading.fact, mention.table)
        if path and _is_ranked(reading, roles, mention):
            mention.role = "group"
            return [_entity(reading, mention.table)]
    return []


def _is_ranked(reading: Reading, roles: Roles, mention: Mention) -> bool:
    """Tell the slowest tickets of a client from the client with the slowest ones."""
    if roles.superlative not in {"longest", "shortest"}:
        return True
    after = sorted(m.at for m in reading.mentions if m.at > roles.superlative_at)
    noun = reading.mention_at(after[0]) if after else None
    return noun is None or noun.table != reading.fact


# Order --------------------------------------------------------------------------------------------


def order_of(
    reading: Reading, roles: Roles, found: list[Filter], grouped: bool
) -> tuple[Order | None, str]:
    """Return the order, and for a list by what it is ranked.

    Raises
    ------
    UnclearError
        If it is open by what, or how many are asked for.
    """
    if reading.has("versus", "than", "growth") and not roles.superlative:
        return None, ""
    if not roles.superlative:
        if not (roles.ranked_by or reading.has("descending", "ascending")):
            return None, ""
        descending = not reading.has("ascending")
        return Order(descending), "" if grouped else _rank(reading, roles, found)
    limit = roles.limit if roles.limit is not None else _how_many(reading, roles, grouped)
    order = Order(UP[roles.superlative], limit)
    _check_noun(reading, roles)
    if grouped:
        _check_counted(reading, roles)
        return order, ""
    if roles.quantity is not None and not any(m.table == reading.fact for m in reading.mentions):
        if roles.aggregate is not None or roles.superlative in {"newest", "oldest"}:
            raise UnclearError("say which tickets, clients or the like are ranked by it")
        roles.aggregate = "max" if order.descending else "min"
        return None, ""
    return order, _rank(reading, roles, found)


def _check_noun(reading: Reading, roles: Roles) -> None:
    """Refuse who closed the most clients: what is counted are tickets."""
    i = roles.superlative_at + 1
    while reading.kind_at(i, "value", "state", "event", "number") and not reading.mention_at(i):
        i += 1
    noun = reading.mention_at(i)
    if noun is not None and noun.role == "" and noun.table != reading.fact:
        text = reading.chunks[i].text
        raise UnclearError(f"I count {reading.fact} here and cannot rank by {text!r}", text)


def _check_counted(reading: Reading, roles: Roles) -> None:
    """Refuse the client with the highest invoice: it is neither the number nor the sum."""
    text = _superlative(reading, roles)
    counted = roles.counts or roles.ranked_by or roles.quantity is not None
    if not counted and (text in OF_SIZE or roles.superlative in {"longest", "shortest"}):
        raise UnclearError(f"say of what the {text} is meant", text)


def _superlative(reading: Reading, roles: Roles) -> str:
    return reading.chunks[roles.superlative_at].text.lower().rsplit(" ", 1)[-1]


def _how_many(reading: Reading, roles: Roles, grouped: bool) -> int:
    """Return one, unless what is ranked is in the plural and no number is given."""
    at = roles.superlative_at
    nouns = [m.at for m in reading.mentions if m.role == "group" and m.at != at]
    if not grouped:
        nouns = [m.at for m in reading.mentions if m.table == reading.fact and m.at > at]
    elif not nouns:
        nouns = [i for i in reading.all_of("dimension") if i > at and i in reading.used]
    if nouns and is_plural(reading.chunks[nouns[0]]):
        text = reading.chunks[nouns[0]].text
        raise UnclearError(f"say how many {text} to name, such as top 5", text)
    return 1


def _rank(reading: Reading, roles: Roles, found: list[Filter]) -> str:
    if roles.superlative in {"newest", "oldest"}:
        return _ranked_moment(reading, found)
    if roles.quantity is not None:
        return roles.quantity.name
    amount = reading.known.tables[reading.fact].amount
    text = _superlative(reading, roles) if roles.superlative else ""
    by_time = roles.superlative in {"longest", "shortest"}
    by_size = text in OF_SIZE and reading.fact != "tickets"
    if amount and (by_time or by_size):
        return amount
    raise UnclearError(f"say by what {reading.fact} are to be ranked", text)


def _ranked_moment(reading: Reading, found: list[Filter]) -> str:
    """Return the moment that newest is meant of: the most recently closed ticket."""
    own = [f.condition for f in found if f.table == reading.fact]
    columns = [c.column for c in own if isinstance(c, Known) and not c.negated]
    column = columns[0] if columns else reading.known.tables[reading.fact].time
    if not column:
        raise UnclearError(f"{reading.fact} have no time of their own")
    reading.demand(reading.fact, column)
    return column
