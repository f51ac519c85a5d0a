import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
from anomaly_tables import DAY, NOW, MadeUp, events, readings, replace_event

from mesh_fl.agents.anomaly import own_usual
from mesh_fl.agents.anomaly.agent import AnomalyAnswer, AnomalyDetection
from mesh_fl.agents.anomaly.own_forest import EXTRA
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.schema import table_of
from mesh_fl.site import OwnTable, Site

AGENT = AnomalyDetection()
ODD = {
    "source": "domain controller",
    "kind": "replication",
    "severity": 4,
    "message": "replication asked for by pc17",
}


def ask(
    tables: Mapping[str, OwnTable], agent: AnomalyDetection = AGENT, **body: object
) -> AnomalyAnswer:
    return asker(tables, agent)({"as_of": NOW, **body})


def asker(tables: Mapping[str, OwnTable], agent: AnomalyDetection = AGENT):
    answering, state = agent.answering(Site(tables=tables)), agent.init()

    def answer(body: Mapping[str, object]) -> AnomalyAnswer:
        fields = tuple(one for one in agent.schema if one.name != agent.label)
        record = {one.name: one.parse(body.get(one.name)) for one in fields}
        (found,) = answering(state, table_of(fields, [record]))
        assert isinstance(found, AnomalyAnswer)
        json.dumps(found.model_dump(mode="json"), allow_nan=False)
        return found

    return answer


def test_an_event_unlike_all_before_is_found_with_its_causes() -> None:
    table = replace_event(events(), -2, **ODD)
    found = ask({"events": table})
    first = found.anomalies[0]
    assert first.subject == "e2998"
    assert first.severity == found.highest_severity == "high"
    assert {cause.feature for cause in first.causes} <= {"source", "kind", "severity", "message"}
    assert sum(cause.share for cause in first.causes) <= 1
    assert "domain controller" in first.context
    assert first.own_forest_score > 0.5
    assert found.root_causes[0].share <= 1
    assert found.judged == {"events": len([ts for ts in table.columns["ts"] if ts > NOW - 86400])}
    assert found.expected_false_alarms == pytest.approx(0.01 * found.judged["events"])
    assert any("cannot show" in note and "critical" in note for note in found.notes)


def test_events_like_those_before_raise_no_more_than_stated() -> None:
    judged = alarms = 0
    for seed in range(3):
        found = ask({"events": events(4000, seed=seed)}, time_range_hours=24 * 10)
        judged += found.judged["events"]
        alarms += found.anomalies_found
        assert found.drift == ()
    assert alarms <= 0.01 * judged + 3 * math.sqrt(0.01 * judged)


def test_events_that_are_all_alike_raise_nothing() -> None:
    table = events(1000)
    for name in ("source", "kind", "severity", "message"):
        table.columns[name] = [table.columns[name][0]] * 1000
    found = ask({"events": table}, AnomalyDetection(traits=AGENT.traits[:4]))
    assert found.anomalies == ()
    assert found.highest_severity is None
    assert "stated rate" in found.unavailable["anomalies"]


def test_rows_that_could_not_be_read_are_told() -> None:
    logged, read = events(), readings({"cpu": [1.0, 2.0] * 30})
    assert not any("could not be read" in one for one in ask({"events": logged}).notes)
    logged.left_out, read.left_out = 70, 3
    notes = ask({"events": logged, "metrics": read}).notes
    for told in ("70 rows of events", "3 rows of metrics"):
        assert any(one.startswith(f"{told} could not be read") for one in notes)


def test_why_no_reading_was_judged_is_said() -> None:
    read = readings({"cpu": [1.0, 2.0] * 30})
    past = ask({"metrics": read}, as_of=NOW + 90 * DAY)
    assert any("the newest is of" in one for one in past.notes)
    soon = ask({"metrics": readings({"cpu": [1.0, 2.0, 3.0]})})
    assert any("not enough data" in one for one in soon.notes)


def test_lines_of_another_log_are_said_to_be() -> None:
    told = asker({"events": events()})
    known, strange = "login on host7", "jvm pause of {} ms in thread {}"
    of_another = told({"lines": json.dumps([strange.format(i, i) for i in range(50)])})
    assert any("50 of 50 lines are like no message" in one for one in of_another.notes)
    message = events().columns["message"][0]
    of_this = told({"lines": json.dumps([message, message, known])})
    assert not any("like no message" in one for one in of_this.notes)


@pytest.mark.parametrize("office", [False, True])
def test_weekdays_seen_once_less_and_weekends_are_no_drift(office: bool) -> None:
    random = np.random.default_rng(11)
    times = np.sort(NOW - random.random(10_000) * 27.5 * DAY).round().astype(int)
    if office:
        day, hour = (times // DAY + 3) % 7, times / 3600 % 24
        at_work = (day < 5) & (hour >= 8) & (hour < 17)
        times = times[random.random(len(times)) < np.where(at_work, 1.0, 0.1)]
    count = len(times)
    table = MadeUp(
        {
            "event_id": [f"e{number}" for number in range(count)],
            "ts": times.tolist(),
            "source": random.choice(["web", "db", "fw"], count).tolist(),
            "kind": random.choice(["a", "b", "c", "d", "e", "f"], count).tolist(),
            "severity": random.choice([0, 1, 2], count).tolist(),
            "message": [f"host{number % 99}" for number in range(count)],
        }
    )
    told = asker({"events": table})
    answers = [told({"as_of": NOW - days * DAY}) for days in range(7)]
    assert sum(len(one.drift) for one in answers) == 0
    found = sum(one.anomalies_found for one in answers)
    expected = sum(one.expected_false_alarms for one in answers)
    assert found <= expected + 4 * math.sqrt(expected)


def test_a_new_kind_of_day_is_told_as_drift() -> None:
    table = events(4000)
    for place in range(3900, 4000):
        table.columns["source"][place] = "new tool"
        table.columns["kind"][place] = "inventory"
    found = ask({"events": table})
    assert found.drift[0].subject == "events"
    assert found.drift[0].chance < 1e-3


def test_few_events_are_judged_by_all_and_claim_little() -> None:
    found = ask({"events": replace_event(events(60, days=1), -1, **ODD)})
    assert found.usual_records == 60
    assert found.anomalies == ()
    assert any("60 records" in note for note in found.notes)


def test_words_that_share_a_cell_are_told_apart() -> None:
    """One of some words surely falls into the cell of a common one."""
    table = events(3000)
    answer = asker({"events": table})
    for number in range(60):
        found = answer({"as_of": NOW, "kind": f"new kind {'abcdefghij'[number % 10]}{number}"})
        assert found.anomalies_found == 1


def test_lines_are_judged_by_their_template() -> None:
    lines = ["cpu_high on host7", "cpu_high on host3141", "kernel panic: not syncing"]
    found = ask({"events": events()}, lines=lines)
    assert [(one.place, one.kind) for one in found.anomalies] == [(2, "line")]
    assert found.judged == {"lines": 3}


def test_a_told_record_is_judged_by_what_it_tells() -> None:
    answer = asker({"events": events()})
    usual = answer({"as_of": NOW, "source": "firewall", "kind": "blocked"})
    odd = answer({"as_of": NOW, "source": "firewall", "kind": "quarantined now"})
    assert usual.anomalies == ()
    assert [one.kind for one in odd.anomalies] == ["record"]
    assert odd.root_causes[0].feature == "kind"


def test_without_tables_an_adapted_model_judges_whole_records() -> None:
    rows = events(3000).columns
    records = [
        {one.name: one.parse(rows[one.name][n]) for one in AGENT.schema if one.name in rows}
        for n in range(3000)
    ]
    table = table_of(tuple(one for one in AGENT.schema if one.name in rows), records)
    state = AGENT.adapt(AGENT.init(), AGENT.prepare(table))
    whole = {**{name: rows[name][0] for name in rows}, **ODD}
    (found,) = AGENT.answer(state, _as_table(whole))
    assert found.usual_records == 3000
    assert found.anomalies[0].severity == "high"
    (partly,) = AGENT.answer(state, _as_table({"source": "domain controller"}))
    assert "events in client.toml" in partly.unavailable["anomalies"]


def _as_table(body: Mapping[str, object]) -> dict[str, np.ndarray]:
    record = {one.name: one.parse(body.get(one.name)) for one in AGENT.schema}
    return dict(table_of(AGENT.schema, [record]))


def test_a_network_knows_what_a_member_never_saw() -> None:
    """A kind that is new here and usual elsewhere is no anomaly after a training."""
    own, others = events(2000), events(2000, seed=1)
    for name in ("source", "kind"):
        others.columns[name] = [f"{one} elsewhere" for one in others.columns[name]]
    counted = [_cells(one) for one in (own, others)]
    state = AGENT.apply(AGENT.init(), {"cells": 10 * sum(counted)})
    record = {name: column[5] for name, column in others.columns.items()}
    answers = [
        AGENT.answering(Site(tables={"events": own}))(one, _as_table({**record, "as_of": NOW}))[0]
        for one in (AGENT.init(), state)
    ]
    alone, federated = (one.anomalies_found for one in answers)
    assert alone == 1
    assert federated == 0
    assert "network" in answers[1].model_used


def _cells(table: MadeUp) -> np.ndarray:
    fields = tuple(one for one in AGENT.schema if one.name in table.columns)
    data = AGENT.prepare(table.read(fields, "event_id").table)
    rows = AGENT.contribute(AGENT.init(), data)
    return np.asarray(rows.sum(axis=0)).ravel()


def test_tables_are_read_once_for_each_change() -> None:
    table = events(500)
    answer = asker({"events": table})
    for _ in range(3):
        answer({"as_of": NOW})
    assert table.reads == 1
    for column in table.columns.values():
        column.append(column[-1])
    answer({"as_of": NOW})
    assert table.reads == 2


def test_a_table_is_not_read_again_because_another_changed() -> None:
    table, series = events(300), readings({"cpu": [1.0] * 50})
    answer = asker({"events": table, "metrics": series})
    answer({"as_of": NOW})
    for name, value in {"metric_id": "new", "ts": NOW - 1, "series_id": "cpu", "value": 1}.items():
        series.columns[name].append(value)
    assert answer({"as_of": NOW}).judged["readings"] == 51
    assert (table.reads, series.reads) == (1, 2)


def test_a_range_is_cut_where_it_is_asked_for() -> None:
    answer = asker({"events": events(3000)})
    counts = [
        answer({"as_of": NOW, "time_range_hours": hours}).judged["events"] for hours in (1, 24, 72)
    ]
    assert counts == sorted(counts)
    assert counts[2] > 2 * counts[1]
    backup = answer({"as_of": NOW, "metric_type": "BACKUP"}).judged["events"]
    assert 0 < backup < counts[1]
    nothing = answer({"as_of": NOW, "metric_type": "printer"})
    assert "printer" in nothing.unavailable["anomalies"]


def test_nothing_to_judge_is_said() -> None:
    found = ask({})
    assert found.judged == {}
    assert "events or metrics" in found.unavailable["highest_severity"]
    broken = events(10)
    broken.fault = "events.csv line 1: expected a header"
    assert "expected a header" in " ".join(ask({"events": broken}).notes)
    timeless = events(200)
    timeless.columns["ts"] = [None] * 200
    assert "map ts" in ask({"events": timeless}).unavailable["anomalies"]


def test_without_scikit_learn_only_the_forest_is_missing(monkeypatch) -> None:
    def lacking(*_: object) -> None:
        raise ConfigError(EXTRA)

    monkeypatch.setattr(own_usual.OwnForest, "fit", lacking)
    found = ask({"events": replace_event(events(), -1, **ODD)})
    assert found.anomalies[0].own_forest_score is None
    assert "mesh_fl[anomaly]" in found.unavailable["own_forest_score"]


@pytest.mark.parametrize("model", ["histogram", "trees"])
def test_every_model_answers(model: str) -> None:
    agent = AnomalyDetection(model=model)
    found = ask({"events": replace_event(events(), -1, **ODD)}, agent)
    assert found.anomalies[0].subject == "e2999"
    assert found.anomalies[0].causes


@pytest.mark.parametrize(
    "body",
    [
        {"lines": "x" * 1_000_000},
        {"lines": ["\x00\u202e" * 500, "", "a" * 100_000]},
        {"source": "\x1b[31m" * 1000, "kind": "\U0001f600", "severity": 3},
        {"message": "a" * 1_000_000},
        {"metric_type": "%" * 100_000},
        {"time_range_hours": 1e-300},
        {"time_range_hours": 24 * 366 * 10},
        {"as_of": "1970-01-01"},
        {"as_of": "2198-12-31"},
        {"ts": "2026-01-01"},
    ],
)
def test_odd_requests_are_answered(body: dict[str, object]) -> None:
    found = ask({"events": events(200)}, **body)
    assert set(found.unavailable) <= set(AnomalyAnswer.model_fields) | {"own_forest_score"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"values": "many"}, "values: expected"),
        ({"values": "[1, [2]]"}, "values: expected"),
        ({"values": [1, True]}, "values: expected"),
        ({"values": [1e300]}, "values: expected"),
        ({"values": [0] * 100_001}, "send fewer"),
        ({"values": "[" * 100_000}, "values: expected"),
        ({"lines": [1]}, "lines: expected"),
        ({"lines": [None]}, "lines: expected"),
        ({"lines": {"a": 1}}, "lines: expected"),
        ({"lines": ["x"] * 10_001}, "send fewer"),
        ({"as_of": "1901-01-01"}, "as_of: expected"),
        ({"as_of": "9999-01-01"}, "as_of: expected"),
        ({"time_range_hours": -1}, "time_range_hours: expected"),
        ({"time_range_hours": "soon"}, "time_range_hours: expected"),
    ],
)
def test_requests_that_cannot_be_read_are_refused(body: dict[str, object], told: str) -> None:
    with pytest.raises(DataError, match=told):
        ask({}, **body)


def test_hostile_rows_of_a_table_do_not_matter() -> None:
    table = events(300)
    for place, value in enumerate(["\x00", "a" * 50_000, "\u202e", "\U0001f600" * 300, "-1e400"]):
        for name in ("source", "kind", "severity", "message"):
            table.columns[name][-1 - place] = value
    table.columns["ts"][:3] = ["0001-01-01", "9999-12-31", 10**13 + 1]
    found = ask({"events": table})
    assert found.judged["events"] > 0


@pytest.mark.parametrize(
    "body",
    [
        {"severity": "high", "kind": "x"},
        {"severity": 99},
        {"severity": "NaN"},
        {"time_range_hours": 0},
        {"values": [1, 2, 3], "period": 1},
        {"values": [1, 2, 3], "period": 24.5},
        {"values": {"a": 1}},
    ],
)
def test_what_means_nothing_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(DataError, match="expected"):
        ask({"events": events()}, **body)


def test_a_batch_that_would_take_minutes_is_refused() -> None:
    fields = tuple(one for one in AGENT.schema if one.name != AGENT.label)
    records = [{one.name: one.parse(None) for one in fields} for _ in range(101)]
    with pytest.raises(DataError, match="at most 100 requests"):
        AGENT.answering(Site(tables={"events": events()}))(AGENT.init(), table_of(fields, records))
