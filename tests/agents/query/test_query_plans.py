"""Random plans: what the SQL gives is what plain loops over the rows give."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from statistics import fmean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.query.database import Database
from mesh_fl.agents.query.plan import (
    Among,
    Compared,
    Condition,
    Excluded,
    Group,
    Known,
    Linked,
    Measure,
    Order,
    Plan,
    Within,
)
from mesh_fl.agents.query.sql import sql_of
from mesh_fl.schema import Field, Value, table_of
from mesh_fl.site import OwnRows, OwnTable

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FILLED = frozenset({"clients.name", "clients.client_id", "tickets.client_id"})
Row = Mapping[str, object]


class RowTable(OwnTable):
    """Rows in memory."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows, self.version = rows, 0

    @property
    def stamp(self) -> tuple[int, ...]:
        return (self.version,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        parsed: list[Mapping[str, Value]] = [
            {f.name: f.parse(row.get(f.name)) for f in schema} for row in self.rows
        ]
        return OwnRows(table_of(schema, parsed))


moments = st.integers(0, 60).map(lambda day: datetime(2026, 9, 1, tzinfo=UTC) + timedelta(day))
tickets = st.lists(
    st.fixed_dictionaries(
        {
            "client_id": st.sampled_from(["C1", "C2", "C3", ""]),
            "priority": st.sampled_from([1, 2, 3, None]),
            "category": st.sampled_from(["network", "O'Brien's", "e-mail", ""]),
            "opened_at": moments,
            "closed_at": st.none() | moments,
            "actual_hours": st.none() | st.integers(0, 40).map(lambda n: n / 4),
        }
    ),
    min_size=1,
    max_size=25,
)
conditions: st.SearchStrategy[Condition] = st.one_of(
    st.builds(
        Among,
        st.just(()),
        st.just("category"),
        st.lists(st.sampled_from(["network", "O'Brien's", "no such"]), min_size=1).map(tuple),
        st.booleans(),
    ),
    st.builds(
        Among,
        st.just(()),
        st.just("priority"),
        st.sampled_from([(1.0,), (1.0, 2.0)]),
        st.booleans(),
    ),
    st.builds(Known, st.just(()), st.just("closed_at"), st.booleans()),
    st.builds(Within, st.just(()), st.just("opened_at"), st.none() | moments, st.none() | moments),
    st.builds(
        Compared,
        st.just(()),
        st.just("actual_hours"),
        st.sampled_from([">", ">=", "<", "<="]),
        st.integers(0, 40).map(lambda n: n / 4),
    ),
    st.builds(Among, st.just(("client_id",)), st.just("name"), st.just(("Acme",)), st.booleans()),
    st.just(Excluded((), (Known((), "closed_at"), Among((), "category", ("network",))))),
)
measures = st.sampled_from(
    [
        Measure("count"),
        *(Measure(a, "actual_hours") for a in ("sum", "avg", "median", "min", "max")),
    ]
)
CLIENTS = [{"client_id": c, "name": n} for c, n in (("C1", "Acme"), ("C2", "Globex"), ("C3", "O"))]
NAMES = {str(row["client_id"]): str(row["name"]) for row in CLIENTS}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


TICKETS = RowTable([])
DATABASE = Database({"tickets": TICKETS, "clients": RowTable(list(CLIENTS))})


def database(rows: list[dict[str, object]]) -> Database:
    """Put the rows into the one database; opening one for each example would take long."""
    TICKETS.rows = [{**row, "ticket_id": f"TK-{i}"} for i, row in enumerate(rows)]
    TICKETS.version += 1
    assert DATABASE.refresh()
    return DATABASE


def holds(row: Row, c: Condition) -> bool:
    match c:
        case Among(path, column, values, negated):
            value = NAMES.get(str(row["client_id"])) if path else row[column] or None
            return (value is not None and value in values) is not negated
        case Excluded(_, parts):
            return not all(holds(row, part) for part in parts)
        case Known(_, column, negated):
            return (row[column] is None) is negated
        case Within(_, column, start, end, _):
            moment = row[column]
            assert isinstance(moment, datetime)
            return (start is None or moment >= start) and (end is None or moment < end)
        case Compared(_, column, operator, number):
            value = row[column]
            return isinstance(value, float) and COMPARE[operator](value, number)
    raise AssertionError(c)


def computed(rows: list[Row], measure: Measure) -> float | None:
    if measure.aggregate == "count":
        return len(rows)
    values = [v for row in rows if isinstance(v := row["actual_hours"], float)]
    if not values:
        return None
    functions: dict[str, Callable[[list[float]], float]] = {
        "sum": math.fsum,
        "avg": fmean,
        "median": median,
        "min": min,
        "max": max,
    }
    return functions[measure.aggregate](values)


@settings(max_examples=60, deadline=None)
@given(rows=tickets, tests=st.lists(conditions, max_size=3).map(tuple), measure=measures)
def test_a_number_is_what_a_loop_gives(
    rows: list[dict[str, object]], tests: tuple[Condition, ...], measure: Measure
) -> None:
    plan = Plan("tickets", tests, measure)
    value = database(rows).run(sql_of(plan, NOW, FILLED)).rows[0][0]
    kept: list[Row] = [row for row in rows if all(holds(row, c) for c in tests)]
    expected = computed(kept, measure)
    assert value == (expected if expected is None else pytest.approx(expected))


@settings(max_examples=40, deadline=None)
@given(rows=tickets, measure=measures, column=st.sampled_from(["category", "client_id"]))
def test_groups_are_what_a_loop_gives(
    rows: list[dict[str, object]], measure: Measure, column: str
) -> None:
    group = Group(("client_id",), "client_id") if column == "client_id" else Group((), column)
    plan = Plan("tickets", (), measure, (group,))
    found = {row[0]: row[-1] for row in database(rows).run(sql_of(plan, NOW, FILLED)).rows}
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        if row[column]:
            groups[row[column]].append(row)
    expected = {
        key: v for key, kept in groups.items() if (v := computed(kept, measure)) is not None
    }
    assert found == {key: pytest.approx(value) for key, value in expected.items()}


@settings(max_examples=40, deadline=None)
@given(rows=tickets, limit=st.integers(1, 3), descending=st.booleans())
def test_the_first_of_a_ranking_include_ties(
    rows: list[dict[str, object]], limit: int, descending: bool
) -> None:
    plan = Plan("tickets", order=Order(descending, limit), rank="actual_hours")
    found = [row[-1] for row in database(rows).run(sql_of(plan, NOW, FILLED)).rows]
    values = sorted(
        (v for r in rows if isinstance(v := r["actual_hours"], float)), reverse=descending
    )
    assert found == values[:limit] + [v for v in values[limit:] if v == values[limit - 1]]


@settings(max_examples=40, deadline=None)
@given(rows=tickets, tests=st.lists(conditions, max_size=2).map(tuple), negated=st.booleans())
def test_who_has_such_a_row_is_what_a_loop_gives(
    rows: list[dict[str, object]], tests: tuple[Condition, ...], negated: bool
) -> None:
    plan = Plan("clients", (Linked((), "tickets", tests, negated),))
    found = {row[0] for row in database(rows).run(sql_of(plan, NOW, FILLED)).rows}
    having = {r["client_id"] for r in rows if all(holds(r, c) for c in tests)} & set(NAMES)
    assert found == (set(NAMES) - having if negated else having)


@settings(max_examples=30, deadline=None)
@given(rows=tickets, tests=st.lists(conditions, min_size=1, max_size=2).map(tuple))
def test_a_share_and_its_rest_make_a_hundred(
    rows: list[dict[str, object]], tests: tuple[Condition, ...]
) -> None:
    plan = Plan("tickets", (), Measure("count", share_of=tests))
    share = database(rows).run(sql_of(plan, NOW, FILLED)).rows[0][0]
    kept = sum(all(holds(row, c) for c in tests) for row in rows)
    assert share == pytest.approx(100 * kept / len(rows))


@settings(max_examples=30, deadline=None)
@given(rows=tickets, number=st.integers(1, 4))
def test_fewer_than_counts_those_without_any(rows: list[dict[str, object]], number: int) -> None:
    group = Group(("client_id",), "client_id")
    plan = Plan("tickets", (), Measure("count"), (group,), having=("<", number), with_empty=True)
    found = {row[0]: row[-1] for row in database(rows).run(sql_of(plan, NOW, FILLED)).rows}
    counts = {c: sum(row["client_id"] == c for row in rows) for c in NAMES}
    assert found == {c: n for c, n in counts.items() if n < number}
