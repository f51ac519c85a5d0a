import re
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.anomaly.templates import LineAlarm, MinerState, TemplateMiner, masked
from mesh_fl.agents.anomaly.templates_made_up import KINDS, log_lines
from mesh_fl.agents.anomaly.templates_pace import Pace
from mesh_fl.agents.anomaly.templates_rarity import Rarity
from mesh_fl.errors import ConfigError, DataError

NEW_LINE = "2026-03-01T00:30:00Z ad3 security: domain admins changed by mallory"


def mined(count: int, seed: int = 0, rate: float = 1e-3) -> tuple[TemplateMiner, list[LineAlarm]]:
    miner = TemplateMiner(rate)
    found = [miner.add(line, ts) for _, line, ts in log_lines(count, seed)]
    return miner, [one for one in found if one is not None]


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("Disk C: 91% full", "disk c: <n>% full"),
        ("port 22, delay -3.5e", "port <n>, delay <n>e"),
        ("from 10.0.0.7:443 and fe80::1:2:3:4", "from <ip> and <ip>"),
        ("at 2026-03-01T10:22:01.123Z, and 2026-03-01 10:22:01", "at <time>, and <time>"),
        ("Mar  1 10:22:01 host", "<time> host"),
        ("Sun, 01 Mar 2026 10:22:01", "<time>"),
        ("[01/Mar/2026:10:22:01 +0100]", "[<time> <n>]"),
        ("id 123e4567-e89b-12d3-a456-426614174000;", "id <id>;"),
        ("mac 00:1b:44:11:3a:b7", "mac <mac>"),
        ("bob.x+y@mail.example.org: hi", "<mail>: hi"),
        ("GET https://a.example/x?y=1", "get <url>"),
        ("open /var/log/x.log failed", "open <path> failed"),
        ("open C:\\Temp\\a.txt failed", "open <path> failed"),
        ("sha 9f86d081884c7d65", "sha <hex>"),
        ("facade decade", "facade decade"),
        ("said 'no such file' or \"x y\"", "said <text> or <text>"),
        ("it's up, isn't it", "it's up, isn't it"),
        ('{"level":"error","ms":12}', '{"level":"error","ms":<n>}'),
        ("", ""),
        ("  \t\n ", ""),
    ],
)
def test_what_varies_is_masked(line: str, template: str) -> None:
    assert masked(line) == template


@given(st.text(max_size=300))
def test_masking_is_pure_and_leaves_no_digit(line: str) -> None:
    assert masked(line) == masked(line)
    assert not re.search("[0-9]", masked(line))


@given(st.text(alphabet="0123456789abf:./-@\\x,]'\" ", max_size=80))
def test_no_part_of_a_number_is_left(line: str) -> None:
    assert not any(one.isdecimal() for one in masked(line))


def test_a_line_is_looked_at_up_to_a_length() -> None:
    assert masked("a" * 4000 + " 7") == "a" * 4000


def test_lines_are_grouped_as_they_were_made() -> None:
    """Grouping accuracy (Zhu et al. 2019): a group counts if it has exactly a kind's lines."""
    lines = list(log_lines(6000, seed=1))
    miner = TemplateMiner()
    for _, line, ts in lines:
        miner.add(line, ts)
    truth, found = defaultdict(set), defaultdict(set)
    for place, (kind, line, _) in enumerate(lines):
        truth[kind].add(place)
        found[miner.template_of(line).number].add(place)
    made = list(truth.values())
    assert sum(len(group) for group in found.values() if group in made) / len(lines) > 0.99
    assert len(miner.templates()) == len(KINDS)
    assert sum(miner.templates().values()) == miner.lines == 6000


def test_states_stay_apart_and_names_do_not() -> None:
    miner = TemplateMiner()
    for user in ("ann", "bob", "carol", "dave", "erin", "frank", "grace"):
        for state in ("up", "down"):
            miner.add(f"link of {user} went {state} now")
    found = miner.templates()
    assert found == {"link of <*> went up now": 7, "link of <*> went down now": 7}


def test_usual_lines_are_called_no_more_often_than_stated() -> None:
    for seed in range(3):
        _, alarms = mined(8000, seed)
        assert sum(one.kind != "burst" for one in alarms) <= 8 + 9
        assert sum(one.kind == "burst" for one in alarms) <= 1


def test_a_stream_of_ever_new_lines_raises_hardly_an_alarm() -> None:
    words = [
        "".join(chr(97 + (place >> shift) % 16) for shift in (0, 4, 8)) for place in range(4000)
    ]
    miner = TemplateMiner(most=50)
    alarms = [miner.add(f"{word} {word} {word} {word}") for word in words]
    assert sum(one is not None for one in alarms) <= 4
    assert len(miner.templates()) <= 50
    assert miner.made_room >= 3900


def test_a_new_line_is_told() -> None:
    miner, _ = mined(8000)
    found = miner.add(NEW_LINE, 400.0)
    assert found is not None
    assert (found.kind, found.index, found.count, found.time) == ("new", 8000, 1, 400.0)
    assert found.line == NEW_LINE
    assert found.template == "<time> ad<n> security: domain admins changed by mallory"
    assert found.p_value <= 1e-3
    again = miner.add(NEW_LINE, 400.0)
    assert again is not None
    assert (again.kind, again.count) == ("rare", 2)


def test_a_burst_is_told_once_a_window() -> None:
    miner, _ = mined(30_000)
    line = "2026-03-01T00:25:00Z ups7 battery at 9 percent, 3 minutes left"
    told = [miner.add(line, 1500.0 + place / 100) for place in range(500)]
    bursts = [one for one in told if one is not None and one.kind == "burst"]
    assert len(bursts) == 1
    assert bursts[0].count <= 128
    assert bursts[0].expected == pytest.approx(20, rel=0.5)
    later = [miner.add(line, 1600.0 + place / 100) for place in range(500)]
    assert sum(one is not None and one.kind == "burst" for one in later) == 1


def test_windows_of_lines_are_not_compared_with_windows_of_time() -> None:
    miner = TemplateMiner()
    for _ in range(12_000):
        miner.add("job done")
    assert not miner.goes_by_time
    assert [miner.add("job done", 1e9 + place) for place in range(50)] == [None] * 50
    assert miner.goes_by_time


def test_a_state_that_contradicts_itself_is_refused() -> None:
    miner, _ = mined(50)
    whole = miner.state()
    one = whole.templates[0]
    short = one.model_copy(update={"words": one.words[:1]})
    for templates in ([short], [one, one]):
        text = whole.model_copy(update={"templates": templates}).dumps()
        with pytest.raises(DataError, match="start anew"):
            MinerState.loads(text)


@pytest.mark.parametrize("cut", [0, 1, 700, 2500])
def test_it_goes_on_exactly_from_its_state(cut: int) -> None:
    lines = [*log_lines(3000, seed=4), *((-1, NEW_LINE, 150.0) for _ in range(30))]
    whole, first = TemplateMiner(0.01), TemplateMiner(0.01)
    expected = [whole.add(line, ts) for _, line, ts in lines]
    found = [first.add(line, ts) for _, line, ts in lines[:cut]]
    second = TemplateMiner.read(MinerState.loads(first.state().dumps()))
    found += [second.add(line, ts) for _, line, ts in lines[cut:]]
    assert found == expected
    assert second.state() == whole.state()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["a b", "a c", "b <*>", "<n> b"]))),
    st.one_of(st.none(), st.floats()),
)
def test_any_line_is_taken(lines: list[str], ts: float | None) -> None:
    miner = TemplateMiner(0.1, most=5)
    for line in lines:
        miner.add(line, ts)
    assert miner.lines == len(lines)
    assert len(miner.templates()) <= 5
    again = TemplateMiner.read(MinerState.loads(miner.state().dumps()))
    assert again.state() == miner.state()


def test_memory_is_bounded_by_templates_and_their_length() -> None:
    miner = TemplateMiner(most=20)
    for place in range(300):
        miner.add(chr(97 + place % 26) * 3 + " " + "wörter " * 5000 + chr(97 + place // 26))
    assert len(miner.templates()) <= 20
    assert len(miner.state().dumps()) < 20 * 3000


def test_rarity_counts_lines_of_templates_that_are_as_rare() -> None:
    rarity = Rarity([1, 1, 2, 50])
    assert rarity.p_value(0) == pytest.approx((1 + 1 + 1) / 55)
    assert rarity.p_value(1) == pytest.approx((1 + 1 + 2 + 1) / 55)
    assert rarity.p_value(64) is None
    rarity.add(1)
    assert rarity.p_value(0) == pytest.approx((1 + 1) / 56)


def test_a_pace_knows_that_counts_are_spread() -> None:
    even, uneven = Pace(), Pace()
    for window in range(60):
        for _ in range(10):
            even.add(window)
        for _ in range(20 if window % 4 == 0 else 7):
            uneven.add(window)
    for pace in (even, uneven):
        for _ in range(30):
            pace.add(60)
    assert even.usual == pytest.approx(10, rel=0.01)
    assert even.p_value() < 1e-4 < uneven.p_value()
    late = Pace.read(even.state())
    for _ in range(4):
        late.add(100)
    assert late.usual < 6


@pytest.mark.parametrize("settings", [{"window_s": 0}, {"most": 0}, {"false_alarm_rate": 1.0}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        TemplateMiner(**settings)


@pytest.mark.parametrize("text", ["", "null", "{}", '{"templates": 3}'])
def test_a_damaged_state_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="start anew"):
        MinerState.loads(text)
