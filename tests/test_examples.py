import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from mesh_fl import Agent, Data, State
from mesh_fl.check import check_agent

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def examples_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def closeness(agent: Agent, state: State, data: Data) -> float:
    hours = data["hours"].astype(float)
    return -float(np.abs(agent.predict(state, data).astype(float) - hours).mean())


def test_custom_agent_runs_and_is_close(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("custom_agent").main()
    told = re.findall(r"priority \d: +([\d.]+) h with privacy, +([\d.]+) h without", out(capsys))
    private, exact = np.array(told, dtype=float).T
    assert len(told) == 4
    # Noise of 47 in a sum over 2,500 shares of 48 h is about 1 h: six times that never happens.
    assert np.abs(private - exact).max() < 6
    assert (np.diff(private) > 0).all()


def test_custom_agent_keeps_its_contract() -> None:
    agent = importlib.import_module("custom_agent").MeanHours()
    report = check_agent(agent, agent.example(), quality=closeness)
    assert report.passed, str(report)
    checked = {finding.check for finding in report.findings if finding.outcome == "passed"}
    assert {"learns without noise", "learns at modest epsilon", "one record one row"} <= checked


def test_torch_agent_runs_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("torch_agent").main()
    before, after = (float(figure) for figure in re.findall(r": +(\d\.\d+)", out(capsys)))
    assert before < 0.75
    assert after > 0.9


def test_torch_fedavg_runs_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("torch_fedavg").main()
    before, after = (float(figure) for figure in re.findall(r": +(\d\.\d+)", out(capsys)))
    assert before < 0.5
    assert after > 0.8


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_the_guide_shows_the_example_as_it_is() -> None:
    guide = (EXAMPLES.parent / "docs/guides/agents.md").read_text()
    shown = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() in (EXAMPLES / "custom_agent.py").read_text()
