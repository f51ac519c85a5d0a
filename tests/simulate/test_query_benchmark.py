import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.benchmarks import query
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure
from mesh_fl.simulate.trial import Crowd

ASKED = {
    "recipe": "how do i cook rice number",
    "weather": "will it rain on day",
    "book_flight": "book a flight to city",
    "pto_request": "i want to take leave for days:",
}


def write(folder, parts) -> None:
    with gzip.open(folder / query.FILE, "wt") as file:
        json.dump(parts, file)


def forget() -> None:
    for cached in query.CACHED:
        cached.cache_clear()


@pytest.fixture
def asked(tmp_path, monkeypatch):
    parts = {
        "train": [[f"{text} {n}", name] for n in range(15) for name, text in ASKED.items()],
        "test": [[f"{text} {n}", name] for n in range(20, 25) for name, text in ASKED.items()],
        "oos_test": [["what is the area of a circle", "oos"], ["sing me an aria", "oos"]],
    }
    write(tmp_path, parts)
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    forget()
    yield
    forget()


def test_every_domain_holds_fifteen_intents_of_its_own() -> None:
    held = [phrase for intent in query.intents() for phrase in intent.phrases]
    assert len(query.intents()) == 10
    assert {len(intent.phrases) for intent in query.intents()} == {15}
    assert len(set(held)) == 150


def test_questions_of_no_domain_are_for_comparing_only(asked) -> None:
    workload = query.domains(query.ACCURACY)
    assert workload.records == 60
    assert workload.test is not None
    assert (workload.data["intent"] >= 0).all()
    assert (workload.test["intent"] == query.OUTSIDE).sum() == 2
    places = np.concatenate([workload.data["place"], workload.test["place"]])
    assert sorted(places.tolist()) == list(range(82))
    names = [intent.name for intent in query.intents()]
    assert names[int(workload.data["intent"][0])] == "kitchen_and_dining"
    assert Crowd.gather(workload, 4, 15, seed=1).test is workload.test


def test_every_figure_of_a_row_is_there(asked) -> None:
    for benchmark in query.benchmarks():
        (row,) = measure(replace(benchmark, members=4, records=15), [float("inf")], [1])
        assert row.agent == "query"
        assert 0 <= row.baseline <= 1
        assert row.pooled >= row.public - 0.1


def test_baselines_tell(asked) -> None:
    workload = query.domains(query.ACCURACY)
    assert workload.test is not None
    assert query.tf_idf_accuracy(workload.data, workload.test, 1) == 1.0
    mixed = {"likeness": np.array([[0.9, 0.1], [0.2, 0.1]]), "intent": np.array([0.0, -1.0])}
    assert query.likeness_auc({}, mixed, 1) == 1.0
    assert query.likeness_auc({}, {**mixed, "intent": np.array([-1.0, 0.0])}, 1) == 0.0


def test_without_the_data_it_is_said(monkeypatch, tmp_path) -> None:
    forget()
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="cannot read"):
        query.domains(query.ACCURACY)
    write(tmp_path, {"train": [["a", "lunch"]], "test": [], "oos_test": []})
    with pytest.raises(DataError, match="lunch"):
        query.domains(query.ACCURACY)
    monkeypatch.delenv("MESH_DATA")
    with pytest.raises(ConfigError, match="MESH_DATA"):
        query.domains(query.ACCURACY)


def test_it_is_registered() -> None:
    assert [one.dataset for one in benchmarks_of("query")] == ["clinc150", "clinc150_scope"]
