"""The guides of the agents name what there is, and their programs run."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from mesh_fl.agents.anomaly.agent import AnomalyAnswer, AnomalyDetection
from mesh_fl.agents.collaboration.agent import CollaborationAnswer, CollaborationMatching
from mesh_fl.agents.compliance.agent import SecurityCompliance
from mesh_fl.agents.compliance.answer import ComplianceAnswer
from mesh_fl.agents.compliance.desk import RULES
from mesh_fl.agents.compliance.readiness import NEARLY, READY
from mesh_fl.agents.compliance.request import CONTROLS, MOST_CONTROLS
from mesh_fl.agents.compliance.topics import topic_names
from mesh_fl.agents.market.agent import MarketAnswer, MarketIntelligence
from mesh_fl.agents.query.agent import PlainQuestions, QueryAnswer
from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.answer import ResourceAnswer
from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.answer import RevenueAnswer
from mesh_fl.agents.threat.agent import ThreatAnswer, ThreatIntelligence
from mesh_fl.agents.threat.kinds import read_kinds
from mesh_fl.agents.threat.references import NAMES
from mesh_fl.client.data import TableSource
from mesh_fl.msp_tables import TABLES
from mesh_fl.text.encoder import ENCODERS, LONGEST_TEXT, MOST_PIECES

GUIDES = Path(__file__).parent.parent / "docs" / "guides"


def guide(name: str) -> str:
    return (GUIDES / f"{name}.md").read_text("utf-8")


def code(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", guide(name), re.DOTALL)


def unnamed(names: Iterable[str], text: str) -> set[str]:
    return {name for name in names if f"`{name}`" not in text}


def settings(name: str, agent: str) -> dict[str, dict[str, dict[str, object]]]:
    found = [tomllib.loads(block) for block in code(name, "toml")]
    return next(one for one in found if agent in one.get("agents", {}))


@pytest.mark.parametrize(
    ("name", "agent", "answer"),
    [
        ("threat", ThreatIntelligence(), ThreatAnswer),
        ("compliance", SecurityCompliance(), ComplianceAnswer),
        ("market", MarketIntelligence(), MarketAnswer),
        ("collaboration", CollaborationMatching(), CollaborationAnswer),
        ("query", PlainQuestions(), QueryAnswer),
        ("revenue", RevenueForecasting(), RevenueAnswer),
        ("anomaly", AnomalyDetection(), AnomalyAnswer),
        ("resource", ResourceAllocation(), ResourceAnswer),
    ],
)
def test_every_field_that_is_asked_for_or_answered_is_named(name, agent, answer) -> None:
    own = {"framework"} if name == "compliance" else set()  # of request and answer alike
    assert unnamed(own | {field.name for field in agent.schema}, guide(name)) == set()
    assert unnamed(answer.model_fields, guide(name)) == set()


def test_every_reference_file_of_threats_is_named() -> None:
    assert unnamed(NAMES, guide("threat")) == set()
    assert set(settings("threat", "threat")["agents"]["threat"]["files"]) <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "agent", "table"),
    [
        ("threat", ThreatIntelligence(), "events"),
        ("compliance", SecurityCompliance(), "evidence"),
        ("market", MarketIntelligence(), "agreements"),
        ("collaboration", CollaborationMatching(), "technicians"),
        ("query", PlainQuestions(), "questions"),
    ],
)
def test_settings_map_fields_that_exist(name, agent, table) -> None:
    shown = settings(name, name)
    source = TableSource.model_validate(shown["tables"][table])
    assert shown["agents"][name]["table"] == table
    assert set(source.columns) <= {field.name for field in agent.schema}


def test_tables_of_revenue_map_fields_that_exist() -> None:
    shown = settings("revenue", "revenue")
    named = shown["agents"]["revenue"]["tables"]
    assert set(named) <= set(RevenueForecasting.reads)
    for name in named:
        source = TableSource.model_validate(shown["tables"][name])
        assert set(source.columns) <= {field.name for field in TABLES[name].fields}


def test_counts_are_those_of_the_catalogues() -> None:
    agent, kinds = ThreatIntelligence(), read_kinds()
    examples = sum(len(kind.examples) for kind in kinds)
    threat, compliance = guide("threat"), guide("compliance")
    assert f"{len(agent.words)} groups of words" in threat
    assert f"{len(agent.kinds)} kinds by their share" in threat
    assert f"likeness to {examples} sentences" in threat
    assert f"The {len(agent.words) + len(agent.kinds)} weights and three cuts" in threat
    assert f"over {len(SecurityCompliance().controls)} base controls" in compliance
    assert len(topic_names()) == 12
    assert "twelve public topics" in compliance


def test_thresholds_are_those_of_the_code() -> None:
    compliance = guide("compliance")
    assert f"reaches .{10 * RULES.satisfies:.0f} | satisfied" in compliance
    assert f"if it reaches .{10 * RULES.touches:.0f}." in " ".join(compliance.split())
    assert f"older than {RULES.max_age_days:.0f} days" in " ".join(compliance.split())
    assert f"({CONTROLS}, up to {MOST_CONTROLS})" in compliance
    rows = [f"{ready:.0%} | {nearly:.0%} |" for ready, nearly in zip(READY, NEARLY, strict=True)]
    shown = re.sub(r"[≥≤] | (?=%)", "", compliance)
    assert [row for row in rows if row not in shown] == []


def test_limits_of_texts_are_those_of_the_code() -> None:
    told = guide("text")
    assert f"first {LONGEST_TEXT:,} characters" in told
    assert f"first {MOST_PIECES} word pieces" in " ".join(told.split())
    assert any(f'encoder = "{setting}"' in told for setting in ENCODERS)


def test_the_program_on_texts_runs(capsys: pytest.CaptureFixture[str]) -> None:
    program = code("text", "python")[0]
    exec(compile(program, "text.md", "exec"), {})
    assert capsys.readouterr().out == "all-MiniLM-L6-v2, int8 ONNX True\n"


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "threat",
        "compliance",
        "market",
        "collaboration",
        "query",
        "introductions",
        "revenue",
    ],
)
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", guide(name))
    assert targets
    assert [target for target in targets if not (GUIDES / target).exists()] == []
