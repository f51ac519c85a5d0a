"""The trees' benchmark can be measured."""

from dataclasses import replace
from math import inf

from mesh_fl.simulate.benchmarks.health_trees import tree_benchmarks
from mesh_fl.simulate.trial import Crowd


def test_trees_learn_of_real_customers() -> None:
    (benchmark,) = tree_benchmarks()
    workload = replace(benchmark.workload(), rounds=6)
    crowd = Crowd.gather(workload, members=12, records=56, seed=9100)
    federated = crowd.quality(crowd.federate(inf))
    boosted = benchmark.baseline.quality(crowd.shards[0], crowd.test, 0)
    assert 0.5 < boosted < federated < 1
