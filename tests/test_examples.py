import csv
import importlib
import json
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


def test_threat_alert_reads_an_alert(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("threat_alert").main()
    told, brace, bundle = out(capsys).partition("{\n")
    assert told.startswith("type: ransomware")
    assert re.search(r"^severity: (high|critical) ", told, re.MULTILINE)
    assert "indicator: ipv4 45[.]83[.]12[.]9" in told
    assert "technique: T1490 " in told
    assert "now: Disconnect the affected machines" in told
    objects = json.loads(brace + bundle)["objects"]
    patterns = {one["pattern"] for one in objects if one["type"] == "indicator"}
    assert "[ipv4-addr:value = '45.83.12.9']" in patterns


def test_threat_alert_takes_what_is_no_threat(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("threat_alert").main("The printer is out of paper")
    told = out(capsys)
    assert told.startswith("type: none")
    assert "severity: None (no threat)" in told


def test_policy_gaps_finds_what_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("policy_gaps").main()
    told, title, report = out(capsys).partition("# Audit readiness: House rules\n")
    status = dict(re.findall(r"^(H-\d) [^:]+: (\w+);", told, re.MULTILINE))
    assert status == {
        "H-1": "gap",  # a check fails, whatever the policy says
        "H-2": "partial",  # a check passed too long ago
        "H-3": "gap",  # denied
        "H-4": "gap",  # only planned
        "H-5": "satisfied",
        "H-6": "gap",  # not mentioned
    }
    assert title
    assert "| Audit readiness | not ready |" in report


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_the_guide_shows_the_example_as_it_is() -> None:
    guide = (EXAMPLES.parent / "docs/guides/agents.md").read_text()
    shown = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() in (EXAMPLES / "custom_agent.py").read_text()


def test_find_a_partner_covers_more_together(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("find_a_partner").main()
    told = out(capsys)
    assert "covered: 33% alone, 100% together" in told
    assert told.index("north: Azure") < told.index("penetration testing")
    assert re.search(r"= 9,000\.00 EUR$", told, re.MULTILINE)


def test_market_position_advises_by_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("market_position").main()
    told = out(capsys)
    found = re.search(r"at percentile (\d+) \[(\d+), (\d+)\] of about ([\d,]+) records", told)
    assert found is not None
    percentile, low, high = map(int, found.groups()[:3])
    assert low <= percentile <= high < 25
    assert abs(int(found[4].replace(",", "")) - 24_000) < 1000
    assert "recommendation: raise" in told


def test_ask_in_words_counts_what_the_tables_hold(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("ask_in_words").main()
    told = out(capsys)
    with (EXAMPLES / "ask_in_words_tables" / "tickets.csv").open() as file:
        opened = [row["opened_at"][:7] for row in csv.DictReader(file)]
    assert f"The number of tickets is {opened.count('2026-10')}." in told
    assert "I do not know what 'Globex' refers to" in told


def test_revenue_forecast_adds_up_and_finds_what_is_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    importlib.import_module("revenue_forecast").main()
    told = out(capsys)
    months = re.findall(r"^  20\d\d-\d\d +([\d,]+)  \[([\d,]+) to ([\d,]+)\]$", told, re.MULTILINE)
    figures = [[int(one.replace(",", "")) for one in month] for month in months]
    total = re.search(r"projected ([\d,]+), growth \+", told)
    assert total is not None
    assert len(figures) == 12
    assert all(low < amount < high for amount, low, high in figures)
    assert abs(sum(month[0] for month in figures) - int(total[1].replace(",", ""))) <= 12
    assert "Renew the managed services agreement of Client 5, which ends in 40 days" in told
    assert "Offer Client 8 a backup agreement" in told
    assert "managed services agreement of Client 3: 62.00 EUR a seat and month" in told
    assert "Collect 8,707.15 EUR from Client 6" in told


def test_client_health_tables_rank_three_clients(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("client_health_tables").main()
    told = out(capsys)
    scores = dict(re.findall(r"^(\w+): health (\d+), (?:low|medium) risk$", told, re.MULTILINE))
    assert int(scores["Initech"]) < int(scores["Hooli"]) < int(scores["Globex"])
    assert told.count("revenue at risk: ") == 3
    guide = (EXAMPLES.parent / "docs/guides/health_tables.md").read_text("utf-8")
    assert told[: told.index("Hooli")] in guide


def test_anomaly_events_finds_what_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("anomaly_events").main()
    told = out(capsys)
    assert re.search(r"^high: intrusion at", told, re.MULTILINE)
    assert "root cause: kind" in told


def test_resource_plan_is_done_sooner_than_first_come_first_served(
    capsys: pytest.CaptureFixture[str],
) -> None:
    importlib.import_module("resource_plan").main()
    told = re.search(
        r"counting more: ([\d.]+) h; first come, first served: ([\d.]+) h", out(capsys)
    )
    assert told is not None
    assert float(told[1]) < float(told[2])
