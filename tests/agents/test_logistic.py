import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import approx_fprime, minimize
from sklearn.metrics import roc_auc_score

from mesh_fl.agents._logistic import (
    Posterior,
    auc,
    bin_edges,
    brier,
    exact_auc,
    fit_map,
    gradient_rows,
    one_hot_rows,
)


def sample(n, d=4, seed=0):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.uniform(-1, 1, (n, d - 1)), np.ones(n)])
    y = (rng.random(n) < 1 / (1 + np.exp(-x @ np.linspace(2, -1, d)))).astype(float)
    return x, y


def log_loss(weights, x, y):
    margin = x @ weights
    return float((np.logaddexp(0, margin) - y * margin).sum())


def test_rows_are_the_gradients_of_the_log_loss():
    x, y = sample(5)
    weights = np.array([0.3, -1.2, 0.8, 0.1])
    rows = gradient_rows(weights, x, y)
    for i in range(5):
        expected = approx_fprime(weights, log_loss, 1e-7, x[i : i + 1], y[i : i + 1])
        assert rows[i] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", [1, 7, 56, 400])
@pytest.mark.parametrize("precision", [0.1, 2.0, 50.0])
def test_map_agrees_with_a_generic_optimiser(n, precision):
    x, y = sample(n)
    prior_mean = np.array([1.0, -1.0, 0.5, 0.0])
    mode, _ = fit_map(Posterior(x, y, prior_mean, precision))

    def penalised(weights):
        return log_loss(weights, x, y) + precision / 2 * ((weights - prior_mean) ** 2).sum()

    found = minimize(penalised, prior_mean, method="BFGS", options={"gtol": 1e-8})
    assert mode == pytest.approx(found.x, abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("labels", ["one class", "separable"])
def test_map_converges_where_maximum_likelihood_does_not(labels, scale):
    x, _ = sample(60)
    y = np.ones(60) if labels == "one class" else (x[:, 0] > 0).astype(float)
    prior_mean = np.full(4, scale)
    posterior = Posterior(x, y, prior_mean, 1e-3)
    mode, covariance = fit_map(posterior)
    assert np.abs(posterior.slope(mode)).max() < 1e-8
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_without_data_the_prior_stays():
    prior_mean = np.array([1.0, 2.0, 3.0])
    mode, covariance = fit_map(Posterior(np.empty((0, 3)), np.empty(0), prior_mean, 4.0))
    assert mode.tolist() == [1, 2, 3]
    assert covariance == pytest.approx(np.eye(3) / 4)


def test_covariance_is_the_inverse_hessian():
    x, y = sample(50)
    posterior = Posterior(x, y, np.zeros(4), 2.0)
    mode, covariance = fit_map(posterior)
    hessian = approx_fprime(mode, posterior.slope, 1e-6)
    assert covariance @ hessian == pytest.approx(np.eye(4), abs=1e-4)


def test_one_hot_rows_count_records():
    risk = np.array([0.0, 0.05, 0.3, 0.99, 1.0])
    rows = one_hot_rows(risk, np.array([0.0, 1, 1, 0, 1]), 3)
    assert (rows.sum(axis=1) == 1).all()
    assert bin_edges(3) == pytest.approx([0, 1 / 9, 4 / 9, 1])
    assert rows.sum(axis=0).reshape(3, 2).tolist() == [[1, 1], [0, 1], [1, 1]]


@pytest.mark.parametrize("bins", [2, 6, 40])
def test_auc_agrees_with_scikit_learn_on_clean_counts(bins):
    x, y = sample(500)
    risk = 1 / (1 + np.exp(-x @ np.array([2.0, -1, 0.5, -0.5])))
    counts = one_hot_rows(risk, y, bins).sum(axis=0).reshape(bins, 2)
    binned = np.searchsorted(bin_edges(bins)[1:-1], risk, side="right")
    assert auc(counts) == pytest.approx(roc_auc_score(y, binned), abs=1e-12)


def test_many_bins_recover_the_unbinned_figures():
    x, y = sample(2000)
    risk = 1 / (1 + np.exp(-x @ np.array([2.0, -1, 0.5, -0.5])))
    counts = one_hot_rows(risk, y, 500).sum(axis=0).reshape(500, 2)
    assert auc(counts) == pytest.approx(roc_auc_score(y, risk), abs=1e-3)
    assert brier(counts) == pytest.approx(np.mean((risk - y) ** 2), abs=1e-3)


@given(arrays(np.float64, (6, 2), elements=st.floats(-1e6, 1e6)))
def test_noisy_counts_give_a_figure_in_range_or_nan(counts):
    for figure in (auc(counts), brier(counts)):
        assert math.isnan(figure) or 0 <= figure <= 1


def test_auc_needs_both_classes():
    assert math.isnan(auc(np.array([[3.0, -1.0], [2.0, -5.0]])))
    assert math.isnan(brier(np.zeros((6, 2))))
    assert auc(np.array([[5.0, -2.0], [-3.0, 4.0]])) == 1


def test_exact_auc_is_that_of_scikit_learn_ties_included():
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 500).astype(float)
    scores = random.integers(0, 20, 500) / 20
    assert exact_auc(scores, y) == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    assert np.isnan(exact_auc(scores, np.ones(500)))
