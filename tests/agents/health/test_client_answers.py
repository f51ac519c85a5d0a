"""Answers about clients of one's own tables, by client id or by what a request tells."""

import json
import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from practice import AT, DAY, MadeTable, Tables, day, own, practices

from mesh_fl.agent import State
from mesh_fl.agents.health import ClientHealth
from mesh_fl.agents.health.history import MONTH
from mesh_fl.agents.health.windows import MEASURES
from mesh_fl.check import check_agent
from mesh_fl.client.models import Served, _public_card
from mesh_fl.client.serve import answer
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.site import Site

AGENT = ClientHealth()
WEIGHTS = {feature.name: feature.weight for feature in AGENT.features}
NOW = "2026-03-01T00:00:00Z"

TABLES: Tables = {
    "clients": [
        {"client_id": "good", "since": day(-2000), "employees": 30, "last_exec_touch_at": day(-12)},
        {"client_id": "bad", "since": day(-400), "employees": 10, "last_touch_at": day(-80)},
        {"client_id": "lost", "since": day(-400), "lost_at": day(-3)},
    ],
    "agreements": [
        {"client_id": "good", "start_at": day(-900), "amount": 3000, "period": "month",
         "currency": "EUR"},
        {"client_id": "bad", "start_at": day(-390), "end_at": AT + 2 * MONTH, "amount": 2400,
         "period": "quarter", "currency": "EUR"},
        {"client_id": "bad", "start_at": day(-90), "amount": 100, "period": "month",
         "currency": "USD"},
    ],
    "invoices": [
        {"client_id": "bad", "issued_at": day(-90), "due_at": day(-60), "paid_at": day(-20)},
        {"client_id": "bad", "issued_at": day(-60), "due_at": day(-40)},
    ],
    "tickets": [
        {"client_id": "bad", "opened_at": day(-20 - n), "closed_at": day(-15 - n), "sla_met": n > 3,
         "csat": 2}
        for n in range(40)
    ],
}  # fmt: skip


def served(
    tables: dict[str, MadeTable] | None = None,
    agent: ClientHealth = AGENT,
    state: State | None = None,
) -> Served:
    answering = agent.answering(Site(tables=tables or {}))
    model = agent.init() if state is None else state
    return Served(agent, model, _public_card("health", adapted=False), answering)


OWN = served(own(TABLES))


def ask(**fields: object) -> dict:
    return answer(OWN, {"as_of": NOW, **fields})


def log_odds(risk: float) -> float:
    return math.log(risk / (1 - risk))


def test_a_client_is_answered_from_its_own_rows() -> None:
    good, bad = ask(client_id="good"), ask(client_id="bad")
    assert bad["churn_risk"] > 3 * good["churn_risk"]
    assert (bad["client_id"], bad["as_of"]) == ("bad", NOW)
    assert bad["rows_read"] == {"clients": 1, "agreements": 2, "invoices": 2, "tickets": 40}
    assert good["last_contact"] == {"days": 12, "with_management": True}
    assert bad["last_contact"] == {"days": 80, "with_management": False}
    assert bad["model_used"] == "rule score"
    assert bad["rule_score"] == pytest.approx(bad["health_score"])
    assert set(good["missing"]) == {
        "tickets_per_employee", "ticket_change_percent", "resolution_hours", "sla_missed_percent",
        "csat_gap", "late_invoices_percent", "days_overdue", "months_to_end",
    }  # fmt: skip


def test_a_client_whose_agreements_have_all_ended_is_told_apart() -> None:
    agreement = {"client_id": "gone", "start_at": day(-400), "amount": 100, "period": "month"}
    ended = {"clients": [{"client_id": "gone"}], "agreements": [{**agreement, "end_at": day(-9)}]}
    running = {**ended, "agreements": [{**agreement, "end_at": day(9)}]}
    asked = {"as_of": NOW, "client_id": "gone"}
    told = answer(served(own(ended)), asked)["caution"]
    assert told.startswith(f"none of its agreements runs on {NOW[:10]}")
    assert answer(served(own(running)), asked)["caution"] == ""


def test_reasons_add_up_and_say_what_was_read() -> None:
    bad = ask(client_id="bad")
    total = sum(reason["contribution"] for reason in bad["reasons"])
    assert log_odds(bad["churn_risk"]) == pytest.approx(total + log_odds(AGENT.base_rate))
    reasons = {reason["feature"]: reason for reason in bad["reasons"]}
    assert set(reasons) == set(MEASURES)
    csat = reasons["csat_gap"]
    assert (csat["value"], csat["typical"]) == (3.0, pytest.approx(math.sqrt(5) - 1))
    assert "ratings lie below 5: 3, typical is 1.24; it raises the log odds" in csat["words"]
    assert "not known, so it counts as typical" in reasons["ticket_change_percent"]["words"]


def test_interventions_cite_what_was_measured_and_vanish_with_it() -> None:
    bad = ask(client_id="bad")
    advice = {item["feature"]: item for item in bad["recommendations"]}
    overdue = advice["days_overdue"]
    assert overdue["value"] == pytest.approx(40)
    assert "overdue: 40, typical is 10" in overdue["because"]
    assert "not a promise" in overdue["caution"]
    neutral = ask(client_id="bad", days_overdue=10)
    assert neutral["churn_risk"] == pytest.approx(overdue["risk_if_neutral"])
    assert "days_overdue" not in {item["feature"] for item in neutral["recommendations"]}
    euros, dollars = bad["predictions"]["revenue_at_risk"]
    saved = {one["currency"]: one["amount"] for one in overdue["expected_revenue_saved"]}
    less = bad["churn_risk"] - overdue["risk_if_neutral"]
    assert saved["EUR"] == pytest.approx(euros["at_stake"] * less)
    assert saved["USD"] == pytest.approx(dollars["at_stake"] * less)


def test_revenue_at_risk_is_what_is_left_of_agreements_by_currency() -> None:
    bad = ask(client_id="bad")
    euros, dollars = bad["predictions"]["revenue_at_risk"]
    assert (euros["currency"], euros["monthly"]) == ("EUR", 800)
    assert euros["at_stake"] == pytest.approx(1600)
    assert euros["horizon_months"] == pytest.approx(2)
    assert (dollars["currency"], dollars["at_stake"]) == ("USD", 1200)
    risk = bad["churn_risk"]
    assert dollars["amount"] == pytest.approx(1200 * risk)
    assert euros["twelve_months"] == pytest.approx(9600 * risk)
    assert dollars["arithmetic"] == (
        f"100.00 USD a month x 12.0 months = 1,200.00 USD; x risk {100 * risk:.1f}% = "
        f"{1200 * risk:,.2f} USD"
    )


def test_revenue_is_told_by_invoices_where_no_agreement_tells_it() -> None:
    invoices = [
        {"client_id": "c", "issued_at": day(-days), "total": 600, "currency": "eur"}
        for days in (10, 40, 400)
    ]
    clients = [{"client_id": "c", "since": day(-180)}]
    tables = own({"clients": clients, "invoices": invoices})
    found = answer(served(tables), {"client_id": "c", "as_of": NOW})
    (at_risk,) = found["predictions"]["revenue_at_risk"]
    assert at_risk["monthly"] == pytest.approx(1200 / (180 * DAY / MONTH))
    assert at_risk["at_stake"] == pytest.approx(12 * at_risk["monthly"])
    assert at_risk["currency"] == "EUR"
    told = answer(served(own({"clients": clients})), {"client_id": "c", "as_of": NOW})
    assert told["predictions"]["revenue_at_risk"] is None
    assert "no running agreement" in told["unavailable"]["predictions.revenue_at_risk"]


def nulls(block: dict, prefix: str = "") -> list[str]:
    found = []
    for name, value in block.items():
        if isinstance(value, dict):
            found += nulls(value, f"{prefix}{name}.")
        elif value is None:
            found.append(prefix + name)
    return found


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (OWN, {"client_id": "bad"}),
        (OWN, {"client_id": "good"}),
        (OWN, {"csat_gap": 2}),
        (served(), {"client_id": "somebody", "csat_gap": 2}),
    ],
)
def test_every_null_is_explained_and_nothing_else(model, fields) -> None:
    told = answer(model, {"as_of": NOW, **fields})
    unavailable = told.pop("unavailable")
    assert sorted(unavailable) == sorted(nulls(told))
    assert all(unavailable.values())


def test_what_is_told_goes_before_what_was_read() -> None:
    read, told = ask(client_id="bad"), ask(client_id="bad", csat_gap=0)
    less = log_odds(read["churn_risk"]) - log_odds(told["churn_risk"])
    by_reason = {one["feature"]: one["contribution"] for one in read["reasons"]}
    assert less == pytest.approx(by_reason["csat_gap"] + WEIGHTS["csat_gap"])


@pytest.mark.parametrize(
    ("fields", "feature", "value"),
    [
        ({"satisfaction_score": 4}, "csat_gap", 1.0),
        ({"resolution_time": 30}, "resolution_hours", 30.0),
        ({"resolution_time": 9999}, "resolution_hours", 168.0),
        ({"ticket_volume": 20, "employees": 10}, "tickets_per_employee", 2.0),
        ({"ticket_volume": 20, "client_id": "bad"}, "tickets_per_employee", 2.0),
        ({"employees": 80, "client_id": "bad"}, "tickets_per_employee", 0.5),
    ],
)
def test_other_names_count_for_their_features(fields, feature, value) -> None:
    told = ask(**fields)
    assert {one["feature"]: one["value"] for one in told["reasons"]}[feature] == value
    assert told["ignored"] == {}
    assert told["unused_fields"] == []


@pytest.mark.parametrize(
    ("fields", "ignored", "why"),
    [
        ({"ticket_volume": 20}, "ticket_volume", "neither employees are told"),
        ({"ticket_volume": 20, "employees": 0}, "ticket_volume", "nobody works there"),
        ({"resolution_time": 9, "resolution_hours": 8}, "resolution_time", "was told, too"),
        ({"satisfaction_score": 2, "csat_gap": 1}, "satisfaction_score", "was told, too"),
        (
            {"ticket_volume": 9, "employees": 3, "tickets_per_employee": 1},
            "ticket_volume",
            "was told, too",
        ),
        ({"employees": 3, "csat_gap": 1}, "employees", "there is no table tickets"),
    ],
)
def test_what_does_not_count_is_said(fields, ignored, why) -> None:
    assert why in ask(**fields)["ignored"][ignored]


def test_a_feature_that_the_plan_lacks_is_ignored_under_its_other_names() -> None:
    few = ClientHealth(features=tuple(f for f in AGENT.features if f.name == "months_to_end"))
    told = answer(
        served(own(TABLES), few),
        {"client_id": "bad", "satisfaction_score": 2, "ticket_volume": 3, "as_of": NOW},
    )
    assert set(told["ignored"]) == {"satisfaction_score", "ticket_volume"}
    assert [one["feature"] for one in told["reasons"]] == ["months_to_end"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "expected client_id, or at least one of tenure_months"),
        ({"employees": 4}, "expected client_id, or at least one of"),
        ({"client_id": "*"}, r"expected a client of table clients, agreements, .* found '\*'"),
        ({"client_id": "x" * 10**6}, "which is in none of them"),
        ({"client_id": "lost"}, "found 'lost', which left on 2026-02-26; ask with as_of"),
        ({"csat_gap": 7}, "csat_gap: expected a number from 0 to 4"),
        ({"satisfaction_score": 80}, "satisfaction_score: expected a number from 1 to 5"),
        ({"csat_gap": "NaN"}, "csat_gap: expected a number"),
        ({"as_of": "soon"}, "as_of: expected a date"),
    ],
)
def test_requests_that_cannot_be_answered_are_refused(fields, message) -> None:
    with pytest.raises(DataError, match=message):
        ask(**fields)


def test_without_tables_features_answer_and_an_id_alone_does_not() -> None:
    assert answer(served(), {"client_id": "c1", "csat_gap": 3})["client_id"] == "c1"
    with pytest.raises(DataError, match=r"client\.toml names no table of clients; tell"):
        answer(served(), {"client_id": "c1"})


def test_an_earlier_moment_is_answered_as_it_was_then() -> None:
    then = answer(OWN, {"client_id": "lost", "as_of": "2026-02-01"})
    assert then["rows_read"]["clients"] == 1
    before = answer(OWN, {"client_id": "bad", "as_of": "2026-01-05"})
    assert before["rows_read"]["tickets"] == 4


@pytest.mark.parametrize(
    "tables",
    [
        {"clients": [{"client_id": "c", "since": day(1)}]},
        {"agreements": [{"client_id": "c", "start_at": day(0), "amount": 9, "period": "month"}]},
        {"tickets": [{"client_id": "c", "opened_at": math.nan}]},
    ],
)
def test_somebody_who_was_no_client_yet_is_no_sound_client(tables) -> None:
    with pytest.raises(DataError, match="something was known before 2026-03-01, found 'c'"):
        answer(served(own(tables)), {"client_id": "c", "as_of": NOW})
    told = answer(served(own(tables)), {"client_id": "c", "as_of": NOW, "csat_gap": 4})
    assert told["churn_risk"] > AGENT.base_rate


@pytest.mark.parametrize(("years", "months"), [(9, 12 * 9), (11, 12), (73, 12)])
def test_a_date_that_stands_for_no_end_is_none(years, months) -> None:
    agreement = {"client_id": "c", "start_at": day(-900), "amount": 100, "period": "month"}
    tables = own({"agreements": [{**agreement, "end_at": day(365.25 * years)}]})
    told = answer(served(tables), {"client_id": "c", "as_of": NOW})
    (at_risk,) = told["predictions"]["revenue_at_risk"]
    assert at_risk["horizon_months"] == pytest.approx(months)
    assert ("months_to_end" in told["missing"]) == (years > 10)


def test_each_of_many_currencies_is_added_up_apart() -> None:
    agreement = {"client_id": "c", "start_at": day(-900), "amount": 100, "period": "month"}
    rows = [{**agreement, "currency": f"C{n % 700}"} for n in range(1400)]
    told = answer(served(own({"agreements": rows})), {"client_id": "c", "as_of": NOW})
    found = told["predictions"]["revenue_at_risk"]
    assert [one["currency"] for one in found] == [f"C{n}" for n in range(700)]
    assert {one["monthly"] for one in found} == {200.0}


def test_a_batch_is_answered_in_order() -> None:
    ids = ["bad", "good", "bad"]
    batch = answer(OWN, {"records": [{"client_id": one, "as_of": NOW} for one in ids]})
    assert [one["client_id"] for one in batch["answers"]] == ids
    assert batch["answers"][1]["churn_risk"] == ask(client_id="good")["churn_risk"]


def test_tables_are_read_once_and_again_when_they_change() -> None:
    tables = own(TABLES)
    model = served(tables)
    for _ in range(3):
        before = answer(model, {"client_id": "bad", "as_of": NOW})
    assert tables["tickets"].reads == [0]
    tables["tickets"].rows = tables["tickets"].rows[:10]
    assert answer(model, {"client_id": "bad", "as_of": NOW})["rows_read"] == before["rows_read"]
    tables["tickets"].version = 1
    assert answer(model, {"client_id": "bad", "as_of": NOW})["rows_read"]["tickets"] == 10
    assert tables["clients"].reads == [0]


def test_a_table_that_cannot_be_read_is_named_and_the_others_answer() -> None:
    model = served(own({**TABLES, "tickets": []}))
    missing = answer(model, {"client_id": "bad", "as_of": NOW})["missing"]
    assert "table tickets cannot be read: tickets.csv: expected rows" in missing["csat_gap"]


def test_reference_files_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="takes no reference files"):
        AGENT.answering(Site({"kev": tmp_path / "kev.csv"}))


HUGE = st.sampled_from([0.0, 1e-300, 1.0, 1e16, 1e200, 1e308])


@settings(max_examples=100)
@given(practices(HUGE), st.sampled_from(["c1", "c2"]), st.sampled_from([AT, day(400), 1e11, 1.0]))
def test_any_table_gives_a_finite_answer_or_a_clear_refusal(tables, client, at) -> None:
    model = served(own({name: rows for name, rows in tables.items() if rows}))
    try:
        told = answer(model, {"client_id": client, "as_of": at})
    except DataError:
        return
    json.dumps(told, allow_nan=False)
    assert 0 < told["churn_risk"] < 1


# The agent as a whole


def test_the_declared_agent_keeps_its_contract() -> None:
    agent = ClientHealth(records=400)
    report = check_agent(agent, agent.simulated(400, 1))
    assert report.passed, str(report)


def test_training_moves_an_answer_away_from_the_rule_score() -> None:
    agent = ClientHealth(records=400)
    data = agent.simulated(400, 1)
    state = agent.init()
    total = np.asarray(agent.contribute(state, data)).sum(axis=0)
    state = agent.apply(state, {"gradient": total})
    told = answer(served(own(TABLES), agent, state), {"client_id": "bad", "as_of": NOW})
    assert told["model_used"] == "logistic"
    assert told["rule_score"] != pytest.approx(told["health_score"], abs=1e-3)


def test_at_home_the_label_days_are_over_as_late_as_can_be() -> None:
    assert ClientHealth(label_days=30).at_home(date(2026, 3, 1)).as_of == "2026-01-29"


def test_values_beyond_their_bounds_are_told_as_measured() -> None:
    bill = {"client_id": "old", "issued_at": day(-220), "due_at": day(-192)}
    paid = {**bill, "paid_at": day(-200)}
    people = [{"client_id": "old", "since": day(-3000), "employees": 9}]
    old = served(own({"clients": people, "invoices": [bill, paid]}))
    found = answer(old, {"as_of": NOW, "client_id": "old"})
    reasons = {one["feature"]: one for one in found["reasons"]}
    overdue, tenure = reasons["days_overdue"], reasons["tenure_months"]
    assert overdue["value"] == 192
    assert "is overdue: 192, which counts as 120, typical is" in overdue["words"]
    assert tenure["value"] == pytest.approx(3000 * DAY / MONTH)
    assert "98.6, which counts as 72" in tenure["words"]
    (advice,) = (one for one in found["recommendations"] if one["feature"] == "days_overdue")
    assert (advice["value"], advice["because"]) == (192, overdue["words"])
    inside = {one["feature"]: one for one in ask(client_id="bad")["reasons"]}
    assert "counts as" not in inside["days_overdue"]["words"]


def test_a_client_is_found_however_its_umlauts_are_written() -> None:
    people = [{"client_id": "Mu\N{COMBINING DIAERESIS}ller", "since": day(-300)}]
    bill = {"client_id": "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller", "issued_at": day(-30)}
    one = served(own({"clients": people, "invoices": [bill]}))
    for name in (people[0]["client_id"], bill["client_id"]):
        found = answer(one, {"as_of": NOW, "client_id": name})
        assert found["rows_read"]["invoices"] == found["rows_read"]["clients"] == 1
