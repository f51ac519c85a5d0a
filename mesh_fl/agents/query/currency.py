"""Amounts of different currencies are never added up, and of none is its currency guessed."""

from collections.abc import Callable
from dataclasses import replace

from mesh_fl.agents.query.plan import Among, Condition, Group, Measure, Plan
from mesh_fl.agents.query.reading import UnclearError
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.agents.query.writing import NO_CURRENCY

Counts = dict[str, int]
"""Rows of each currency."""


def is_money(plan: Plan) -> bool:
    """Say whether a plan is about amounts."""
    name = plan.measure.quantity if plan.measure is not None else plan.rank
    quantity = vocabulary().quantities.get(name)
    return quantity is not None and quantity.unit == "currency"


def with_currencies(plan: Plan, count: Callable[[Plan], Counts]) -> tuple[Plan, str | None]:
    """Part the result by currency where there are several, and return the one where there is one.

    Amounts that name no currency are taken for the only one of the table, and told; where there are
    several they are a group of their own.

    Parameters
    ----------
    plan : Plan
        About amounts of a table that tells currencies.
    count : callable
        Runs a plan that counts rows by currency.

    Raises
    ------
    UnclearError
        If amounts are to be ranked or compared that cannot be.
    """
    known = [one for one in count(_counts(plan.table, ())) if one != NO_CURRENCY]
    if len(known) == 1:
        plan = _without_currency(plan, known[0])
    found: Counts = {}
    for conditions in [side.conditions for side in plan.sides] or [()]:
        found |= count(_counts(plan.table, (*plan.conditions, *conditions)))
    blank = found.get(NO_CURRENCY, 0)
    if blank and len(known) == 1 and not _is_grouped(plan):
        plan = replace(plan, said=(*plan.said, _assumed(plan, blank, known[0])))
        found = {known[0]: 1}
    currencies = tuple(found)
    unit = currencies[0] if len(currencies) == 1 and not blank_only(currencies) else None
    return _parted(plan, currencies), unit


def blank_only(currencies: tuple[str, ...]) -> bool:
    """Say whether no amount names its currency."""
    return currencies == (NO_CURRENCY,)


def _counts(table: str, conditions: tuple[Condition, ...]) -> Plan:
    groups = (Group((), "currency"),)
    return Plan(table, conditions, measure=Measure("count"), groups=groups)


def _without_currency(plan: Plan, only: str) -> Plan:
    """Leave out that the currency be the only one: an amount that names none is of it, too."""
    named = Among((), "currency", (only,))
    return replace(plan, conditions=tuple(c for c in plan.conditions if c != named))


def _assumed(plan: Plan, blank: int, currency: str) -> str:
    title = vocabulary().tables[plan.table].title
    one = blank == 1
    return (
        f"{blank} of the {title} {'names' if one else 'name'} no currency and "
        f"{'is' if one else 'are'} taken for {currency}, the only one there is."
    )


def _is_grouped(plan: Plan) -> bool:
    return any(group.column == "currency" for group in plan.groups)


def _parted(plan: Plan, currencies: tuple[str, ...]) -> Plan:
    if blank_only(currencies) and not _is_grouped(plan):
        return replace(plan, said=(*plan.said, "These amounts name no currency."))
    if len(currencies) < 2 or _is_grouped(plan):
        return plan
    if plan.measure is None:
        # Rows are shown with their own currency, and nothing is added up.
        note = f"Amounts are in {', '.join(currencies)}, ranked as they stand."
        return replace(plan, said=(*plan.said, note))
    if plan.order or plan.sides or plan.having or plan.measure.share_of:
        listed = ", ".join(currencies)
        raise UnclearError(
            f"the amounts are in {listed} and cannot be compared: name one, as in USD"
        )
    note = "amounts of different currencies are not added up"
    groups = (*plan.groups, Group((), "currency"))
    return replace(plan, groups=groups, notes=(*plan.notes, note))
