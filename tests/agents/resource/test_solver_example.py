import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_the_example_shows_what_each_mode_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    importlib.import_module("schedule_week").main()
    told = capsys.readouterr().out
    rows = re.findall(r"^(\w+) +([\d.]+) h until done +(\d+) late +(\d+) EUR", told, re.MULTILINE)
    cost = {name: float(euros) for name, _, _, euros in rows}
    late = {name: int(tasks) for name, _, tasks, _ in rows}
    assert min(cost, key=cost.__getitem__) == "cost"
    assert late["fifo"] == 1
    assert late["quality"] == 0
    assert "cannot be: batch job abends: nobody has the skill 'mainframe'" in told
    assert len(re.findall(r"^  day \d", told, re.MULTILINE)) >= 12
    assert re.search(r"^network: 1 more; 20 tasks a week of 2.69 h", told, re.MULTILINE)


def test_the_programs_of_the_guide_run() -> None:
    guide = (ROOT / "docs" / "guides" / "resource_scheduling.md").read_text("utf-8")
    programs = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    found: list[dict[str, object]] = [{}, {}]
    for names, program in zip(found, programs, strict=True):
        exec(program, names)
    assert [one.task_id for one in found[0]["plan"].assignments] == ["switch is down"]  # type: ignore[attr-defined]
    assert found[1]["plan"].people_more == 2  # type: ignore[attr-defined]
