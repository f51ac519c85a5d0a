"""Contributions of trees against the definition of Shapley values."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.health.attribution import attribute
from mesh_fl.agents.health.forest import Splits


def by_definition(splits: Splits, values, x, neutral) -> np.ndarray:
    columns = len(neutral)
    parts, orders = np.zeros(columns), list(permutations(range(columns)))
    for order in orders:
        now = neutral.copy()
        for column in order:
            before = splits.sum_values(now[None], values)[0]
            now[column] = x[column]
            parts[column] += splits.sum_values(now[None], values)[0] - before
    return parts / len(orders)


def drawn(seed: int, columns: int, depth: int):
    random = np.random.default_rng(seed)
    nodes = 2**depth - 1
    splits = Splits(random.integers(0, columns, (3, nodes)), random.uniform(-1, 1, (3, nodes)))
    values = random.normal(size=(3, nodes + 1))
    return splits, values, random.uniform(-1, 1, (5, columns)), random.uniform(-1, 1, columns)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_they_are_shapley_values(seed: int, columns: int, depth: int) -> None:
    splits, values, x, neutral = drawn(seed, columns, depth)
    found = attribute(splits, values, x, neutral)
    for record, parts in zip(x, found, strict=True):
        assert parts == pytest.approx(by_definition(splits, values, record, neutral), abs=1e-12)


def test_many_records_are_each() -> None:
    splits, values, _, neutral = drawn(3, 4, 3)
    x = np.random.default_rng(1).uniform(-1, 1, (100, 4))
    alone = np.concatenate([attribute(splits, values, one[None], neutral) for one in x])
    assert attribute(splits, values, x, neutral) == pytest.approx(alone, abs=1e-12)
    assert attribute(splits, values, x[:0], neutral).shape == (0, 4)
