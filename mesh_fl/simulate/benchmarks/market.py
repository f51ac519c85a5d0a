"""Prices of a network by histogram, on public prices of cloud machines; sentiment, on news."""

import gzip
import json
import math
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents._histogram import total_variation
from mesh_fl.agents.market.agent import Figure, MarketIntelligence
from mesh_fl.agents.market.sentiment import SIGNS
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.dealing import deal_of
from mesh_fl.simulate.trial import Workload

APART = Metric("total_variation", higher_is_better=False)
ACCURACY = Metric("accuracy", higher_is_better=True)
MACRO_F1 = Metric("macro_f1", higher_is_better=True)

PRICES = ("ec2_linux", "azure_linux")
NEWS_FILE = "financial_phrasebank_50agree.txt.gz"

PRICE_PER_HOUR = Figure(
    name="price_per_hour",
    title="price per hour",
    unit="an hour",
    low=0.001,
    high=1000.0,
    scale="log",
    is_price=True,
)
"""Bounds from a thousandth to a thousand: set without looking at the prices."""

EXTRA = "pip install 'mesh_fl[benchmark]'"

PRICES_SOURCE = (
    "31,000 prices an hour of Linux machines on EC2 and Azure by type and region, from the price "
    "list that apache-libcloud ships (Apache-2.0). What is compared on are all of them: the "
    "network's distribution is what is to be known"
)
NEWS_SOURCE = (
    "4,846 sentences of financial news with sentiment, Financial PhraseBank (Malo et al. 2014, "
    "CC BY-NC-SA), at least half of the annotators agreeing; a fifth is kept for comparing, drawn "
    "anew for each seed. Words and sentences were written for news and feedback of this kind, "
    "settings chosen on other splits"
)


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of market intelligence."""
    own_share = Baseline(
        "one's own histogram", own_apart, "The same bins, filled with one's own records only."
    )
    alike = Benchmark(
        workload=cloud_prices,
        dataset="cloud_prices",
        members=100,
        records=270,
        baseline=own_share,
        source=PRICES_SOURCE,
    )
    unlike = Benchmark(
        workload=cloud_prices,
        dataset="cloud_prices_by_family",
        members=100,
        records=270,
        baseline=own_share,
        source=PRICES_SOURCE,
        deal=deal_of("column:family"),
        dealt="by the machines' family, each member a few of them",
    )
    return alike, unlike, news(ACCURACY), news(MACRO_F1)


def news(metric: Metric) -> Benchmark:
    """Return the benchmark of sentiment by one of its figures."""
    return Benchmark(
        workload=partial(news_sentiment, metric),
        dataset="phrasebank",
        members=50,
        records=77,
        baseline=Baseline(
            "TF-IDF and logistic regression, alone",
            partial(tf_idf, metric),
            "It learns from the text's own words, and knows nothing else.",
        ),
        source=NEWS_SOURCE,
    )


@cache
def cloud_prices() -> Workload:
    """Return prices with the family of the machine."""
    agent = MarketIntelligence(figures=(PRICE_PER_HOUR,), learns=("figures",))
    found = list(_prices())
    table = {PRICE_PER_HOUR.name: np.array([price for _, price in found])}
    data = {**agent.prepare(table), "family": np.array([family for family, _ in found])}
    config = {"figures": (PRICE_PER_HOUR.model_dump(),), "learns": ("figures",)}
    return Workload("cloud prices", "market", config, data, APART, test=data)


@cache
def news_sentiment(metric: Metric) -> Workload:
    """Return sentences of news with their sentiment."""
    texts, signs = zip(*_news(), strict=True)
    table = {"text": np.array(texts, dtype=object), "sentiment": np.array(signs)}
    agent = MarketIntelligence(learns=("sentiment",))
    data = {**agent.prepare(table), "sentence": np.array(texts)}
    return Workload("financial news", "market", {"learns": ("sentiment",)}, data, metric)


def own_apart(train: Data, test: Data, seed: int) -> float:
    """Return the total variation between one's own histogram and everybody's."""
    own, others = (_shares(data) for data in (train, test))
    return total_variation(own, others)


def tf_idf(metric: Metric, train: Data, test: Data, seed: int) -> float:
    """Return accuracy or macro F1 of TF-IDF and logistic regression as they come.

    Raises
    ------
    ConfigError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import accuracy_score, f1_score
    except ImportError:
        raise ConfigError(f"the baseline is scikit-learn's, not installed: {EXTRA}") from None
    if len(np.unique(train["level"])) < 2:
        found = np.full(len(test["level"]), train["level"][0])
    else:
        words = TfidfVectorizer(sublinear_tf=True).fit(train["sentence"])
        model = LogisticRegression(random_state=seed, max_iter=500)
        model.fit(words.transform(train["sentence"]), train["level"])
        found = model.predict(words.transform(test["sentence"]))
    if metric == ACCURACY:
        return float(accuracy_score(test["level"], found))
    return float(f1_score(test["level"], found, average="macro", zero_division=0))


def _shares(data: Data) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    places = data["places"][:, 0].astype(np.int64)
    return np.bincount(places, minlength=PRICE_PER_HOUR.bins) / max(1, len(places))


def _prices() -> Iterator[tuple[str, float]]:
    """Yield each price with its provider and the machine's family; 0 means that none is sold."""
    compute = _price_list()["compute"]
    for provider in PRICES:
        for machine, regions in compute[provider].items():
            family = f"{provider} {_family(machine)}"
            for price in regions.values():
                if isinstance(price, int | float) and math.isfinite(price) and price > 0:
                    yield family, float(price)


def _family(machine: str) -> str:
    """Return what stands before the size: m5 of m5.large, standardd of standardd2v3."""
    family, dot, _ = machine.partition(".")
    return family if dot else "".join(takewhile(str.isalpha, machine))


def _price_list() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Read the file without importing its package, which takes seconds."""
    found = find_spec("libcloud")
    if found is None or found.origin is None:
        raise ConfigError(f"these prices come with apache-libcloud, not installed: {EXTRA}")
    path = Path(found.origin).with_name("data") / "pricing.json"
    try:
        prices: dict[str, dict[str, dict[str, dict[str, float]]]] = json.loads(
            path.read_text("utf-8")
        )
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    return prices


@cache
def _news() -> Sequence[tuple[str, str]]:
    path = data_folder() / NEWS_FILE
    try:
        with gzip.open(path, "rt", encoding="latin-1") as file:
            lines = [line.strip().rpartition("@") for line in file]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from None
    return [(text.strip(), sign) for text, _, sign in lines if text.strip() and sign in SIGNS]
