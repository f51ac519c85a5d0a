"""Threat severity on vulnerabilities that people rated, the latest ones kept for comparing."""

import csv
import gzip
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.agents.threat.severity import LEVELS
from mesh_fl.client.data import TableSource, read_records
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.dealing import deal_of
from mesh_fl.simulate.trial import Workload
from mesh_fl.terminal import ERROR
from mesh_fl.text.encoder import load_encoder

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FILE = "cve_vulnrichment.csv.gz"
AUC = Metric("auc", higher_is_better=True)
ACCURACY = Metric("accuracy", higher_is_better=True)

TEST_SHARE = 0.2
"""The latest fifth: what is learned from the past is tried on what came after."""

ENCODED_AT_ONCE = 1000
HASHED_TO = 2**16
EXTRA = "pip install 'mesh_fl[benchmark]'"

SOURCE = (
    "25,847 vulnerabilities published before July 2024, and the 6,462 after them to compare on; "
    "texts and CVSS levels of CISA's vulnrichment (CC0). Words, sentences and settings were chosen "
    "with the older four fifths of the former at hand"
)


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of threat intelligence."""
    tf_idf = Baseline(
        "TF-IDF and logistic regression, alone",
        tf_idf_auc,
        "It learns from the text's own words, and knows nothing else.",
    )
    alike = Benchmark(
        workload=partial(severity_of_cves, AUC),
        dataset="cve_severity",
        members=100,
        records=258,
        baseline=tf_idf,
        source=SOURCE,
    )
    unlike = replace(
        alike,
        dataset="cve_severity_by_assigner",
        members=50,
        records=516,
        deal=deal_of("column:assigner"),
        dealt="by who assigned the number, each member a few of 300 assigners",
    )
    levels = replace(
        alike,
        workload=partial(severity_of_cves, ACCURACY),
        baseline=Baseline("the commonest level", commonest_accuracy),
    )
    return alike, unlike, levels


def severity_of_cves(metric: Metric) -> Workload:
    """Return the vulnerabilities with their levels, in time: the latest are for comparing."""
    data = _prepared()
    count = len(data["level"])
    train = int((1 - TEST_SHARE) * count)
    return Workload(
        "CVE severity",
        "threat",
        {},
        {name: values[:train] for name, values in data.items()},
        metric,
        test={name: values[train:] for name, values in data.items()},
    )


def tf_idf_auc(train: Data, test: Data, seed: int) -> float:
    """Return the AUC of high and critical by TF-IDF and logistic regression as they come.

    Raises
    ------
    ConfigError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise ConfigError(f"the baseline is scikit-learn's, not installed: {EXTRA}") from None
    high = _high(train)
    if len(np.unique(high)) < 2:
        return 0.5
    own, others = (_hashed_words()[_places(data)] for data in (train, test))
    weigh = TfidfTransformer(sublinear_tf=True).fit(own)
    model = LogisticRegression(solver="liblinear", random_state=seed).fit(
        weigh.transform(own), high
    )
    return exact_auc(model.decision_function(weigh.transform(others)), _high(test))


def commonest_accuracy(train: Data, test: Data, seed: int) -> float:
    """Return the accuracy of calling everything what most of one's own records are."""
    values, counts = np.unique(train["level"], return_counts=True)
    return float(np.mean(test["level"] == values[counts.argmax()]))


def _high(data: Data) -> NDArray[np.float64]:
    return (data["level"].astype(np.float64) >= LEVELS.index("high")).astype(np.float64)


def _places(data: Data) -> NDArray[np.int64]:
    return data["place"].astype(np.int64)


@dataclass(frozen=True)
class _Rated:
    """Vulnerabilities in the order of publication."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    levels: tuple[str, ...]
    assigners: tuple[str, ...]


@cache
def _rated() -> _Rated:
    path = data_folder() / FILE
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if row["description"]
                and row["published"]
                and (row["severity"] or "").lower() in LEVELS
            ]
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    rows.sort(key=lambda row: (row["published"], row["cve_id"]))
    return _Rated(
        tuple(row["cve_id"] for row in rows),
        tuple(row["description"] for row in rows),
        tuple(row["severity"].lower() for row in rows),
        tuple(row["assigner"] for row in rows),
    )


@cache
def _prepared() -> Data:
    """Read vulnerabilities as a member would: through a file and the column map."""
    rated = _rated()
    _encode(rated.texts)
    agent = configure("threat", {}, {"all": len(rated.ids)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["event_id", "message", "level"])
            writer.writerows(zip(rated.ids, rated.texts, rated.levels, strict=True))
        columns = {"text": {"column": "message"}, "severity": {"column": "level"}}
        source = TableSource.model_validate({"path": path, "id": "event_id", "columns": columns})
        records = read_records(source, agent.schema)
    place = {name: number for number, name in enumerate(rated.ids)}
    places = np.array([place[one] for one in records.ids])
    assigners = np.array(rated.assigners)[places]
    return {**agent.prepare(records.table), "place": places, "assigner": assigners}


def _encode(texts: Sequence[str]) -> None:
    """Encode texts for the first time, which takes minutes; later they are read from disk."""
    encoder = load_encoder()
    for start in range(0, len(texts), ENCODED_AT_ONCE):
        encoder.encode(texts[start : start + ENCODED_AT_ONCE])
        if start:
            ERROR.print(f"encoded {start} of {len(texts)} texts", end="\r", highlight=False)
    ERROR.print(f"encoded {len(texts)} of {len(texts)} texts", highlight=False)


@cache
def _hashed_words() -> "csr_matrix":
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=HASHED_TO, alternate_sign=False, norm=None)
    counts: csr_matrix = hashing.fit_transform(_rated().texts)
    return counts
