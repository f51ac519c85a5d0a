"""Readings beside their neighbours, one by one: the windows of all at once must tell the same."""

import numpy as np
import pytest

from mesh_fl.agents.anomaly import baseline_level
from mesh_fl.agents.anomaly.baseline_level import FAR, Vector, beside_neighbours


def alone(values: Vector, place: int, before: int, after: int) -> float:
    others = [*values[place - before : place], *values[place + 1 : place + after + 1]]
    return float(values[place] - np.median(others))


def shrinks(values: Vector, side: int) -> list[float]:
    """Return by how much residuals with so many readings after them are shrunk."""
    sampled = baseline_level._sampled(len(values), 2 * side).tolist()
    far = [
        np.quantile([abs(alone(values, at, 2 * side - right, right)) for at in sampled], FAR)
        for right in range(side + 1)
    ]
    return [min(1.0, float(far[side] / one)) if one > 0 else 1.0 for one in far]


SERIES = {
    "random walk": lambda random, count: np.cumsum(random.normal(size=count)),
    "counts that drift": lambda random, count: random.poisson(4 + np.arange(count)) * 1.0,
    "steps of a walk": lambda random, count: np.round(np.cumsum(random.normal(size=count))),
}


@pytest.mark.parametrize("made", SERIES)
@pytest.mark.parametrize("count", [12, 31, 160, 420])
def test_windows_tell_what_each_reading_by_itself_would(made: str, count: int) -> None:
    seen = set()
    for seed in range(2):
        values = SERIES[made](np.random.default_rng(seed), count)
        found = beside_neighbours(values)
        seen.add(found.neighbours)
        if found.neighbours is None:
            continue
        side, last = found.neighbours // 2, count - 1
        shrunk = shrinks(values, side)
        for place in range(count):
            before = max(min(place, side), 2 * side - (last - place))
            after = 2 * side - before
            assert found.residual[place] == alone(values, place, before, after)
            is_inner = before == after
            assert found.shrink[place] == (1.0 if is_inner else shrunk[min(before, after)])
    assert seen - {None}
