import gzip
from dataclasses import replace

import numpy as np
import pytest

from mesh_fl.agents.resource.flow_time import TICKETS
from mesh_fl.errors import ConfigError
from mesh_fl.simulate.benchmarks import resource
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure

HEAD = (
    "number ident_state opened_at contact_type category priority assignment_group resolved_at "
    "sys_created_by opened_by"
)


def event(number, state, opened, category, resolved):
    return [number, state, opened, "Phone", category, "3", "?", resolved, "7", "?"]


@pytest.fixture
def log(tmp_path, monkeypatch):
    random = np.random.default_rng(6)
    rows = []
    for number in range(400):
        kind = number % 4
        minute = int(min(59, random.exponential(3 + 12 * kind)))
        opened = f"{1 + number % 28}/3/2016 09:00"
        resolved = f"{1 + number % 28}/3/2016 {9 + 4 * kind:02d}:{minute:02d}"
        rows.append(event(number, "New", opened, f"c{kind}", resolved))
        rows.append(event(number, "Resolved", opened, "changed since", resolved))
    rows.append(event(900, "New", "1/3/2016 09:00", "c1", "?"))
    rows.append(event(902, "New", "1/3/2016 09:00", "c1", "9/3/2016 09:00"))
    rows.append(event(901, "Resolved", "1/3/2016 09:00", "c1", "1/3/2016 09:01"))
    with gzip.open(tmp_path / resource.FILE, "wt") as file:
        file.write("\n".join(",".join(map(str, row)) for row in [HEAD.split(), *rows]))
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    resource._prepared.cache_clear()
    yield tmp_path / resource.FILE
    resource._prepared.cache_clear()


def small(metric: str):
    found = next(one for one in resource.benchmarks() if one.workload.args[0].name == metric)
    return replace(found, members=4, records=50)


def test_an_incident_is_what_its_first_event_knows(log) -> None:
    workload = small("r2").workload()
    assert workload.records == 401  # not the open one, nor the one that was resolved at once
    cells = workload.data["cells"]
    assert len(np.unique(cells[:, 0])) == 4
    assert (cells[:, 1] == cells[0, 1]).all()  # "?" says that nobody had it, which tells something
    assert workload.data["hours"].max() == 168.0  # 192 h are as good as 168
    assert resource.incidents(resource.R2, of_a_week=True).records == 400
    first = resource.incidents(resource.R2).data["hours"][:4]
    assert first == pytest.approx([0.05, 4.0, 8.0, 12.0], abs=1.0)


@pytest.mark.parametrize(
    "metric", ["r2", "flow_time_saving", "waiting_time_saving", "coverage_error"]
)
def test_every_figure_is_there(log, metric) -> None:
    (row,) = measure(small(metric), [float("inf")], [1])
    assert row.metric == metric
    assert row.higher_is_better == (metric != "coverage_error")
    for figure in (row.public, row.alone, row.federated, row.adapted, row.pooled, row.baseline):
        assert np.isfinite(figure)
    if row.higher_is_better:
        assert row.federated > row.public
        assert row.baseline > 0.2


def test_the_baselines_by_hand() -> None:
    train = {"cells": np.array([[0], [0], [1]]), "hours": np.exp([1.0, 3.0, 6.0])}
    test = {"cells": np.array([[0], [1], [-1]]), "hours": np.exp([2.0, 6.0, 10.0 / 3])}
    assert resource.category_r2(train, test, 0) == pytest.approx(1.0)
    many = {
        "cells": np.arange(2 * TICKETS)[:, None] % 2,
        "hours": 1.0 + 9.0 * (np.arange(2 * TICKETS) % 2),
    }
    assert resource.category_flow(train, many, 0) > 0.2
    assert resource.category_waiting(train, many, 0) > resource.category_flow(train, many, 0)
    hours = {"hours": np.arange(1.0, 102.0)}
    assert resource.own_quantiles(hours, hours, 0) == pytest.approx(0.0, abs=0.02)


def test_a_missing_or_damaged_file_is_told(log, monkeypatch, tmp_path) -> None:
    log.write_bytes(b"no gzip at all")
    with pytest.raises(ConfigError, match=r"incident_event_log.csv.gz: cannot be read"):
        small("r2").workload()
    log.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        small("r2").workload()
    monkeypatch.delenv("MESH_DATA")
    with pytest.raises(ConfigError, match="set MESH_DATA"):
        small("r2").workload()


def test_it_is_registered() -> None:
    found = [one.dataset for one in benchmarks_of("resource")]
    assert found == ["incident_log"] * 4 + ["incident_log_week"] * 4
