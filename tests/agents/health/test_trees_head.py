"""Trees learn what columns say together, from rows of a known length."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mesh_fl import check_agent
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.own_trees import FEWEST_OF_A_CLASS, FEWEST_RECORDS, MOST_TREES, grow
from mesh_fl.agents.health.trees import EMPTY, TreesHead

FEATURES = (
    Feature(name="a", kind="number", low=-1, high=1),
    Feature(name="b", kind="number", low=-1, high=1),
    Feature(name="c", kind="flag"),
)
AXES = tuple(map(Axis.of, FEATURES))
HEAD = TreesHead(axes=AXES, prior=(0.0, 0.0, 0.0, 0.0), records=2000.0, trees=30, depth=3)


def crossed(records: int, seed: int):
    """A label that no single column tells anything of."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (records, 4))
    x[:, 2], x[:, 3] = np.sign(x[:, 2]), 1.0
    y = (random.random(records) < expit(4 * np.sign(x[:, 0] * x[:, 1]) - 1)).astype(float)
    return x, y


def train(head: TreesHead, x, y, noise: float, rounds: int = 32):
    state, random = head.init(), np.random.default_rng(5)
    for _ in range(rounds):
        total = np.asarray(head.contribute(state, x, y).sum(axis=0)).ravel()
        total = total + random.normal(scale=noise, size=total.shape) if noise else total
        gradient, empty = total[:-EMPTY], total[-EMPTY:]
        shape = state["leaves"].shape
        state = head.apply(state, {"gradient": gradient.reshape(shape), "empty": empty})
    return state


def auc(head: TreesHead, state, seed: int = 99) -> float:
    x, y = crossed(2000, seed)
    return exact_auc(head.log_odds(state, x), y)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1e6))
def test_no_row_is_longer_than_one(seed: int, size: float) -> None:
    x, y = crossed(20, seed)
    leaves = size * np.random.default_rng(seed).normal(size=(30, 8))
    rows = HEAD.contribute({**HEAD.init(), "leaves": leaves}, x, y).toarray()
    assert rows.shape == (20, 30 * 8 + EMPTY)
    assert np.linalg.norm(rows, axis=1).max() <= 1 + 1e-12
    assert not rows[:, -EMPTY:].any()


def test_a_row_is_the_gradient_of_the_loss() -> None:
    x, y = crossed(1, 0)
    leaves = np.random.default_rng(1).normal(size=(30, 8))
    state = HEAD.init() | {"leaves": leaves}
    row = HEAD.contribute(state, x, y).toarray()[0, :-EMPTY].reshape(30, 8)

    def loss(at: np.ndarray) -> float:
        margin = HEAD.log_odds({**state, "mean": at}, x)[0]
        return float(np.logaddexp(0, margin) - y[0] * margin)

    bent = leaves.copy()
    place = np.argwhere(row)[0]
    bent[tuple(place)] += 1e-6
    slope = (loss(bent) - loss(leaves)) / 1e-6
    assert row[tuple(place)] == pytest.approx(slope / np.sqrt(30), abs=1e-5)


def test_it_learns_what_columns_say_together() -> None:
    x, y = crossed(2000, 1)
    assert auc(HEAD, HEAD.init()) == pytest.approx(0.5)
    assert auc(HEAD, train(HEAD, x, y, noise=0)) > 0.9
    assert auc(HEAD, train(HEAD, x, y, noise=5)) > 0.85


def test_noise_makes_steps_small() -> None:
    x, y = crossed(2000, 1)
    quiet, loud = train(HEAD, x, y, 0, rounds=1), train(HEAD, x, y, 1000, rounds=1)
    assert loud["noise"] == pytest.approx(1e6, rel=0.6)
    assert quiet["noise"] == 0
    assert np.abs(HEAD.log_odds(loud, x)).max() < 1


def test_the_prior_counts_before_any_training() -> None:
    head = TreesHead(axes=AXES, prior=(1.0, 0.0, -2.0, 0.5), records=100.0)
    x = np.array([[0.5, 0.3, 1.0, 1.0], [-1.0, 0.0, -1.0, 1.0]])
    assert head.log_odds(head.init(), x).tolist() == [0.5 - 2 + 0.5, -1 + 2 + 0.5]


@pytest.mark.parametrize("records", [60, 400])
def test_contributions_add_up(records: int) -> None:
    head = TreesHead(axes=AXES, prior=(1.0, -0.4, 0.2, 0.5), records=2000.0, trees=10, depth=3)
    x, y = crossed(records, 2)
    state = head.adapt(train(head, x, y, noise=3, rounds=4), x, y)
    found = head.contributions(state, x)
    assert found.shape == x.shape
    assert found.sum(axis=1) == pytest.approx(head.log_odds(state, x), abs=1e-10)
    neutral = head.contributions(state, np.array([[0.0, 0.0, 0.0, 1.0]]))
    assert neutral[0, :-1] == pytest.approx([0, 0, 0], abs=1e-12)


def test_own_records_go_on_from_the_global_model() -> None:
    x, y = crossed(2000, 1)
    state = train(HEAD, x[:200], y[:200], noise=10, rounds=8)
    adapted = HEAD.adapt(state, x[:600], y[:600])
    assert adapted["own_values"].shape == (MOST_TREES, 8)
    assert all(np.array_equal(adapted[name], state[name]) for name in state)
    assert auc(HEAD, adapted) > auc(HEAD, state)
    again = HEAD.adapt(adapted, x[:600], y[:600])
    assert all(np.array_equal(again[name], adapted[name]) for name in adapted)


def test_without_lightgbm_the_leaves_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    x, y = crossed(600, 1)
    adapted = HEAD.adapt(HEAD.init(), x, y)
    assert adapted["own_values"].shape == (HEAD.trees, 8)
    assert auc(HEAD, adapted) > 0.85


def test_a_firm_hold_changes_little() -> None:
    x, y = crossed(60, 3)
    firm = TreesHead(axes=AXES, prior=HEAD.prior, records=60.0, own_precision=1e6)
    moved = firm.log_odds(firm.adapt(firm.init(), x, y), x)
    assert 0 < np.abs(moved).max() < 1e-3


def test_few_records_grow_no_trees() -> None:
    x, y = crossed(FEWEST_RECORDS - 1, 0)
    assert grow(x[:, :-1], y, np.zeros(len(y))) is None
    x, y = crossed(400, 0)
    y[:] = 0
    y[: FEWEST_OF_A_CLASS - 1] = 1
    assert grow(x[:, :-1], y, np.zeros(len(y))) is None


def test_labels_at_random_grow_no_trees() -> None:
    random = np.random.default_rng(0)
    x, _ = crossed(300, 0)
    chance = (random.random(300) < 0.5).astype(float)
    assert grow(x[:, :-1], chance, np.zeros(300)) is None


def test_the_agent_keeps_its_contract() -> None:
    agent = ClientHealth(features=FEATURES, records=600.0, model="trees", clip=0.5)
    x, y = crossed(600, 4)
    report = check_agent(agent, {"x": x, "y": y}, rounds=8)
    assert report.passed, str(report)
