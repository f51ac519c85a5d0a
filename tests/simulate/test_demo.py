"""The demonstration: its data, its figures, and the whole of it, once."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mesh_fl.errors import ConfigError
from mesh_fl.simulate.demo.processes import Process, call
from mesh_fl.simulate.demo.quality import compare
from mesh_fl.simulate.demo.run import run_demo, simulate_crowd
from mesh_fl.simulate.demo.telco import SIZES, deal, demo_agent, load_telco, prepare


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
    assert found.pooled == pytest.approx(roc_auc_score(test["y"], pooled), abs=1e-12)


def test_a_simulated_crowd_keeps_its_seed_and_pays_for_its_noise():
    first, again = simulate_crowd(5), simulate_crowd(5)
    assert first == again
    assert first["federated"] > first["alone"]
    assert simulate_crowd(5, epsilon=0.01)["federated"] < first["federated"]


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
