"""The guide names every field and setting, and its tables are as the program reads them."""

import dataclasses
import re
import tomllib
from pathlib import Path

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.answer import ResourceAnswer
from mesh_fl.agents.resource.needs import TARGET
from mesh_fl.agents.resource.request import MOST_TASKS_AT_ONCE
from mesh_fl.client.data import TableSource
from mesh_fl.msp_tables import TABLES

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "resource.md"
TEXT = GUIDE.read_text("utf-8")


def unnamed(names) -> set[str]:
    return {name for name in names if f"`{name}`" not in TEXT}


def test_every_field_and_setting_is_named() -> None:
    agent = ResourceAllocation()
    settings = {one.name for one in dataclasses.fields(agent)} - {"measure_clip"}
    assert unnamed(field.name for field in agent.schema) == set()
    assert unnamed(ResourceAnswer.model_fields) == set()
    assert unnamed(settings) == set()


def test_its_tables_map_fields_that_exist() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    shown = tomllib.loads(block)
    assert set(shown["agents"]["resource"]["tables"]) <= set(ResourceAllocation.reads)
    for name, table in shown["tables"].items():
        source = TableSource.model_validate(table)
        assert set(source.columns) <= {field.name for field in TABLES[name].fields}


def test_its_figures_are_those_of_the_code() -> None:
    assert f"keep it at {TARGET:.0%}".replace("%", " %") in TEXT
    assert f"{MOST_TASKS_AT_ONCE:,} tasks, 20 plans and 10 seconds" in TEXT
    assert "BENCH_TABLE" not in TEXT
