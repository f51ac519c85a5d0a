import gzip
import json
from dataclasses import replace
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.benchmarks import market
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure

SAID = {
    "positive": "Profit rose and sales were strong",
    "neutral": "The board will meet in the capital",
    "negative": "Orders fell and the loss was bad",
}


@pytest.fixture
def news(tmp_path, monkeypatch):
    signs = list(SAID)
    lines = [f"{SAID[signs[n % 3]]} , no {n} @ home .@{signs[n % 3]}" for n in range(150)]
    with gzip.open(tmp_path / market.NEWS_FILE, "wt", encoding="latin-1") as file:
        file.write("\n".join([*lines, "no label", "", "an odd one@happy"]))
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    yield
    market._news.cache_clear()
    market.news_sentiment.cache_clear()


@pytest.fixture
def prices(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    machines = {
        f"m{n}.{size}": dict(
            zip("abcdefg", np.round(random.lognormal(-1, 1, 7), 4).tolist(), strict=True)
        )
        for n in range(5)
        for size in ("large", "xlarge")
    }
    machines["m0.large"]["a"] = 0.0
    compute = {"ec2_linux": machines, "azure_linux": {"standardd2v3": {"x": 0.5, "y": "0.5"}}}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pricing.json").write_text(json.dumps({"compute": compute}))
    spec = ModuleSpec("libcloud", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(market, "find_spec", lambda name: spec)
    market.cloud_prices.cache_clear()
    yield tmp_path
    market.cloud_prices.cache_clear()


def small(dataset: str, members: int, records: int):
    found = next(one for one in market.benchmarks() if one.dataset == dataset)
    return replace(found, members=members, records=records)


def test_news_are_read_with_their_last_at(news) -> None:
    workload = market.news_sentiment(market.ACCURACY)
    assert workload.records == 150
    assert workload.data["level"][:3].tolist() == [2.0, 1.0, 0.0]
    assert str(workload.data["sentence"][0]).endswith("@ home .")


def test_every_figure_of_news_is_there(news) -> None:
    (row,) = measure(small("phrasebank", 4, 25), [float("inf")], [1])
    assert row.metric == "accuracy"
    assert row.public > 0.6
    assert row.federated > 0.6
    assert row.baseline > 0.8


def test_free_machines_and_odd_prices_do_not_count(prices) -> None:
    workload = market.cloud_prices()
    assert workload.records == 5 * 2 * 7 - 1 + 1
    families = set(workload.data["family"].tolist())
    assert families == {*(f"ec2_linux m{n}" for n in range(5)), "azure_linux standardd"}


@pytest.mark.parametrize("dataset", ["cloud_prices", "cloud_prices_by_family"])
def test_without_noise_the_network_knows_more_than_one(prices, dataset) -> None:
    (row,) = measure(small(dataset, 5, 14), [float("inf")], [1])
    assert row.federated == pytest.approx(row.pooled)
    assert row.federated < row.alone
    assert row.alone == pytest.approx(row.baseline)


def test_one_sign_only_is_what_the_baseline_says() -> None:
    one = {"level": np.zeros(3), "sentence": np.array(["a", "b", "c"])}
    test = {"level": np.array([0.0, 1.0]), "sentence": np.array(["a", "b"])}
    assert market.tf_idf(market.ACCURACY, one, test, 1) == 0.5
    assert market.tf_idf(market.MACRO_F1, one, test, 1) == pytest.approx(1 / 3)


def test_without_the_data_it_is_said(monkeypatch, tmp_path) -> None:
    market.cloud_prices.cache_clear()
    market.news_sentiment.cache_clear()
    market._news.cache_clear()
    monkeypatch.setenv("MESH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="cannot read"):
        market.news_sentiment(market.ACCURACY)
    spec = ModuleSpec("libcloud", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(market, "find_spec", lambda name: spec)
    with pytest.raises(DataError, match="cannot read"):
        market.cloud_prices()
    monkeypatch.setattr(market, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="apache-libcloud"):
        market.cloud_prices()


def test_it_is_registered() -> None:
    assert [one.dataset for one in benchmarks_of("market")] == [
        "cloud_prices",
        "cloud_prices_by_family",
        "phrasebank",
        "phrasebank",
    ]
