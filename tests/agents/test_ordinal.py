import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mesh_fl.agents._ordinal import (
    LEAST_GAP,
    Prior,
    fit_map,
    gradient_rows,
    in_order,
    level_chances,
)

CUTS = np.array([-1.0, 0.5, 2.0])


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weights = np.array([1.5, -1.0, 0.5])
    x = random.normal(size=(count, 3))
    least = level_chances(x @ weights, CUTS)[:, ::-1].cumsum(axis=1)[:, ::-1]
    level = (random.random((count, 1)) < least[:, 1:]).sum(axis=1).astype(float)
    return weights, x, level


def loss(model: np.ndarray, x: np.ndarray, level: np.ndarray) -> float:
    chances = level_chances(x @ model[:3], in_order(model[3:]))
    return float(-np.log(chances[np.arange(len(x)), level.astype(int)]).sum())


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    arrays(float, 3, elements=st.floats(-9, 9)),
)
def test_chances_of_all_levels_sum_to_one(scores: list[float], cuts: np.ndarray) -> None:
    chances = level_chances(np.array(scores), in_order(cuts))
    assert chances.shape == (len(scores), 4)
    assert (chances >= 0).all()
    assert chances.sum(axis=1) == pytest.approx(1)


def test_known_chances() -> None:
    (chances,) = level_chances(np.array([0.0]), np.array([-np.log(3), 0.0, np.log(3)]))
    assert chances == pytest.approx([0.25, 0.25, 0.25, 0.25])


@given(arrays(float, 3, elements=st.floats(-1e6, 1e6)))
def test_cuts_are_put_in_order(cuts: np.ndarray) -> None:
    found = in_order(cuts)
    assert (np.diff(found) >= LEAST_GAP * 0.99).all()
    assert in_order(found) == pytest.approx(found)


def test_cuts_in_order_stay() -> None:
    assert in_order(CUTS) == pytest.approx(CUTS)


def test_gradient_is_that_of_the_loss() -> None:
    weights, x, level = drawn(50)
    model = np.concatenate([0.7 * weights, [-0.8, 0.6, 1.7]])
    found = gradient_rows(model, x, level).sum(axis=0)
    for place in range(len(model)):
        step = np.zeros(len(model))
        step[place] = 1e-6
        slope = (loss(model + step, x, level) - loss(model - step, x, level)) / 2e-6
        assert found[place] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_an_unknown_level_adds_nothing() -> None:
    weights, x, level = drawn(4)
    model = np.concatenate([weights, CUTS])
    level[1] = np.nan
    rows = gradient_rows(model, x, level)
    assert not rows[1].any()
    assert rows[[0, 2, 3]].any(axis=1).all()


def test_a_fit_finds_the_model_that_labelled_the_records() -> None:
    weights, x, level = drawn(20_000)
    found = fit_map(Prior(np.zeros(6), 1e-3), x, level)
    assert found[:3] == pytest.approx(weights, abs=0.08)
    assert found[3:] == pytest.approx(CUTS, abs=0.08)


def test_a_fit_is_where_the_posterior_is_flat() -> None:
    _, x, level = drawn(300)
    prior = Prior(np.array([1.0, 0.0, 0.0, -2.0, 0.0, 2.0]), 3.0)
    found = fit_map(prior, x, level)
    slope = gradient_rows(found, x, level).sum(axis=0) + prior.precision * (found - prior.mean)
    assert np.abs(slope).max() < 0.05


def test_a_firm_prior_is_kept_and_no_records_change_nothing() -> None:
    _, x, level = drawn(300)
    mean = np.array([0.1, 0.2, 0.3, -1.0, 0.0, 1.0])
    assert fit_map(Prior(mean, 1e9), x, level) == pytest.approx(mean, abs=1e-4)
    assert fit_map(Prior(mean, 1.0), x[:0], level[:0]) == pytest.approx(mean)
    assert fit_map(Prior(mean, 1.0), x, np.full(300, np.nan)) == pytest.approx(mean)


def test_one_level_only_is_fitted() -> None:
    _, x, _ = drawn(50)
    mean = np.concatenate([np.zeros(3), CUTS])
    found = fit_map(Prior(mean, 0.01), x, np.full(50, 3.0))
    assert np.isfinite(found).all()
    assert level_chances(x @ found[:3], found[3:])[:, 3].mean() > 0.9
