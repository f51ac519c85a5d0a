"""All benchmarks of client health."""

from mesh_fl.simulate.benchmarks import health
from mesh_fl.simulate.benchmarks.benchmark import Benchmark
from mesh_fl.simulate.benchmarks.health_interactions import interaction_benchmarks
from mesh_fl.simulate.benchmarks.health_trees import tree_benchmarks


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks by declared features, interactions, rule score and trees."""
    return (*health.benchmarks(), *interaction_benchmarks(), *tree_benchmarks())
