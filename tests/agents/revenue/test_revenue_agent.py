import json
from datetime import date

import numpy as np
import pytest

from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.quality import WORST, Quality
from mesh_fl.agents.revenue.records import records_of
from mesh_fl.check import check_agent
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.planning import make_plan
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Shards


def documents(*lengths: int):
    random = np.random.default_rng(7)
    told = [json.dumps((1000 + random.normal(0, 50, n)).round(2).tolist()) for n in lengths]
    return {"history": np.array(told, dtype=object)}


def test_it_keeps_the_contract() -> None:
    agent = RevenueForecasting(records=600)
    report = check_agent(
        agent, agent.example(), table=documents(0, 1, 5, 20, 31, 40, 80, 120, 300, 60)
    )
    report.require()
    assert {finding.outcome for finding in report.findings} == {"passed"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"as_of": "2026-01-02"},
        {"as_of": "soon"},
        {"horizon": 0},
        {"horizon": 25},
        {"clip": 0.0},
        {"records": float("inf")},
        {"learning_rate": -1.0},
        {"band_rate": float("nan")},
        {"prior_precision": 0.0},
        {"prior_records": 0.0},
    ],
    ids=str,
)
def test_what_cannot_train_is_refused(wrong) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=rf"revenue, {name}: expected"):
        RevenueForecasting(**wrong)


def test_a_bad_document_is_refused() -> None:
    with pytest.raises(DataError, match="history: expected"):
        RevenueForecasting().prepare({"history": np.array(["[1, oops]"], dtype=object)})


def test_nothing_from_the_common_day_on_is_read() -> None:
    agent = RevenueForecasting(as_of="2026-01-01")
    random = np.random.default_rng(9)
    history = (100 + random.normal(size=90)).tolist()
    told = [json.dumps(one) for one in (history, history[:60], history[:60] + [7e9] * 9)]
    day = 86_400.0
    start = (np.datetime64("2021-01-01") - np.datetime64("1970-01-01")).astype(int) * day
    table = {"history": np.array(told, dtype=object), "start": np.full(3, start)}
    found = agent.prepare(table)["missed"]
    assert np.isfinite(found).all()
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    later = {**table, "start": np.full(3, start + 4000 * day)}
    assert np.isnan(agent.prepare(later)["missed"]).all()
    unknown = agent.prepare({**table, "start": np.full(3, np.nan)})["missed"]
    assert not np.array_equal(unknown[0], unknown[1])


def test_a_history_longer_than_what_is_read_ends_where_it_should() -> None:
    agent = RevenueForecasting(as_of="2026-01-01")
    history = np.random.default_rng(10).normal(100, 1, 400)
    months = (2026 - 2000) * 12
    start = (np.datetime64("2000-01-01") - np.datetime64("1970-01-01")).astype(int) * 86_400.0
    found = agent.prepare(
        {
            "history": np.array([json.dumps(history.tolist())], dtype=object),
            "start": np.array([start]),
        }
    )
    assert np.array_equal(
        found["missed"], records_of([history[months - 240 : months]], 18)["missed"]
    )


def test_rounds_without_noise_lead_to_the_best_blend_and_the_level() -> None:
    agent = RevenueForecasting(records=800.0)
    data = agent.simulated(800, seed=1)
    before = agent.evaluate(agent.init(), data)
    state = simulate(agent, Exact(rounds=300), Shards.of({"all": data}), seed=1).state
    after, best = (agent.evaluate(one, data) for one in (state, agent.adapt(agent.init(), data)))
    assert after["mase"] < before["mase"] - 0.1
    assert after["mase"] == pytest.approx(best["mase"], rel=0.01)
    assert after["coverage"] == pytest.approx(0.9, abs=0.02)
    assert before["coverage"] < 0.75


def test_a_crowd_learns_at_a_tenth() -> None:
    agent = RevenueForecasting(records=2000.0)
    data = agent.simulated(2000, seed=2)
    shards = {f"m{k}": {name: one[k::20] for name, one in data.items()} for k in range(20)}
    caps = dict.fromkeys(shards, 100)
    plan = make_plan(
        agent, "revenue", caps, rounds=16, measures=0, survivors=18, colluders=2, epsilon=0.1
    )
    state = simulate(agent, plan, Shards.of(shards), seed=3).state
    fresh = agent.simulated(500, seed=2)
    assert agent.evaluate(state, fresh)["mase"] < agent.evaluate(agent.init(), fresh)["mase"] - 0.05


def test_a_small_network_takes_small_steps() -> None:
    total = {"pull": np.ones(5), "excess": np.ones(3)}
    sizes = [
        np.linalg.norm(agent.apply(agent.init(), total)["blend"])
        for agent in (RevenueForecasting(records=float(n)) for n in (1, 1000, 100_000))
    ]
    assert sizes[0] == pytest.approx(2 * sizes[1], rel=0.01)
    assert sizes[0] < 0.01


def test_noise_alone_does_not_run_away() -> None:
    agent = RevenueForecasting()
    state = agent.init()
    for _ in range(5):
        state = agent.apply(state, {"pull": np.full(5, 1e9), "excess": np.full(3, -1e9)})
    assert np.isfinite(state["blend"]).all()
    assert np.isfinite(agent.evaluate(state, agent.simulated(20, 0))["mase"])


def test_what_was_held_out_of_nobody_tells_nothing() -> None:
    agent = RevenueForecasting()
    data = agent.prepare(documents(3, 30))
    assert not agent.contribute(agent.init(), data).any()
    assert not agent.measure(agent.init(), data).any()
    assert np.isnan(agent.evaluate(agent.init(), data)["mase"])
    adapted = agent.adapt(agent.init(), data)
    for name, block in agent.init().items():
        assert np.array_equal(adapted[name], block)


def test_the_measure_tells_what_evaluate_does() -> None:
    agent = RevenueForecasting()
    data = agent.simulated(300, seed=5)
    state = agent.init()
    rows = agent.measure(state, data)
    assert np.linalg.norm(rows, axis=1).max() <= agent.measure_clip + 1e-12
    total = dict(zip(agent.measure_layout(), rows.sum(axis=0), strict=True))
    exact, told = agent.evaluate(state, data), agent.score(total)
    assert told["coverage"] == pytest.approx(exact["coverage"])
    cut = np.minimum(Quality.of(state, data).mase, WORST).mean()
    assert told["mase"] == pytest.approx(cut)
    assert np.isnan(agent.score({name: np.array(-1.0) for name in total})["mase"])


def test_figures_by_hand() -> None:
    data = {
        "actual": np.array([[10.0, 10, 10, np.nan]]),
        "missed": np.array([[1.0, -2, 3, np.nan]]),
        "reach": np.array([[1.0, 1, 1, np.nan]]),
        "apart": np.zeros((1, 4, 5)),
    }
    state = {**RevenueForecasting().init(), "bands": np.log([2.5, 2.5, 2.5])}
    found = Quality.of(state, data).means
    assert found["mase"] == pytest.approx(2)
    assert found["smape"] == pytest.approx(200 * (1 / 19 + 2 / 22 + 3 / 17) / 3)
    assert found["coverage"] == found["coverage_1_3"] == pytest.approx(2 / 3)
    assert found["interval_score"] == pytest.approx(5 + 20 * 0.5 / 3)
    assert np.isnan(found["coverage_13_on"])
    assert found["coverage_error"] == pytest.approx(0.9 - 2 / 3)


def test_an_adapted_model_suits_its_owner() -> None:
    agent = RevenueForecasting()
    data = agent.simulated(200, seed=6)
    state = {**agent.init(), "round": np.array(1.0)}
    own = agent.evaluate(agent.adapt(state, data), data)
    assert own["mase"] < agent.evaluate(state, data)["mase"]
    assert own["coverage_error"] < agent.evaluate(state, data)["coverage_error"]


def test_at_home_all_months_before_this_one_are_read() -> None:
    assert RevenueForecasting().at_home(date(2026, 11, 23)).as_of == "2026-11-01"
