"""The guide to client health from tables says what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from mesh_fl.agents.health import ClientHealth
from mesh_fl.agents.health.history import READS
from mesh_fl.client.data import TableSource
from mesh_fl.client.settings import ClientSettings
from mesh_fl.msp_tables import TABLES
from mesh_fl.registry import build

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "health_tables.md").read_text("utf-8")
MEMBER, OPERATOR = (
    tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
)


def test_its_settings_are_sound() -> None:
    settings = ClientSettings.model_validate({"name": "acme", "server": "localhost:1", **MEMBER})
    assert settings.agents["health"].tables == READS == ClientHealth.reads
    for name, table in MEMBER["tables"].items():
        source = TableSource.model_validate(table)
        assert set(source.columns) <= {one.name for one in TABLES[name].fields}
    assert build("health", OPERATOR["agents"]["health"]["config"]).as_of == "2026-03-01"


def test_its_table_of_features_is_that_of_the_code() -> None:
    agent = ClientHealth()
    rows = re.findall(r"^\| `(\w+)` \|[^|]+\| ([\d.]+) \| (\S+) \|$", GUIDE, re.MULTILINE)
    assert [name for name, _, _ in rows] == [feature.name for feature in agent.features]
    for feature, (_, typical, weight) in zip(agent.features, rows, strict=True):
        assert float(weight.replace("\N{MINUS SIGN}", "-")) == feature.weight
        middle = float(feature.decode(agent.init()["round"].reshape(1))[0])
        assert float(typical) == pytest.approx(middle, rel=0.05, abs=0.05)
