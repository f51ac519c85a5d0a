"""What is computed over rows: a count, a sum, an average, a share."""

from typing import get_args

from mesh_fl.agents.query.attachment import say_running
from mesh_fl.agents.query.plan import Aggregate, Condition, InState, Measure, Within
from mesh_fl.agents.query.reading import Filter, Reading, UnclearError
from mesh_fl.agents.query.roles import Roles
from mesh_fl.agents.query.vocabulary import Quantity

SUMMED = frozenset({"amount", "resolution", "duration", "capacity"})
"""Quantities that can be summed, although a sum is not what is meant by default."""

MONEY_TABLES = frozenset({"invoices", "agreements"})


def measure_of(reading: Reading, roles: Roles) -> Measure | None:
    """Return what is computed; None if rows are listed or ranked.

    Raises
    ------
    UnclearError
        If the question leaves it open.
    """
    if roles.quantity is not None:
        return _of_quantity(roles, roles.quantity)
    if roles.aggregate in {"avg", "median", "max", "min"}:
        return _of_amount(reading, roles.aggregate)
    if roles.aggregate == "sum" and reading.fact in MONEY_TABLES:
        raise UnclearError(f"say whether the number or the amount of {reading.fact} is meant")
    if reading.has("how_much") and reading.fact == "invoices":
        return Measure("sum", "revenue")
    return Measure("count") if roles.counts or roles.aggregate else None


def _of_quantity(roles: Roles, quantity: Quantity) -> Measure | None:
    name = roles.aggregate or quantity.default
    if roles.aggregate == "sum" and quantity.default != "sum" and quantity.name not in SUMMED:
        raise UnclearError(f"{quantity.title} is not summed: ask for the average")
    if not name and roles.superlative:
        return None
    if not name:
        raise UnclearError(
            f"say whether the average, the highest or the lowest {quantity.title} is meant"
        )
    return Measure(next(a for a in get_args(Aggregate) if a == name), quantity.name)


def _of_amount(reading: Reading, aggregate: Aggregate | None) -> Measure:
    name = reading.known.tables[reading.fact].amount
    if not name or reading.fact == "tickets" or aggregate is None:
        raise UnclearError(f"say what of {reading.fact} is to be put together")
    return Measure(aggregate, name)


def standing_conditions(reading: Reading, roles: Roles) -> tuple[Condition, ...]:
    """Return what a quantity brings along: recurring revenue is of running agreements."""
    quantity = roles.quantity
    if quantity is None or not quantity.state:
        return ()
    say_running(reading)
    reading.notes.append(f"{quantity.title} counts the agreements that are running now")
    return (InState((), quantity.table, quantity.state),)


def split_share(
    reading: Reading, roles: Roles, found: list[Filter]
) -> tuple[list[Filter], list[Filter]]:
    """Part a share's conditions from the whole that it is a share of.

    What follows the noun is the share, what stands before it is the whole: of the P1 tickets,
    which share met the SLA. Names and times limit the whole wherever they stand.

    Raises
    ------
    UnclearError
        If that does not tell them apart.
    """
    reading.take_all("share")
    choices = [f for f in found if not isinstance(f.condition, Within)]
    head = _head_at(reading, roles)
    after = [f for f in choices if f.at > head]
    people = [f for f in after if f.table in {"clients", "technicians"}]
    rest = [f for f in after if f not in people]
    part = rest or people or [f for f in choices if f.at < head]
    if not part:
        raise UnclearError("say what the share is of, such as the share of tickets with priority 1")
    if len({(f.table, getattr(f.condition, "column", f.at)) for f in part}) > 1:
        raise UnclearError("I do not know which condition is the share and which is the whole")
    return part, [f for f in found if f not in part]


def _head_at(reading: Reading, roles: Roles) -> int:
    nouns = [m.at for m in reading.mentions if m.table == reading.fact]
    if roles.quantity is not None:
        nouns.append(roles.quantity_at)
    return min(nouns, default=-1)
