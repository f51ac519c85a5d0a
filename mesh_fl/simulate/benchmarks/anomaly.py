"""Anomalies by what is usual over a network: NSL-KDD by service, and sets of ADBench."""

import csv
import gzip
import tomllib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.agents.anomaly.agent import AnomalyDetection
from mesh_fl.agents.anomaly.own_forest import OwnForest, positions
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.quality import Metric
from mesh_fl.schema import Table
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.dealing import deal_of
from mesh_fl.simulate.trial import Workload

HERE = Path(__file__).parent
EXTRA = "these samples are scikit-learn's, not installed: pip install 'mesh_fl[benchmark]'"

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
AUC = Metric("auc", higher_is_better=True)

TRAIN, TEST = "nslkdd_train20.csv.gz", "nslkdd_test.csv.gz"
USUAL = "normal"
SERVICE, LABEL = 2, 41
"""Columns of the files of NSL-KDD, which have no header."""

NSL_KDD_SOURCE = (
    "13,449 usual connections of NSL-KDD's 20 % training file to learn from, and all 22,544 of its "
    "test file to compare on, 57 % of them attacks, of kinds that the training file lacks too "
    "(Tavallaee et al. 2009). Bounds and levels are from its description; the number of bins were "
    "chosen on attacks of the training file, learning from half of its usual connections"
)

ADBENCH = {
    "2_annthyroid": 333,
    "4_breastw": 22,
    "6_cardio": 82,
    "23_mammography": 546,
    "25_musk": 148,
    "28_pendigits": 335,
    "29_Pima": 25,
    "30_satellite": 219,
    "32_shuttle": 2279,
    "38_thyroid": 183,
    "40_vowels": 70,
    "45_wine": 5,
}
"""Sets by the records of each member."""

ADBENCH_MEMBERS = 10
ADBENCH_BINS = 10
OUTER_PERCENT = 1.0
SPLIT_SEED = 0

ADBENCH_SOURCE = (
    "ADBench (Han et al. 2022, BSD-2): half of the usual rows to learn from, the others and all "
    "anomalies to compare on. These columns have no names, so their bounds are the 1 % and 99 % "
    "quantiles of the rows that are learned from, to two digits: what people who know them would "
    "declare; labels told nothing"
)
CANCER_SOURCE = (
    "569 cell samples, Breast Cancer Wisconsin (Diagnostic), as scikit-learn ships it (CC BY 4.0): "
    "half of the benign ones to learn from, the others and all malignant ones to compare on; "
    "bounds as for ADBench"
)


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of anomaly detection."""
    histogram = "histogram"
    return (
        nsl_kdd(histogram),
        *(adbench(name, histogram) for name in ADBENCH),
        cancer(histogram),
    )


def nsl_kdd(model: str) -> Benchmark:
    """Return the benchmark of network connections, split by service."""
    return Benchmark(
        workload=partial(connections, model),
        dataset=_called("nsl_kdd_by_service", model),
        members=10,
        records=1344,
        baseline=_own_forest(),
        source=NSL_KDD_SOURCE,
        deal=deal_of("column:service"),
        dealt="by service, each member a few of 22",
    )


def adbench(name: str, model: str) -> Benchmark:
    """Return the benchmark of one set of ADBench."""
    return Benchmark(
        workload=partial(of_adbench, name, model),
        dataset=_called(name.partition("_")[2].lower(), model),
        members=ADBENCH_MEMBERS,
        records=ADBENCH[name],
        baseline=_own_forest(),
        source=ADBENCH_SOURCE,
    )


def cancer(model: str) -> Benchmark:
    """Return the benchmark of cell samples."""
    return Benchmark(
        workload=partial(cell_samples, model),
        dataset=_called("wdbc", model),
        members=ADBENCH_MEMBERS,
        records=17,
        baseline=_own_forest(),
        source=CANCER_SOURCE,
    )


@cache
def connections(model: str) -> Workload:
    """Return the usual connections of the training file, and the test file."""
    declared = tomllib.loads((HERE / "nslkdd.toml").read_text("utf-8"))["agent"]["config"]
    traits = tuple(map(Trait.model_validate, declared["traits"]))
    usual = [row for row in _rows(TRAIN) if row[LABEL] == USUAL]
    train, test = (_connections(traits, some) for some in (usual, _rows(TEST)))
    config = {**declared, "model": model}
    return Workload("NSL-KDD", "anomaly", config, train, AUC, rounds=1, test=test)


@cache
def of_adbench(name: str, model: str) -> Workload:
    """Return half of the usual rows of a set, and the others with the anomalies."""
    path = data_folder() / "adbench" / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            x, y = file["X"].astype(np.float64), file["y"].astype(np.float64)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    return halves(name, x, y, model)


@cache
def cell_samples(model: str) -> Workload:
    """Return half of the benign samples, and the others with the malignant ones.

    Raises
    ------
    ConfigError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError:
        raise ConfigError(EXTRA) from None
    x, benign = load_breast_cancer(return_X_y=True)
    return halves("breast cancer", x, 1.0 - benign, model)


def halves(name: str, x: Matrix, y: Vector, model: str = "histogram") -> Workload:
    """Return half of the usual rows, drawn once, to learn from; all others to compare on."""
    order = np.random.default_rng(SPLIT_SEED).permutation(np.flatnonzero(y == 0))
    kept = np.zeros(len(y), dtype=np.bool_)
    kept[order[: len(order) // 2]] = True
    traits = tuple(_declared(f"x{n}", column[kept]) for n, column in enumerate(x.T))
    table = {one.name: column for one, column in zip(traits, x.T, strict=True)}
    config = {"traits": tuple(one.model_dump() for one in traits), "model": model}
    data = _prepared(traits, {**table, "anomaly": y})
    train, test = (
        {field: values[some] for field, values in data.items()} for some in (kept, ~kept)
    )
    return Workload(name, "anomaly", config, train, AUC, rounds=1, test=test)


def forest_auc(train: Data, test: Data, seed: int) -> float:
    """Return the AUC of scikit-learn's isolation forest as it comes."""
    own, others = (data["places"].astype(np.int64) for data in (train, test))
    cells = (np.maximum(own.max(axis=0), others.max(axis=0)) + 1).tolist()
    forest = OwnForest.fit(cells, own, train["at"].astype(np.float64), seed)
    scores = forest.scores(others, test["at"].astype(np.float64))
    return exact_auc(scores, test["y"].astype(np.float64))


def _called(dataset: str, model: str) -> str:
    return dataset if model == "histogram" else f"{dataset}_{model}"


def _own_forest() -> Baseline:
    return Baseline(
        "isolation forest, alone",
        forest_auc,
        "scikit-learn's, as it comes, on numbers as they stand and on how rare a word is.",
    )


def _declared(name: str, column: Vector) -> Trait:
    """Return a trait with bounds that hold most of a column, to two digits."""
    low, high = (
        float(f"{bound:.2g}")
        for bound in np.percentile(column, [OUTER_PERCENT, 100 - OUTER_PERCENT])
    )
    if not low < high:
        low, high = float(column.min()) - 0.5, float(column.max()) + 0.5
    return Trait(name=name, kind="number", low=low, high=high, bins=ADBENCH_BINS)


def _connections(traits: tuple[Trait, ...], rows: Sequence[Sequence[str]]) -> Data:
    """Return connections as the agent takes them, with their service."""
    columns = zip(*rows, strict=True)
    table = {one.name: _column(one, values) for one, values in zip(traits, columns, strict=False)}
    labels = np.array([float(row[LABEL] != USUAL) for row in rows])
    data = _prepared(traits, {**table, "anomaly": labels})
    return {**data, "service": np.array([row[SERVICE] for row in rows])}


def _prepared(traits: tuple[Trait, ...], table: Table) -> Data:
    agent = AnomalyDetection(traits=traits)
    return {**agent.prepare(table), "at": positions(traits, table)}


def _column(trait: Trait, values: Sequence[str]) -> NDArray[np.generic]:
    if trait.kind == "number":
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=np.object_)


def _rows(file: str) -> list[list[str]]:
    path = data_folder() / file
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as opened:
            return [row for row in csv.reader(opened) if len(row) > LABEL]
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from None
