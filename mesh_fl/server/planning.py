"""The plan that an operator's settings and the members' cards make."""

from mesh_fl.agent import Agent
from mesh_fl.errors import AgentError, PlanError
from mesh_fl.planning import configure, make_plan
from mesh_fl.privacy.plan import Plan
from mesh_fl.roster import Roster
from mesh_fl.server.settings import ServerSettings


def plan_for(settings: ServerSettings, roster: Roster) -> tuple[Agent, Plan]:
    """Return the agent and the calibrated plan that server.toml and the members' cards make.

    Raises
    ------
    PlanError
        If too few members are registered, or the terms contradict each other or the roster.
    """
    cards, colluders = roster.cards, settings.plan.colluders
    if colluders > roster.colluders:
        raise PlanError(
            f"[plan] colluders = {colluders}, but the network was founded for {roster.colluders}: "
            "so many members may admit others, so no plan withstands more of them"
        )
    if len(cards) < settings.plan.survivors:
        raise PlanError(
            f"{len(cards)} members are registered, [plan] survivors = {settings.plan.survivors}: "
            "propose more by `mesh-server members propose`"
        )
    caps = {name: card.cap for name, card in cards.items()}
    agent = configure(settings.agent.name, settings.agent.config, caps)
    if not agent.schema:
        raise AgentError(
            f"agent {settings.agent.name} declares no schema, so no member could read a table for "
            "it: let its schema name the columns (docs/guides/agents.md)"
        )
    return agent, make_plan(agent, settings.agent.name, caps, **settings.plan.model_dump())
