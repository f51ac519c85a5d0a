"""The demonstration: its data, its figures, and the whole of it, once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mesh_fl.errors import ConfigError
from mesh_fl.simulate.demo.crowd import crowd, crowd_plan
from mesh_fl.simulate.demo.processes import Process, call
from mesh_fl.simulate.demo.quality import auc, compare
from mesh_fl.simulate.demo.run import run_demo
from mesh_fl.simulate.demo.telco import SIZES, deal, demo_agent, load_telco, prepare

SIMULATIONS = Path(__file__).parents[2] / "simulations"


@pytest.fixture(scope="module")
def customers():
    return load_telco()


def test_customers_are_dealt_once_and_the_test_set_is_nobodys(customers):
    split = deal(customers, SIZES, seed=3)
    dealt = [set(frame["customer_id"]) for frame in split.members.values()]
    assert [len(ids) for ids in dealt] == list(SIZES)
    everybody = set.union(*dealt, set(split.test["customer_id"]))
    assert len(everybody) == sum(SIZES) + len(split.test) == len(customers)


def test_another_seed_deals_otherwise_and_the_same_seed_alike(customers):
    first, again, other = (deal(customers, SIZES, seed) for seed in (1, 1, 2))
    assert first.test.equals(again.test)
    assert not first.test.equals(other.test)


def test_every_customer_is_read_through_the_column_map(customers):
    data = prepare(demo_agent({"a": 8192}), customers)
    assert len(data["y"]) == len(customers)
    assert data["y"].sum() == (customers["churn"] == "Yes").sum()
    assert np.isfinite(data["x"]).all()


def test_auc_is_that_of_scikit_learn_ties_included():
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 500).astype(float)
    scores = random.integers(0, 20, 500) / 20
    assert auc(y, scores) == pytest.approx(roc_auc_score(y, scores), abs=1e-12)


def test_alone_and_pooled_are_adapt_from_the_untrained_model(customers):
    split = deal(customers, (60, 90), seed=0)
    agent = demo_agent({"a": 64, "b": 256})
    shards = {name: prepare(agent, frame) for name, frame in split.members.items()}
    test = prepare(agent, split.test)
    found = compare(agent, agent.init(), shards, test)
    assert found.alone == found.adapted  # from the same untrained model
    assert found.federated == 0.5  # which ranks nobody
    everybody = {key: np.concatenate([s[key] for s in shards.values()]) for key in ("x", "y")}
    pooled = agent.predict(agent.adapt(agent.init(), everybody), test)
    assert found.pooled == auc(test["y"].astype(float), pooled)


def test_a_crowd_keeps_its_promise_and_its_seed():
    sizes = (56,) * 20
    first, again = (crowd(5, sizes, epsilon=2.0) for _ in range(2))
    assert first == again
    assert first.members == 20
    assert first.federated > first.alone
    plan = crowd_plan({f"m{k}": 64 for k in range(100)}, epsilon=0.1)
    assert (plan.survivors, plan.colluders, plan.epsilon) == (90, 10, 0.1)


def test_noise_is_really_added():
    tight, loose = (crowd(5, (56,) * 20, epsilon=epsilon) for epsilon in (0.02, 8.0))
    assert tight.federated < loose.federated


def test_the_simulation_of_small_msps_runs_small():
    line = [sys.executable, "crowd_of_small_msps.py", "--splits", "2", "--members", "6", "--json"]
    done = subprocess.run(line, cwd=SIMULATIONS, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert set(found) >= {"alone", "federated", "adapted", "pooled", "federated - alone"}
    assert found["federated - alone"]["mean"] == pytest.approx(
        found["federated"]["mean"] - found["alone"]["mean"]
    )


def test_a_command_that_fails_is_told_in_its_own_words(tmp_path):
    with pytest.raises(Exception, match=r"server\.toml"):
        call("mesh_fl.server.cli", ["plan", str(tmp_path)])
    process = Process("it", "mesh_fl.server.cli", ["plan", "x"], tmp_path / "a.log", print)
    with pytest.raises(Exception, match=r"it ended with status 1: error: .*server\.toml"):
        process.wait(60)


def test_a_kept_folder_must_be_new(tmp_path):
    with pytest.raises(ConfigError, match="exists already"):
        run_demo(0, tmp_path / "report.json", tmp_path, as_json=True)


def test_the_whole_demonstration(tmp_path, capsys):
    run_demo(1, tmp_path / "report.json", tmp_path / "kept", as_json=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["auc"]) == set(report["crowd"]) == {"alone", "federated", "adapted", "pooled"}
    assert len(report["auc"]["alone"]) == len(report["auc"]["adapted"]) == 5
    assert len(report["epsilon_spent"]) == report["members"] == 5
    assert all(0.05 < epsilon <= 0.1 for epsilon in report["epsilon_spent"])
    assert report["delta"] <= 1e-5
    assert len(report["round_s"]) == report["rounds"] + 1
    assert report["parameters"] == 8
    assert 0 < report["bytes_up"] <= 8.5 * report["parameters"] + 64 * 1024
    assert all(0 < mb <= 250 for mb in report["member_memory_mb"])
    prediction = report["prediction"]
    assert prediction["model"]["adapted"] is True
    assert prediction["model"]["round"] == report["rounds"] == 16
    assert prediction["health_score"] == pytest.approx(100 * (1 - prediction["churn_risk"]))
    assert min(report["auc"]["adapted"]) > 0.7
    assert str(tmp_path / "report.json") not in capsys.readouterr().out  # JSON alone
