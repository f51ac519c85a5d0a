"""Own questions as phrases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.query.kin import MOST, OWN_SHARPNESS, WEIGHT, Kin

OWNERS = np.array([0, 0, 1])


def unit(random, count, dimension=8):
    vectors = random.normal(size=(count, dimension))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 10_000))
def test_a_question_that_somebody_labelled_goes_where_it_was_put(seed: int) -> None:
    random = np.random.default_rng(seed)
    asked = unit(random, 1)
    likeness = np.full((1, 3), 0.1)
    for place in (0, 1):
        scores = Kin(asked, np.array([float(place)])).scores(asked, likeness, OWNERS)
        assert scores.argmax() == place
        assert scores.max() >= WEIGHT * OWN_SHARPNESS


def test_an_intent_without_own_questions_is_scored_by_its_phrases() -> None:
    kin = Kin(np.zeros((0, 8)), np.zeros(0))
    likeness = np.array([[0.2, 0.1, 0.5]])
    scores = kin.scores(np.ones((1, 8)), likeness, OWNERS)
    assert scores[0, 1] == pytest.approx(WEIGHT * 20 * 0.5)
    assert scores[0, 0] == pytest.approx(WEIGHT * np.log(np.exp(4) + np.exp(2)))


def test_only_labelled_questions_are_kept_and_not_without_bound() -> None:
    random = np.random.default_rng(0)
    intent = np.where(np.arange(MOST + 500) % 2 == 0, 1.0, np.nan)
    kept = Kin.of(unit(random, len(intent)), intent)
    assert len(kept.vectors) == (MOST + 500) // 2
    assert set(kept.intents) == {1.0}
    many = np.ones(3 * MOST)
    assert len(Kin.of(np.ones((len(many), 1)), many).intents) == MOST
