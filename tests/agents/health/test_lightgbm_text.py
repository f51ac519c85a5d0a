"""A model told to LightGBM says what it says here."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.health import Feature
from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.lightgbm_text import lightgbm_text
from mesh_fl.agents.health.own_trees import OwnTrees
from mesh_fl.agents.health.random_trees import random_splits
from mesh_fl.agents.health.trees import TreesHead

FEATURES = (
    Feature(name="seats", kind="number", low=0, high=400, optional=True),
    Feature(name="tickets a month", kind="number", low=0, high=60, scale="log", optional=True),
    Feature(name="balance", kind="number", low=-5.5, high=1e6, scale="log"),
    Feature(name="contract", kind="category", levels=("none", "month", "year"), optional=True),
    Feature(name="size", kind="category", levels=("s", "m", "l", "xl"), optional=True),
    Feature(name="paperless", kind="flag"),
    Feature(name="critical", kind="flag", optional=True),
)
AXES = (*map(Axis.of, FEATURES), Axis("seats x tickets"))
HEAD = TreesHead(axes=AXES, prior=(0.0,) * 9, records=100.0, trees=12, depth=4)
seeds = st.integers(0, 2**32 - 1)


def trained(seed: int, head: TreesHead = HEAD):
    values = np.random.default_rng(seed).normal(size=(head.trees, 2**head.depth))
    return {**head.init(), "mean": values}


def raw_clients(seed: int, records: int = 40) -> np.ndarray:
    random = np.random.default_rng(seed)
    columns = []
    for feature in FEATURES:
        if feature.kind == "number":
            column = random.uniform(feature.low, feature.high, records)
            column[:2] = feature.low, feature.high
        else:
            column = random.integers(0, max(2, len(feature.levels)), records).astype(float)
        if feature.optional:
            column[random.random(records) < 0.2] = np.nan
        columns.append(column)
    return np.column_stack([*columns, random.uniform(-1, 1, records)])


def encoded(raw: np.ndarray) -> np.ndarray:
    columns = []
    for feature, column in zip(FEATURES, raw.T, strict=False):
        if feature.kind == "category":
            words = [feature.levels[int(one)] if one == one else "" for one in column]
            column = np.array(words)
        columns.append(feature.encode(column))
    return np.column_stack([*columns, raw[:, -1], np.ones(len(raw))])


def disagreement(head: TreesHead, state, raw: np.ndarray) -> float:
    model = lightgbm.Booster(model_str=head.lightgbm(state))
    ours = head.log_odds(state, encoded(raw))
    scores = np.abs(model.predict(raw, raw_score=True) - ours)
    risks = np.abs(model.predict(raw) - 1 / (1 + np.exp(-ours)))
    return float(max(scores.max(), risks.max()))


@settings(max_examples=25, deadline=None)
@given(seeds, seeds)
def test_scores_and_risks_agree(model: int, clients: int) -> None:
    assert disagreement(HEAD, trained(model), raw_clients(clients)) < 1e-9


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_they_agree_at_the_thresholds_and_next_to_them(seed: int) -> None:
    splits, raw = HEAD.splits, raw_clients(seed, 60)
    for column, axis in enumerate(AXES[:3]):
        cuts = np.unique(splits.cut[splits.axis == column])
        at = axis.raw_thresholds(cuts)
        near = np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)])
        inside = near[(near >= axis.feature.low) & (near <= axis.feature.high)]
        raw[: len(inside), column] = inside[: len(raw)]
    assert disagreement(HEAD, trained(seed), raw) < 1e-9


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_the_prior_goes_along(seed: int) -> None:
    prior = tuple(np.random.default_rng(seed).normal(size=9).tolist())
    head = TreesHead(axes=AXES, prior=prior, records=100.0, trees=3, depth=2)
    assert disagreement(head, head.init(), raw_clients(seed)) < 1e-9
    assert disagreement(head, trained(seed, head), raw_clients(seed)) < 1e-9


def test_own_trees_go_along() -> None:
    splits = random_splits(AXES, 5, 3, seed=9)
    values = np.random.default_rng(0).normal(size=(5, 8))
    own = OwnTrees(splits, values)
    state = trained(1) | {
        "own_axis": splits.axis.astype(float),
        "own_cut": splits.cut,
        "own_values": values,
    }
    raw = raw_clients(2)
    assert disagreement(HEAD, state, raw) < 1e-9
    without = HEAD.log_odds(trained(1), encoded(raw))
    with_them = HEAD.log_odds(state, encoded(raw))
    assert with_them == pytest.approx(without + own.log_odds(encoded(raw)[:, :-1]))


def test_a_single_leaf_is_a_model() -> None:
    model = lightgbm.Booster(model_str=lightgbm_text(AXES, [0.25]))
    assert model.predict(np.zeros((2, 8)), raw_score=True).tolist() == [0.25, 0.25]


def test_names_have_no_space() -> None:
    model = lightgbm.Booster(model_str=HEAD.lightgbm(HEAD.init()))
    assert model.feature_name()[1] == "tickets_a_month"
