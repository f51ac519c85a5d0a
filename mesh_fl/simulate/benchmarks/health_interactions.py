"""Client health by interactions that people declare, and by a rule score to start from."""

from functools import partial

from mesh_fl.simulate.benchmarks.benchmark import Benchmark
from mesh_fl.simulate.benchmarks.health import AUC, PACKAGE, declared_mlc_churn
from mesh_fl.simulate.benchmarks.health_trees import SMALL_LEAVES
from mesh_fl.simulate.trial import Workload


def interaction_benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks with declared interactions, and with a rule score on top."""
    declared = partial(
        Benchmark,
        members=70,
        records=56,
        source="5,000 customers of a telephone company, artificial, from the MLC++ software; "
        f"mlc_churn of {PACKAGE}. What its columns say together was declared with the table known; "
        "interactions, clip and rate were chosen on other splits of it (seeds 0-29)",
        baseline=SMALL_LEAVES,
    )
    return (
        declared(workload=mlc_churn_with_interactions, dataset="mlc_churn_interactions"),
        declared(workload=mlc_churn_with_seven, dataset="mlc_churn_seven"),
        declared(workload=mlc_churn_with_scorecard, dataset="mlc_churn_scorecard"),
    )


def mlc_churn_with_interactions() -> Workload:
    """Return mlc_churn with what several columns say together, the rare in one input."""
    config, data = declared_mlc_churn("mlc_interactions.toml")
    return Workload("mlc_churn, interactions", "health", config, data, AUC)


def mlc_churn_with_seven() -> Workload:
    """Return mlc_churn with seven interactions, some of them rare."""
    config, data = declared_mlc_churn("mlc_seven_interactions.toml")
    return Workload("mlc_churn, seven interactions", "health", config, data, AUC)


def mlc_churn_with_scorecard() -> Workload:
    """Return mlc_churn with four reasons to leave, weighted alike, as a rule score."""
    config, data = declared_mlc_churn("mlc_scorecard.toml")
    return Workload("mlc_churn, rule score", "health", config, data, AUC)
