"""Prophet as a seventh forecaster: only where it is asked for, and then in earnest."""

import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
from revenue_rows import answers

from mesh_fl.agents.revenue import prophet_forecast
from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.backtest import backtest
from mesh_fl.agents.revenue.blend import PLAIN, WITH_PROPHET
from mesh_fl.agents.revenue.forecast import forecast, study
from mesh_fl.agents.revenue.forecasters import FORECASTERS
from mesh_fl.agents.revenue.prophet_forecast import prophet_ahead
from mesh_fl.agents.revenue.records import records_of
from mesh_fl.check import check_agent
from mesh_fl.errors import ConfigError
from mesh_fl.site import Site

# Of Prophet itself, about its use of pandas.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

MONTHS = np.arange(84)
KNOWN = 1000 + 20.0 * MONTHS + 150 * np.sin(np.pi * MONTHS / 6) + 60 * np.cos(np.pi * MONTHS / 3)
HISTORY = KNOWN[:60]


def documents(count: int, months: int = 50):
    random = np.random.default_rng(3)
    told = [(1000 + random.normal(0, 40, months).cumsum()).round(2).tolist() for _ in range(count)]
    return {"history": np.array([str(one) for one in told], dtype=object)}


def test_trend_and_season_go_on() -> None:
    found = prophet_ahead(HISTORY, 24)
    assert np.abs(found / KNOWN[60:] - 1).max() < 0.02
    fading = study(HISTORY, 24).ahead[:, FORECASTERS.index("damped_trend")]
    assert np.abs(found - KNOWN[60:]).mean() < 0.5 * np.abs(fading - KNOWN[60:]).mean()


def test_the_same_history_has_the_same_forecast() -> None:
    first = prophet_ahead(HISTORY, 12)
    prophet_forecast._foreseen.cache_clear()
    assert np.array_equal(prophet_ahead(HISTORY, 24)[:12], first)
    assert prophet_forecast._foreseen.cache_info().misses == 1
    prophet_ahead(HISTORY, 36)
    assert prophet_forecast._foreseen.cache_info().misses == 1


def test_short_histories_and_failures_leave_it_to_the_damped_trend(monkeypatch) -> None:
    assert prophet_ahead(HISTORY[:24], 3) is None
    column = WITH_PROPHET.completed(HISTORY[:24], np.arange(18.0).reshape(3, 6))[:, 6]
    assert column.tolist() == [1, 7, 13]

    class Failing:
        def __init__(self, **options: object) -> None:
            self.stan_backend = self

        def set_options(self, **options: object) -> None: ...

        def fit(self, known: object, **options: object) -> None:
            raise RuntimeError("no optimum")

    monkeypatch.setattr(prophet_forecast, "load_prophet", lambda: Failing)
    assert prophet_ahead(HISTORY[:37], 3) is None


@pytest.mark.parametrize(
    "history", [np.zeros(30), np.full(30, -7.5), np.append(np.zeros(29), 1e15)], ids=["0", "c", "s"]
)
def test_strange_histories_have_finite_forecasts(history) -> None:
    found = forecast(RevenueForecasting(prophet=True).init(), history, 4, WITH_PROPHET)
    assert np.isfinite(found.mean).all()


def test_it_weighs_nothing_before_it_is_learned_and_something_after() -> None:
    agent = RevenueForecasting(prophet=True)
    state = agent.init()
    plain = forecast(RevenueForecasting().init(), HISTORY, 12)
    public = forecast(state, HISTORY, 12, agent.blending)
    for name in ("mean", "lower", "upper"):
        np.testing.assert_allclose(getattr(public, name), getattr(plain, name), rtol=1e-12)
    moved = {**state, "blend": np.eye(6)[5] * 0.4}
    found = forecast(moved, HISTORY, 12, agent.blending).mean - public.mean
    fading = study(HISTORY, 12).ahead[:, FORECASTERS.index("damped_trend")]
    np.testing.assert_allclose(found, 0.4 * (prophet_ahead(HISTORY, 12) - fading))


def test_its_misses_are_learned_from() -> None:
    data = records_of([KNOWN[:70]], 10, WITH_PROPHET)
    plain = records_of([KNOWN[:70]], 10, PLAIN)
    assert np.array_equal(data["apart"][..., :5], plain["apart"])
    assert np.array_equal(data["reach"], plain["reach"])
    assert np.abs(data["apart"][..., 5]).max() > 0
    agent = RevenueForecasting(prophet=True, horizon=10)
    adapted = agent.adapt(agent.init(), {name: np.repeat(one, 90, 0) for name, one in data.items()})
    assert adapted["blend"].shape == (6,)
    assert agent.evaluate(adapted, data)["mase"] < agent.evaluate(agent.init(), data)["mase"]


def test_it_keeps_the_contract() -> None:
    agent = RevenueForecasting(records=600, prophet=True)
    report = check_agent(agent, agent.simulated(600, seed=0), table=documents(6))
    report.require()
    assert {finding.outcome for finding in report.findings} == {"passed"}


def test_it_is_tried_and_told() -> None:
    assert set(backtest(RevenueForecasting().init(), HISTORY).forecasters) == set(FORECASTERS)
    agent = RevenueForecasting(prophet=True)
    request = {"history": np.array([str(HISTORY.tolist())], dtype=object)}
    (answer,) = agent.answering(Site())(agent.init(), request)
    assert answer.model_used.startswith("blend of 7 forecasters")
    assert answer.backtest.forecasters["prophet"].mase < 0.3
    (plain,) = answers([{"history": HISTORY.tolist()}])
    assert "prophet" not in plain.backtest.forecasters
    assert plain.model_used.startswith("blend of 6 forecasters")


def test_without_the_package_it_is_said_and_only_where_it_is_asked_for(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "prophet", None)
    agent = RevenueForecasting(prophet=True)
    for ask in (lambda: agent.answering(Site()), lambda: agent.prepare(documents(1, 61))):
        with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[prophet\]'"):
            ask()
    assert np.isfinite(RevenueForecasting().prepare(documents(1, 61))["missed"]).all()
    assert answers([{"history": HISTORY.tolist()}])[0].method == "blend"


def test_nothing_is_logged_and_no_file_stays() -> None:
    """In a process of its own: the first fit is the one that sets up the loggers."""
    before = set(Path(gettempdir()).glob("mesh_fl-*"))
    code = (
        "import numpy as np\n"
        "from mesh_fl.agents.revenue.prophet_forecast import prophet_ahead\n"
        "print(len(prophet_ahead(np.arange(40.0), 3)))"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True)
    assert (found.stdout.strip(), found.stderr) == (b"3", b"")
    assert set(Path(gettempdir()).glob("mesh_fl-*")) <= before


def test_it_is_true_or_false() -> None:
    with pytest.raises(ConfigError, match="revenue, prophet: expected true or false"):
        RevenueForecasting(prophet="yes")
