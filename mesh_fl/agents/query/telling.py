"""A plan and its result in words; every number is from the rows."""

from collections.abc import Sequence

from mesh_fl.agents.query.plan import (
    Among,
    Compared,
    Condition,
    Excluded,
    Group,
    HasItem,
    InState,
    Known,
    Linked,
    Measure,
    Plan,
    Within,
)
from mesh_fl.agents.query.relations import table_at
from mesh_fl.agents.query.result import Cell
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.msp_tables import TABLES

MOST_NAMED = 3
"""Rows that a sentence tells; the others stand in the table."""

_AGGREGATES = {
    "sum": "total",
    "avg": "average",
    "median": "median",
    "min": "lowest",
    "max": "highest",
    "count": "number",
}
_OPERATORS = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most", "=": "exactly"}


def interpretation_of(plan: Plan, unit: str | None = None) -> str:
    """Say how a question was understood."""
    parts = [_subject(plan, unit), *_conditions(plan.table, plan.conditions)]
    if plan.sides:
        way = f" with {plan.versus} than " if plan.versus else " compared with "
        parts.append(way.join(side.label for side in plan.sides))
    if plan.groups:
        parts.append("for each " + " and ".join(group_title(plan.table, g) for g in plan.groups))
    if plan.having:
        parts.append(f"where it is {_OPERATORS[plan.having[0]]} {plan.having[1]:g}")
    if plan.order:
        parts.append(_order(plan))
    text = ", ".join(parts)
    return "; ".join([text, *plan.notes])


def measure_title(plan: Plan, unit: str | None) -> str:
    """Name what is computed."""
    measure, title = plan.measure, vocabulary().tables[plan.table].title
    if measure is None:
        return title
    of = _of(measure)
    if measure.share_of is not None:
        whole = f"{of} of {title}" if of else title
        part = ", ".join(_conditions(plan.table, measure.share_of))
        return f"share in percent of {whole} {part}"
    if not of:
        return f"number of {title}"
    named = f" in {unit}" if unit else ""
    return f"{_AGGREGATES[measure.aggregate]} {of}{named}"


def group_title(table: str, group: Group) -> str:
    """Name what rows are put together by."""
    if group.unit:
        return f"{group.unit} of {group.column}"
    other = table_at(table, group.path)
    if group.column == TABLES[other].key and group.path:
        return other.removesuffix("s")
    return group.column


def number_text(value: Cell, unit: str | None = None) -> str:
    """Write a number for people, with its unit."""
    if value is None:
        return "no data"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if isinstance(value, int):
        text = f"{value:,}"
    return f"{text}%" if unit == "%" else f"{text} {unit}" if unit else text


def sentence_of(
    plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Cell]], unit: str | None
) -> str:
    """Say the answer.

    Parameters
    ----------
    plan : Plan
        What was asked.
    names : sequence of str
        Of the columns.
    rows : sequence
        The result.
    unit : str, optional
        Of the measure.
    """
    if plan.measure is None or plan.count_groups:
        return _listed(plan, names, rows)
    if plan.sides and plan.groups:
        return _compared_groups(plan, names, rows, unit)
    if plan.sides:
        return _compared(plan, names, rows, unit)
    if plan.groups:
        return _grouped(plan, names, rows, unit)
    cells = dict(zip(names, rows[0], strict=True))
    value = next(v for k, v in cells.items() if k not in {"answer", "counted_rows"})
    title = measure_title(plan, None)
    if plan.yes_no:
        return f"{'Yes' if value else 'No'}: the {title} is {number_text(value)}."
    if value is None:
        return f"There is no data for the {title}."
    return f"The {title} is {number_text(value, unit)}."


def _listed(plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    title = vocabulary().tables[plan.table].title
    if plan.count_groups:
        return f"There are {number_text(rows[0][0])}."
    if not rows:
        return f"There are no such {title}."
    if plan.show:
        told = "; ".join(", ".join(number_text(c) for c in row) for row in rows[:MOST_NAMED])
        return f"{', '.join(plan.show)}: {told}."
    label = _label_at(plan, names)
    told = ", ".join(str(row[label]) for row in rows[:MOST_NAMED])
    more = " and others" if len(rows) > MOST_NAMED else ""
    # The titles of tables are plurals that end in s.
    return f"{len(rows)} {title if len(rows) > 1 else title.removesuffix('s')}: {told}{more}."


def _label_at(plan: Plan, names: Sequence[str]) -> int:
    label = vocabulary().tables[plan.table].label
    return names.index(label) if label in names else 0


def _grouped(
    plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Cell]], unit: str | None
) -> str:
    title = measure_title(plan, None)
    if not rows:
        return f"There is no data for the {title}."
    shown = [
        i for i, name in enumerate(names[:-1]) if not name.endswith("_id") and name != "weekday"
    ]
    told = "; ".join(_row(row, shown, unit) for row in rows[:MOST_NAMED])
    more = f"; {len(rows)} rows in all" if len(rows) > MOST_NAMED else ""
    return f"The {title}: {told}{more}."


def _compared_groups(
    plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Cell]], unit: str | None
) -> str:
    """Tell both numbers of each group: Acme 3 against 2."""
    title = f"{measure_title(plan, None)}, {' against '.join(side.label for side in plan.sides)}"
    if not rows:
        return f"There is none with {plan.versus or 'any'}: {title}."
    shown = [i for i, name in enumerate(names[:-2]) if not name.endswith("_id")]
    told = "; ".join(
        f"{_row(row[:-1], shown, unit)} against {number_text(row[-1], unit)}"
        for row in rows[:MOST_NAMED]
    )
    more = f"; {len(rows)} rows in all" if len(rows) > MOST_NAMED else ""
    return f"{title[:1].upper()}{title[1:]}: {told}{more}."


def _row(row: Sequence[Cell], shown: Sequence[int], unit: str | None) -> str:
    labels = " ".join(str(row[i]) for i in shown if row[i] is not None) or str(row[0])
    return f"{labels}: {number_text(row[-1], unit)}"


def _compared(
    plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Cell]], unit: str | None
) -> str:
    cells = list(rows[0])
    answer = ""
    if names[0] == "answer":
        answer = f"{number_text(cells.pop(0)).capitalize()}: "
    first, second, _, percent = cells[:4]
    sides = [side.label for side in plan.sides]
    text = (
        f"{measure_title(plan, None)}, {sides[0]}: {number_text(first, unit)}, "
        f"{sides[1]}: {number_text(second, unit)}"
    )
    change = f", a change of {percent:+.1f}%" if isinstance(percent, float) else ""
    return f"{answer}{text}{change}." if answer else f"{text[:1].upper()}{text[1:]}{change}."


# Conditions ---------------------------------------------------------------------------------------


def _of(measure: Measure) -> str:
    return vocabulary().quantities[measure.quantity].title if measure.quantity else ""


def _subject(plan: Plan, unit: str | None) -> str:
    if plan.count_groups:
        return f"how many have the {measure_title(plan, unit)} asked for"
    ask = "whether there is any: " if plan.yes_no == "any" else ""
    return ask + measure_title(plan, unit)


def _order(plan: Plan) -> str:
    if plan.order is None:
        return ""
    by = f" by {plan.rank}" if plan.rank else ""
    if plan.order.limit is None:
        return f"the {'highest' if plan.order.descending else 'lowest'} first{by}"
    way = "highest" if plan.order.descending else "lowest"
    if plan.rank.endswith("_at") or plan.rank in {"ts", "since"}:
        way = "latest" if plan.order.descending else "earliest"
    return f"the {plan.order.limit} {way}{by}"


def _conditions(table: str, conditions: Sequence[Condition]) -> list[str]:
    return [_condition(table, c) for c in conditions]


def _condition(table: str, c: Condition) -> str:
    place = vocabulary().tables[table_at(table, c.path)].title + " " if c.path else ""
    match c:
        case Linked(_, other, inner, negated):
            rest = ", ".join(_conditions(other, inner))
            title = vocabulary().tables[other].title
            return (
                f"{place}{'without' if negated else 'with'} {title}{f' ({rest})' if rest else ''}"
            )
        case InState(_, _, _, negated):
            title = vocabulary().states[c.table, c.state].title
            return f"{'not ' if negated else ''}{title}"
        case Excluded(_, parts):
            return f"{place}not ({' and '.join(_conditions(table_at(table, c.path), parts))})"
        case Compared(_, name, operator, number):
            quantity = vocabulary().quantities[name]
            unit = f" {quantity.unit}" if quantity.unit not in {None, "currency"} else ""
            return f"{quantity.title} {_OPERATORS[operator]} {number:g}{unit}"
    return place + _of_column(c)


def _of_column(c: Among | HasItem | Known | Within) -> str:
    match c:
        case Among(_, column, values, negated):
            listed = " or ".join(v if isinstance(v, str) else f"{v:g}" for v in values)
            return f"{column} {'is not' if negated else 'is'} {listed}"
        case HasItem(_, column, item, negated):
            return f"{column} {'do not name' if negated else 'name'} {item}"
        case Known(_, column, negated):
            return f"{column} is {'empty' if negated else 'known'}"
        case Within(_, column, start, end, negated):
            since = f" from {_moment(start)}" if start is not None else ""
            until = f" up to before {_moment(end)}" if end is not None else ""
            return f"{column}{' not' if negated else ''}{since}{until}"


def _moment(moment: object) -> str:
    text = f"{moment:%Y-%m-%d %H:%M}"
    return text.removesuffix(" 00:00")
