import json
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from small_network import Centre

from mesh_fl import registry
from mesh_fl.agent import Agent
from mesh_fl.agents.health import ClientHealth
from mesh_fl.errors import AgentError
from mesh_fl.registry import agent_class, agent_names, build, config_of

CENTRE = "small_network:Centre"


@dataclass(frozen=True, kw_only=True)
class Tuned(Centre):
    words: tuple[str, ...] = ()
    depth: int = 3
    rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Unfinished(Agent):
    clip: float


def test_the_built_in_agents_are_registered() -> None:
    assert "health" in agent_names()
    assert list(agent_names()) == sorted(agent_names())
    assert agent_class("health") is ClientHealth


def test_a_stranger_is_found_by_module_and_class() -> None:
    assert agent_class(CENTRE) is Centre
    assert build(CENTRE, {}) == Centre()
    assert build(CENTRE, {"clip": 3}) == Centre(clip=3.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("helth", "no agent is registered as 'helth'; registered: .*health.*; or give package"),
        ("", "no agent is registered as ''"),
        ("no_such_module:Agent", "cannot import agent no_such_module:Agent"),
        ("small_network:Missing", "cannot import agent small_network:Missing"),
        (":Centre", "cannot import agent :Centre"),
        ("small_network:", "cannot import agent"),
        ("small_network:AGENT", "to be a subclass of mesh_fl.Agent, found Centre"),
        ("small_network:Fuse", "to be a subclass of mesh_fl.Agent"),
        ("json:dumps", "to be a subclass of mesh_fl.Agent, found <function"),
    ],
)
def test_what_is_no_agent_is_refused(name: str, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        agent_class(name)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"clipp": 1.0}, "clipp: Unexpected keyword argument"),
        ({"clip": "wide"}, "clip: Input should be a valid number"),
        ({"clip": None}, "clip: Input should be a valid number"),
        ({"clip": "wide", "points": []}, "points: Input should be"),
    ],
)
def test_a_wrong_configuration_names_its_field(config: dict[str, object], message: str) -> None:
    with pytest.raises(AgentError, match=f"(?s)agent {CENTRE} cannot be configured so.*{message}"):
        build(CENTRE, config)


def test_a_mandatory_field_is_missed() -> None:
    with pytest.raises(AgentError, match="clip: Field required"):
        build("test_registry:Unfinished", {})


def test_an_agent_that_cannot_be_made_is_refused() -> None:
    for name in ("mesh_fl.agent:Agent", "test_registry:Unfinished"):
        with pytest.raises(AgentError, match="cannot be made: expected a frozen dataclass"):
            build(name, {"clip": 1.0})


def test_a_registered_agent_that_cannot_be_imported_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = EntryPoint("broken", "no_such_module:Agent", registry.GROUP)
    monkeypatch.setattr(
        registry, "entry_points", lambda **wanted: EntryPoints([broken]).select(**wanted)
    )
    with pytest.raises(AgentError, match="broken is registered but cannot be imported"):
        agent_class("broken")


def test_configurations_are_canonical_and_complete() -> None:
    text = config_of(Tuned(rate=1 / 3, words=("b", "a")))
    assert json.loads(text) == {
        "clip": 2.0,
        "depth": 3,
        "points": 200.0,
        "rate": 1 / 3,
        "words": ["b", "a"],
    }
    assert text == config_of(Tuned(words=("b", "a"), rate=1 / 3))
    assert " " not in text
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_a_configuration_builds_its_agent_again() -> None:
    agent: Agent = Tuned(rate=1e-300, depth=7, words=("ä", ""))
    again = build("test_registry:Tuned", json.loads(config_of(agent)))
    assert (again.__dict__, config_of(again)) == (agent.__dict__, config_of(agent))
