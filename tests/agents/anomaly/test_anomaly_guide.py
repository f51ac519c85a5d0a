"""The guide to anomalies says what the code does."""

import re
import tomllib
from pathlib import Path

from mesh_fl.agents.anomaly.agent import AnomalyAnswer, AnomalyDetection
from mesh_fl.agents.anomaly.answer import Anomaly, Cause, RootCause
from mesh_fl.agents.anomaly.density import SEEN
from mesh_fl.agents.anomaly.finding import MOST_TOLD
from mesh_fl.client.data import TableSource
from mesh_fl.client.settings import ClientSettings
from mesh_fl.msp_tables import TABLES
from mesh_fl.registry import build

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "anomaly.md").read_text("utf-8")
MEMBER, OPERATOR = (
    tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
)


def test_every_field_is_named() -> None:
    fields = {field.name for field in AnomalyDetection().schema}
    for model in (AnomalyAnswer, Anomaly, Cause, RootCause):
        fields |= set(model.model_fields)
    assert {name for name in fields if f"`{name}`" not in GUIDE} == set()


def test_its_settings_are_sound() -> None:
    settings = ClientSettings.model_validate({"name": "acme", "server": "localhost:1", **MEMBER})
    assert settings.agents["anomaly"].tables == AnomalyDetection.reads
    for name, table in MEMBER["tables"].items():
        source = TableSource.model_validate(table)
        assert set(source.columns) <= {one.name for one in TABLES[name].fields}
    agent = build("anomaly", OPERATOR["agents"]["anomaly"]["config"])
    assert isinstance(agent, AnomalyDetection)
    assert len(agent.traits) == 5


def test_figures_are_those_of_the_code() -> None:
    agent = AnomalyDetection()
    assert f"The rarest {MOST_TOLD}," in GUIDE
    assert f"Below {SEEN:.0f} it calls nothing usual by itself" in GUIDE
    assert f"| {agent.trees}, {agent.depth}, {agent.seed} |" in GUIDE
    assert f"| {agent.prior_records:.0f}, {agent.own_precision:.0f} |" in GUIDE
    assert agent.false_alarm_rates == (0.01, 0.005, 0.001, 0.0001)
    assert "| 1 %, .5 %, .1 %, .01 % |" in GUIDE
