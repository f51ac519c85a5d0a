import csv
import gzip
from dataclasses import replace

import numpy as np
import pytest

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.benchmarks import anomaly
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure

SERVICES = ("http", "smtp", "domain_u", "ftp")
CACHED = (anomaly.connections, anomaly.of_adbench)


def connection(random: np.random.Generator, service: str, label: str) -> list[object]:
    """An attack sends nothing and fails; each service has its usual flag and size."""
    row: list[object] = [0] * 43
    kind = SERVICES.index(service)
    is_usual = label == "normal"
    row[1:4] = ["tcp", service, "SF" if is_usual else "S0"]
    row[4] = int(10 ** (kind + 1) * random.uniform(1, 9)) if is_usual else 0
    row[24] = 0.0 if is_usual else 1.0
    row[41], row[42] = label, 20
    return row


@pytest.fixture
def data(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for file, count in ((anomaly.TRAIN, 600), (anomaly.TEST, 300)):
        labels = random.choice(["normal", "neptune", "smurf"], count, p=[0.7, 0.2, 0.1])
        with gzip.open(tmp_path / file, "wt", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            for label in labels.tolist():
                writer.writerow(connection(random, str(random.choice(SERVICES)), label))
    (tmp_path / "adbench").mkdir()
    x = np.concatenate([random.normal(size=(200, 3)), random.normal(6, 1, (20, 3))])
    y = np.repeat([0, 1], [200, 20])
    np.savez(tmp_path / "adbench" / "40_vowels.npz", X=x, y=y)
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    for one in CACHED:
        one.cache_clear()
    yield tmp_path
    for one in CACHED:
        one.cache_clear()


def small(dataset: str, members: int, records: int):
    found = next(one for one in anomaly.benchmarks() if one.dataset == dataset)
    return replace(found, members=members, records=records)


def test_they_are_registered_by_different_names() -> None:
    names = [one.dataset for one in benchmarks_of("anomaly")]
    assert names[0] == "nsl_kdd_by_service"
    assert len(set(names)) == len(names) == 14


def test_only_usual_connections_are_learned_from(data) -> None:
    workload = anomaly.connections("histogram")
    assert set(workload.data["y"].tolist()) == {0.0}
    assert 0.2 < workload.test["y"].mean() < 0.4
    assert set(workload.data["service"].tolist()) == set(SERVICES)
    assert workload.data["places"].shape[1] == 41
    assert (workload.data["places"] >= 0).all()


def test_every_figure_of_connections_is_there(data) -> None:
    (row,) = measure(small("nsl_kdd_by_service", 4, 90), [float("inf")], [1])
    assert row.metric == "auc"
    assert row.federated > 0.9
    assert row.federated > row.public
    assert row.baseline > 0.5


def test_half_of_the_usual_rows_of_a_set_are_learned_from(data) -> None:
    workload = anomaly.of_adbench("40_vowels", "histogram")
    assert workload.records == 100
    assert set(workload.data["y"].tolist()) == {0.0}
    assert workload.test["y"].sum() == 20
    (row,) = measure(small("vowels", 2, 40), [float("inf")], [1])
    assert row.federated > 0.9
    assert row.baseline_pooled > 0.9


def test_a_column_that_never_changes_can_be_declared() -> None:
    x = np.stack([np.zeros(40), np.arange(40.0)], axis=1)
    workload = anomaly.halves("flat", x, np.repeat([0.0, 1.0], 20))
    assert workload.records == 10


def test_data_that_cannot_be_read_are_an_error(data, monkeypatch) -> None:
    (data / anomaly.TEST).write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot read"):
        anomaly.connections("histogram")
    (data / "adbench" / "40_vowels.npz").write_bytes(b"no numpy")
    with pytest.raises(DataError, match="cannot read"):
        anomaly.of_adbench("40_vowels", "histogram")
    monkeypatch.delenv("MESH_DATA")
    with pytest.raises(ConfigError, match="MESH_DATA"):
        anomaly.connections("trees")
