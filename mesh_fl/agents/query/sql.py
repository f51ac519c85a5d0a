"""A plan as one SELECT over declared tables and columns."""

# ruff: noqa: S608 -- names are declared ones, and values are quoted by `literal`.

import re
from dataclasses import dataclass, replace
from datetime import datetime

from mesh_fl.agents.query.plan import Condition, Linked, Measure, Plan
from mesh_fl.agents.query.relations import REFERENCES, table_at
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.agents.query.writing import Writer, literal
from mesh_fl.msp_tables import TABLES


def sql_of(plan: Plan, now: datetime, filled: frozenset[str] = frozenset()) -> str:
    """Write a plan as one SELECT.

    Parameters
    ----------
    plan : Plan
        What is asked.
    now : datetime
        The moment of asking.
    filled : frozenset of str
        Columns, as table.column, that have a value anywhere.
    """
    return _Statement(plan.table, now, filled).write(plan)


@dataclass
class _Statement(Writer):
    """Writes one SELECT."""

    def write(self, plan: Plan) -> str:
        tests = [self.condition(c) for c in plan.conditions]
        if plan.measure is None:
            return self._list(plan, tests)
        if plan.sides and plan.groups:
            return self._compare_groups(plan, plan.measure, tests)
        if plan.sides:
            return self._compare(plan, plan.measure, tests)
        if not plan.groups:
            return self._scalar(plan, plan.measure, tests)
        return self._grouped(plan, plan.measure, tests)

    def _scalar(self, plan: Plan, measure: Measure, tests: list[str]) -> str:
        value = self.measure(measure)
        name = measure_name(plan, measure)
        columns = f"{value} AS {name}"
        if plan.yes_no:
            columns = f"{value} > 0 AS answer, {columns}"
        elif measure.quantity:
            columns += f", count({self.per_row(measure.quantity, ())}) AS counted_rows"
        return f"SELECT {columns} {self.source()}{_where(tests)}"

    def _compare(self, plan: Plan, measure: Measure, tests: list[str]) -> str:
        sides = [" AND ".join(self.condition(c) for c in side.conditions) for side in plan.sides]
        names = side_names(plan)
        inner = ", ".join(
            f"{self.measure(measure, only)} AS {name}"
            for only, name in zip(sides, names, strict=True)
        )
        first, second = names[:2]
        change = (
            f"{second} - {first} AS difference, "
            f"100.0 * ({second} - {first}) / nullif({first}, 0) AS change_percent"
        )
        answer = {
            "more": f"{first} > {second} AS answer, ",
            "fewer": f"{first} < {second} AS answer, ",
        }
        chosen = f"{answer.get(plan.yes_no, '')}{', '.join(names)}, {change}"
        either = " OR ".join(f"({side})" for side in sides)
        body = f"SELECT {inner} {self.source()}{_where([*tests, f'({either})'])}"
        return f"SELECT {chosen} FROM ({body}) compared"

    def _compare_groups(self, plan: Plan, measure: Measure, tests: list[str]) -> str:
        sides = [" AND ".join(self.condition(c) for c in side.conditions) for side in plan.sides]
        columns, keys, known = self._keys(plan)
        for only, name in zip(sides, side_names(plan), strict=True):
            value = self.measure(measure, only)
            value = f"coalesce({value}, 0)" if measure.aggregate == "sum" else value
            columns.append(f"{value} AS {name}")
        either = " OR ".join(f"({side})" for side in sides)
        body = (
            f"SELECT {', '.join(columns)} {self.source()}"
            f"{_where([*tests, *known, f'({either})'])} GROUP BY {', '.join(keys)}"
        )
        if plan.versus:
            first, second = side_names(plan)[:2]
            way = ">" if plan.versus == "more" else "<"
            body = f"SELECT * FROM ({body}) compared WHERE {first} {way} {second}"
        return self._finished(plan, body, "")

    def _keys(self, plan: Plan) -> tuple[list[str], list[str], list[str]]:
        """Return the columns of the groups, what to group by, and that they are known."""
        columns, keys, known = [], [], []
        for asked in plan.groups:
            expression, name, label = self.group(asked)
            if asked.column != "currency":
                known.append(f"{self.alias(asked.path)}.{asked.column} IS NOT NULL")
            for text, title in ((expression, name), label or ("", "")):
                if text:
                    columns.append(f"{text} AS {title}")
                    keys.append(text)
        return columns, keys, known

    def _grouped(self, plan: Plan, measure: Measure, tests: list[str]) -> str:
        if plan.with_empty:
            return self._with_empty(plan, tests)
        columns, keys, known = self._keys(plan)
        value, name = self.measure(measure), measure_name(plan, measure)
        body = (
            f"SELECT {', '.join(columns)}, {value} AS {name} {self.source()}"
            f"{_where([*tests, *known])} GROUP BY {', '.join(keys)}"
        )
        if plan.having:
            body += f" HAVING {value} {plan.having[0]} {literal(plan.having[1])}"
        elif measure.aggregate != "count":
            body += f" HAVING {value} IS NOT NULL"
        return self._finished(plan, body, name)

    def _finished(self, plan: Plan, body: str, name: str) -> str:
        if plan.count_groups:
            return f"SELECT count(*) AS number FROM ({body}) found"
        if plan.order is None:
            return f"{body} ORDER BY 1"
        way = "DESC" if plan.order.descending else "ASC"
        if plan.order.limit is None:
            return f"{body} ORDER BY {name} {way}, 1"
        first = f"rank() OVER (ORDER BY {name} {way}) <= {plan.order.limit}"
        return f"SELECT * FROM ({body}) found QUALIFY {first} ORDER BY {name} {way}, 1"

    def _with_empty(self, plan: Plan, tests: list[str]) -> str:
        """Count for each parent row, also those that nothing refers to."""
        group = plan.groups[0]
        parent = table_at(self.table, group.path)
        key, label = TABLES[parent].key, vocabulary().tables[parent].label or TABLES[parent].key
        outer = Writer(parent, self.now, self.filled, prefix="p_")
        mine = [c for c in plan.conditions if c.path == group.path and not isinstance(c, Linked)]
        inner = Writer(self.table, self.now, self.filled)
        rest = [inner.condition(c) for c in plan.conditions if c not in mine]
        of = f"{inner.alias(group.path)}.{key}"
        where = [outer.condition(_moved(c)) for c in mine]
        counted = (
            f"SELECT {of} AS id, count(*) AS number {inner.source()}{_where(rest)} GROUP BY {of}"
        )
        name = measure_name(plan, Measure("count"))
        body = (
            f"SELECT p_t.{key} AS {key}, p_t.{label} AS {parent.removesuffix('s')}, "
            f"coalesce(counted.number, 0) AS {name} FROM {parent} p_t "
            f"LEFT JOIN ({counted}) counted ON counted.id = p_t.{key}{_where(where)}"
        )
        if plan.having:
            test = f"{name} {plan.having[0]} {literal(plan.having[1])}"
            body = f"SELECT * FROM ({body}) every WHERE {test}"
        return self._finished(plan, body, name)

    def _list(self, plan: Plan, tests: list[str]) -> str:
        columns = [self._shown(name) for name in self._columns(plan)]
        order, limit = self._rank(plan)
        if plan.rank in vocabulary().quantities:
            columns.append(f"{order} AS {plan.rank}")
        if plan.order is not None:
            tests = [*tests, f"{order} IS NOT NULL"]
        key, chosen = f"{self.root}.{TABLES[self.table].key}", f"SELECT {', '.join(columns)}"
        if plan.order is None:
            return f"{chosen} {self.source()}{_where(tests)} ORDER BY {key}"
        way = "DESC" if plan.order.descending else "ASC"
        if limit is not None:
            # Ties of the last are named too; a window over all rows would take ten times as long.
            first = f"SELECT {order} AS v {self.source()}{_where(tests)} ORDER BY 1 {way}"
            last = "min" if plan.order.descending else "max"
            operator = ">=" if plan.order.descending else "<="
            bound = f"SELECT {last}(v) FROM ({first} LIMIT {limit}) first"
            if limit == 1:
                top = "max" if plan.order.descending else "min"
                bound = f"SELECT {top}({order}) {self.source()}{_where(tests)}"
            tests = [*tests, f"{order} {operator} ({bound})"]
        return f"{chosen} {self.source()}{_where(tests)} ORDER BY {order} {way}, {key}"

    def _rank(self, plan: Plan) -> tuple[str, int | None]:
        if plan.order is None:
            return "", None
        if plan.rank in vocabulary().quantities:
            return self.per_row(plan.rank, ()), plan.order.limit
        return f"{self.root}.{plan.rank}", plan.order.limit

    def _columns(self, plan: Plan) -> list[str]:
        key = TABLES[plan.table].key
        words = vocabulary().tables[plan.table]
        wanted = words.show if not plan.show else (key, words.label, *plan.show)
        references = {"client": "client_id", "technician": ""}
        found = []
        for name in dict.fromkeys(filter(None, wanted)):
            real = references.get(name, name)
            if name == "technician":
                real = "assignee_id" if plan.table == "tickets" else "technician_id"
            if real in REFERENCES.get(plan.table, {}) and name in references:
                found.append(f"@{real}")
            elif name == key or f"{plan.table}.{name}" in self.filled or name in plan.show:
                found.append(name)
        return found

    def _shown(self, name: str) -> str:
        if not name.startswith("@"):
            return f"{self.root}.{name}"
        column = name[1:]
        other = REFERENCES[self.table][column]
        if f"{other}.name" not in self.filled:
            return f"{self.root}.{column}"
        return f"{self.alias((column,))}.name AS {other.removesuffix('s')}"


def measure_name(plan: Plan, measure: Measure) -> str:
    """Return the name of the column that holds a measure."""
    if measure.share_of is not None:
        return "share_percent"
    if not measure.quantity:
        return plan.table
    unit = vocabulary().quantities[measure.quantity].unit
    suffix = f"_{unit}" if unit in {"hours", "days"} and unit not in measure.quantity else ""
    return f"{measure.aggregate}_{measure.quantity}{suffix}"


def side_names(plan: Plan) -> tuple[str, ...]:
    """Return a column name for each side, from its label."""
    names = []
    for i, side in enumerate(plan.sides):
        name = re.sub(r"[^a-z0-9]+", "_", side.label.lower()).strip("_")
        plain = name if name.isascii() and name and not name[0].isdigit() else f"in_{name}"
        names.append(plain if name and plain not in names else f"side_{i + 1}")
    return tuple(f'"{name}"' for name in names)


def _moved(condition: Condition) -> Condition:
    return replace(condition, path=())


def _where(tests: list[str]) -> str:
    return f" WHERE {' AND '.join(tests)}" if tests else ""
