from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray

from mesh_fl.errors import DataError
from mesh_fl.quality import Metric
from mesh_fl.simulate.trial import Crowd, Federated, References, Workload

CENTRES = np.random.default_rng(0).normal(size=(4, 6))


def blobs(count: int) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(1)
    y = random.integers(0, 4, count)
    return {"x": CENTRES[y] + random.normal(size=(count, 6)), "y": y}


def workload(agent: str = "mesh_fl.mlp:Mlp", **config: object) -> Workload:
    terms: dict[str, object] = {"inputs": 6, "hidden": (8,), "classes": 4, **config}
    return Workload("blobs", agent, terms, blobs(3000), Metric("accuracy", True), rounds=30)


class TestAverages:
    """Agents whose unit is the client: what is summed is divided by how many they are."""

    @pytest.mark.parametrize("config", [{}, {"clients": 40.0}])
    def test_who_learns_alone_learns_as_fast_as_the_crowd(self, config: dict[str, float]) -> None:
        crowd = Crowd.gather(workload(**config), 40, 50, seed=0)
        assert crowd.agent.clients == 40
        found = References.of(crowd)
        together = Federated.of(crowd, inf)
        assert found.public < 0.5 < found.alone
        # Pooled is the most there is to gain: all records, and as many steps a round.
        assert found.pooled > max(found.alone, together.federated) - 0.02


class TestCrowd:
    def test_nobody_trains_on_what_models_are_compared_on(self) -> None:
        crowd = Crowd.gather(workload(), 12, 50, seed=3)
        rows = {row.tobytes() for row in crowd.shards.data["x"]}
        assert len(rows) == 600
        assert not rows & {row.tobytes() for row in crowd.test["x"]}
        assert len(crowd.test["x"]) == 600

    def test_crowds_of_other_sizes_and_seeds_have_other_noise(self) -> None:
        sizes = ((12, 50, 3), (12, 50, 4), (12, 51, 3), (13, 50, 3))
        seeds = {Crowd.gather(workload(), *size).noise_seed for size in sizes}
        assert len(seeds) == 4

    def test_a_seed_makes_it_again(self) -> None:
        ones = [Federated.of(Crowd.gather(workload(), 20, 50, seed=5), 8.0) for _ in range(2)]
        assert ones[0] == ones[1]

    def test_too_few_records_are_refused(self) -> None:
        with pytest.raises(DataError, match="60 x 50 records were asked for, blobs has 2400"):
            Crowd.gather(workload(), 60, 50, seed=0)
