"""Known answers of each measure, and of the label."""

import math

import pytest
from practice import AT, day, own

from mesh_fl.agents.health.client_tables import ClientTables
from mesh_fl.agents.health.history import DAY, MONTH, YEAR, History
from mesh_fl.agents.health.labels import left, was_client
from mesh_fl.agents.health.product_features import product_features
from mesh_fl.agents.health.windows import MEASURES, measure

C = {"client_id": "c"}


def history(**tables: list[dict[str, object]]) -> History:
    rows = {name: [{**C, **row} for row in found] for name, found in tables.items()}
    return ClientTables.read(own(rows)).history("c")


def measured(name: str, **tables: list[dict[str, object]]) -> float | str:
    return measure(history(**tables), AT)[name]


CLIENT = {"since": day(-730), "employees": 20}
RUNS = {"start_at": day(-500), "amount": 1200, "period": "year", "currency": "EUR"}
OPENED = [{"opened_at": day(-5)}] * 10


@pytest.mark.parametrize(
    ("name", "tables", "expected"),
    [
        ("tenure_months", {"clients": [CLIENT]}, 730 * DAY / MONTH),
        (
            "tenure_months",
            {"agreements": [RUNS, {**RUNS, "start_at": day(-30)}]},
            500 * DAY / MONTH,
        ),
        ("tickets_per_employee", {"clients": [CLIENT], "tickets": OPENED}, 0.5),
        (
            "tickets_per_employee",
            {"agreements": [{**RUNS, "seats": 4}, {**RUNS, "seats": 5}], "tickets": OPENED},
            2.0,
        ),
        (
            "tickets_per_employee",
            {"clients": [CLIENT], "tickets": [{"opened_at": day(-91)}, {"opened_at": day(-89)}]},
            0.05,
        ),
        (
            "ticket_change_percent",  # 10 in 90 days against 11 in the 275 before
            {"clients": [CLIENT], "tickets": [*OPENED, *[{"opened_at": day(-100)}] * 11]},
            100 * (10 / 90 * 275 / 11 - 1),
        ),
        (
            "resolution_hours",
            {
                "tickets": [
                    {"opened_at": day(-10), "closed_at": day(-9)},
                    {"opened_at": day(-10), "closed_at": day(-7)},
                    {"opened_at": day(-200), "closed_at": day(-99)},
                    {"opened_at": day(-3), "closed_at": day(-4)},  # closed before it was opened
                ]
            },
            48.0,
        ),
        (
            "sla_missed_percent",
            {
                "tickets": [
                    {"opened_at": day(-10), "closed_at": day(-9), "sla_met": met}
                    for met in (1, 1, 1, 0, None)
                ]
            },
            25.0,
        ),
        (
            "csat_gap",
            {
                "tickets": [
                    {"opened_at": day(-300), "closed_at": day(-299), "csat": 3},
                    {"opened_at": day(-10), "closed_at": day(-9), "csat": 4},
                    {"opened_at": day(-400), "closed_at": day(-399), "csat": 1},
                ]
            },
            1.5,
        ),
        (
            "late_invoices_percent",
            {
                "invoices": [
                    {"issued_at": day(-60), "due_at": day(-30), "paid_at": day(-29.5)},  # that day
                    {"issued_at": day(-60), "due_at": day(-30), "paid_at": day(-28.5)},
                    {"issued_at": day(-60), "due_at": day(-30), "paid_at": day(-40)},
                    {"issued_at": day(-60), "due_at": day(-20)},
                    {"issued_at": day(-60), "due_at": day(-20), "total": -5},  # a credit
                    {"issued_at": day(-60), "due_at": day(20)},
                ]
            },
            50.0,
        ),
        (
            "days_overdue",
            {
                "invoices": [
                    {"issued_at": day(-60), "due_at": day(-30), "paid_at": day(-1)},
                    {"issued_at": day(-60), "due_at": day(-20)},
                    {"issued_at": day(-60), "due_at": day(-10)},
                ]
            },
            20.0,
        ),
        (
            "months_to_end",
            {"agreements": [{**RUNS, "end_at": AT + 2 * MONTH}, {**RUNS, "end_at": AT + MONTH}]},
            2.0,
        ),
        (
            "months_to_end",  # one that has ended without an end to come does not count
            {"agreements": [{**RUNS, "end_at": AT + MONTH}, {**RUNS, "cancelled_at": day(-3)}]},
            1.0,
        ),
        (
            "revenue_change_percent",
            {
                "agreements": [
                    RUNS,
                    {**RUNS, "start_at": day(-30), "amount": 50, "period": "monthly"},
                    {**RUNS, "cancelled_at": day(-100)},
                ]
            },
            -25.0,
        ),
    ],
)
def test_measures(name, tables, expected) -> None:
    assert measured(name, **tables) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "tables", "why"),
    [
        ("tenure_months", {"clients": [{}]}, "neither since when"),
        ("tickets_per_employee", {"clients": [CLIENT]}, "there is no table tickets"),
        (
            "tickets_per_employee",  # no ticket at all is a client of another system, or none
            {"clients": [CLIENT], "tickets": [{"opened_at": day(3)}]},
            "table tickets tells nothing of this client",
        ),
        ("tickets_per_employee", {"tickets": OPENED}, "neither employees are told"),
        ("ticket_change_percent", {"clients": [CLIENT], "tickets": OPENED}, "a change needs"),
        ("csat_gap", {"tickets": OPENED}, "no ticket closed in the year before was rated"),
        (
            "days_overdue",
            {"invoices": [{"issued_at": day(-60), "due_at": day(-20)}]},
            "no payment is told",
        ),
        ("months_to_end", {"agreements": [RUNS]}, "has no end"),
        ("months_to_end", {"agreements": [{**RUNS, "end_at": day(-1)}]}, "no agreement runs"),
        (
            "revenue_change_percent",
            {"agreements": [RUNS, {**RUNS, "currency": "usd"}]},
            "several currencies",
        ),
        (
            "revenue_change_percent",
            {"agreements": [RUNS, {**RUNS, "period": "fortnight"}]},
            "no amount or no period",
        ),
        (
            "revenue_change_percent",
            {"agreements": [{**RUNS, "start_at": AT - YEAR + DAY}]},
            "ran a year before",
        ),
    ],
)
def test_what_is_not_known_is_said(name, tables, why) -> None:
    assert why in str(measured(name, **tables))


def test_each_declared_feature_is_measured_and_each_measure_declared() -> None:
    assert [feature.name for feature in product_features()] == list(MEASURES)
    for feature in product_features():
        assert feature.weight != 0
        assert feature.action
        assert feature.description


# The label


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"clients": [{**CLIENT, "lost_at": day(0)}]}, True),
        ({"clients": [{**CLIENT, "lost_at": day(89)}]}, True),
        ({"clients": [{**CLIENT, "lost_at": day(90)}]}, False),
        ({"clients": [CLIENT]}, False),
        ({"agreements": [{**RUNS, "end_at": day(30)}]}, True),
        ({"agreements": [{**RUNS, "cancelled_at": day(30)}]}, True),
        ({"agreements": [{**RUNS, "end_at": day(91)}]}, False),
        ({"agreements": [RUNS]}, False),
        ({"agreements": [{**RUNS, "end_at": day(30)}, {**RUNS, "start_at": day(40)}]}, False),
        ({"agreements": [{**RUNS, "end_at": day(30)}, {**RUNS, "end_at": day(60)}]}, True),
        ({"clients": [{**CLIENT, "lost_at": day(200)}], "agreements": [{**RUNS, "end_at": day(3)}]},
         False),
        ({"invoices": [{"issued_at": day(-9)}]}, None),
    ],
)  # fmt: skip
def test_who_left(tables, expected) -> None:
    assert was_client(history(**tables), AT)
    assert left(history(**tables), AT, 90) is expected


@pytest.mark.parametrize(
    "tables",
    [
        {"clients": [{**CLIENT, "lost_at": day(-1)}]},
        {"clients": [{"since": day(1)}], "tickets": [{"opened_at": day(-1)}]},
        {"clients": [{"since": AT}]},
        {"clients": [{}]},
        {"clients": [CLIENT], "agreements": [{**RUNS, "end_at": day(-1)}]},
        {"clients": [{}], "agreements": [{**RUNS, "start_at": day(1)}]},
        {"clients": [{"since": math.nan}], "tickets": [{"opened_at": AT}]},
    ],
)
def test_who_was_no_client(tables) -> None:
    assert not was_client(history(**tables), AT)
