import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.anomaly.alarm import rates_from
from mesh_fl.agents.anomaly.alarm_tail import QUANTILES, ParetoTail, p_values
from mesh_fl.agents.anomaly.baseline import Baseline
from mesh_fl.agents.anomaly.baseline_level import beside_neighbours
from mesh_fl.agents.anomaly.baseline_season import found_period, phases
from mesh_fl.agents.anomaly.series import judge
from mesh_fl.agents.anomaly.series_made_up import USUAL
from mesh_fl.errors import ConfigError, DataError

RATE = 0.01


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("noise", USUAL)
@pytest.mark.parametrize("count", [5, 60, 400, 1500])
def test_no_more_than_the_stated_rate_is_called(noise: str, count: int) -> None:
    found = [judge(USUAL[noise](rng(seed), count), false_alarm_rate=RATE) for seed in range(5)]
    readings = sum(one.readings for one in found)
    alarms = sum(len(one.alarms) for one in found)
    assert alarms <= RATE * readings + 3 * math.sqrt(RATE * readings)
    if count < 1 / RATE:
        assert alarms == 0


@pytest.mark.parametrize("noise", ["normal", "season of 24", "trend", "AR(1) 0.9", "random walk"])
def test_the_last_readings_are_called_no_more_often(noise: str) -> None:
    called = 0
    for seed in range(60):
        found = judge(USUAL[noise](rng(seed), 300), false_alarm_rate=RATE)
        called += sum(one.index >= 295 for one in found.alarms)
    assert called <= 9  # 3 expected at most


@pytest.mark.parametrize(
    "noise", ["normal", "Poisson 3", "season of 24", "trend", "random walk", "AR(1) 0.9", "gaps"]
)
@pytest.mark.parametrize("place", [0, 700, 1499])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_spike_of_eight_deviations_is_found(noise: str, place: int, side: int) -> None:
    values = USUAL[noise](rng(3), 1500)
    if math.isnan(values[place]):
        values[place] = 0.0
    # At an end there are neighbours on one side only: of a walk they tell half as much.
    at_an_end = place != 700 and noise in {"random walk", "AR(1) 0.9"}
    values[place] += side * (16 if at_an_end or noise == "Poisson 3" else 8)
    found = judge(values)
    first = min(found.alarms, key=lambda one: one.p_value)
    assert first.index == place
    assert first.deviation * side > 5
    assert first.anomaly_score == 1 - first.p_value
    assert f"{first.value:.6g} is " in first.why


def test_six_deviations_are_found_in_normal_noise() -> None:
    values = rng(0).normal(size=2000)
    values[[500, 1000, 1999]] = 6.0, -6.0, 6.0
    assert {500, 1000, 1999} <= {one.index for one in judge(values).alarms}


def test_spikes_do_not_hide_each_other() -> None:
    values, places = rng(1).normal(size=2000), np.arange(100, 2000, 100)
    values[places] += 10
    assert set(places.tolist()) <= {one.index for one in judge(values).alarms}


def test_what_drops_to_zero_and_beats_that_are_missing_are_found() -> None:
    values = 100 + 5 * rng(0).normal(size=1500)
    values[700] = 0.0
    assert judge(values).alarms[0].index == 700
    beats = np.where(np.arange(1500) % 24 == 6, 50.0, 0.0) + rng(0).normal(size=1500)
    beats[1446] = 0.0
    found = judge(beats)
    assert found.period == 24
    assert 1446 in {one.index for one in found.alarms}
    assert "with a season of 24" in found.alarms[0].why


def test_a_new_level_is_a_step_and_no_alarm() -> None:
    values = rng(2).normal(size=400)
    values[250:] += 30
    found = judge(values, false_alarm_rate=RATE)
    assert [one.place for one in found.steps] == [250]
    assert found.steps[0].after - found.steps[0].before == pytest.approx(30, abs=0.5)
    assert all(abs(one.deviation) < 6 for one in found.alarms)
    assert any("moved from" in note for note in found.notes)


@pytest.mark.parametrize("noise", ["normal", "season of 24", "trend", "random walk", "AR(1) 0.9"])
def test_hardly_a_step_is_seen_where_there_is_none(noise: str) -> None:
    steps = sum(bool(judge(USUAL[noise](rng(seed), 500)).steps) for seed in range(40))
    assert steps <= 2


def test_one_other_value_among_constants_is_one_in_so_many() -> None:
    for count in (50, 999):
        found = judge([5.0] * (count - 1) + [6.0])
        assert found.alarms == ()
        assert found.p_values[-1] == pytest.approx(1 / count)
    (only,) = judge([5.0] * 1999 + [6.0]).alarms
    assert (only.index, only.p_value, only.expected) == (1999, 1 / 2000, 5.0)
    assert only.severity == "medium"


def test_few_readings_promise_nothing_and_say_so() -> None:
    found = judge([10, 11, 10, 12, 11, 10, 500, 11, 10, 11])
    assert found.alarms == ()
    assert found.smallest_p_value == 0.1
    assert "10 readings cannot promise" in found.notes[0]
    assert "reading 6, 500" in found.notes[0]
    assert "not enough data: 3 readings" in judge([1, None, 2, None, 3]).notes[0]
    assert judge([]).notes == judge([None]).notes[:0] + judge([]).notes


def test_seasons_are_found_and_no_season_is() -> None:
    assert found_period(USUAL["season of 24"](rng(0), 800)) == 24
    assert found_period(USUAL["season of 168"](rng(0), 1500)) == 168
    odd = 5 * np.sin(2 * np.pi * np.arange(900) / 37) + rng(0).normal(size=900)
    assert found_period(odd) == 37
    for noise in ("normal", "random walk", "trend", "AR(1) 0.9", "Student t3", "binary"):
        assert found_period(USUAL[noise](rng(1), 900)) is None
    assert judge(np.arange(30.0), period=24).period is None
    assert "was not seen often enough" in judge(np.arange(30.0), period=24).notes[0]


def test_a_season_has_the_medians_of_its_phases() -> None:
    values = np.tile([0.0, 5.0, 1.0, -2.0], 20)
    season = phases(values, 4)
    assert season - season[0] == pytest.approx(values)


@pytest.mark.parametrize("side", [2, 5])
def test_neighbours_are_compared_with_and_not_the_reading_itself(side: int) -> None:
    values = np.cumsum(rng(0).normal(size=200)) * (1 if side == 2 else 0.3) + rng(1).normal(
        size=200
    ) * (0 if side == 2 else 1)
    found = beside_neighbours(values)
    half = (found.neighbours or 0) // 2
    assert half > 0
    for place in (half, 100, 199 - half):
        around = np.r_[values[place - half : place], values[place + 1 : place + half + 1]]
        assert found.residual[place] == pytest.approx(values[place] - np.median(around))
    assert found.shrink[100] == 1
    assert 0 < found.shrink[-1] < 1


def test_expected_and_residual_add_up() -> None:
    values = USUAL["season of 24"](rng(0), 500)
    values[10] = np.nan
    found = Baseline.of(values)
    told = np.isfinite(values)
    assert (found.expected + found.residual)[told] == pytest.approx(values[told])
    assert np.isnan(found.expected[10])
    assert np.nanmedian(np.abs(found.sizes)) * 1.4826 == pytest.approx(1, rel=0.1)


def test_ranks_are_p_values() -> None:
    found = p_values(rng(0).permutation(100).astype(float) + 1)
    assert sorted(found) == pytest.approx(np.arange(1, 101) / 100)
    assert p_values(np.array([0.0, 0.0, -3.0, np.nan]))[:3] == pytest.approx([1, 1, 1 / 3])


@pytest.mark.parametrize("shape", [0.1, 1 / 3, 1.0])
def test_a_tail_is_taken_heavier_than_it_is(shape: float) -> None:
    """Of a Pareto distribution the chances are known."""
    found: dict[float, list[float]] = {1e-2: [], 1e-3: [], 1e-4: []}
    for seed in range(30):
        sizes = np.sort((rng(seed).random(2000) ** -shape - 1) / shape)
        tail = ParetoTail.of(tuple(np.quantile(sizes, QUANTILES)), len(sizes))
        assert tail is not None
        for chance, told in found.items():
            told.append(tail.p_value((chance**-shape - 1) / shape))
    for chance, told in found.items():
        assert chance < np.mean(told) < 20 * chance


def test_no_tail_reaches_much_farther_than_ranks() -> None:
    sizes = np.abs(rng(0).normal(size=2000))
    tail = ParetoTail.of(tuple(np.quantile(sizes, QUANTILES)), len(sizes))
    assert tail is not None
    assert tail.p_value(1e9) == 1 / (100 * 2000)


def test_of_few_different_sizes_ranks_alone_tell() -> None:
    ones = (rng(0).random(2000) < 0.1).astype(float)
    assert p_values(ones) == pytest.approx(np.where(ones == 1, ones.mean(), 1.0))
    counts = rng(0).poisson(3, 2000) - 3.0
    ranks = np.array([(np.abs(counts) >= abs(one)).mean() for one in counts])
    assert (p_values(counts) >= 0.5 * ranks).all()
    assert p_values(np.append(counts, 30.0))[-1] < 1e-4


@pytest.mark.parametrize("rate", [0.0, -1.0, 0.6, math.nan, math.inf])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="expected a false alarm rate"):
        judge([1.0, 2.0], false_alarm_rate=rate)
    with pytest.raises(ConfigError):
        rates_from(rate)


@pytest.mark.parametrize(
    ("values", "times"),
    [
        (["a"], None),
        ([[1.0]], None),
        ([1e200] * 9, None),
        ([math.inf] * 9, None),
        ([1.0, 2.0], [1.0]),
        ([1.0, 2.0], [2.0, 1.0]),
        ([1.0, 2.0], [2.0, math.nan]),
        (5.0, None),
        ([10**400], None),
    ],
)
def test_what_is_no_series_is_refused(values: list[float], times: list[float] | None) -> None:
    with pytest.raises(DataError, match="expected"):
        judge(values, times)


def test_sizes_of_all_magnitudes_stay_finite() -> None:
    tiny, huge = 5e-324, 1e150
    for values in ([0.0, 1e-310, huge], [-huge, -tiny, 1e-300], [tiny, 0.0, 1.0], [huge, -huge, 1]):
        found = judge([*(5 * values), huge])
        assert np.isfinite(found.deviations).all()
        assert np.isfinite(found.p_values).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e150, 1e150), st.integers(-2, 2)), max_size=150),
    st.one_of(st.none(), st.integers(-5, 200)),
    st.sampled_from([1e-4, 0.01, 0.5]),
)
def test_any_series_is_judged(values: list[float], period: int | None, rate: float) -> None:
    found = judge(values, times=range(len(values)), false_alarm_rate=rate, period=period)
    assert len(found.alarms) <= rate * found.readings
    for one in found.alarms:
        assert 0 < one.p_value <= rate
        assert one.value == values[one.index]
        assert one.time == one.index


def test_rounding_is_no_anomaly() -> None:
    hours = np.arange(1000)
    exact = 20 + 5 * np.sin(hours * np.pi / 12)
    assert judge(exact, false_alarm_rate=1e-2).alarms == ()
    exact[700] += 1e-6
    assert [one.index for one in judge(exact, false_alarm_rate=1e-2).alarms] == [700]
