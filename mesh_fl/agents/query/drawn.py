"""How a result can be drawn: a number, bars, or a line over time."""

from collections.abc import Sequence

from mesh_fl.agents.query.plan import Plan
from mesh_fl.agents.query.result import Cell, Chart


def chart_of(plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Chart | None:
    """Return a chart of the rows; None where there is nothing to draw."""
    if not rows or plan.measure is None:
        return None
    if plan.sides and plan.groups and not plan.count_groups:
        return Chart("bar", names[-3], tuple(names[-2:])) if len(plan.groups) == 1 else None
    if plan.sides and not plan.count_groups:
        first = 1 if names[0] == "answer" else 0
        return Chart("bar", None, tuple(names[first : first + 2]))
    if not plan.groups or plan.count_groups:
        number = names[1] if plan.yes_no else names[0]
        return Chart("number", None, (number,))
    if len(plan.groups) > 1:
        return None
    over_time = plan.groups[0].unit not in {None, "weekday"}
    return Chart("line" if over_time else "bar", names[-2], (names[-1],))
