"""Monthly amounts from product tables: known answers, and nothing of later or of others."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from revenue_rows import RowTable, monthly_invoices, tables

from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.errors import DataError

AS_OF = "2026-03-01"


def gathered(as_of: str = AS_OF, **rows) -> dict[str, list[float]]:
    found = RevenueForecasting(as_of=as_of).gather(tables(**rows))
    return dict(zip(found.ids, map(json.loads, found.table["history"]), strict=True))


def invoice(client: str, issued: str, total: float, **more) -> dict[str, object]:
    return {"client_id": client, "issued_at": issued, "total": total, "currency": "EUR", **more}


def test_invoices_add_up_by_month_with_zeros_between_and_credits_taken_off() -> None:
    rows = [
        invoice("a", "2025-10-31T23:59:59Z", 100),
        invoice("a", "2025-10-01", 50),
        invoice("a", "2025-12-05", 70),
        invoice("a", "2025-12-06", 20, kind="Credit note"),
        invoice("a", "2025-12-07", -5, kind="credit"),
        invoice("a", "2025-12-08", -5),
        invoice("b", "2026-02-28", 9),
    ]
    assert gathered(invoices=rows) == {"a": [150, 0, 40, 0, 0], "b": [9]}


def test_records_tell_when_they_begin_and_teach() -> None:
    agent = RevenueForecasting(as_of=AS_OF)
    amounts = [100.0 + 5 * n + 20 * math.sin(n / 2) for n in range(60)]
    found = agent.gather(tables(invoices=monthly_invoices("a", amounts, "2026-03")))
    assert found.table["start"].tolist() == [1_614_556_800.0]  # 2021-03-01
    assert set(found.table) == {one.name for one in agent.schema}
    rows = agent.contribute(agent.init(), agent.prepare(found.table))
    assert rows.shape[0] == 1
    assert np.abs(rows).sum() > 0


def test_the_currency_of_most_invoices_counts_alone() -> None:
    rows = [
        invoice("a", "2026-01-05", 10, currency="eur"),
        invoice("a", "2026-01-06", 10, currency="EUR"),
        invoice("a", "2026-01-07", 5000, currency="USD"),
    ]
    assert gathered(invoices=rows) == {"a": [20, 0]}


def test_agreements_stand_in_for_a_client_without_invoices() -> None:
    deals = [
        {"client_id": "a", "start_at": "2025-12-01", "amount": 1200, "period": "year"},
        {"client_id": "a", "start_at": "2026-01-16", "amount": 310, "period": "month"},
        {
            "client_id": "b",
            "start_at": "2025-12-01",
            "end_at": "2026-02-15",
            "cancelled_at": "2026-01-01",
            "amount": 30,
            "period": "month",
        },
        {"client_id": "c", "start_at": "2025-12-01", "amount": 1200, "period": "fortnight"},
        {"client_id": "d", "start_at": "2026-03-01", "amount": 1200, "period": "year"},
    ]
    found = gathered(agreements=deals, invoices=[invoice("d", "2026-02-01", 7)])
    # Of January's 31 days, 16 are from the 16th on.
    assert found == {"a": [100, 260, 410], "b": [30, 0, 0], "d": [7]}


def test_a_client_that_left_has_no_zeros_after_that() -> None:
    rows = [invoice("a", "2025-10-01", 10), invoice("b", "2025-10-01", 10)]
    clients = [{"client_id": "a", "lost_at": "2025-12-24"}, {"client_id": "b"}]
    found = gathered(clients=clients, invoices=[*rows, invoice("stranger", "2025-10-01", 10)])
    assert found == {"a": [10, 0, 0], "b": [10, 0, 0, 0, 0]}


def test_nothing_before_the_moment_is_told() -> None:
    with pytest.raises(DataError, match="expected invoices with client_id"):
        gathered(invoices=[invoice("a", "2026-03-01", 10)])
    with pytest.raises(DataError, match="expected invoices"):
        RevenueForecasting().gather({})


def test_slips_are_left_out_and_old_months_forgotten() -> None:
    rows = [
        invoice("a", "2026-01-05", 1e308),
        invoice("a", "0001-01-01", 5),
        invoice("a", "9999-12-31", 5),
        invoice("a", "1980-01-01", 5),
        {"client_id": "a", "issued_at": "2026-01-05"},
        invoice("a", "2026-02-05", 3),
        invoice("", "2026-02-05", 3),
    ]
    assert gathered(invoices=rows) == {"a": [3]}
    long = gathered(invoices=monthly_invoices("a", [1.0] * 500, "2026-03"))
    assert long == {"a": [1.0] * 240}


def test_clients_whose_months_cannot_be_reckoned_with_do_not_stop_others() -> None:
    rows = [invoice("big", "2026-02-05", 9e11) for _ in range(1200)]
    assert gathered(invoices=[*rows, invoice("a", "2026-02-05", 3)]) == {"a": [3]}


def test_one_id_in_two_unicode_forms_is_one_client() -> None:
    rows = [invoice("\uff21\uff11", "2026-02-05", 3), invoice("A1", "2026-02-06", 4)]
    assert gathered(clients=[{"client_id": "A1"}], invoices=rows) == {"A1": [7]}


days = st.integers(-90, 90).map(lambda n: (date.fromisoformat(AS_OF) + timedelta(n)).isoformat())
amounts = st.integers(-5, 20).map(float)
names = st.sampled_from(["a", "b", "c"])
invoices = st.lists(
    st.fixed_dictionaries(
        {
            "client_id": names,
            "issued_at": days,
            "total": amounts,
            "currency": st.sampled_from(["EUR", "USD", ""]),
            "kind": st.sampled_from(["credit", "project", ""]),
            "paid_at": st.none() | days,
        }
    ),
    max_size=12,
)
agreements = st.lists(
    st.fixed_dictionaries(
        {
            "client_id": names,
            "start_at": days,
            "end_at": st.none() | days,
            "cancelled_at": st.none() | days,
            "amount": amounts,
            "period": st.sampled_from(["month", "year", "odd"]),
        }
    ),
    max_size=6,
)
clients = st.fixed_dictionaries({name: st.none() | days for name in "abc"}).map(
    lambda lost: [{"client_id": name, "lost_at": at} for name, at in lost.items()]
)


def history_of(**rows) -> dict[str, list[float]]:
    try:
        return gathered(**rows)
    except DataError:
        return {}


@given(invoices, agreements, clients)
def test_nothing_of_the_moment_or_later_tells(bills, deals, people) -> None:
    known = history_of(invoices=bills, agreements=deals, clients=people)
    earlier = {
        "invoices": [one for one in bills if one["issued_at"] < AS_OF],
        "agreements": [
            one | {name: None for name in ("cancelled_at",) if (one[name] or "") >= AS_OF}
            for one in deals
            if one["start_at"] < AS_OF
        ],
        "clients": [
            one | ({"lost_at": None} if (one["lost_at"] or "") >= AS_OF else {}) for one in people
        ],
    }
    assert history_of(**earlier) == known


@given(invoices, agreements, clients, invoices)
def test_a_record_depends_on_its_own_client_alone(bills, deals, people, other) -> None:
    before = history_of(invoices=bills, agreements=deals, clients=people)
    kept = [one for one in bills if one["client_id"] != "a"]
    changed = [*kept, *({**one, "client_id": "a"} for one in other)]
    others = [one for one in deals if one["client_id"] != "a"]
    after = history_of(invoices=changed, agreements=others, clients=people)
    assert {k: v for k, v in before.items() if k != "a"} == {
        k: v for k, v in after.items() if k != "a"
    }


def test_tables_are_read_by_their_own_fields() -> None:
    table = RowTable([invoice("a", "2026-02-05", 3)])
    found = RevenueForecasting(as_of=AS_OF).gather({"invoices": table})
    assert (found.ids, table.readings) == (("a",), 1)
