"""Client health by trees, on a public table whose columns say little one by one."""

from dataclasses import replace

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.errors import ConfigError
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark
from mesh_fl.simulate.benchmarks.health import AUC, EXTRA, PACKAGE, mlc_churn_as_it_stands
from mesh_fl.simulate.trial import Workload

ROUNDS = 32
"""Twice the usual: a step of trees is a small one."""

CLIP = 0.5

PARAMETERS = {
    "objective": "binary",
    "num_leaves": 8,
    "min_data_in_leaf": 5,
    "learning_rate": 0.05,
    "num_threads": 1,
    "verbosity": -1,
}


def tree_benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmark of the trees."""
    return (
        Benchmark(
            workload=lambda: mlc_churn_by_trees(AUC),
            dataset="mlc_churn_trees",
            members=70,
            records=56,
            baseline=SMALL_LEAVES,
            source="5,000 customers of a telephone company, artificial, from the MLC++ software; "
            f"mlc_churn of {PACKAGE}. Its columns were picked with the table known; rounds, clip, "
            "size and number of trees were chosen on other splits of it (seeds 0-3)",
        ),
    )


def mlc_churn_by_trees(metric: Metric) -> Workload:
    """Return mlc_churn with its columns as they stand, learned by trees."""
    workload = mlc_churn_as_it_stands(metric)
    config = {**workload.config, "model": "trees", "clip": CLIP}
    return replace(workload, dataset="mlc_churn by trees", config=config, rounds=ROUNDS)


def small_leaves_auc(train: Data, test: Data, seed: int) -> float:
    """Return the AUC of LightGBM with leaves small enough for a single member.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import lightgbm
    except ImportError:
        raise ConfigError(f"the baseline is LightGBM, which is not installed: {EXTRA}") from None
    x, y = train["x"].astype(np.float64), train["y"].astype(np.float64)
    model = lightgbm.train({**PARAMETERS, "seed": seed}, lightgbm.Dataset(x, y))
    risk = np.asarray(model.predict(test["x"]), dtype=np.float64)
    return exact_auc(risk, test["y"].astype(np.float64))


SMALL_LEAVES = Baseline(
    "LightGBM, small leaves",
    small_leaves_auc,
    "LightGBM has 8 leaves of at least 5 records each and a rate of .05.",
)
