"""What a question asks for, typed: the plan that becomes SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mesh_fl.agents.query.relations import Path

Operator = Literal[">", ">=", "<", "<=", "="]
Aggregate = Literal["count", "sum", "avg", "median", "min", "max"]
YesNo = Literal["", "any", "more", "fewer"]
Unit = Literal["day", "week", "month", "quarter", "year", "weekday"]


@dataclass(frozen=True)
class Among:
    """A column has one of the values; with `negated` it has another one or none."""

    path: Path
    column: str
    values: tuple[str | float, ...]
    negated: bool = False


@dataclass(frozen=True)
class HasItem:
    """A column that lists things, separated by ; or , names this one."""

    path: Path
    column: str
    item: str
    negated: bool = False


@dataclass(frozen=True)
class Known:
    """A column has a value; with `negated` it has none."""

    path: Path
    column: str
    negated: bool = False


@dataclass(frozen=True)
class Within:
    """A moment from `start` up to before `end`; with `negated` it is known and outside."""

    path: Path
    column: str
    start: datetime | None
    end: datetime | None
    negated: bool = False


@dataclass(frozen=True)
class Compared:
    """A quantity of the row compared with a number, in the quantity's own unit."""

    path: Path
    quantity: str
    operator: Operator
    number: float


@dataclass(frozen=True)
class InState:
    """A condition that has a word of its own holds; with `negated` it does not."""

    path: Path
    table: str
    state: str
    negated: bool = False


@dataclass(frozen=True)
class Linked:
    """Rows of another table refer to this row; with `negated` none does."""

    path: Path
    table: str
    conditions: tuple["Condition", ...]
    negated: bool = False


@dataclass(frozen=True)
class Excluded:
    """Not all of these hold, or it is not known that they do: not closed by Priya."""

    path: Path
    conditions: tuple["Condition", ...]


Condition = Among | HasItem | Known | Within | Compared | InState | Linked | Excluded


@dataclass(frozen=True)
class Measure:
    """What is computed over rows.

    Parameters
    ----------
    aggregate : str
        How rows are put together.
    quantity : str
        Of each row; empty for a count of rows.
    share_of : tuple of Condition, optional
        If given: the percentage of the whole for which they hold.
    """

    aggregate: Aggregate
    quantity: str = ""
    share_of: tuple[Condition, ...] | None = None


@dataclass(frozen=True)
class Group:
    """What rows are put together by.

    Parameters
    ----------
    path : tuple of str
        To the table of the column.
    column : str
        Its key if rows are put together by what they belong to, as a client.
    unit : str
        For a moment: by day, week, month and so on.
    """

    path: Path
    column: str
    unit: Unit | None = None


@dataclass(frozen=True)
class Side:
    """One of the two things that are compared."""

    label: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Order:
    """How rows are ordered, and how many of the first are asked for (ties included)."""

    descending: bool
    limit: int | None = None


@dataclass(frozen=True)
class Plan:
    """A question.

    Parameters
    ----------
    table : str
        Whose rows are counted, summed or listed.
    conditions : tuple of Condition
        All hold.
    measure : Measure, optional
        None lists the rows.
    groups : tuple of Group
        One result for each.
    sides : tuple of Side
        Two that are compared, or none.
    order : Order, optional
        By the measure, or of a list by `rank`.
    rank : str
        The quantity or the column of time by which a list is ordered.
    having : tuple of Operator and float, optional
        On the measure of each group.
    count_groups : bool
        Whether the number of groups is asked for.
    with_empty : bool
        Whether what no row belongs to counts as a group of zero rows.
    yes_no : str
        "" for no; else "any", "more" or "fewer" of the first side.
    show : tuple of str
        Columns that a list must show.
    notes : tuple of str
        Defaults that were taken.
    said : tuple of str
        What was assumed, in sentences that belong into the answer.
    versus : {"", "more", "fewer"}
        Of which groups is asked: those with more, or fewer, of the first side.
    """

    table: str
    conditions: tuple[Condition, ...] = ()
    measure: Measure | None = None
    groups: tuple[Group, ...] = ()
    sides: tuple[Side, ...] = ()
    order: Order | None = None
    rank: str = ""
    having: tuple[Operator, float] | None = None
    count_groups: bool = False
    with_empty: bool = False
    yes_no: YesNo = ""
    show: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    versus: Literal["", "more", "fewer"] = ""
