"""Nothing that happened at the cutoff or later can be read off the features of a record."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from practice import AS_OF, AT, MadeTable, Tables, day, own, practices

from mesh_fl.agents.health import ClientHealth
from mesh_fl.agents.health.history import DAY, KEPT, MONTH
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.site import Gathered

AGENT = ClientHealth(as_of=AS_OF, label_days=90)
FEATURES = [feature.name for feature in AGENT.features]

# What an MSP's systems write, and when: told here once more, so that forgetting a column in the
# code is found.
BEGINS = {"clients": "since", "agreements": "start_at"}
BEGINS |= {"invoices": "issued_at", "tickets": "opened_at"}
WRITTEN_LATER = {
    "clients": {"lost_at": (), "last_touch_at": (), "last_exec_touch_at": ()},
    "agreements": {"cancelled_at": ()},
    "invoices": {"paid_at": ()},
    "tickets": {"closed_at": ("sla_met", "csat")},
}
AGREED = {"end_at", "due_at"}
"""Agreed ahead, and so known before they come."""

STANDING = {"employees", "amount", "period", "seats", "currency", "total"}
"""Taken as they stand: tables tell no day from which they hold."""

TODAYS = {"status", "balance", "assignee_id", "name", "title", "category", "kind"}
"""States of today, since nobody knows when."""


def gathered(tables: Tables) -> Gathered | None:
    try:
        return AGENT.gather(own({name: rows for name, rows in tables.items() if rows}))
    except DataError:
        return None


def features(found: Gathered | None) -> dict[str, list[float]]:
    if found is None:
        return {}
    return {
        client: [float(found.table[name][place]) for name in FEATURES]
        for place, client in enumerate(found.ids)
    }


def later(luck: random.Random) -> float:
    return luck.choice([AT, AT + 1.0, day(luck.uniform(0, 500))])


def with_another_future(
    name: str, row: dict[str, object], luck: random.Random
) -> dict[str, object]:
    """Return a row to which other things happen from the cutoff on."""
    changed = dict(row)
    if float(row[BEGINS[name]]) >= AT:
        changed[BEGINS[name]] = later(luck)
    for moment, columns in WRITTEN_LATER[name].items():
        if float(row[moment]) < AT:
            continue
        changed[moment] = luck.choice([math.nan, later(luck)])
        for column in columns:
            changed[column] = luck.choice([math.nan, 0.0, 1.0])
    for column in TODAYS & set(row):
        kind = next(one.kind for one in TABLES[name].fields if one.name == column)
        changed[column] = luck.uniform(0, 9) if kind == "number" else luck.choice(["a", "b"])
    return changed


def another_future(tables: Tables, luck: random.Random) -> Tables:
    found = {
        name: [with_another_future(name, row, luck) for row in rows]
        for name, rows in tables.items()
    }
    for name, rows in found.items():
        if name == "clients":
            continue
        is_later = [float(row[BEGINS[name]]) >= AT for row in rows]
        kept = [
            row
            for row, after in zip(rows, is_later, strict=True)
            if not after or luck.random() < 0.5
        ]
        new = {**luck.choice(rows), BEGINS[name]: later(luck)} if kept else None
        found[name] = [*kept, new] if new else rows
    return found


@pytest.mark.parametrize("name", KEPT)
def test_each_column_that_is_read_has_a_moment(name: str) -> None:
    written = {one for pair in WRITTEN_LATER[name].items() for one in (pair[0], *pair[1])}
    assert set(KEPT[name]) <= {BEGINS[name]} | written | AGREED | STANDING


@settings(max_examples=100)
@given(practices(), st.integers(0, 2**32))
def test_another_future_changes_no_feature(tables: Tables, seed: int) -> None:
    before = features(gathered(tables))
    after = features(gathered(another_future(tables, random.Random(seed))))
    assert set(before) == set(after)
    for client, values in before.items():
        assert np.array_equal(values, after[client], equal_nan=True)


def test_the_past_does_change_features() -> None:
    """The property above would hold of features that read nothing at all."""
    client = {"client_id": "c1", "since": day(-900), "employees": 10}
    ticket = {
        "client_id": "c1",
        "opened_at": day(-9),
        "closed_at": day(-1),
        "csat": 2,
        "sla_met": 0,
    }
    agreement = {"client_id": "c1", "start_at": day(-800), "end_at": day(200)}
    agreement |= {"amount": 9, "period": "month"}
    invoice = {"client_id": "c1", "issued_at": day(-60), "due_at": day(-50), "paid_at": day(-20)}
    tables: Tables = {"clients": [client], "agreements": [agreement]}
    few = features(gathered(tables))["c1"]
    tables |= {"tickets": [ticket] * 6 + [{**ticket, "opened_at": day(-200)}] * 4}
    tables |= {"invoices": [invoice, {**invoice, "paid_at": math.nan}]}
    many = features(gathered(tables))["c1"]
    assert not np.isnan(many).any()
    assert np.isnan(few).sum() == 7


@settings(max_examples=50)
@given(practices(), practices())
def test_the_rows_of_one_client_change_its_own_record_only(one: Tables, other: Tables) -> None:
    mixed = {
        name: [row for row in one[name] if row["client_id"] != "c1"]
        + [row for row in other[name] if row["client_id"] == "c1"]
        for name in one
    }
    # Which tables a member names is its configuration and no client's matter.
    filler = {name: [{"client_id": "nobody"}] for name in one}
    before, after = (gathered({n: [*t[n], *filler[n]] for n in t}) for t in (one, mixed))
    left, right = ({} if found is None else whole(found) for found in (before, after))
    left.pop("c1", None)
    right.pop("c1", None)
    assert set(left) == set(right)
    for client, values in left.items():
        assert np.array_equal(values, right[client], equal_nan=True)


def whole(found: Gathered) -> dict[str, list[float]]:
    labels = found.table["churned"].tolist()
    return {
        client: [*values, labels[place]]
        for place, (client, values) in enumerate(features(found).items())
    }


def test_a_ticket_closed_after_the_cutoff_is_open_at_it() -> None:
    client = {"client_id": "c1", "since": day(-900), "employees": 10}
    ticket = {"client_id": "c1", "opened_at": day(-2), "closed_at": day(1), "csat": 1, "sla_met": 0}
    found = features(gathered({"clients": [client], "tickets": [ticket]}))["c1"]
    told = dict(zip(FEATURES, found, strict=True))
    assert told["tickets_per_employee"] == pytest.approx(0.1)
    for name in ("resolution_hours", "sla_missed_percent", "csat_gap"):
        assert math.isnan(told[name])


def test_an_agreement_cancelled_after_the_cutoff_runs_on_at_it() -> None:
    agreement = {"client_id": "c1", "start_at": day(-900), "end_at": day(300)}
    cancelled = {**agreement, "cancelled_at": day(9)}
    as_told = features(gathered({"agreements": [agreement]}))["c1"]
    found = features(gathered({"agreements": [cancelled]}))["c1"]
    assert np.array_equal(as_told, found, equal_nan=True)
    assert found[FEATURES.index("months_to_end")] == pytest.approx(300 * DAY / MONTH)


def test_an_invoice_paid_after_the_cutoff_is_unpaid_at_it() -> None:
    client = {"client_id": "c1", "since": day(-900)}
    paid = {"client_id": "c1", "issued_at": day(-80), "due_at": day(-60), "paid_at": day(-61)}
    late = {**paid, "due_at": day(-30), "paid_at": day(3)}
    found = features(gathered({"clients": [client], "invoices": [paid, late]}))["c1"]
    told = dict(zip(FEATURES, found, strict=True))
    assert told["late_invoices_percent"] == 50
    assert told["days_overdue"] == pytest.approx(30)


# What a plan must say.


def test_a_cutoff_whose_days_are_not_over_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"clients": MadeTable("clients", [{"client_id": "c1", "since": day(-9)}])}
    monkeypatch.setattr("time.time", lambda: day(89.9))
    with pytest.raises(DataError, match=r"found 2026-03-01, .* set 2026-02-28 or an earlier"):
        AGENT.gather(tables)
    monkeypatch.setattr("time.time", lambda: day(90))
    assert AGENT.gather(tables).ids == ("c1",)


def test_records_need_a_cutoff_and_features_that_can_be_measured() -> None:
    tables = own({"clients": [{"client_id": "c1"}]})
    with pytest.raises(DataError, match="as_of: expected a date that all members share"):
        ClientHealth().gather(tables)
    strange = replace(AGENT, features=(AGENT.features[0].model_copy(update={"name": "seats"}),))
    with pytest.raises(DataError, match=r"expected some of tenure_months, .*found seats"):
        strange.gather(tables)
    with pytest.raises(DataError, match=r"table clients or agreements, .* found invoices"):
        AGENT.gather(own({"invoices": [{"client_id": "c1"}]}))
    with pytest.raises(DataError, match="expected clients on 2026-03-01, found none among 1"):
        AGENT.gather(tables)
