import csv
import gzip

import numpy as np
import pytest

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.benchmarks import threat
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure
from mesh_fl.simulate.trial import Crowd

WORDS = {
    "LOW": "a version number is shown",
    "MEDIUM": "cross-site scripting in a page",
    "HIGH": "a use after free in the browser",
    "CRITICAL": "unauthenticated remote code execution",
}


def write(folder, rows) -> None:
    with gzip.open(folder / threat.FILE, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["cve_id", "published", "assigner", "description", "severity"])
        writer.writerows(rows)


@pytest.fixture
def rated(tmp_path, monkeypatch):
    """A hundred vulnerabilities, the later ones first in the file, and some that do not count."""
    levels = list(WORDS)
    rows = [
        (f"CVE-2031-{n:05}", f"2031-01-01T00:{n // 60:02}:{n % 60:02}", f"a{n % 7}",
         f"Product {n}: {WORDS[levels[n % 4]]}", levels[n % 4])
        for n in range(100)
    ]  # fmt: skip
    others = [
        ("CVE-2031-90000", "", "a", "no date", "LOW"),
        ("CVE-2031-90001", "2031", "a", "", "LOW"),
        ("CVE-2031-90002", "2031", "a", "no level", "NONE"),
        ("CVE-2031-90003", "2031", "a", "cut off"),
    ]
    write(tmp_path, [*rows[::-1], *others])
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    for cached in (threat._rated, threat._prepared, threat._hashed_words):
        cached.cache_clear()
    yield
    for cached in (threat._rated, threat._prepared, threat._hashed_words):
        cached.cache_clear()


def test_the_latest_fifth_is_for_comparing(rated) -> None:
    workload = threat.severity_of_cves(threat.AUC)
    assert workload.records == 80
    assert workload.held_out == 0
    assert workload.data["place"].tolist() == list(range(80))
    assert workload.test is not None
    assert workload.test["place"].tolist() == list(range(80, 100))
    assert workload.data["level"][:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    crowd = Crowd.gather(workload, 4, 20, seed=1)
    assert crowd.test is workload.test
    assert sum(crowd.shards.sizes) == 80


def test_members_by_assigner_share_no_assigner(rated) -> None:
    benchmark = next(b for b in threat.benchmarks() if b.dataset.endswith("assigner"))
    workload = benchmark.workload()
    crowd = Crowd.gather(workload, 3, 20, 1, benchmark.deal)
    owners = [set(crowd.shards[place]["assigner"].tolist()) for place in range(3)]
    assert not owners[0] & owners[1]
    assert not owners[1] & owners[2]


def test_every_figure_of_a_row_is_there(rated) -> None:
    from dataclasses import replace

    small = [replace(one, members=4, records=20) for one in threat.benchmarks()]
    for benchmark in small:
        if benchmark.dataset.endswith("assigner"):
            continue
        (row,) = measure(benchmark, [float("inf")], [1])
        assert row.agent == "threat"
        assert row.verdict == "too few seeds"
        assert 0 <= row.baseline <= 1
        assert row.federated >= row.public - 0.1


def test_baselines_learn(rated) -> None:
    workload = threat.severity_of_cves(threat.AUC)
    assert workload.test is not None
    assert threat.tf_idf_auc(workload.data, workload.test, 1) == pytest.approx(1)
    one_class = {name: values[workload.data["level"] < 2] for name, values in workload.data.items()}
    assert threat.tf_idf_auc(one_class, workload.test, 1) == 0.5
    level = {"level": np.array([1.0, 1.0, 3.0])}
    assert threat.commonest_accuracy(level, {"level": np.array([1.0, 2.0])}, 1) == 0.5


def test_without_the_data_it_is_said(monkeypatch, tmp_path) -> None:
    threat._rated.cache_clear()
    threat._prepared.cache_clear()
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="cannot read"):
        threat.severity_of_cves(threat.AUC)
    monkeypatch.delenv("MESH_DATA")
    with pytest.raises(ConfigError, match="MESH_DATA"):
        threat.severity_of_cves(threat.AUC)


def test_it_is_registered() -> None:
    assert [one.dataset for one in benchmarks_of("threat")] == [
        "cve_severity",
        "cve_severity_by_assigner",
        "cve_severity",
    ]
