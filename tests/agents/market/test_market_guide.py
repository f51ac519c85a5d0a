"""The guide's table of records needed is what its program prints."""

import re
from pathlib import Path

import pytest

from mesh_fl.agents.market.request import MOST_CHARACTERS
from mesh_fl.agents.market.topics import topics

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "market.md"


def test_the_table_is_what_the_program_prints(capsys: pytest.CaptureFixture[str]) -> None:
    text = GUIDE.read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(program, "market.md", "exec"), {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    table = text[text.index("| figures | rounds done |") :].split("\n\n")[0].splitlines()[2:]
    assert [re.findall(r"[\d,]+", row) for row in table] == printed


def test_limits_are_those_of_the_code() -> None:
    text = GUIDE.read_text("utf-8")
    assert f"{MOST_CHARACTERS:,} characters in all" in text
    assert len(topics()) == 13
    assert "thirteen topics" in text
