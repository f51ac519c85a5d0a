import os

import numpy as np
import pytest

from mesh_fl.agents.compliance.records import is_judged, is_mapping, is_right
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.benchmarks import compliance
from mesh_fl.simulate.benchmarks.compliance import benchmarks, most_frequent_hit
from mesh_fl.simulate.trial import Crowd, Federated, References


@pytest.fixture(autouse=True)
def _data_are_here():
    assert os.environ.get("MESH_DATA"), "set MESH_DATA to the folder with the public data"


@pytest.fixture(params=["attack_controls", "requirement_controls"])
def benchmark(request):
    return next(one for one in benchmarks() if one.dataset == request.param)


def test_no_question_is_both_trained_on_and_compared(benchmark):
    workload = benchmark.workload()
    for seed in range(20):
        crowd = Crowd.gather(workload, benchmark.members, benchmark.records, seed)
        for name in ("query", workload.together):
            asked, held_out = (set(data[name].tolist()) for data in (crowd.shards.data, crowd.test))
            assert not asked & held_out
            assert held_out


def test_another_seed_compares_on_other_questions(benchmark):
    workload = benchmark.workload()
    crowds = [Crowd.gather(workload, 2, 10, seed).test["query"].tolist() for seed in (1, 1, 2)]
    assert crowds[0] == crowds[1] != crowds[2]


def test_records_are_what_the_benchmark_says():
    mapped, judged = (one.workload() for one in benchmarks())
    assert is_mapping(mapped.data).all()
    assert is_judged(judged.data).all()
    share = is_right(judged.data).mean()
    assert 0.1 < share < 0.25


def test_a_small_crowd_is_better_together():
    mapped, _ = benchmarks()
    crowd = Crowd.gather(mapped.workload(), mapped.members, mapped.records, seed=3)
    alone = References.of(crowd).alone
    found = Federated.of(crowd, 1.0)
    assert found.federated > alone + 0.05
    assert found.adapted > alone + 0.05
    assert mapped.baseline.quality(crowd.shards[0], crowd.test, 0) < found.federated


def test_the_baseline_answers_its_own_most_frequent_control():
    def data(*rows):
        query, control, judged = zip(*rows, strict=True)
        return {
            "query": np.array(query),
            "control": np.array(control),
            "judged": np.array(judged),
            "is_technique": np.zeros(len(rows), bool),
            "is_text": np.ones(len(rows), bool),
        }

    train = data((1, 5, 1.0), (2, 5, 1.0), (2, 6, 1.0), (3, 6, 0.0), (4, 6, 0.0))
    test = data((7, 5, 1.0), (7, 6, 1.0), (8, 6, 1.0), (8, 5, 0.0))
    assert most_frequent_hit(train, test, 0) == 0.5
    assert most_frequent_hit(data((1, 5, 0.0)), test, 0) == 0.0


def test_missing_data_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    for workload, error in (
        (compliance.attack_controls, DataError),
        (compliance.requirement_controls, ConfigError),
    ):
        with pytest.raises(error):
            workload.__wrapped__()
