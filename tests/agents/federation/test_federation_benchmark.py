from dataclasses import replace
from math import inf

import numpy as np
import pytest

from mesh_fl.agents.threat.agent import ThreatIntelligence
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks import federation
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark
from mesh_fl.simulate.benchmarks.measure import measure
from mesh_fl.simulate.trial import Workload

AUC = Metric("auc", higher_is_better=True)


def threats() -> Workload:
    data = ThreatIntelligence().simulated(3000, seed=1)
    return Workload("made-up threats", "threat", {"clip": 4.0}, data, AUC)


SEEN = Benchmark(threats, "threats", 30, 80, Baseline("none", lambda *_: 0.5), "made up")


def test_lengths_are_those_of_the_agent_as_it_is_benchmarked() -> None:
    workload = federation._workload(SEEN)
    assert workload.config["target_config"]["clip"] == 4.0
    assert "records" not in workload.config["target_config"]
    assert workload.records == 3000
    threat, seen = ThreatIntelligence(), threats()
    rows = threat.contribute(threat.init(), seen.data)
    np.testing.assert_allclose(workload.data["norm"], np.linalg.norm(rows, axis=1))


def test_counting_finds_what_the_configured_clip_misses() -> None:
    lengths = replace(federation._lengths_of(SEEN), members=30, records=80)
    (row,) = measure(lengths, [inf], [1])
    assert row.public > 0.5
    assert row.federated < 0.1
    assert row.federated == pytest.approx(row.adapted)


def test_every_data_set_is_looked_at_once() -> None:
    names = [one.dataset for one in federation.benchmarks()]
    assert len(set(names)) == len(names) > 3
    assert all(name.endswith("_lengths") for name in names)


def test_idle_records_choose_nothing_by_themselves() -> None:
    idle, some = {"norm": np.zeros(4)}, {"norm": np.ones(4)}
    assert federation.own_clip_error(idle, some, 1) == 1.0
    assert federation.own_clip_error(some, some, 1) == 0.0
