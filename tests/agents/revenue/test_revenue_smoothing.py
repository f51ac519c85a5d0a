import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsforecast.models import SeasonalNaive, SimpleExponentialSmoothing, Theta
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from mesh_fl.agents.revenue.forecasters import FORECASTERS, ahead, seasonal_naive
from mesh_fl.agents.revenue.smoothing import (
    GRID_SIZE,
    HOLT_GRID,
    SIMPLE_GRID,
    WINTERS_GRID,
    Start,
    damped,
    first_line,
    simple,
    smooth,
)

MONTHS = 18


@pytest.fixture
def wavy():
    random = np.random.default_rng(1)
    return 100 + np.cumsum(random.normal(0, 1, 80)) + 10 * np.sin(np.arange(80) * np.pi / 6)


@pytest.fixture
def season():
    found = 9 * np.sin(np.arange(12) * np.pi / 6) + np.arange(12) / 4
    return found - found.mean()


def only(values, level, trend, season, parameters) -> Start:
    return Start(values, level, trend, season, np.tile(parameters, (GRID_SIZE, 1)))


def test_grids_are_of_one_size_and_sound() -> None:
    for grid in (SIMPLE_GRID, HOLT_GRID, WINTERS_GRID):
        assert grid.shape == (GRID_SIZE, 4)
        assert len(np.unique(grid, axis=0)) == GRID_SIZE
        alpha, beta, damping, gamma = grid.T
        assert ((alpha > 0) & (alpha <= 1) & (beta <= alpha) & (gamma <= 1 - alpha)).all()
        assert ((damping > 0) & (damping <= 1)).all()


@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_it_is_the_state_space_model_of_statsmodels(wavy, season, gamma) -> None:
    names = {
        "smoothing_level": 0.3,
        "smoothing_trend": 0.03,
        "smoothing_seasonal": gamma,
        "damping_trend": 0.9,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = ETSModel(
            wavy,
            error="add",
            trend="add",
            damped_trend=True,
            seasonal="add",
            seasonal_periods=12,
            initialization_method="known",
            initial_level=99.0,
            initial_trend=0.5,
            initial_seasonal=season,
        )
        fitted = reference.smooth([names[name] for name in reference.param_names])
        expected = fitted.forecast(MONTHS)
    found = smooth([only(wavy, 99.0, 0.5, season, (0.3, 0.03, 0.9, gamma))]).ahead(MONTHS)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0])
def test_a_level_alone_is_that_of_statsforecast(wavy, alpha) -> None:
    expected = SimpleExponentialSmoothing(alpha=alpha).forecast(wavy, MONTHS)["mean"]
    start = only(wavy, wavy[0], 0.0, np.zeros(12), (alpha, 0.0, 1.0, 0.0))
    np.testing.assert_allclose(smooth([start]).ahead(MONTHS)[0], expected, rtol=1e-12)


def test_last_years_months_are_those_of_statsforecast(wavy) -> None:
    expected = SeasonalNaive(12).forecast(wavy, MONTHS)["mean"]
    assert np.array_equal(seasonal_naive(wavy, MONTHS), expected)


def test_theta_is_near_that_of_statsforecast() -> None:
    drifting = 100 + np.cumsum(np.random.default_rng(2).normal(0.3, 1, 80))
    expected = Theta(season_length=1).forecast(drifting, MONTHS)["mean"]
    found = ahead([drifting], MONTHS)[0, :, FORECASTERS.index("theta")]
    np.testing.assert_allclose(found, expected, rtol=0.005)
    assert found[-1] - found[0] == pytest.approx(expected[-1] - expected[0], rel=0.05)


def test_the_grids_best_is_taken(wavy) -> None:
    start = damped(wavy)
    errors = []
    for parameters in HOLT_GRID:
        level, trend, total = start.level, start.trend, 0.0
        alpha, beta, damping, _ = parameters
        for value in wavy:
            expected = level + damping * trend
            error = value - expected
            level, trend = expected + alpha * error, damping * trend + beta * error
            total += error**2
        errors.append(total)
    assert np.array_equal(smooth([start]).parameters[0], HOLT_GRID[int(np.argmin(errors))])


def test_others_beside_it_change_nothing(wavy) -> None:
    histories = [wavy, wavy[30:], wavy[:13], wavy[:1]]
    together = smooth([make(one) for make in (simple, damped) for one in histories]).ahead(5)
    alone = [smooth([make(one)]).ahead(5)[0] for make in (simple, damped) for one in histories]
    assert np.array_equal(together, np.array(alone))


def test_a_line_is_found() -> None:
    assert first_line(3 + 2 * np.arange(30.0)) == pytest.approx((3.0, 2.0))
    assert first_line(np.array([7.0])) == (7.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(
    arrays(float, st.integers(1, 60), elements=st.floats(-1e15, 1e15, allow_subnormal=False)),
    st.integers(1, 30),
)
def test_forecasts_of_anything_are_finite_and_near(history, months) -> None:
    found = ahead([history], months)
    assert found.shape == (1, months, len(FORECASTERS))
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1000 * max(1e-300, np.abs(history).max())
