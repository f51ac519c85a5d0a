"""Risks of a bold model are put right by own records, in the order that they were in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mesh_fl.agents._logistic import Posterior, calibration_error, fit_map
from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.agents.health.logistic_head import LogisticHead, log_odds_spread
from mesh_fl.agents.health.recalibration import left_out_log_odds, recalibrated

TRUTH = np.array([1.0, -0.8, 0.5, -1.0])
HEAD = LogisticHead(
    prior=(0.0,) * 4,
    records=1000.0,
    learning_rate=1.0,
    momentum=0.5,
    prior_precision=10.0,
    own_precision=2.0,
)


def clients(n, seed, truth=TRUTH):
    random = np.random.default_rng(seed)
    x = np.column_stack([random.uniform(-1, 1, (n, len(truth) - 1)), np.ones(n)])
    return x, (random.random(n) < expit(x @ truth)).astype(np.float64)


def trained(mean):
    return {**HEAD.init(), "round": np.array(16.0), "mean": np.asarray(mean, dtype=np.float64)}


def brier(log_odds, y):
    return np.mean((expit(log_odds) - y) ** 2)


class TestLeavingOut:
    def test_it_is_near_what_fitting_to_the_others_says(self) -> None:
        x, y = clients(40, seed=1)
        fitted = Posterior(x, y, np.zeros(4), 2.0)
        told = left_out_log_odds(fitted, *fit_map(fitted))
        others = [np.arange(40) != i for i in range(40)]
        modes = [fit_map(Posterior(x[keep], y[keep], np.zeros(4), 2.0))[0] for keep in others]
        exact = np.array([row @ mode for row, mode in zip(x, modes, strict=True)])
        seen = x @ fit_map(fitted)[0]
        assert np.abs(told - exact).max() < 0.02
        assert np.abs(seen - exact).max() > 0.1

    def test_a_record_never_speaks_for_itself(self) -> None:
        x, y = clients(40, seed=2)
        fitted = Posterior(x, y, np.zeros(4), 2.0)
        mode, covariance = fit_map(fitted)
        pulled = left_out_log_odds(fitted, mode, covariance) - x @ mode
        assert (np.sign(pulled) == np.where(y == 1, -1, 1)).all()


class TestRecalibrating:
    def test_a_model_that_is_too_bold_is_put_right(self) -> None:
        x, y = clients(200, seed=3)
        test, left = clients(5000, seed=4)
        fitted = Posterior(x, y, 4 * TRUTH, 10.0)
        mode, covariance = fit_map(fitted)
        weights, _ = recalibrated(fitted, mode, covariance)
        assert brier(test @ weights, left) < brier(test @ mode, left) - 0.01
        error = calibration_error(expit(test @ weights), left)
        assert error < calibration_error(expit(test @ mode), left) / 2

    def test_a_model_that_is_right_hardly_changes(self) -> None:
        x, y = clients(2000, seed=5)
        fitted = Posterior(x, y, TRUTH, 10.0)
        mode, covariance = fit_map(fitted)
        weights, spread = recalibrated(fitted, mode, covariance)
        assert np.abs(weights - mode).max() < 0.15
        assert np.linalg.eigvalsh(spread).min() > 0

    @given(
        st.integers(0, 60),
        st.integers(0, 2**32 - 1),
        st.floats(-30, 30),
        st.sampled_from([0.001, 2.0, 10.0]),
    )
    @settings(max_examples=60, deadline=None)
    def test_the_order_of_risks_stays(self, n, seed, boldness, precision) -> None:
        x, y = clients(n, seed)
        fitted = Posterior(x, y, boldness * TRUTH, precision)
        mode, covariance = fit_map(fitted)
        weights, spread = recalibrated(fitted, mode, covariance)
        everybody = clients(50, seed)[0]
        before, after = everybody @ mode, everybody @ weights
        order = np.argsort(before, kind="stable")
        assert (np.diff(after[order]) >= -1e-9 * (1 + np.abs(after).max())).all()
        assert np.isfinite(spread).all()

    def test_without_records_all_stays_as_it_is(self) -> None:
        fitted = Posterior(np.zeros((0, 4)), np.zeros(0), TRUTH, 10.0)
        weights, _ = recalibrated(fitted, *fit_map(fitted))
        assert weights == pytest.approx(TRUTH)

    def test_more_records_move_it_further_and_make_it_surer(self) -> None:
        state = trained(3 * TRUTH)
        few, many = (HEAD.adapt(state, *clients(n, seed=6)) for n in (30, 3000))
        away = [np.linalg.norm(one["mean"] - state["mean"]) for one in (few, many)]
        assert 0 < away[0] < away[1]
        everybody = clients(20, seed=7)[0]
        assert (log_odds_spread(many, everybody) < log_odds_spread(few, everybody)).all()


class TestCalibrationError:
    def test_true_risks_have_next_to_none(self) -> None:
        x, y = clients(20000, seed=8)
        assert calibration_error(expit(x @ TRUTH), y) < 0.015
        assert calibration_error(expit(5 * (x @ TRUTH)), y) > 0.1

    def test_by_hand(self) -> None:
        risk, y = np.array([0.1, 0.9, 0.3, 0.6]), np.array([0.0, 1.0, 1.0, 0.0])
        assert calibration_error(risk, y, groups=2) == pytest.approx((0.6 + 0.5) / 4)
        assert calibration_error(risk, y) == pytest.approx((0.1 + 0.7 + 0.6 + 0.1) / 4)

    def test_of_nobody_there_is_none(self) -> None:
        assert np.isnan(calibration_error(np.zeros(0), np.zeros(0)))


class TestWhatTellsBetter:
    def test_a_spoiled_training_gives_way_to_the_rule_score(self) -> None:
        agent = ClientHealth(
            features=(Feature(name="n", kind="number", low=-1, high=1, weight=3.0),)
        )
        data = agent.simulated(200, seed=4)
        right = agent.adapt(agent.init(), data)
        spoiled = {**agent.init(), "mean": -20 * right["mean"], "round": np.array(16.0)}
        adapted = agent.adapt(spoiled, data)
        assert adapted["alone"] == 1
        assert adapted["mean"] == pytest.approx(right["mean"])
        table = {"n": np.array([0.5])}
        assert agent.answer(adapted, table)[0].model_used.startswith("logistic, own records alone")

    def test_a_good_training_stays(self) -> None:
        agent = ClientHealth(features=(Feature(name="n", kind="number", low=-1, high=1),))
        many, few = agent.simulated(5000, seed=4), agent.simulated(5000, seed=4)
        trained = {**agent.init(), "round": np.array(16.0)}
        trained["mean"] = agent.adapt(agent.init(), many)["mean"]
        own = {name: values[:40] for name, values in few.items()}
        assert agent.adapt(trained, own)["alone"] == 0
