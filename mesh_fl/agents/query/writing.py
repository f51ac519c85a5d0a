"""Conditions, measures and groups as SQL; every literal is quoted and stands inline."""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

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
    Within,
)
from mesh_fl.agents.query.relations import Path, path_between, table_at
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.msp_tables import TABLES

FLAGS = frozenset(
    {
        ("tickets", "sla_met"),
        ("tickets", "sla_missed"),
        ("time_entries", "billable"),
        ("time_entries", "unbillable"),
    }
)
"""States that a yes-or-no column tells; where it is empty neither is known."""


NO_CURRENCY = "no currency told"
"""Stands for the currency of amounts that have none."""


def literal(value: object) -> str:
    """Quote a value."""
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'".replace(".000000'", "'")
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(int(value)) if float(value).is_integer() else repr(float(value))
    return "'" + str(value).replace("'", "''") + "'"


@dataclass
class Writer:
    """Writes parts of one SELECT and collects the tables that it joins."""

    table: str
    now: datetime
    filled: frozenset[str] = frozenset()
    prefix: str = ""
    joins: dict[Path, str] = field(default_factory=dict)

    # Where a column is ---------------------------------------------------------------------------

    @property
    def root(self) -> str:
        """The alias of the table itself."""
        return f"{self.prefix}t"

    def alias(self, path: Path) -> str:
        """Return the alias of a table, joining it and all on the way to it."""
        if not path:
            return self.root
        name = self.prefix + "_".join(re.sub("_id$", "", column) for column in path)
        if path not in self.joins:
            before, column = self.alias(path[:-1]), path[-1]
            other = table_at(self.table, path)
            key = TABLES[other].key
            self.joins[path] = f"LEFT JOIN {other} {name} ON {name}.{key} = {before}.{column}"
        return name

    def source(self) -> str:
        """Return the FROM clause with all joins asked for so far."""
        return " ".join([f"FROM {self.table} {self.root}", *self.joins.values()])

    # Conditions ----------------------------------------------------------------------------------

    def condition(self, asked: Condition) -> str:
        """Write a condition."""
        match asked:
            case Linked():
                return self._linked(asked)
            case Compared(path, quantity, operator, number):
                return f"{self.per_row(quantity, path)} {operator} {literal(number)}"
            case InState(path, table, state, negated):
                return self._in_state(path, table, state, negated)
            case Excluded(path, parts):
                moved = (replace(part, path=(*path, *part.path)) for part in parts)
                return f"({' AND '.join(map(self.condition, moved))}) IS NOT TRUE"
        return self._of_column(asked)

    def _in_state(self, path: Path, table: str, state: str, negated: bool) -> str:
        text = f"({self._state(table, state, self.alias(path))})"
        if not negated:
            return text
        # Of a flag that is not recorded nobody knows, whichever way is asked.
        return f"NOT {text}" if (table, state) in FLAGS else f"{text} IS NOT TRUE"

    def _of_column(self, asked: Among | HasItem | Known | Within) -> str:
        column = f"{self.alias(asked.path)}.{asked.column}"
        match asked:
            case Among(_, _, values, negated):
                if len(values) == 1:
                    operator = "IS DISTINCT FROM" if negated else "="
                    return f"{column} {operator} {literal(values[0])}"
                listed = ", ".join(literal(value) for value in values)
                if negated:
                    return f"({column} IS NULL OR {column} NOT IN ({listed}))"
                return f"{column} IN ({listed})"
            case HasItem(_, _, item, negated):
                pieces = f"string_split(replace({column}, ',', ';'), ';')"
                found = (
                    f"list_contains(list_transform({pieces}, lambda x: trim(x)), {literal(item)})"
                )
                return f"{found} IS NOT TRUE" if negated else found
            case Known(_, _, negated):
                return f"{column} IS NULL" if negated else f"{column} IS NOT NULL"
            case Within(_, _, start, end, negated):
                return _within(column, start, end, negated)

    def _linked(self, asked: Linked) -> str:
        parent = table_at(self.table, asked.path)
        way = path_between(asked.table, parent)
        if not way:
            raise ValueError(f"expected {asked.table} to refer to {parent}, it does not")
        inner = Writer(asked.table, self.now, self.filled, prefix=self.prefix + "x_")
        tests = [inner.condition(c) for c in asked.conditions]
        holder = inner.alias(way[:-1])
        key = f"{self.alias(asked.path)}.{TABLES[parent].key}"
        where = " AND ".join([f"{holder}.{way[-1]} = {key}", *tests])
        found = f"EXISTS (SELECT 1 {inner.source()} WHERE {where})"
        return f"NOT {found}" if asked.negated else found

    def _state(self, table: str, state: str, alias: str) -> str:
        template = vocabulary().states[table, state].sql
        return self._filled_in(template, alias)

    def _filled_in(self, template: str, alias: str) -> str:
        now = literal(self.now)
        cancelled = "TRUE"
        if "agreements.cancelled_at" in self.filled:
            cancelled = f"({alias}.cancelled_at IS NULL OR {alias}.cancelled_at > {now})"
        started = "TRUE"
        if "agreements.start_at" in self.filled:
            started = f"{alias}.start_at <= {now}"
        unpaid, lost = f"{alias}.balance > 0", f"{alias}.lost_at IS NULL"
        if "invoices.balance" not in self.filled:
            unpaid = f"{alias}.paid_at IS NULL"
        return template.format(
            t=alias, now=now, started=started, cancelled=cancelled, unpaid=unpaid, lost=lost
        )

    # Measures ------------------------------------------------------------------------------------

    def per_row(self, quantity: str, path: Path) -> str:
        """Write what a row gives of a quantity."""
        return self._filled_in(vocabulary().quantities[quantity].per_row, self.alias(path))

    def measure(self, asked: Measure, only: str = "") -> str:
        """Write an aggregate; `only` is a condition on its rows."""
        if asked.share_of is not None:
            return self._share(asked, only)
        given = "*" if not asked.quantity else self.per_row(asked.quantity, ())
        call = f"{asked.aggregate}({given})"
        return f"{call} FILTER (WHERE {only})" if only else call

    def _share(self, asked: Measure, only: str) -> str:
        of = " AND ".join(self.condition(c) for c in asked.share_of or ()) or "TRUE"
        known = " AND ".join(self._told(asked))
        value = self.per_row(asked.quantity, ()) if asked.quantity else "1"
        whole = " AND ".join(part for part in (only, known) if part)
        part = " AND ".join(text for text in (whole, f"({of})") if text)
        total = f"sum({value}) FILTER (WHERE {whole})" if whole else f"sum({value})"
        counted = f"coalesce(sum({value}) FILTER (WHERE {part}), 0)"
        return f"100.0 * {counted} / nullif({total}, 0)"

    def _told(self, asked: Measure) -> list[str]:
        """Rows of which nobody knows whether they are in a state count neither way."""
        states = [replace(c, negated=False) for c in asked.share_of or () if isinstance(c, InState)]
        return [f"{self.condition(c)} IS NOT NULL" for c in states]

    # Groups --------------------------------------------------------------------------------------

    def group(self, asked: Group) -> tuple[str, str, tuple[str, str] | None]:
        """Return the expression, its name, and for a named thing also its label's."""
        column = f"{self.alias(asked.path)}.{asked.column}"
        if asked.unit == "weekday":
            return f"isodow({column})", "weekday", (f"dayname({column})", "weekday_name")
        if asked.unit:
            return self._bucket(column, asked.unit), asked.unit, None
        if asked.column == "currency":
            return f"coalesce({column}, {literal(NO_CURRENCY)})", asked.column, None
        table = table_at(self.table, asked.path)
        label = vocabulary().tables[table].label
        if asked.column == TABLES[table].key and label and f"{table}.{label}" in self.filled:
            name = table.removesuffix("s")
            return column, asked.column, (f"{self.alias(asked.path)}.{label}", name)
        return column, asked.column, None

    @staticmethod
    def _bucket(column: str, unit: str) -> str:
        match unit:
            case "month":
                return f"strftime({column}, '%Y-%m')"
            case "year":
                return f"strftime({column}, '%Y')"
            case "quarter":
                return f"strftime({column}, '%Y') || '-Q' || quarter({column})"
        return f"strftime(date_trunc('{unit}', {column}), '%Y-%m-%d')"


def _within(column: str, start: datetime | None, end: datetime | None, negated: bool) -> str:
    tests = []
    if start is not None:
        tests.append(f"{column} >= {literal(start)}")
    if end is not None:
        tests.append(f"{column} < {literal(end)}")
    text = " AND ".join(tests) or f"{column} IS NOT NULL"
    return f"NOT ({text})" if negated else text
