"""The network of the guide: its settings are read, and no record pays more than its budget."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import mesh_fl
from mesh_fl.card import Card
from mesh_fl.client.settings import ClientSettings
from mesh_fl.privacy.plan import Policy
from mesh_fl.server.planning import plan_for
from mesh_fl.server.settings import ServerSettings

GUIDE = Path(mesh_fl.__path__[0]).parent / "docs" / "guides" / "network.md"
ON_CLIENTS = ("federation", "health", "revenue")


@pytest.fixture(scope="module")
def blocks():
    found = re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return [tomllib.loads(one) for one in found]


@pytest.fixture(scope="module")
def roster():
    caps = {"federation": 256, "health": 256, "revenue": 256, "market": 64}
    cards = {f"m{n}": Card.model_construct(cap=0, caps=caps) for n in range(40)}
    return SimpleNamespace(cards=cards, colluders=2)


def test_the_agents_of_one_table_fill_its_budget_and_do_not_overdraw_it(blocks, roster) -> None:
    settings = ServerSettings.model_validate(blocks[0])
    costs = {name: plan_for(settings, name, roster)[1].total_cost for name in settings.agents}
    budget = Policy(epsilon=0.1, delta=1e-5, survivors=20, colluders=2).budget
    together = sum(costs[name] for name in ON_CLIENTS)
    assert 0.7 * budget < together <= budget
    assert together < costs["market"] * 1.1


def test_the_clip_is_counted_for_health_as_it_is_trained(blocks, roster) -> None:
    settings = ServerSettings.model_validate(blocks[0])
    counted = plan_for(settings, "federation", roster)[0]._target.agent
    assert counted == plan_for(settings, "health", roster)[0]


def test_a_member_can_read_its_settings(blocks) -> None:
    settings = ClientSettings.model_validate({"name": "acme", "server": "h:1", **blocks[1]})
    assert settings.agents.keys() == {*ON_CLIENTS, "market"}
