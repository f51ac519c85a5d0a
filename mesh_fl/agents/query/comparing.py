"""Comparisons: with a number, of two times, of two values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.filters import HOURS, MONEY, operator_of, scaled
from mesh_fl.agents.query.plan import (
    Aggregate,
    Among,
    Compared,
    Condition,
    Measure,
    Operator,
    Side,
    Within,
)
from mesh_fl.agents.query.reading import Filter, Mention, Reading, UnclearError, moved_to
from mesh_fl.agents.query.relations import path_between
from mesh_fl.agents.query.roles import Roles
from mesh_fl.agents.query.spans import moved
from mesh_fl.agents.query.vocabulary import Meaning, Quantity


@dataclass(frozen=True)
class Having:
    """A number with which something is compared.

    Parameters
    ----------
    at : int
        Its chunk.
    table : str
        Whose rows give what is compared.
    operator, number
        The comparison.
    measure : Measure, optional
        What is compared of each group.
    grouped : bool
        Whether groups are compared, not rows.
    counted_groups : bool
        Whether the question may ask how many groups there are.
    quantity : Quantity, optional
        What is compared of each row.
    """

    at: int
    table: str
    operator: Operator
    number: float
    measure: Measure | None = None
    grouped: bool = False
    counted_groups: bool = False
    quantity: Quantity | None = None


def havings_of(reading: Reading, roles: Roles) -> Having | None:
    """Find the one comparison of groups with a number, as clients with more than 10 tickets."""
    found = [h for i in reading.all_of("compare") if (h := _having(reading, roles, i)) is not None]
    if len(found) > 1:
        raise UnclearError("I can compare groups with one number only")
    return found[0] if found else None


def _having(reading: Reading, roles: Roles, i: int) -> Having | None:
    chunk = reading.chunks[i]
    mention = _counted(reading, i)
    head = _head(reading, roles, i)
    if mention is not None and head and head != mention.table and not chunk.unit:
        if not reading.reaches(mention.table, head):
            raise UnclearError(f"{mention.table} do not belong to {head} in these tables")
        mention.role = "having"
        reading.take(i)
        return _grouped(reading, i, mention.table, Measure("count"), head)
    quantity = _quantity_of(reading, i)
    of_people = chunk.unit == "hour" and head in {"technicians", "clients"}
    if quantity is None and of_people and not _is_named(reading, "tickets"):
        quantity = reading.known.quantities["hours"]
    if (
        quantity is not None
        and head
        and quantity.table != head
        and reading.reaches(quantity.table, head)
    ):
        if _is_named(reading, quantity.table):
            return None
        reading.take(i)
        aggregate = roles.aggregate or quantity.default or "sum"
        name = next(a for a in get_args(Aggregate) if a == aggregate)
        return _grouped(reading, i, quantity.table, Measure(name, quantity.name), head, quantity)
    return None


def _is_named(reading: Reading, table: str) -> bool:
    return any(m.role == "" and m.table == table for m in reading.mentions)


def _grouped(
    reading: Reading,
    i: int,
    table: str,
    measure: Measure,
    head: str,
    quantity: Quantity | None = None,
) -> Having:
    chunk = reading.chunks[i]
    number = scaled(chunk, quantity) if quantity is not None else chunk.number or 0.0
    if chunk.upper is not None:
        raise UnclearError(f"ask for {chunk.text!r} as a lower or an upper bound", chunk.text)
    operator = operator_of(chunk)
    return Having(i, table, operator, number, measure, True, True, quantity)


def _counted(reading: Reading, i: int) -> Mention | None:
    j = i + 1
    while reading.kind_at(j, "value", "state", "event") and not reading.mention_at(j):
        j += 1
    return reading.mention_at(j)


def _head(reading: Reading, roles: Roles, i: int) -> str:
    """Return the table that the comparison is about: the noun before it."""
    if roles.group_tables:
        mention = reading.mention_at(roles.group_tables[0])
        return mention.table if mention is not None else ""
    before = [m for m in reading.mentions if m.at < i]
    if before:
        return before[0].table
    return "technicians" if reading.has("who") else ""


def _quantity_of(reading: Reading, i: int) -> Quantity | None:
    """Return the quantity beside a comparison: more than 50 employees, a csat below 3."""
    j = i + 1
    while reading.kind_at(j, "state", "value", "aggregate") and not reading.mention_at(j):
        j += 1
    left = i - 2 if reading.mention_at(i - 1) else i - 1
    for at in (j, left):
        if reading.kind_at(at, "state") and any(m.name == "rated" for m in _states(reading, at)):
            reading.take(at)
            return reading.quantity(Meaning("quantity", "tickets", "csat"))
        if reading.kind_at(at, "quantity"):
            reading.take(at)
            meanings = reading.chunks[at].of("quantity")
            if len(meanings) == 1:
                return reading.quantity(meanings[0])
    return None


# Of rows ------------------------------------------------------------------------------------------


def compared_filters(reading: Reading, roles: Roles) -> list[Filter]:
    """Make the conditions of rows: invoices over 1000, clients with more than 50 employees."""
    found: list[Filter] = []
    for i in reading.all_of("compare"):
        if i in reading.used or _belongs_to_event(reading, i):
            continue
        reading.take(i)
        found.extend(_row(reading, roles, i))
    return found


def _belongs_to_event(reading: Reading, i: int) -> bool:
    units = {*HOURS, "quarter"}
    return reading.kind_at(i - 1, "event") and reading.chunks[i].unit in units


def _row(reading: Reading, roles: Roles, i: int) -> list[Filter]:
    chunk = reading.chunks[i]
    quantity = _quantity_of(reading, i)
    if quantity is None:
        aged = _aged(reading, i)
        if aged is not None:
            return [aged]
        quantity = _implied(reading, roles, chunk)
    compared = [Compared((), quantity.name, _operator(chunk, quantity), scaled(chunk, quantity))]
    if chunk.upper is not None:
        compared.append(Compared((), quantity.name, "<=", scaled(chunk, quantity, chunk.upper)))
    found = [Filter(i, quantity.table, c) for c in compared]
    if chunk.unit in MONEY:
        reading.demand(quantity.table, "currency")
        found.append(Filter(i, quantity.table, Among((), "currency", (chunk.unit.upper(),))))
    return found


def _operator(chunk: Chunk, quantity: Quantity) -> Operator:
    """Priority 2 or higher: the more urgent has the lower number."""
    operator = operator_of(chunk)
    if quantity.name != "priority":
        return operator
    if not {"higher", "above", "lower", "below"} & set(chunk.text.lower().split()):
        raise UnclearError("name the priorities themselves, such as priority 1 or 2", chunk.text)
    turned: dict[Operator, Operator] = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
    return turned.get(operator, operator)


def _aged(reading: Reading, i: int) -> Filter | None:
    """Older than 60 days, open for more than a week: by the moment the table is known for."""
    chunk = reading.chunks[i]
    if chunk.unit not in {*HOURS, "quarter"} or chunk.unit == "minute":
        return None
    text = chunk.text.lower()
    state = reading.kind_at(i - 1, "state") or reading.kind_at(i + 1, "state")
    if not (text.startswith("older") or state):
        return None
    column = reading.known.tables[reading.fact].time
    if not column or reading.fact == "clients":
        raise UnclearError(f"say since when {reading.fact} are {chunk.text!r}", chunk.text)
    overdue = any(m.name == "overdue" for m in (*_states(reading, i - 1), *_states(reading, i + 1)))
    column = "due_at" if overdue else column
    reading.demand(reading.fact, column)
    moment = moved(reading.now, chunk.unit, -int(chunk.number or 0))
    more = operator_of(chunk) in {">", ">="}
    span = (None, moment) if more else (moment, None)
    return Filter(i, reading.fact, Within((), column, *span))


def _states(reading: Reading, i: int) -> Sequence[Meaning]:
    return reading.chunks[i].of("state") if 0 <= i < len(reading.chunks) else ()


def _implied(reading: Reading, roles: Roles, chunk: Chunk) -> Quantity:
    """Invoices over 1000, tickets that took longer than 2 days: the amount of the row."""
    table = reading.fact
    amount = reading.known.tables[table].amount
    money = table in {"invoices", "agreements"}
    fits = amount and (chunk.unit in HOURS if not money else not chunk.unit or chunk.unit in MONEY)
    if not fits:
        raise UnclearError(f"I do not know what of {table} is {chunk.text!r}", chunk.text)
    if roles.quantity is not None and roles.quantity.unit == "currency":
        return roles.quantity
    quantity = reading.known.quantities[amount]
    reading.demand(quantity.table, *quantity.needs)
    return quantity


# Of two things ------------------------------------------------------------------------------------


def sides_of(
    reading: Reading, found: list[Filter], growth: bool
) -> tuple[tuple[Side, ...], list[Filter]]:
    """Part the two things that are compared from what holds of both."""
    asked = growth or reading.has("versus", "than")
    pair = _two_times(reading, found) or (_two_values(found) if asked else [])
    if pair and not asked and _overlap(pair):
        raise UnclearError("the question names two times: ask for one, or compare them")
    if asked and not pair:
        raise UnclearError("name the two times or the two things that are to be compared")
    if not pair:
        return (), found
    reading.take_all("versus", "than", "more", "fewer", "shrinking")
    rest = [f for f in found if f not in pair]
    if growth:
        pair = sorted(pair, key=lambda f: str(getattr(f.condition, "start", "")))
    return tuple(_side(reading, f) for f in pair), rest


def _two_times(reading: Reading, found: list[Filter]) -> list[Filter]:
    times = [f for f in found if isinstance(f.condition, Within) and _is_closed(f.condition)]
    columns = {(f.table, f.condition.column) for f in times if isinstance(f.condition, Within)}
    if len(times) == 2 and len(columns) == 1:
        return times
    if len(times) > 2:
        raise UnclearError("I can compare two times, not more")
    return []


def _overlap(pair: Sequence[Filter]) -> bool:
    one, other = (f.condition for f in pair)
    if not (isinstance(one, Within) and isinstance(other, Within)):
        return False
    bounds = one.start, one.end, other.start, other.end
    if any(bound is None for bound in bounds):
        return True
    return max(filter(None, bounds[::2])) < min(filter(None, bounds[1::2]))


def _is_closed(condition: Within) -> bool:
    return condition.start is not None and condition.end is not None


def _two_values(found: list[Filter]) -> list[Filter]:
    values = [f for f in found if isinstance(f.condition, Among)]
    for i, one in enumerate(values):
        for other in values[i + 1 :]:
            if one.table == other.table and _column(one.condition) == _column(other.condition):
                return [one, other]
    return []


def _column(condition: Condition) -> str:
    return condition.column if isinstance(condition, Among) else ""


def _side(reading: Reading, f: Filter) -> Side:
    path = path_between(reading.fact, f.table)
    if path is None:
        raise UnclearError(f"{f.table} and {reading.fact} cannot be compared here")
    condition = f.condition
    if isinstance(condition, Among):
        label = " ".join(_label(condition.column, value) for value in condition.values)
    else:
        chunk = reading.chunks[f.at]
        label = chunk.span.text if chunk.span is not None else chunk.text
    return Side(label, (moved_to(condition, path),))


def _label(column: str, value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"P{value:g}" if column == "priority" else f"{value:g}"
