"""The plan that an operator's settings and the members' cards make."""

from mesh_fl.agent import Agent
from mesh_fl.errors import AgentError, PlanError
from mesh_fl.planning import configure, make_plan
from mesh_fl.privacy.plan import Plan
from mesh_fl.roster import Roster
from mesh_fl.server.settings import ServerSettings

FEDERATION, TARGET = "federation", "health"
"""The agent that counts the rows of another one, and whose rows it counts unless told."""


def plan_for(settings: ServerSettings, name: str, roster: Roster) -> tuple[Agent, Plan]:
    """Return an agent and the calibrated plan that server.toml and the members' cards make.

    Raises
    ------
    PlanError
        If too few members take part, or the terms contradict each other or the roster.
    """
    terms, caps = settings.plan_of(name), caps_of(settings, name, roster)
    if terms.colluders > roster.colluders:
        raise PlanError(
            f"[plan] colluders = {terms.colluders}, but the network was founded for "
            f"{roster.colluders}: so many members may admit others, so no plan withstands more"
        )
    if len(caps) < terms.survivors:
        raise PlanError(
            f"{len(caps)} members take part in {name}, [plan] survivors = "
            f"{terms.survivors}: propose more by `mesh-server members propose`"
        )
    agent = configure(name, config_for(settings, name), caps)
    if not agent.schema:
        raise AgentError(
            f"agent {name} declares no schema, so no member could read a table for "
            "it: let its schema name the columns (docs/guides/agents.md)"
        )
    return agent, make_plan(agent, name, caps, **terms.model_dump())


def config_for(settings: ServerSettings, name: str) -> dict[str, object]:
    """Return an agent's configuration; `federation` is told that of the agent that it counts."""
    config = settings.agents[name].config
    if name != FEDERATION:
        return config
    target = settings.agents.get(str(config.get("target", TARGET)))
    return ({"target_config": target.config} if target else {}) | config


def caps_of(settings: ServerSettings, name: str, roster: Roster) -> dict[str, int]:
    """Return the declared caps of the members that take part in an agent."""
    config = settings.agents[name].config
    owner = str(config.get("target", TARGET)) if name == FEDERATION else name
    cards = roster.cards.items()
    return {member: card.cap_of(owner) for member, card in cards if card.takes_part(owner)}
