import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents._histogram import EMPTY, Histogram, one_hot
from mesh_fl.agents.federation.choosing import choice
from mesh_fl.agents.federation.clip import KEPT_WHOLE, Lengths, exact_clip, stretch
from mesh_fl.agents.federation.norms import Grid
from mesh_fl.errors import AgentError

GRID = Grid(1.0)
SD = 200.0


def released(norms, sd, random, grid=GRID) -> Lengths:
    counts = one_hot(grid.places(norms), grid.cells).sum(axis=0)
    return Lengths(grid, Histogram.of(counts + random.normal(0, sd, len(counts))))


def lengths_like(kind: str, random) -> np.ndarray:
    if kind == "narrow":
        return random.uniform(1.0, 1.4, 5000)
    if kind == "wide":
        return random.lognormal(0.0, 0.7, 20_000)
    idle = np.zeros(4000)
    return np.concatenate([idle, random.lognormal(-1.0, 0.4, 8000)])


def test_the_rule_is_that_half_of_what_is_left_belongs_to_rows_left_whole() -> None:
    norms = np.random.default_rng(1).lognormal(0, 1, 5000)
    clip = exact_clip(norms)
    left = np.minimum(norms, clip)
    assert left[norms <= clip].sum() / left.sum() == pytest.approx(KEPT_WHOLE, abs=0.001)


def test_how_long_the_longest_rows_are_does_not_matter() -> None:
    norms = np.random.default_rng(1).lognormal(0, 1, 5000)
    stretched = np.where(norms > 2 * exact_clip(norms), norms * 100, norms)
    assert exact_clip(stretched) == exact_clip(norms)


def test_rows_that_teach_nothing_change_no_clip() -> None:
    norms = np.random.default_rng(1).lognormal(0, 1, 500)
    idle = np.concatenate([norms, np.zeros(5000), np.full(300, 1e-9), np.full(9, math.nan)])
    assert exact_clip(idle) == exact_clip(norms)
    assert math.isnan(exact_clip(np.zeros(5)))
    assert math.isnan(exact_clip(np.empty(0)))


@given(st.floats(1e-6, 1e6), st.integers(0, 99))
def test_the_clip_grows_with_the_rows(factor, seed) -> None:
    norms = np.random.default_rng(seed).lognormal(0, 1, 50)
    assert exact_clip(norms * factor) == pytest.approx(exact_clip(norms) * factor)


@pytest.mark.parametrize("kind", ["narrow", "wide", "idle"])
def test_without_noise_the_grid_costs_less_than_a_tenth(kind) -> None:
    random = np.random.default_rng(2)
    norms = lengths_like(kind, random)
    assert released(norms, 1e-6, random).clip().value == pytest.approx(exact_clip(norms), rel=0.1)


@pytest.mark.parametrize("kind", ["narrow", "wide", "idle"])
def test_noise_of_three_percent_of_the_budget_costs_little_more(kind) -> None:
    random = np.random.default_rng(3)
    norms = lengths_like(kind, random)
    errors = [
        math.log(released(norms, SD, random).clip().value / exact_clip(norms)) for _ in range(30)
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.1


def test_bands_hold_the_clip_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(4)
    norms = lengths_like("wide", random)
    exact = exact_clip(norms)
    bands = [released(norms, SD, random).clip() for _ in range(100)]
    held = np.mean([band.low <= exact <= band.high for band in bands])
    assert 0.8 < held <= 1
    assert np.median([band.high / band.low for band in bands]) < 2


def test_quantiles_rise_and_enclose_what_they_mean() -> None:
    random = np.random.default_rng(5)
    norms = lengths_like("wide", random)
    found = [released(norms, 50, random).quantile(share).value for share in (0.1, 0.5, 0.9)]
    np.testing.assert_allclose(found, np.quantile(norms, (0.1, 0.5, 0.9)), rtol=0.15)


def test_idle_rows_are_counted_apart() -> None:
    random = np.random.default_rng(6)
    found = released(lengths_like("idle", random), SD, random)
    assert found.idle.low < 1 / 3 < found.idle.high
    assert found.idle.high - found.idle.low < 0.2
    assert found.records.value == pytest.approx(8000, rel=0.2)


def test_noise_alone_is_no_clip() -> None:
    random = np.random.default_rng(7)
    seen = [released(np.zeros(5000), SD, random) for _ in range(150)]
    assert np.mean([one.is_seen for one in seen]) < 0.02
    hidden = next(one for one in seen if not one.is_seen)
    with pytest.raises(AgentError, match="more records"):
        hidden.clip()
    assert hidden.records.value == 0


def test_a_high_cell_of_noise_does_not_carry_the_clip_away() -> None:
    counts = np.zeros(GRID.cells + EMPTY)
    counts[-EMPTY:] = SD * np.tile([1, -1], EMPTY // 2)
    place = int(GRID.places(np.array([1.1]))[0])
    counts[place] = 5000
    counts[GRID.cells - 1] = 3 * SD  # at 32 times the unit it would weigh more than all records
    assert Lengths(GRID, Histogram.of(counts)).clip().value < 1.3


@given(st.lists(st.floats(-1e9, 1e9), max_size=60))
def test_the_best_stretch_is_found(deviations) -> None:
    values = np.array(deviations)
    first, last = stretch(values)
    bounded = np.clip(values, -1e6, 1e6)
    gains = np.concatenate([[0], np.cumsum(np.sign(bounded) * bounded**2 - 3.0)])
    best = max(
        (gains[b] - gains[a] for a in range(len(gains)) for b in range(a, len(gains))), default=0
    )
    assert gains[last] - gains[first] == pytest.approx(best, abs=1e-3)


@settings(max_examples=50)
@given(st.lists(st.floats(-1e12, 1e12), min_size=GRID.cells + EMPTY, max_size=GRID.cells + EMPTY))
def test_whatever_was_released_a_choice_is_sound(block) -> None:
    found = choice("threat", 1.0, Lengths(GRID, Histogram.of(np.array(block))))
    assert (found.clip is None) == (found.action == "not enough data")
    if found.clip is not None and found.low is not None and found.high is not None:
        assert 0 < found.low <= found.clip <= found.high < math.inf


@pytest.mark.parametrize(
    ("configured", "action"), [(0.05, "raise"), (8.0, "lower"), (1.2, "no change")]
)
def test_the_advice_follows_from_the_band(configured, action) -> None:
    random = np.random.default_rng(8)
    grid = Grid(configured)
    found = choice("threat", configured, released(lengths_like("narrow", random), SD, random, grid))
    assert found.action == action
    assert [one.share for one in found.lengths] == [0.1, 0.25, 0.5, 0.75, 0.9]
