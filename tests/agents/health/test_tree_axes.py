"""Where a cut of an encoded column lies in its own units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.health import Feature
from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.forest import NO_CUT
from mesh_fl.agents.health.random_trees import random_splits

NUMBERS = [
    Feature(name="a", kind="number", low=0, high=400),
    Feature(name="b", kind="number", low=0, high=1e9, scale="log"),
    Feature(name="c", kind="number", low=-3.25, high=7.5, scale="log"),
]

KNOWN_AXES = [[0, 0, 3], [2, 1, 0], [0, 3, 3]]
KNOWN_CUTS = [0.18166894675226275, -0.4240983838483209, 0.0]


@given(st.sampled_from(NUMBERS), st.floats(-1, 1, exclude_max=True))
def test_the_threshold_is_the_last_value_on_the_left(feature: Feature, cut: float) -> None:
    at = Axis.of(feature).raw_thresholds(np.array([cut]))
    assert feature.encode(at)[0] <= cut < feature.encode(np.nextafter(at, np.inf))[0]


def test_cuts_at_the_ends() -> None:
    axis = Axis.of(NUMBERS[0])
    below, first, last = axis.raw_thresholds(np.array([-1.5, -1.0, 1.0]))
    assert below < 0 <= first < 1e-10
    assert last == 400


@pytest.mark.parametrize("levels", [2, 3, 4, 7])
def test_levels_are_numbered(levels: int) -> None:
    names = tuple(f"l{number}" for number in range(levels))
    axis = Axis.of(Feature(name="c", kind="category", levels=names))
    assert len(axis.cuts_between(-1, 1)) == levels - 1
    found = axis.raw_thresholds(np.array(axis.cuts_between(-1, 1)))
    assert found.tolist() == [number + 0.5 for number in range(levels - 1)]


def test_a_missing_flag_has_a_place_of_its_own() -> None:
    assert Axis.of(Feature(name="f", kind="flag")).cuts_between(-1, 1) == (0.0,)
    optional = Axis.of(Feature(name="f", kind="flag", optional=True))
    assert optional.cuts_between(-1, 1) == (-0.5, 0.5)
    assert optional.raw_thresholds(np.array([-0.5, 0.5])).tolist() == [0.5, 0.5]


def test_the_trees_are_the_same_everywhere() -> None:
    axes = (*map(Axis.of, NUMBERS), Axis.of(Feature(name="f", kind="flag")))
    splits = random_splits(axes, 3, 2, seed=0)
    assert splits.axis.tolist() == KNOWN_AXES
    assert splits.cut[0] == pytest.approx(KNOWN_CUTS, abs=1e-15)


def test_no_split_is_in_vain() -> None:
    axes = (*map(Axis.of, NUMBERS), Axis.of(Feature(name="f", kind="flag")))
    splits = random_splits(axes, 40, 4, seed=1)
    x = np.random.default_rng(0).uniform(-1, 1, (40_000, 4))
    x[:, 3] = np.sign(x[:, 3])
    reached = [len(np.unique(found)) for found in splits.find(x).T]
    assert np.mean(reached) > 15


def test_one_flag_leaves_nothing_more_to_split() -> None:
    splits = random_splits((Axis.of(Feature(name="f", kind="flag")),), 2, 3, seed=0)
    assert splits.cut[:, 0].tolist() == [0.0, 0.0]
    assert (splits.cut[:, 1:] == NO_CUT).all()
