import sys

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from mesh_fl.agents.anomaly.isolation_trees import IsolationTrees
from mesh_fl.agents.anomaly.own_forest import OwnForest, positions
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.errors import ConfigError

TRAITS = (
    Trait(name="size", kind="number", high=100, bins=5),
    Trait(name="user", kind="words", bins=8),
    Trait(name="ts", kind="moment", bins=24),
)


@pytest.mark.parametrize("count", [2, 3, 40, 300, 3000])
def test_copied_trees_score_as_scikit_learn_does(count: int) -> None:
    random = np.random.default_rng(count)
    x = random.normal(size=(count, 4))
    x[:, 2] = 0.5
    forest = IsolationForest(random_state=1).fit(x)
    new = random.normal(0, 3, (50, 4))
    assert IsolationTrees.of(forest).scores(new) == pytest.approx(-forest.score_samples(new))


def test_positions_are_of_numbers_and_moments_only() -> None:
    table = {
        "size": np.array([25.0, -5.0, np.nan]),
        "user": np.array(["a", "b", ""], dtype=object),
        "ts": np.array([6 * 3600.0, 0.0, np.nan]),
    }
    at = positions(TRAITS, table)
    assert at[:2, 0].tolist() == [0.25, 0.0]
    assert np.isnan(at[:, 1]).all()
    assert at[:2, 2].tolist() == [0.25, 0.0]
    assert np.isnan(at[2]).all()
    assert np.isnan(positions(TRAITS, {"size": np.array([1.0])})[0, 1:]).all()


def fitted(count: int = 500) -> tuple[OwnForest, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    table = {
        "size": random.normal(50, 5, count),
        "user": random.choice(np.array(["ann", "bob"], dtype=object), count),
        "ts": random.normal(12, 2, count) * 3600,
    }
    places = np.stack([one.places(table[one.name]) for one in TRAITS], axis=1)
    at = positions(TRAITS, table)
    return OwnForest.fit([one.cells for one in TRAITS], places, at), places, at


def test_what_is_rare_is_isolated_easily() -> None:
    forest, places, at = fitted()
    table = {
        "size": np.array([50.0, 95.0]),
        "user": np.array(["ann", "somebody else"], dtype=object),
        "ts": np.array([12 * 3600.0, 3 * 3600.0]),
    }
    new = np.stack([one.places(table[one.name]) for one in TRAITS], axis=1)
    usual, odd = forest.scores(new, positions(TRAITS, table))
    own = forest.scores(places, at)
    assert usual < np.median(own) + 0.1
    assert odd > np.quantile(own, 0.99)
    assert ((own > 0) & (own < 1)).all()


def test_it_is_the_same_on_every_call() -> None:
    (one, places, at), (other, _, _) = fitted(), fitted()
    assert (one.scores(places, at) == other.scores(places, at)).all()


def test_it_is_grown_when_it_is_first_asked() -> None:
    forest, places, at = fitted()
    assert "trees" not in vars(forest)
    forest.scores(places[:1], at[:1])
    assert "trees" in vars(forest)


def test_without_scikit_learn_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ConfigError, match=r"mesh_fl\[anomaly\]"):
        OwnForest.fit([2], np.zeros((3, 1), dtype=np.int64), np.zeros((3, 1)))
