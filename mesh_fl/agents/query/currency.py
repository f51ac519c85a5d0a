"""Amounts of different currencies are never added up."""

from dataclasses import replace

from mesh_fl.agents.query.plan import Condition, Group, Known, Measure, Plan
from mesh_fl.agents.query.reading import UnclearError
from mesh_fl.agents.query.vocabulary import vocabulary


def is_money(plan: Plan) -> bool:
    """Say whether a plan is about amounts."""
    name = plan.measure.quantity if plan.measure is not None else plan.rank
    quantity = vocabulary().quantities.get(name)
    return quantity is not None and quantity.unit == "currency"


def currencies_plans(plan: Plan) -> list[Plan]:
    """Return plans that find the currencies of the rows that another one is about."""
    sides = [side.conditions for side in plan.sides] or [()]
    return [_currencies(plan, conditions) for conditions in sides]


def _currencies(plan: Plan, more: tuple[Condition, ...]) -> Plan:
    return Plan(
        table=plan.table,
        conditions=(*plan.conditions, *more, Known((), "currency")),
        measure=Measure("count"),
        groups=(Group((), "currency"),),
    )


def by_currency(plan: Plan, currencies: tuple[str, ...]) -> Plan:
    """Part the result by currency where there are several.

    Raises
    ------
    UnclearError
        If amounts are to be ranked or compared.
    """
    if len(currencies) < 2 or any(g.column == "currency" for g in plan.groups):
        return plan
    if plan.measure is None:
        # Rows are shown with their own currency, and nothing is added up.
        note = f"amounts are in {', '.join(currencies)}, ranked as they stand"
        return replace(plan, notes=(*plan.notes, note))
    if plan.order or plan.sides or plan.having or plan.measure.share_of:
        listed = ", ".join(currencies)
        raise UnclearError(
            f"the amounts are in {listed} and cannot be compared: name one, as in USD"
        )
    note = "amounts of different currencies are not added up"
    groups = (*plan.groups, Group((), "currency"))
    return replace(plan, groups=groups, notes=(*plan.notes, note))
