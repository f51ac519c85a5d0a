"""The duration model: rows, learning, privacy of records, figures, and records made of tables."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import DAY_S, MadeTable, own

from mesh_fl.agents.resource.agent import Input, ResourceAllocation
from mesh_fl.agents.resource.spread import LEVELS, log_sd
from mesh_fl.check import check_agent
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.layout import unpack
from mesh_fl.planning import make_plan
from mesh_fl.simulate.engine import simulate

AGENT = ResourceAllocation(records=2000)
AS_OF = "2026-03-01"
AT = 1_772_323_200.0


def rows_of(agent, state, data):
    return agent.contribute(state, data).toarray()


def learned(agent: ResourceAllocation, data, rounds: int = 16):
    state = agent.init()
    for _ in range(rounds):
        total = np.asarray(agent.contribute(state, data).sum(axis=0)).ravel()
        state = agent.apply(state, unpack(agent.layout(state), total))
    return state


def test_it_keeps_the_contract() -> None:
    texts = np.array(["Backup", "", "e-mail", "BACKUP", "x"], dtype=object)
    table = {
        "category": texts,
        "priority": np.array([1.0, 2, math.nan, 4, 3]),
        "est_hours": np.array([0.1, 2, math.nan, 40, 1]),
        "opened_at": AT + np.arange(5) * 7777.0,
        "actual_hours": np.array([1.0, 0, 3, 400, 2]),
    }
    report = check_agent(AGENT, AGENT.simulated(1000, seed=3), table=table)
    assert report.passed, report
    assert [one.check for one in report.findings if one.outcome == "not checked"] == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.9, 20), st.floats(-50, 50))
def test_no_row_is_longer_than_the_clip(seed: int, clip: float, moved: float) -> None:
    agent = replace(AGENT, clip=clip)
    state = {name: block + moved for name, block in agent.init().items()}
    rows = rows_of(agent, state, agent.simulated(50, seed))
    assert np.linalg.norm(rows, axis=1).max() <= clip * (1 + 1e-12)


def test_what_is_not_known_adds_nothing_and_rows_are_sparse() -> None:
    blank = AGENT.prepare({"category": np.array([""], object), "actual_hours": np.array([3.0])})
    row = rows_of(AGENT, AGENT.init(), blank)[0]
    assert np.count_nonzero(row) == 1 + len(LEVELS)  # the bias and the spread
    told = AGENT.prepare({"category": np.array(["a"], object), "actual_hours": np.array([3.0])})
    assert np.count_nonzero(rows_of(AGENT, AGENT.init(), told)[0]) == 2 + len(LEVELS)


def test_rounds_find_what_least_squares_finds() -> None:
    data = AGENT.simulated(3000, seed=5)
    agent = replace(AGENT, records=3000.0, prior_records=0.0, clip=20.0, learning_rate=4.0)
    state = learned(agent, data, rounds=120)
    by_rounds = agent.evaluate(state, data)["r2"]
    at_once = agent.evaluate(agent.adapt(agent.init(), data), data)["r2"]
    assert by_rounds == pytest.approx(at_once, abs=0.02)
    assert at_once > 0.8


def test_the_spread_holds_what_it_says() -> None:
    data, fresh = AGENT.simulated(4000, seed=1), AGENT.simulated(4000, seed=1)
    agent = replace(AGENT, records=4000.0)
    state = learned(agent, data)
    missed = np.log(fresh["hours"]) - agent.predict(state, fresh)
    for level, quantile in zip(LEVELS, state["spread"], strict=True):
        assert np.mean(missed <= quantile) == pytest.approx(level, abs=0.04)
    assert log_sd(state["spread"]) == pytest.approx(0.8, abs=0.2)  # of what nobody knows


def test_a_private_crowd_beats_the_public_and_the_lone_model() -> None:
    agent = replace(AGENT, records=8000.0)
    every, test = agent.simulated(8000, seed=2), agent.simulated(10_000, seed=2)
    shards = {f"m{k}": {name: values[k::40] for name, values in every.items()} for k in range(40)}
    caps = {name: len(shard["hours"]) for name, shard in shards.items()}
    plan = make_plan(agent, "resource", caps, rounds=16, measures=0, survivors=36, epsilon=0.5)
    state = simulate(agent, plan, shards, seed=4).state
    held_out = {name: values[8000:] for name, values in test.items()}
    federated = agent.evaluate(state, held_out)["r2"]
    alone = agent.evaluate(agent.adapt(agent.init(), shards["m0"]), held_out)["r2"]
    adapted = agent.evaluate(agent.adapt(state, shards["m0"]), held_out)["r2"]
    assert federated > agent.evaluate(agent.init(), held_out)["r2"] + 0.02
    assert adapted > alone + 0.02


def test_few_records_move_little() -> None:
    total = {"pull": np.full(AGENT.layout(AGENT.init())["pull"], 100.0), "excess": np.zeros(3)}
    start = AGENT.init()["weights"]
    small, large = (
        replace(AGENT, records=records).apply(AGENT.init(), total)["weights"] - start
        for records in (1000.0, 45_000.0)
    )
    assert small == pytest.approx(5 * large)


def test_own_tickets_move_only_their_own_cells() -> None:
    agent = AGENT
    data = agent.prepare(
        {
            "category": np.array(["printer"] * 40 + ["server"] * 40, object),
            "actual_hours": np.array([0.25] * 40 + [4.0] * 40),
        }
    )
    state = agent.adapt(agent.init(), data)
    moved = np.flatnonzero(state["weights"] != agent.init()["weights"])
    assert set(moved) == set(data["cells"][data["cells"] >= 0])
    short, long = np.exp(agent.predict(state, data))[[0, -1]]
    assert short < 0.4
    assert long > 2.5
    assert state["own_records"] == 80


def test_summed_figures_are_the_exact_ones() -> None:
    data = AGENT.simulated(3000, seed=8)
    state = AGENT.adapt(AGENT.init(), data)
    rows = AGENT.measure(state, data)
    assert np.linalg.norm(rows, axis=1).max() <= AGENT.measure_clip + 1e-12
    summed = AGENT.score(unpack(AGENT.measure_layout(), rows.sum(axis=0)))
    exact = AGENT.evaluate(state, data)
    assert summed["r2"] == pytest.approx(exact["r2"], abs=0.01)
    assert summed["coverage"] == pytest.approx(exact["coverage"])
    assert summed["tickets"] == pytest.approx(3000)


def test_figures_that_nothing_tells_are_nan() -> None:
    empty = {name: np.array(0.0) for name in AGENT.measure_layout()}
    assert math.isnan(AGENT.score(empty)["r2"])
    few = AGENT.simulated(39, seed=1)
    assert math.isnan(AGENT.evaluate(AGENT.init(), few)["flow_time_saving"])
    assert math.isfinite(AGENT.evaluate(AGENT.init(), few)["r2"])
    none = {name: values[:0] for name, values in few.items()}
    assert all(math.isnan(one) for one in AGENT.evaluate(AGENT.init(), none).values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"inputs": ()}, "inputs: expected at least one"),
        ({"inputs": (Input(name="a", kind="text"),) * 2}, "a different name"),
        ({"inputs": (Input(name="tasks", kind="text"),)}, "names other than tasks"),
        ({"inputs": (Input(name="elapsed_hours", kind="text"),)}, "other than elapsed_hours"),
        ({"inputs": (Input(name="a", kind="text", optional=False),)}, "may be left out"),
        ({"label": "hours"}, "label: expected one of"),
        ({"least_hours": 0.0}, "least_hours: expected above 0"),
        ({"most_hours": 1e9}, "most_hours: expected at most"),
        ({"usual_hours": 1000.0}, "usual_hours: expected a number from"),
        ({"as_of": "yesterday"}, "as_of: expected a date"),
        ({"clip": 0.5}, "clip: expected"),
        ({"clip": 1e160}, "clip: expected"),
        ({"momentum": 1.0}, "momentum"),
        ({"records": math.nan}, "records"),
        ({"own_precision": 0.0}, "own_precision"),
        ({"prior_records": -1.0}, "prior_records"),
    ],
)
def test_a_configuration_that_cannot_train_is_refused(change, told) -> None:
    with pytest.raises(ConfigError, match=told):
        ResourceAllocation(**change)


@pytest.mark.parametrize("hours", [math.nan, -1.0, math.inf])
def test_hours_that_are_none_are_refused(hours) -> None:
    with pytest.raises(DataError, match="actual_hours: expected hours"):
        AGENT.prepare({"category": np.array(["a"], object), "actual_hours": np.array([hours])})


def test_unlabelled_records_teach_nothing() -> None:
    with pytest.raises(AgentError, match="map the label"):
        AGENT.contribute(AGENT.init(), AGENT.prepare({"category": np.array(["a"], object)}))


TICKETS = [
    {"ticket_id": "t1", "category": "Backup", "priority": 2, "est_hours": 2, "actual_hours": 3,
     "opened_at": AT - 9 * DAY_S, "closed_at": AT - 8 * DAY_S},
    {"ticket_id": "t2", "category": "Mail", "opened_at": AT - 5 * DAY_S,
     "closed_at": AT - 4 * DAY_S},
    {"ticket_id": "late", "category": "Mail", "actual_hours": 1, "opened_at": AT - 5 * DAY_S,
     "closed_at": AT + 4 * DAY_S},
    {"ticket_id": "open", "category": "Mail", "actual_hours": 1, "opened_at": AT - 5 * DAY_S},
    {"ticket_id": "t1", "category": "again", "actual_hours": 9, "closed_at": AT - DAY_S},
]  # fmt: skip
ENTRIES = [
    {"ticket_id": "t2", "started_at": AT - 5 * DAY_S, "hours": 0.5},
    {"ticket_id": "t2", "started_at": AT - 4.5 * DAY_S, "hours": 0.75},
    {"ticket_id": "t2", "started_at": AT + DAY_S, "hours": 50},
    {"ticket_id": "t1", "started_at": AT - 9 * DAY_S, "hours": 50},
]


def gathered(tables=None, **config):
    agent = ResourceAllocation(**{"as_of": AS_OF} | config)
    return agent, agent.gather(own(tables or {"tickets": TICKETS, "time_entries": ENTRIES}))


def test_records_are_closed_tickets_with_their_work() -> None:
    agent, found = gathered()
    assert found.ids == ("t1", "t2")
    assert found.table["actual_hours"].tolist() == [3.0, 1.25]
    assert set(found.table) == {field.name for field in agent.schema}
    data = agent.prepare(found.table)
    assert data["hours"].tolist() == [3.0, 1.25]
    _, alone = gathered({"tickets": TICKETS})
    assert alone.ids == ("t1",)


def test_elapsed_hours_never_stand_for_work() -> None:
    _, found = gathered(label="elapsed_hours")
    assert found.ids == ("t1", "t2")
    assert found.table["elapsed_hours"].tolist() == [24.0, 24.0]
    only_times = [{k: v for k, v in one.items() if k != "actual_hours"} for one in TICKETS]
    with pytest.raises(DataError, match="that tell actual_hours, found none among 5"):
        gathered({"tickets": only_times})


@given(st.integers(0, 4), st.sampled_from(["category", "actual_hours", "closed_at"]))
def test_a_record_depends_on_its_own_rows(changed: int, column: str) -> None:
    _, before = gathered()
    value = {"category": "other", "actual_hours": 7, "closed_at": AT - 2 * DAY_S}[column]
    rows = [one | {column: value} if n == changed else one for n, one in enumerate(TICKETS)]
    _, after = gathered({"tickets": rows, "time_entries": ENTRIES})
    for ticket in {"t1", "t2"} - {str(TICKETS[changed]["ticket_id"])}:
        old, new = before.ids.index(ticket), after.ids.index(ticket)
        for name in ("category", "actual_hours", "est_hours"):
            assert str(before.table[name][old]) == str(after.table[name][new])


@pytest.mark.parametrize(
    ("tables", "config", "told"),
    [
        ({"tickets": TICKETS}, {"as_of": ""}, "as_of: expected a date that all members share"),
        ({"tickets": TICKETS}, {"as_of": "2200-01-01"}, "as_of: expected a date by"),
        ({"tickets": TICKETS}, {"as_of": "1990-01-01"}, "closed before 1990-01-01"),
        ({"time_entries": ENTRIES}, {}, "expected table tickets, found time_entries"),
        ({"tickets": []}, {}, "expected rows"),
        (
            {"tickets": TICKETS},
            {"inputs": (Input(name="assignment_group", kind="text"),)},
            "inputs: expected some of ticket_id",
        ),
    ],
)
def test_tables_without_records_are_refused(tables, config, told) -> None:
    with pytest.raises(DataError, match=told):
        gathered(tables, **config)


def test_an_input_that_no_ticket_has_is_not_known() -> None:
    inputs = (Input(name="category", kind="text"), Input(name="site", kind="text"))
    agent, found = gathered(inputs=inputs)
    assert (agent.prepare(found.table)["cells"][:, 1] == -1).all()
    assert isinstance(own({"tickets": []})["tickets"], MadeTable)


def test_a_training_of_noise_is_left_aside() -> None:
    own_tickets = AGENT.simulated(200, seed=6)
    noise = np.random.default_rng(1).normal(0, 8, AGENT.init()["weights"].shape)
    spoilt = {**AGENT.init(), "weights": noise, "round": np.array(16.0)}
    adapted = AGENT.adapt(spoilt, own_tickets)
    alone = AGENT.adapt(AGENT.init(), own_tickets)
    assert adapted["alone"] == 1.0
    assert (adapted["weights"] == alone["weights"]).all()
    assert (adapted["spread"] == alone["spread"]).all()
    sound = {**learned(AGENT, AGENT.simulated(4000, seed=6)), "round": np.array(16.0)}
    assert AGENT.adapt(sound, own_tickets)["alone"] == 0.0


def test_at_home_today_is_as_good_a_moment_as_any() -> None:
    today = date(2026, 3, 1)
    assert AGENT.at_home(today).as_of == "2026-03-01"
    named = ResourceAllocation(as_of="2025-01-01")
    assert named.at_home(today) is named
