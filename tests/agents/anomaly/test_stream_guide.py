"""The guide to streams says what the code does."""

import inspect
import json
import re
from pathlib import Path

import pytest

from mesh_fl.agents.anomaly import alarm_tail, series, stream_drift, stream_season, stream_sketch
from mesh_fl.agents.anomaly.stream_many import MOST_SERIES
from mesh_fl.agents.anomaly.templates_made_up import KINDS
from mesh_fl.agents.anomaly.templates_masking import LONGEST_LINE
from mesh_fl.agents.anomaly.templates_miner import MOST_TEMPLATES
from mesh_fl.client.watch_cli import watch_command

FILE = Path(__file__).parents[3] / "docs" / "guides" / "anomaly_streams.md"
GUIDE = FILE.read_text("utf-8")
PLAIN = " ".join(GUIDE.split())


def test_every_option_is_named() -> None:
    options = [one for one in inspect.signature(watch_command).parameters if one != "source"]
    assert [one for one in options if f"`--{one.replace('_', '-')}`" not in GUIDE] == []


def test_the_program_prints_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(compile(program, "anomaly_streams.md", "exec"), {})
    assert f"prints `{capsys.readouterr().out.strip()}`" in GUIDE


def test_the_alarm_that_is_shown_is_json() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert json.loads(shown)["kind"] == "alarm"


def test_figures_are_those_of_the_code() -> None:
    assert f"Series ({MOST_SERIES:,}) or templates ({MOST_TEMPLATES:,})" in PLAIN
    first, second = stream_season.SEARCHED_AT
    assert f"after {first} and after {second:,} readings" in PLAIN
    assert f"in {stream_sketch.BUCKETS:,} buckets" in PLAIN
    assert f"from {stream_sketch.MOST_REMEMBERED:,} on" in PLAIN
    assert f"From {alarm_tail.FEWEST} readings on" in PLAIN.replace("from 400", "From 400")
    assert (alarm_tail.RANKS_SHARE, alarm_tail.REACH, stream_drift.RUN) == (0.9, 100, 12)
    assert f"first {LONGEST_LINE:,} characters" in PLAIN
    assert f"the {len(KINDS)} made-up kinds" in PLAIN
    assert series.FEWEST < 10


def test_links_lead_somewhere_and_nothing_is_left_to_fill() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", GUIDE)
    assert targets
    assert [one for one in targets if not (FILE.parent / one).exists()] == []
    assert not re.search(r"\b(RATES|FOUND|DRIFTS|MOVES|SPEED|TODO)\b", GUIDE)
