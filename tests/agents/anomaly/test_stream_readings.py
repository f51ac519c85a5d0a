import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.anomaly.drift import DriftState
from mesh_fl.agents.anomaly.series_made_up import USUAL
from mesh_fl.agents.anomaly.stream import OneState, Stream
from mesh_fl.agents.anomaly.stream_lines import ReadingLines, Told
from mesh_fl.agents.anomaly.stream_many import Streams, StreamsState
from mesh_fl.agents.anomaly.stream_sketch import Sketch, SketchState
from mesh_fl.agents.anomaly.templates_pace import PaceState
from mesh_fl.agents.anomaly.told_apart import told_apart
from mesh_fl.errors import ConfigError, DataError


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("noise", USUAL)
def test_no_more_than_the_stated_rate_is_called(noise: str) -> None:
    rate, called, readings = 0.005, 0, 0
    for seed in range(2):
        stream = Stream(rate)
        found = stream.add_many(None, USUAL[noise](rng(seed), 8000).tolist())
        called += sum(one.kind == "alarm" for one in found)
        readings += stream.readings
    assert called <= rate * readings + 3 * math.sqrt(rate * readings)


@pytest.mark.parametrize(
    "noise", ["flat", "normal", "Poisson 3", "season of 24", "trend", "random walk", "gaps"]
)
def test_a_spike_does_not_hide_the_next(noise: str) -> None:
    values = USUAL[noise](rng(5), 5000).tolist()
    stream = Stream()
    stream.add_many(None, values[:4000])
    for place in (4000, 4002, 4500):
        stream.add_many(None, [one for one in values[stream.readings : place] if one == one])
        base = next(one for one in values[place:] if one == one)
        found = stream.add(60.0 * place, base + 16)
        assert found is not None
        assert (found.kind, found.time) == ("alarm", 60.0 * place)
        assert "above" in found.why
        assert found.deviation is None or found.deviation > 4
        usual = stream.add(None, base)
        assert usual is None or usual.p_value > found.p_value


def test_before_there_are_enough_it_says_so() -> None:
    stream = Stream(0.001)
    assert "0 forecasts so far, of 999" in (stream.not_enough or "")
    values = rng(0).integers(0, 3, 1200).astype(float)
    assert stream.add_many(None, values[:900].tolist()) == []
    assert "not enough data: " in (stream.not_enough or "")
    stream.add_many(None, values[900:].tolist())
    assert stream.not_enough is None
    alarm = stream.add(None, -1e9)
    assert alarm is not None
    assert alarm.p_value >= 1 / 1201


def test_drifting_levels_are_followed() -> None:
    values = np.linspace(0, 500, 20_000) + rng(0).normal(size=20_000)
    found = Stream().add_many(None, values.tolist())
    assert sum(one.kind == "alarm" for one in found) <= 30


def test_a_season_by_time_survives_missing_readings() -> None:
    values = np.where(np.arange(6000) % 24 == 6, 50.0, 0.0) + rng(0).normal(size=6000)
    stream = Stream(period=24, step_s=3600.0)
    keep = rng(1).random(6000) < 0.9
    for hour in np.flatnonzero(keep[:5000]).tolist():
        stream.add(3600.0 * hour, float(values[hour]))
    assert stream.period == 24
    beat = 5000 + (6 - 5000) % 24
    found = [stream.add(3600.0 * hour, float(values[hour])) for hour in range(5000, beat)]
    assert all(one is None or one.kind == "alarm" for one in found)
    missing = stream.add(3600.0 * beat, 0.0)
    assert missing is not None
    assert missing.expected == pytest.approx(50, abs=5)
    assert "below" in missing.why


def test_a_season_is_found_without_being_told() -> None:
    stream = Stream()
    stream.add_many(None, USUAL["season of 168"](rng(0), 1100).tolist())
    assert stream.period == 168
    plain = Stream()
    plain.add_many(None, USUAL["random walk"](rng(0), 1100).tolist())
    assert plain.period is None


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    values = USUAL["season of 24"](rng(0), 3000)
    values[2500] = 99.0
    one, other = Stream(), Stream()
    told = [one.add(float(ts), float(value)) for ts, value in enumerate(values)]
    found = other.add_many([float(ts) for ts in range(3000)], values.tolist())
    assert found == [each for each in told if each is not None]
    assert 2500 in {each.index for each in found}
    assert one.state() == other.state()


@pytest.mark.parametrize("noise", USUAL)
@pytest.mark.parametrize("cut", [10, 40, 300, 2100])
def test_it_goes_on_exactly_from_its_state(noise: str, cut: int) -> None:
    values = USUAL[noise](rng(3), 3000)
    values[1500:] += 3.0
    values[[2000, 2500]] = 1e4
    whole, first = Stream(0.01), Stream(0.01)
    expected = whole.add_many(None, values.tolist())
    found = first.add_many(None, values[:cut].tolist())
    second = Stream.read(OneState.loads(first.state().dumps()))
    found += second.add_many(None, values[cut:].tolist())
    assert found == expected
    assert second.state() == whole.state()


def test_its_memory_does_not_grow() -> None:
    stream, sizes = Stream(), []
    values = USUAL["Student t3"](rng(0), 24_000).tolist()
    for start in range(0, 24_000, 6_000):
        stream.add_many(None, values[start : start + 6_000])
        sizes.append(len(stream.state().dumps()))
    assert sizes[-1] < 1.2 * sizes[1]
    assert sys.getsizeof(stream.state().dumps()) < 60_000


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0])
        ),
        max_size=300,
    ),
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
)
def test_any_reading_is_taken(values: list[float | None], ts: float | None) -> None:
    stream = Stream(0.1, step_s=60.0)
    for value in values:
        found = stream.add(ts, value)
        if found is not None and found.kind == "alarm":
            assert 0 < found.p_value <= 0.1
    assert stream.readings + stream.missing == len(values)
    OneState.loads(stream.state().dumps())


@pytest.mark.parametrize(
    "values", [[-5e-324, 5e-324, 1e150], [1e-150, -1e-150, 1e-300], [1e150, -1e150, 0.0, 1.0]]
)
def test_readings_of_all_magnitudes_are_taken(values: list[float]) -> None:
    stream = Stream(0.5)
    for value in rng(0).choice(values, 2000).tolist():
        found = stream.add(None, value)
        assert found is None or math.isfinite(found.deviation or 0.0)
    OneState.loads(stream.state().dumps())


def test_a_bounded_number_of_series_is_kept() -> None:
    streams = Streams(most=3)
    for name in ("a", "b", "c", "a", "d"):
        streams.add(name, None, 1.0)
    assert len(streams) == 3
    assert streams.forgotten == 1
    assert set(streams.not_enough()) == {"a", "c", "d"}
    assert streams["a"].readings == 2
    streams.add("x" * 10_000, None, 1.0)
    again = Streams.read(StreamsState.loads(streams.state().dumps()))
    assert again.state() == streams.state()
    again.add("new", None, 1.0)
    streams.add("new", None, 1.0)
    assert again.state() == streams.state()


def test_sketches_know_sizes_to_five_percent() -> None:
    sketch, sizes = Sketch(1.0), rng(0).lognormal(size=20_000)
    for size in sizes.tolist():
        sketch.add(size)
    sketch.refresh()
    assert sketch.median == pytest.approx(np.median(sizes), rel=0.05)
    assert sketch.far == pytest.approx(np.quantile(sizes, 0.95), rel=0.05)
    for size in (0.5, 3.0, 8.0):
        share = (sizes >= size).mean()
        assert share * 0.99 <= sketch.p_value(size) <= 1.25 * share
    assert Sketch.read(SketchState.loads(sketch.state().dumps())).state() == sketch.state()
    assert sketch.p_value(0.0) == 1.0
    assert sketch.p_value(1e300) >= 1 / (100 * 20_000)


@pytest.mark.parametrize(
    "settings",
    [{"period": 1}, {"period": 5000}, {"step_s": 0.0}, {"step_s": 1e-320}, {"step_s": math.nan}],
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Stream(**settings)
    with pytest.raises(ConfigError, match="expected"):
        Streams(**settings)
    with pytest.raises(ConfigError, match="expected"):
        Stream(false_alarm_rate=0.0)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "{}",
        "[1]",
        '{"false_alarm_rate": NaN}',
        Stream().state().dumps().replace('"count":0', '"count":-1'),
        Stream().state().dumps().replace('"best":0', '"best":7'),
    ],
)
def test_a_damaged_state_is_refused(state: str) -> None:
    with pytest.raises(DataError, match="start anew"):
        OneState.loads(state)


def test_lines_are_json_or_csv_or_numbers() -> None:
    lines = ReadingLines()
    assert lines.read('{"series_id": "a", "ts": "2026-03-01T00:00:00Z", "value": 2.5}') == Told(
        "a", 1772323200.0, 2.5
    )
    assert lines.read(" 7 \n") == Told("", None, 7.0)
    assert lines.read("") is None
    assert lines.read("ts,series_id,value") is None
    assert lines.read('1772323200,"a,b",1e3') == Told("a,b", 1772323200.0, 1000.0)
    assert math.isnan((lines.read("1772323200,x,") or Told("", None, 0.0)).value)
    assert math.isnan((lines.read('{"value": null}') or Told("", None, 0.0)).value)
    assert lines.header == ("ts", "series_id", "value")


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_what_stands_between_cells_is_read_off_the_header(between: str) -> None:
    lines = ReadingLines()
    assert lines.read(between.join(("series_id", "ts", "value"))) is None
    assert lines.read(between.join(("a", "2026-03-01", "2.5"))) == Told("a", 1772323200.0, 2.5)
    assert lines.read(between.join(("", "2026-03-01", "2.5"))) == Told("", 1772323200.0, 2.5)
    assert math.isnan((lines.read(between.join(("a", "", ""))) or Told("", None, 0.0)).value)
    assert lines.read('{"series_id": "\\ud800", "value": 1}') == Told("\\ud800", None, 1.0)
    with pytest.raises(DataError, match="expected 3 cells, found 1"):
        lines.read("a|2026-03-01|2.5")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[" * 10_000,
        "{" * 10_000,
        '{"ts": 1}',
        '{"value": "x"}',
        '{"value": [1]}',
        '{"value": Infinity}',
        "a,b",
        '{"value": 1, "ts": "yesterday"}',
        "\x00",
    ],
)
def test_what_is_no_reading_is_refused(line: str) -> None:
    with pytest.raises(DataError, match="expected"):
        ReadingLines().read(line)


@pytest.mark.parametrize(
    ("value", "other", "told"),
    [
        (120.0, 50.123456789, ("120", "50.1235")),
        (1e6 + 0.003, 1e6, ("1000000.003", "1000000")),
        (5.0000000001, 5.0, ("5.0000000001", "5")),
        (7.0, 7.0, ("7", "7")),
    ],
)
def test_figures_have_the_digits_that_tell_them_apart(
    value: float, other: float, told: tuple[str, str]
) -> None:
    assert told_apart(value, other) == told


@pytest.mark.parametrize("unit", [5e-324, 1e308])
def test_a_sketch_of_any_unit_has_quantiles(unit: float) -> None:
    sketch = Sketch(unit)
    for _ in range(500):
        sketch.add(unit)
    sketch.refresh()
    assert math.isfinite(sketch.median)


def test_sums_that_no_stream_leaves_are_refused() -> None:
    with pytest.raises(DataError, match="start anew"):
        DriftState.loads('{"delta": 0.1, "seen": 3, "rows": [[[1.0, -1e308]]]}')
    with pytest.raises(DataError, match="start anew"):
        PaceState.loads('{"window": 1, "now": 2, "told": false, "sums": [1e308, 1, 1]}')
