"""What an answer must say beside its numbers: which rows count, or do not, as a value is missing.

A row without a value is none that has the value, so it counts under "not", and the answer says how
many such rows there are. Of a moment or a yes-or-no that is not recorded nobody knows: it counts
neither way, and the answer says so, too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mesh_fl.agents.query.attachment import LASTING
from mesh_fl.agents.query.plan import (
    Among,
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
from mesh_fl.agents.query.relations import REFERENCES, Path, table_at
from mesh_fl.agents.query.result import Cell, Source
from mesh_fl.agents.query.telling import number_text
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.agents.query.writing import FLAGS
from mesh_fl.msp_tables import TABLES

DECIDING = {
    ("tickets", "critical"): "priority",
    ("tickets", "lowest"): "priority",
    ("tickets", "overdue"): "due_at",
    ("tickets", "over_estimate"): "est_hours",
    ("invoices", "overdue"): "due_at",
    ("events", "critical"): "severity",
    ("events", "informational"): "severity",
    ("appointments", "upcoming"): "start_at",
}
"""The column without which a row is not in a state, though nobody can know."""

Rows = Sequence[Sequence[Cell]]
Conditions = tuple[Condition, ...]


@dataclass(frozen=True)
class Caveats:
    """Finds what must be said of one plan.

    Parameters
    ----------
    plan : Plan
    unit : str, optional
        Of the measure.
    run : callable
        Returns the rows of another plan.
    """

    plan: Plan
    unit: str | None
    run: Callable[[Plan], Rows]

    def sentences(self) -> Iterator[str]:
        """Yield all that must be said, in whole sentences."""
        yield from self.plan.said
        for base in self._bases():
            yield from self._denied(base)
            yield from self._neither(base)
        yield from self._without_group()
        yield from self._without_value()
        yield from self._without_currency()
        yield from self._absent()

    # Conditions -----------------------------------------------------------------------------------

    def _bases(self) -> list[Conditions]:
        """Return the conditions of the rows that count; of each side where two are compared."""
        plan, share = self.plan, self.plan.measure.share_of if self.plan.measure else None
        sides = [side.conditions for side in plan.sides] or [()]
        return [(*plan.conditions, *side, *(share or ())) for side in sides]

    def _denied(self, base: Conditions) -> Iterator[str]:
        """Tell rows that count because they have no value."""
        for c in base:
            match c:
                case Among(path, column, _, True) | HasItem(path, column, _, True):
                    empty = self._count((*base, Known(path, column, negated=True)))
                    if empty:
                        what = _lack(self.plan.table, path, column, empty)
                        yield f"{self._some(empty)} {what}: counted under not."
                case InState(path, table, state, True) if (table, state) in DECIDING:
                    yield from self._outside(base, (Known(path, DECIDING[table, state]),))
                case Excluded(_, parts):
                    yield from self._outside(base, parts)
                case Linked(_, table, inner, _):
                    below = replace(self, plan=Plan(table, inner))
                    yield from below._denied(inner)

    def _outside(self, base: Conditions, parts: Conditions) -> Iterator[str]:
        for part in parts:
            if isinstance(part, Known | Among):
                empty = self._count((*base, Known(part.path, part.column, negated=True)))
                if empty:
                    what = _lack(self.plan.table, part.path, part.column, empty)
                    yield f"{self._some(empty)} {what}: counted under not."

    def _neither(self, base: Conditions) -> Iterator[str]:
        """Tell rows of which nobody knows whether a condition holds."""
        for c in base:
            column = self._unrecorded(c)
            if not column:
                continue
            others = tuple(other for other in base if other != c)
            unknown = self._count((*others, Known(c.path, column, negated=True)))
            if unknown:
                title = vocabulary().tables[self.plan.table].title
                of = f"Of {unknown} more of the {title} it is not known"
                yield f"{of} ({_plain(column)} is empty): counted neither way."

    def _unrecorded(self, c: Condition) -> str:
        """Return the column without which nobody knows whether a condition holds."""
        match c:
            case InState(_, table, state) if (table, state) in FLAGS:
                return vocabulary().states[table, state].needs[0]
            case InState(_, "agreements", "active", _):
                return "start_at"
            case Within(_, column, None, _) if column in LASTING:
                return column
        return ""

    # Rows that are left out -----------------------------------------------------------------------

    def _without_group(self) -> Iterator[str]:
        if self.plan.measure is None:
            return
        for base in self._wholes():
            for group in self._groups():
                lost = (*base, Known(group.path, group.column, negated=True))
                count = self._count(lost)
                if count:
                    what = _lack(self.plan.table, group.path, group.column, count, group)
                    yield f"{_left_out(count)}, as {_it(count)} {what}{self._amount(lost)}."

    def _without_value(self) -> Iterator[str]:
        measure = self.plan.measure
        if measure is None or not measure.quantity or self.plan.yes_no:
            return
        known = tuple(Known(group.path, group.column) for group in self._groups())
        needs = " or ".join(vocabulary().quantities[measure.quantity].needs).replace("_", " ")
        missing = 0
        for base in self._wholes():
            whole = (*base, *known)
            rows = self.run(Plan(self.plan.table, whole, Measure("sum", measure.quantity)))
            missing += self._count(whole) - int(rows[0][-1] or 0)
        if missing > 0:
            yield f"{_left_out(missing)}, as the value is missing or cannot be read: {needs}."

    def _without_currency(self) -> Iterator[str]:
        for c in self.plan.conditions:
            if isinstance(c, Among) and c.column == "currency" and not c.negated:
                others = tuple(other for other in self.plan.conditions if other != c)
                blank = self._count((*others, Known(c.path, "currency", negated=True)))
                if blank:
                    yield f"{_left_out(blank)}, as {_it(blank)} {_name(blank)} no currency."

    def _absent(self) -> Iterator[str]:
        """Tell who of those whose first rows are compared has none at all."""
        compared = [c for c in self.plan.conditions if isinstance(c, Among) and len(c.values) == 2]
        if not (self.plan.show and self.plan.order and compared):
            return
        others = tuple(c for c in self.plan.conditions if c != compared[0])
        for value in compared[0].values:
            if not self._count((*others, replace(compared[0], values=(value,)))):
                yield f"Of {value} there is none."

    def _wholes(self) -> list[Conditions]:
        sides = [side.conditions for side in self.plan.sides] or [()]
        return [(*self.plan.conditions, *side) for side in sides]

    def _groups(self) -> list[Group]:
        return [group for group in self.plan.groups if group.column != "currency"]

    def _amount(self, lost: Conditions) -> str:
        """Say how much the rows that are left out come to."""
        measure = self.plan.measure
        if measure is None or measure.aggregate != "sum" or measure.share_of is not None:
            return ""
        parted = tuple(group for group in self.plan.groups if group.column == "currency")
        rows = self.run(Plan(self.plan.table, lost, Measure("sum", measure.quantity), parted))
        if parted:
            told = [number_text(row[1], str(row[0])) for row in rows]
        else:
            told = [number_text(row[0], self.unit) for row in rows if row[0] is not None]
        return f": {' and '.join(told)}" if told else ""

    # Words ----------------------------------------------------------------------------------------

    def _count(self, conditions: Conditions) -> int:
        rows = self.run(Plan(self.plan.table, conditions, Measure("count")))
        return int(rows[0][0] or 0)

    def _some(self, count: int) -> str:
        title = vocabulary().tables[self.plan.table].title
        return f"{count} of these {title}"


def unread(sources: Sequence[Source]) -> Iterator[str]:
    """Say which rows of the files could not be read, so that no answer counts them."""
    for source in sources:
        if source.left_out:
            rows = "row" if source.left_out == 1 else "rows"
            yield f"{source.left_out} {rows} of {source.table} could not be read and count nowhere."


def _lack(table: str, path: Path, column: str, count: int, group: Group | None = None) -> str:
    """Say what rows lack: has no category, name no client."""
    verb = "has" if count == 1 else "have"
    other = table_at(table, path)
    is_named = column in {vocabulary().tables[other].label, TABLES[other].key}
    if path and is_named:
        return f"{verb} no {other.removesuffix('s')} that is known"
    if column in REFERENCES.get(other, {}):
        return f"{verb} no {REFERENCES[other][column].removesuffix('s')}"
    own = f"{other.removesuffix('s')} with " if path and group is None else ""
    return f"{verb} no {own}{_plain(column)}"


def _plain(column: str) -> str:
    return re.sub(" at$", " date", column.replace("_", " "))


def _left_out(count: int) -> str:
    return "1 row is left out" if count == 1 else f"{count} rows are left out"


def _it(count: int) -> str:
    return "it" if count == 1 else "they"


def _name(count: int) -> str:
    return "names" if count == 1 else "name"
