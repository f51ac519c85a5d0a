import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mesh_fl.agents.revenue.blend import (
    PLAIN,
    WITH_PROPHET,
    misses,
    refit,
)
from mesh_fl.agents.revenue.conformal import (
    KNOTS,
    LEVEL,
    PUBLIC_FACTOR,
    factors,
    grown,
    outside,
    own_reach,
    own_shift,
    public_logs,
    shares_of_knots,
)
from mesh_fl.agents.revenue.records import FEWEST_HELD_OUT, held_out, naive_miss, records_of
from mesh_fl.agents.revenue.rolling import BACK, trials_of
from mesh_fl.agents.revenue.rows import BAND_WEIGHT, PULL_SHARE, excesses, pulls, rows_of


@pytest.mark.parametrize("blend", [PLAIN, WITH_PROPHET], ids=["plain", "with prophet"])
@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6))
def test_weights_add_up_to_one(blend, moved) -> None:
    assert blend.weights_of(np.array(moved[: len(blend.steps)])).sum() == pytest.approx(1)


@pytest.mark.parametrize("blend", [PLAIN, WITH_PROPHET], ids=["plain", "with prophet"])
def test_directions_lead_everywhere(blend) -> None:
    assert np.linalg.matrix_rank(blend.directions) == len(blend.steps)
    assert len(blend.steps) == len(blend.forecasters) - 1
    assert np.array_equal(blend.weights_of(np.zeros(len(blend.steps))), blend.public_weights)


@pytest.fixture
def records():
    random = np.random.default_rng(4)
    apart = random.normal(size=(40, 6, 5))
    moved = np.array([0.3, -0.2, 0.1, 0.0, 0.4])
    missed = (apart * moved).sum(axis=2) + random.laplace(0, 0.3, (40, 6))
    missed[3, 2:], missed[7] = np.nan, np.nan
    apart[np.isnan(missed)] = np.nan
    return missed, apart


@pytest.mark.parametrize("precision", [0.1, 10.0, 1e6])
def test_a_refit_is_the_minimum(records, precision) -> None:
    missed, apart = records
    around = np.full(5, 0.1)

    def loss(moved) -> float:
        means = np.nanmean(np.abs(misses(missed, apart, moved))[[*range(7), *range(8, 40)]], axis=1)
        return means.sum() + precision / 2 * ((moved - around) ** 2).sum()

    found = refit(missed, apart, around, precision)
    best = minimize(loss, found, method="Nelder-Mead", options={"xatol": 1e-6, "maxiter": 4000})
    assert loss(found) <= best.fun * 1.003


def test_nothing_known_leaves_the_blend_where_it_was(records) -> None:
    missed, apart = records
    around = np.full(5, 0.1)
    nothing = refit(missed[7:8], apart[7:8], around, 10.0)
    np.testing.assert_allclose(nothing, around)
    np.testing.assert_allclose(refit(missed[:0], apart[:0], around, 10.0), around)


def test_the_pull_is_minus_the_gradient(records) -> None:
    missed, apart = records
    pull = pulls(missed, apart)
    step = 1e-7
    for direction in range(5):
        moved = step * np.eye(5)[direction]
        before = np.nan_to_num(np.abs(missed[0])).mean()
        after = np.abs(misses(missed, apart, moved)[0]).mean()
        assert (before - after) / step == pytest.approx(pull[0, direction], abs=1e-5)
    assert not pull[7].any()


def test_excess_counts_what_lies_outside() -> None:
    miss = np.array([[0.0, 0, 0, 0], [9.0, 9, 9, 9], [9.0, 0, np.nan, np.nan], [np.nan] * 4])
    found = excesses(miss, np.ones_like(miss), np.log([2.0, 2.0, 2.0])).sum(axis=1)
    np.testing.assert_allclose(found, [LEVEL - 1, LEVEL, 0.5 - (1 - LEVEL), 0.0])


def test_rows_of_bands_are_bounded() -> None:
    miss = np.full((1, 18), 99.0)
    excess = excesses(miss, np.ones_like(miss), public_logs())
    assert np.linalg.norm(rows_of(np.zeros((1, 5)), excess, 1.0)) <= BAND_WEIGHT * LEVEL
    row = rows_of(np.full((1, 5), 1e6), excess, 1.0)
    assert np.linalg.norm(row[:, :5]) == pytest.approx(PULL_SHARE)
    tight = rows_of(np.full((1, 5), 1e6), excess, 0.3)
    assert np.linalg.norm(tight) == pytest.approx(0.3)
    small = rows_of(np.full((1, 5), 1e-3), 0 * excess, 0.3)
    assert np.array_equal(small[:, :5], np.full((1, 5), 1e-3))
    assert np.array_equal(row[:, 5:], BAND_WEIGHT * excess)


def test_factors_run_through_the_knots() -> None:
    logs = np.array([0.1, 0.7, -0.2])
    found = factors(logs, 30)
    for knot, log in zip(KNOTS, logs, strict=True):
        assert found[int(knot) - 1] == pytest.approx(math.exp(log))
    assert (found[17:] == found[17]).all()
    np.testing.assert_allclose(shares_of_knots(40).sum(axis=1), 1)
    np.testing.assert_allclose(factors(public_logs(), 5), PUBLIC_FACTOR)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_the_own_shift_gives_the_level_on_own_records(seed, scale) -> None:
    miss = scale * np.random.default_rng(seed).laplace(size=(200, 18)) * grown(18)
    reach = np.broadcast_to(grown(18), miss.shape)
    logs = public_logs()
    shifted = logs + own_shift(miss, reach, logs, prior_records=1e-9)
    assert outside(miss, reach, shifted).mean() == pytest.approx(1 - LEVEL, abs=0.002)
    held = own_shift(miss, reach, logs, prior_records=200)
    assert held == pytest.approx(own_shift(miss, reach, logs, 1e-9) / 2)


def test_no_shift_without_records() -> None:
    nothing = np.full((3, 18), np.nan)
    assert own_shift(nothing, nothing, public_logs(), 10) == 0
    zeros = np.zeros((3, 18))
    assert own_shift(zeros, zeros, public_logs(), 10) == 0


def test_trials_know_their_past_only() -> None:
    history = np.arange(1.0, 61.0)
    (found,) = trials_of([history])
    assert tuple(len(one.actual) for one in found) == BACK
    for one in found:
        assert np.array_equal(np.concatenate([one.known, one.actual]), history)
        altered = np.concatenate([one.known, -7 * one.actual])
        (other,) = trials_of([altered])
        same = next(each for each in other if len(each.actual) == len(one.actual))
        assert np.array_equal(same.forecasts, one.forecasts)
    assert math.isnan(own_reach([]))


def test_the_months_held_out_do_not_reach_into_what_is_known() -> None:
    random = np.random.default_rng(5)
    history = 100 + random.normal(size=70).cumsum()
    other = history.copy()
    other[-18:] += 50
    one, two = records_of([history], 18), records_of([other], 18)
    for name in ("apart", "reach"):
        assert np.array_equal(one[name], two[name])
    unit = naive_miss(history[:-18])
    np.testing.assert_allclose(two["missed"] - one["missed"], 50 / unit)


@pytest.mark.parametrize(
    ("months", "held"), [(0, 0), (30, 0), (31, 6), (40, 15), (43, 18), (90, 18)]
)
def test_short_histories_are_not_learned_from(months, held) -> None:
    history = np.random.default_rng(6).normal(100, 1, months)
    assert held_out(history, 18) == held
    assert held == 0 or held >= FEWEST_HELD_OUT
    record = records_of([history], 18)
    assert np.isfinite(record["missed"]).sum() == np.isfinite(record["reach"]).sum() == held


def test_a_constant_is_not_learned_from() -> None:
    assert np.isnan(records_of([np.full(80, 5.0)], 18)["missed"]).all()
