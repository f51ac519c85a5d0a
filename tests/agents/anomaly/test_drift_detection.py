import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.anomaly.drift import DriftDetector, DriftState
from mesh_fl.agents.anomaly.series_made_up import USUAL
from mesh_fl.agents.anomaly.stream import Stream


def noticed(values: np.ndarray, delta: float = 1e-3) -> list[tuple[int, int]]:
    """When drift was told, and how long ago the change is said to have been."""
    detector, found = DriftDetector(delta), []
    for place, value in enumerate(values.tolist()):
        drift = detector.add(value)
        if drift is not None:
            found.append((place, drift.values))
    return found


@pytest.mark.parametrize("delta", [1e-3, 1e-2])
def test_values_of_one_mean_are_no_drift(delta: float) -> None:
    """The theorem allows delta a look, one in 32 values: 3 of these looks at 1e-3."""
    random = np.random.default_rng(0)
    for _ in range(5):
        assert noticed(0.5 + random.normal(size=20_000) / 8, delta) == []
    assert noticed((random.random(20_000) < 0.3).astype(float), delta) == []


@pytest.mark.parametrize(("shift", "within"), [(0.5, 600), (1.0, 250), (3.0, 100)])
def test_a_shift_is_noticed_and_dated(shift: float, within: int) -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).normal(size=5000)
        values[3000:] += shift
        (place, ago), *_ = noticed(0.5 + values / 8)
        assert 3000 <= place < 3000 + within
        assert place - ago == pytest.approx(3000, abs=within)


def test_a_window_tells_the_mean_and_spread_of_what_it_holds() -> None:
    values = np.random.default_rng(0).random(5000) * 0.02 + 0.4
    detector = DriftDetector()
    for value in values.tolist():
        detector.add(value)
    rows = detector.state().rows
    assert detector.width == 5000
    assert sum(total for row in rows for total, _ in row) == pytest.approx(values.sum())
    assert sum(len(row) for row in rows) < 80


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-2, 3), max_size=300), st.integers(0, 300))
def test_it_goes_on_exactly_from_its_state(values: list[float], cut: int) -> None:
    whole, first = DriftDetector(0.1), DriftDetector(0.1)
    expected = [whole.add(one) for one in values]
    found = [first.add(one) for one in values[:cut]]
    second = DriftDetector.read(DriftState.loads(first.state().dumps()))
    found += [second.add(one) for one in values[cut:]]
    assert found == expected
    assert second.state() == whole.state()


@pytest.mark.parametrize("noise", ["normal", "Student t3", "season of 24", "Poisson 3", "gaps"])
@pytest.mark.parametrize("shift", [1.5, -4.0, 30.0])
def test_a_stream_tells_that_its_level_moved(noise: str, shift: float) -> None:
    values = USUAL[noise](np.random.default_rng(1), 6000)
    moved = shift * (math.sqrt(3) if noise == "Poisson 3" else 1)
    values[4000:] += moved
    stream = Stream()
    before = stream.add_many(None, values[:4000].tolist())
    assert [one for one in before if one.kind == "drift"] == []
    told = stream.add_many(None, values[4000:].tolist())
    assert sum(one.kind == "alarm" and one.index >= 5000 for one in told) <= 5
    after = [one for one in told if one.kind == "drift"]
    assert after
    assert after[0].index < 4800
    assert sum(one.value - one.expected for one in after) == pytest.approx(moved, rel=0.5)


@pytest.mark.parametrize("noise", USUAL)
def test_streams_that_stay_hardly_tell_drift(noise: str) -> None:
    found = Stream().add_many(None, USUAL[noise](np.random.default_rng(2), 8000).tolist())
    assert sum(one.kind == "drift" for one in found) <= 1
