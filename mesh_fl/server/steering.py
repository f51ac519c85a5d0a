"""What is known before a training is planned: the clip that was counted, and what it would gain."""

import json
from collections.abc import Mapping
from dataclasses import replace

from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.outlook import Outlook
from mesh_fl.agents.federation.steering import Candidate, Floor, Step, rounds_to_try, steer
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import MeshError
from mesh_fl.privacy.plan import budget_of
from mesh_fl.registry import build
from mesh_fl.roster import Roster
from mesh_fl.server.forecast import forecast
from mesh_fl.server.planning import FEDERATION, caps_of, plan_for
from mesh_fl.server.settings import ServerSettings
from mesh_fl.state import load_state
from mesh_fl.store import Folder


def chosen_clip(folder: Folder, agent: str) -> float | None:
    """Return the clip that a finished training of `federation` chose for an agent, if there is one.

    Parameters
    ----------
    folder : Folder
        Where the training of `federation` is stored.
    agent : str
        Whose clip.
    """
    stored = Checkpoint.load(folder)
    if stored is None or stored.status == "running" or stored.applied == 0:
        return None
    counting = build(stored.plan.agent, json.loads(stored.plan.config))
    if not isinstance(counting, FederatedLearning) or counting.target != agent:
        return None
    return counting.chosen(load_state(stored.state, counting.init()))


def with_clip(settings: ServerSettings, agent: str, clip: float) -> ServerSettings:
    """Return settings in which an agent is configured with a clip."""
    own = settings.agents[agent]
    changed = own.model_copy(update={"config": {**own.config, "clip": clip}})
    return settings.model_copy(update={"agents": {**settings.agents, agent: changed}})


def next_steps(
    settings: ServerSettings, roster: Roster, spent: Mapping[str, float]
) -> tuple[Step, ...]:
    """Say which agents of server.toml are worth training, in which order, and how.

    Nothing private is read: forecasts come from public or made-up records, and the caps are
    declared.

    Parameters
    ----------
    settings : ServerSettings
    roster : Roster
    spent : mapping of str to float
        Squared mu that earlier trainings of an agent have charged.

    An agent that cannot be planned is not to be trained, for that reason.
    """
    candidates, refused = [], []
    for name in settings.agents:
        try:
            candidates.append(_candidate(settings, name, roster, spent.get(name, 0.0)))
        except MeshError as error:
            reason = f"it cannot be planned: {error}"
            refused.append(Step(agent=name, trains=False, rounds=0, survivors=0, reason=reason))
    terms = [settings.plan_of(name) for name in settings.agents]
    floor = Floor(
        survivors=min(one.survivors for one in terms), colluders=max(one.colluders for one in terms)
    )
    steps = sorted(steer(candidates, floor), key=lambda step: step.agent != FEDERATION)
    return (*steps, *refused)


def steered(settings: ServerSettings, steps: tuple[Step, ...]) -> ServerSettings:
    """Return settings with the agents that are worth it, in order, with rounds and survivors."""
    agents = {}
    for step in steps:
        if step.trains:
            own = settings.agents[step.agent]
            planned = settings.plan_of(step.agent)
            terms = {
                "rounds": step.rounds,
                "survivors": max(step.survivors, planned.survivors),
            }
            merged = planned.model_copy(update=terms)
            agents[step.agent] = own.model_copy(
                update={"plan": merged.model_validate(merged.model_dump())}
            )
    return settings.model_copy(update={"agents": agents})


def _candidate(settings: ServerSettings, name: str, roster: Roster, spent: float) -> Candidate:
    _, plan = plan_for(settings, name, roster)
    counts = name == FEDERATION
    bare = Candidate(
        agent=name, caps=caps_of(settings, name, roster), counts=counts, spares=plan.spares
    )
    outlooks = (
        ()
        if counts
        else tuple(
            found
            for rounds in rounds_to_try(bare)
            if (found := _outlook(settings, name, roster, rounds))
        )
    )
    left = budget_of(settings.plan_of(name).epsilon, plan.delta) - spent
    return replace(bare, outlooks=outlooks, cost=plan.total_cost, left=left)


def _outlook(settings: ServerSettings, name: str, roster: Roster, rounds: int) -> Outlook | None:
    terms = settings.plan_of(name).model_copy(update={"rounds": rounds})
    own = settings.agents[name].model_copy(update={"plan": terms})
    tried = settings.model_copy(update={"agents": {name: own}})
    found = forecast(tried, plan_for(tried, name, roster)[1], larger=False)
    return None if found is None else Outlook.of(rounds, found.facts)
