import gzip
from dataclasses import replace

import numpy as np
import pytest

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.benchmarks import collaboration
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure
from mesh_fl.simulate.trial import Crowd

CACHED = (collaboration.incident_skills, collaboration.judged_pairs)


def write(folder, name: str, lines: list[str]) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    with gzip.open(folder / name, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """200 incidents of 60 categories, each told twice, and three judged pairs."""
    rows = [
        f"{n},{'?' if n % 7 == 0 else n * n % 60},g{n % 5}" for n in range(200) for _ in range(2)
    ]
    write(tmp_path, collaboration.INCIDENTS, ["number,category,assignment_group", *rows])
    pairs = [("A cat sits.", "A cat sits.", 5), ("A cat sits.", "A dog sits.", 2.5)]
    pairs += [("A cat sits.", "Tax law is long.", 0)]
    lines = [f"main\tset\tyear\t1\t{score}\t{a}\t{b}" for a, b, score in pairs]
    write(tmp_path, collaboration.PAIRS, lines)
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    for cached in CACHED:
        cached.cache_clear()
    yield tmp_path
    for cached in CACHED:
        cached.cache_clear()


def test_each_incident_counts_once(data) -> None:
    workload = collaboration.incident_skills()
    assert workload.records == 200
    names = [skill["name"] for skill in workload.config["skills"]]
    assert names[0] == "category untold"
    counts = np.bincount(workload.data["need"], minlength=len(names) + 1)
    assert counts[0] == len(range(0, 200, 7))
    assert counts.sum() == 200


def test_undeclared_categories_are_other(data, monkeypatch) -> None:
    monkeypatch.setattr(collaboration, "DECLARED", 3)
    workload = collaboration.incident_skills()
    counts = np.bincount(workload.data["need"], minlength=4)
    assert counts[3] > counts[1]


def test_rows_come_out(data) -> None:
    alike, unlike, _ = collaboration.benchmarks()
    (row,) = measure(replace(alike, members=4, records=50), [float("inf")], [1])
    assert row.federated == pytest.approx(0, abs=1e-9)
    assert row.alone == pytest.approx(row.baseline)
    assert row.alone > 0.1
    crowd = Crowd.gather(unlike.workload(), 5, 40, 1, unlike.deal)
    owners = [set(crowd.shards[place]["group"].tolist()) for place in range(5)]
    assert sum(map(len, owners)) == 5


def test_pairs_are_ranked_by_public_cosine_alone(data) -> None:
    _, _, pairs = collaboration.benchmarks()
    (row,) = measure(replace(pairs, members=1, records=3), [float("inf")], [1])
    assert row.public == row.alone == row.federated == row.adapted == row.pooled == 1
    assert row.baseline == 1


def test_without_the_data_it_is_said(data, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MESH_DATA", str(tmp_path / "none"))
    for load in CACHED:
        with pytest.raises(DataError, match="cannot read"):
            load()
    monkeypatch.delenv("MESH_DATA")
    with pytest.raises(ConfigError, match="MESH_DATA"):
        collaboration.incident_skills()


def test_they_are_registered() -> None:
    names = [one.dataset for one in benchmarks_of("collaboration")]
    assert names == ["incident_skills", "incident_skills_by_group", "stsb"]
