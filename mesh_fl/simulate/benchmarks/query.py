"""What questions are about: ten domains of CLINC150, and questions of none of them."""

import gzip
import json
import tomllib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.agents.query.agent import OUTSIDE
from mesh_fl.agents.query.desk import OTHER
from mesh_fl.agents.query.intents import Intent
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.trial import Workload

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FILE = "clinc150_full.json.gz"
DOMAINS = Path(__file__).with_name("clinc150.toml")
ACCURACY = Metric("accuracy", higher_is_better=True)
HEAD_AUC = Metric("head_auc", higher_is_better=True)
ROUNDS = 8
HASHED_TO = 2**16
EXTRA = "pip install 'mesh_fl[benchmark]'"

SOURCE = (
    "15,000 questions of CLINC150 (CC BY 3.0) to learn from and 4,500 others to compare on, by its "
    "ten domains; the intents' names are the phrases. Settings were chosen on its 3,000 questions "
    "for validation"
)


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of plain questions."""
    accuracy = Benchmark(
        workload=partial(domains, ACCURACY),
        dataset="clinc150",
        members=100,
        records=150,
        baseline=Baseline(
            "TF-IDF and logistic regression, alone",
            tf_idf_accuracy,
            "It learns from the questions' own words, and knows nothing else.",
        ),
        source=SOURCE,
    )
    scope = Benchmark(
        workload=partial(domains, HEAD_AUC),
        dataset="clinc150_scope",
        members=100,
        records=150,
        baseline=Baseline(
            "likeness to the phrases",
            likeness_auc,
            "It decides what is out of scope here. Nothing of it is learned.",
        ),
        source=f"{SOURCE}. The figure is of telling these from 1,000 questions that are about none "
        "of the domains, by the largest chance that the model gives",
    )
    return accuracy, scope


@cache
def domains(metric: Metric) -> Workload:
    """Return questions with their domains; those of none are compared on and not learned from."""
    train, test = _prepared("train"), _prepared("test")
    return Workload(
        "CLINC150 domains",
        "query",
        {"intents": intents()},
        train,
        metric,
        rounds=ROUNDS,
        test=test,
    )


def tf_idf_accuracy(train: Data, test: Data, seed: int) -> float:
    """Return the accuracy of TF-IDF and logistic regression as they come.

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
    inside = test["intent"] != OUTSIDE
    if len(np.unique(train["intent"])) < 2:
        return float(np.mean(test["intent"][inside] == train["intent"][0]))
    own, others = (_hashed_words()[data["place"].astype(np.int64)] for data in (train, test))
    weigh = TfidfTransformer(sublinear_tf=True).fit(own)
    model = LogisticRegression(max_iter=200, random_state=seed)
    model.fit(weigh.transform(own), train["intent"])
    return float(np.mean(model.predict(weigh.transform(others))[inside] == test["intent"][inside]))


def likeness_auc(train: Data, test: Data, seed: int) -> float:
    """Return how well the likeness to the nearest phrase tells questions of no domain."""
    inside = (test["intent"] != OUTSIDE).astype(np.float64)
    return exact_auc(test["likeness"].astype(np.float64).max(axis=1), inside)


@cache
def intents() -> tuple[Intent, ...]:
    """Return the domains as intents; their phrases are the names of what they hold."""
    named = tomllib.loads(DOMAINS.read_text("utf-8"))
    return tuple(Intent(name=name, phrases=tuple(held)) for name, held in named.items())


@cache
def _asked() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return question and domain of each part; "other" is about none of them."""
    path = data_folder() / FILE
    domain = {held: intent.name for intent in intents() for held in intent.phrases}
    domain["oos"] = OTHER
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found = json.load(file)
        return {
            "train": tuple((text, domain[intent]) for text, intent in found["train"]),
            "test": tuple(
                (text, domain[intent]) for text, intent in (*found["test"], *found["oos_test"])
            ),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path}: {type(error).__name__}: {error}") from None


@cache
def _prepared(part: str) -> Data:
    asked = _asked()
    agent = configure("query", {"intents": intents()}, {"all": len(asked["train"])})
    texts, told = zip(*asked[part], strict=True)
    table = {"query": np.array(texts, dtype=np.object_), "intent": np.array(told)}
    start = 0 if part == "train" else len(asked["train"])
    return {**agent.prepare(table), "place": start + np.arange(len(texts))}


@cache
def _hashed_words() -> "csr_matrix":
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=HASHED_TO, alternate_sign=False, norm=None)
    texts = [text for part in ("train", "test") for text, _ in _asked()[part]]
    counts: csr_matrix = hashing.fit_transform(texts)
    return counts


CACHED: tuple[Callable[..., object], ...] = (domains, _asked, _prepared, _hashed_words)
"""What holds data once it is read."""
