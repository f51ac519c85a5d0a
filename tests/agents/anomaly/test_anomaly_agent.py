import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mesh_fl import check_agent
from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents.anomaly.agent import AnomalyDetection, Trait
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.planning import make_plan
from mesh_fl.registry import build, config_of
from mesh_fl.schema import Field, Table, column_of
from mesh_fl.simulate.engine import simulate
from mesh_fl.site import OwnRows, OwnTable

SMALL = AnomalyDetection(
    traits=(
        Trait(name="port", kind="number", low=0, high=1000, scale="log", bins=5),
        Trait(name="service", kind="level", levels=("http", "smtp")),
        Trait(name="user", kind="words", bins=16),
    )
)


def table_of_events(count: int = 40) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    words = np.array(["firewall", "EDR ", "", "backup"], dtype=object)
    return {
        "source": random.choice(words, count),
        "kind": random.choice(words, count),
        "severity": np.array([("0", "4", "", "odd")[n % 4] for n in range(count)], dtype=object),
        "message": np.array([f"disk {n} full on host{n}" for n in range(count)], dtype=object),
        "ts": np.where(random.random(count) < 0.8, 1.7e9 + np.arange(count), np.nan),
    }


@pytest.mark.parametrize(
    "agent", [AnomalyDetection(), AnomalyDetection(model="trees", trees=8, depth=4), SMALL]
)
def test_it_keeps_the_contract(agent: AnomalyDetection) -> None:
    table = table_of_events() if agent is not SMALL else {"port": np.array([1.0, math.nan, 2e9])}
    report = check_agent(agent, agent.simulated(900, 0), table=table)
    assert report.passed, str(report)
    assert not [one.check for one in report.findings if one.outcome == "not checked"]


@pytest.mark.parametrize("model", ["histogram", "trees"])
def test_before_any_training_every_record_is_alike(model: str) -> None:
    agent = replace(SMALL, model=model)
    data = agent.simulated(500, 0)
    assert set(agent.predict(agent.init(), data).tolist()) == {0.0}
    assert agent.evaluate(agent.init(), data)["auc"] == 0.5


def test_a_record_fills_one_cell_of_each_trait_that_it_tells() -> None:
    data = SMALL.prepare(
        {
            "port": np.array([0.0, 5.0, math.nan]),
            "service": np.array(["http", "ftp", ""], dtype=object),
        }
    )
    rows = SMALL.contribute(SMALL.init(), data).toarray()
    assert (rows > 0).sum(axis=1).tolist() == [2, 2, 0]
    assert np.linalg.norm(rows, axis=1).tolist() == pytest.approx([math.sqrt(2 / 3)] * 2 + [0])
    assert not rows[:, -EMPTY:].any()


def test_known_anomalies_are_never_learned() -> None:
    data = SMALL.prepare({"port": np.full(3, 7.0), "anomaly": np.array([0.0, 1.0, math.nan])})
    rows = SMALL.contribute(SMALL.init(), data).toarray()
    assert rows.any(axis=1).tolist() == [True, False, True]
    assert SMALL.adapt(SMALL.init(), data)["own_cells"].sum() == 2


def test_training_without_noise_counts_exactly() -> None:
    data = SMALL.simulated(500, 3)
    total = {"cells": np.asarray(SMALL.contribute(SMALL.init(), data).sum(axis=0)).ravel()}
    state = SMALL.init()
    for _ in range(3):
        state = SMALL.apply(state, total)
    usual = data["places"][data["y"] < 0.5]
    counted = [
        np.bincount(column, minlength=size)
        for column, size in zip(usual.T, (7, 3, 16), strict=True)
    ]
    assert state["cells"][:-EMPTY] == pytest.approx(np.concatenate(counted))


def test_a_member_alone_lacks_what_the_network_knows() -> None:
    """Each member has one service only; a record of another's is no anomaly to the network."""
    random = np.random.default_rng(5)
    cells = (12, 12, 12)
    agent = AnomalyDetection(
        traits=tuple(Trait(name=f"t{n}", kind="words", bins=12) for n in range(3))
    )
    shards = {
        f"m{k}": {
            "places": (3 * k + random.integers(0, 3, (2000, 3))).astype(np.int64),
            "y": np.zeros(2000),
        }
        for k in range(3)
    }
    plan = make_plan(
        agent, "anomaly", dict.fromkeys(shards, 2000), rounds=4, measures=0, survivors=3, epsilon=1
    )
    state = simulate(agent, plan, shards, seed=1).state
    usual = np.concatenate([shard["places"][:200] for shard in shards.values()])
    odd = np.stack([random.integers(9, 12, 200) for _ in cells], axis=1)
    test = {
        "places": np.concatenate([usual, odd]),
        "y": np.repeat([0.0, 1.0], [len(usual), len(odd)]),
    }
    federated = agent.evaluate(state, test)["auc"]
    adapted = agent.evaluate(agent.adapt(state, shards["m0"]), test)["auc"]
    alone = agent.evaluate(agent.adapt(agent.init(), shards["m0"]), test)["auc"]
    assert alone < 0.8
    assert min(federated, adapted) > 0.95


def test_noise_alone_does_not_spoil_what_a_member_knows() -> None:
    data = SMALL.simulated(1000, 1)
    noise = {"cells": np.random.default_rng(0).normal(0, 300, SMALL.blocks.width + EMPTY)}
    noisy = SMALL.apply(SMALL.init(), noise)
    test = SMALL.simulated(1000, 1)
    with_noise = SMALL.evaluate(SMALL.adapt(noisy, data), test)["auc"]
    without = SMALL.evaluate(SMALL.adapt(SMALL.init(), data), test)["auc"]
    assert with_noise > without - 0.02
    assert without > 0.8


@pytest.mark.parametrize("model", ["histogram", "trees"])
def test_false_alarms_stay_at_the_stated_rate(model: str) -> None:
    """One's own tail holds for records like one's own, whatever the network's model is worth."""
    agent = replace(
        SMALL, model=model, trees=8, depth=4, false_alarm_rates=(0.05, 0.02, 0.01, 0.001)
    )
    made = agent.simulated(12_000, 2)
    usual = {name: values[made["y"] < 0.5] for name, values in made.items()}
    own, new = ({name: values[part] for name, values in usual.items()} for part in _halves(usual))
    noisy = agent.apply(
        agent.init(),
        {"cells": np.random.default_rng(1).normal(0, 200, agent.blocks.width + EMPTY)},
    )
    for state in (agent.init(), noisy):
        rate = agent.evaluate(agent.adapt(state, own), new)["false_alarm_rate"]
        assert 0.0 <= rate <= 0.05 + 3 * math.sqrt(0.05 / len(new["y"]))


def _halves(data: Table) -> tuple[slice, slice]:
    half = len(data["y"]) // 2
    return slice(half), slice(half, None)


def test_summed_measures_tell_what_records_at_hand_tell() -> None:
    data = SMALL.simulated(3000, 4)
    state = SMALL.adapt(SMALL.init(), data)
    counts = SMALL.measure(state, data).sum(axis=0).reshape(SMALL.measure_bins, 3)
    told, exact = SMALL.score({"counts": counts}), SMALL.evaluate(state, data)
    assert told["auc"] == pytest.approx(exact["auc"], abs=0.05)
    assert told["loss"] == pytest.approx(exact["loss"], abs=0.2)
    assert told["records"] == 3000


def test_without_labels_there_is_a_loss_and_no_auc() -> None:
    data = {"places": SMALL.simulated(300, 4)["places"]}
    found = SMALL.evaluate(SMALL.adapt(SMALL.init(), data), data)
    assert math.isnan(found["auc"])
    assert found["loss"] < 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"traits": ()},
        {"traits": (Trait(name="a", kind="words"), Trait(name="a", kind="words"))},
        {"traits": (Trait(name="values", kind="words"),)},
        {"traits": (Trait(name="x", kind="words", field="t"), Trait(name="t", kind="moment"))},
        {"false_alarm_rates": (0.01, 0.01, 0.001, 0.0001)},
        {"false_alarm_rates": (0.01, 0.005, 0.001, 0.0)},
        {"false_alarm_rates": (0.9, 0.005, 0.001, 0.0001)},
        {"label": "kind"},
        {"as_of": "tomorrow"},
        {"as_of": "20260101T00"},
        {"clip": math.inf},
        {"clip": 1e-300},
        {"prior_records": 0.0},
        {"trees": 1000, "depth": 10},
        {"measure_bins": 1},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="anomaly, "):
        AnomalyDetection(**wrong)


def test_it_is_registered_and_survives_its_json() -> None:
    agent = build("anomaly", json.loads(config_of(SMALL)))
    assert agent == SMALL
    with pytest.raises(AgentError, match=r"traits\.0"):
        build("anomaly", {"traits": [{"name": "x", "kind": "number", "low": 2, "high": 1}]})


def test_a_column_of_another_kind_is_refused() -> None:
    with pytest.raises(DataError, match="port"):
        SMALL.prepare({"port": np.array(["many"], dtype=object)})


class Rows(OwnTable):
    def __init__(self, columns: dict[str, list[object]]) -> None:
        self.columns = columns

    @property
    def stamp(self) -> tuple[int, ...]:
        return (1,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        count = len(self.columns["event_id"])
        read = {
            one.name: column_of(
                one, [one.parse(value) for value in self.columns.get(one.name, [None] * count)]
            )
            for one in schema
        }
        return OwnRows(read)


def test_records_are_made_of_events_before_a_date() -> None:
    events = Rows(
        {
            "event_id": ["a", "b", "c", "d"],
            "ts": ["2026-01-01", "2026-03-01", None, "2025-12-31T23:59:59Z"],
            "kind": ["login", "login", "login", "logout"],
        }
    )
    everything = AnomalyDetection().gather({"events": events})
    assert everything.ids == ("a", "b", "c", "d")
    agent = AnomalyDetection(as_of="2026-01-01")
    found = agent.gather({"events": events})
    assert found.ids == ("d",)
    assert {field.name for field in agent.schema} == set(found.table)
    assert agent.prepare(found.table)["places"].shape == (1, 5)
    with pytest.raises(DataError, match="as_of"):
        AnomalyDetection(as_of="2001-01-01").gather({"events": events})
    with pytest.raises(DataError, match="events"):
        agent.gather({})
