"""What is known before a training is planned: the clip that was counted, and what it would gain."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt

from mesh_fl.agent import Agent
from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.outlook import Outlook
from mesh_fl.agents.federation.steering import Candidate, Floor, Step, rounds_to_try, steer
from mesh_fl.agents.federation.target import plain, target_agent
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import MeshError
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.plan import DISCRETE_SLACK, budget_of
from mesh_fl.registry import build, config_of
from mesh_fl.roster import Roster
from mesh_fl.server.forecast import forecast
from mesh_fl.server.planning import FEDERATION, caps_of, plan_for
from mesh_fl.server.settings import PlanSettings, ServerSettings
from mesh_fl.state import load_state
from mesh_fl.store import Folder


def chosen_clip(
    folder: Folder, agent: str, config: Mapping[str, object] | None = None
) -> float | None:
    """Return the clip that a finished training of `federation` chose for an agent, if there is one.

    Parameters
    ----------
    folder : Folder
        Where the training of `federation` is stored.
    agent : str
        Whose clip.
    config : mapping, optional
        How it will be trained: lengths that were counted of other rows choose no clip. Whichever
        rows were counted count when left out.
    """
    stored = Checkpoint.load(folder)
    if stored is None or stored.status == "running" or stored.applied == 0:
        return None
    counting = build(stored.plan.agent, json.loads(stored.plan.config))
    if not isinstance(counting, FederatedLearning) or counting.target != agent:
        return None
    if config is not None and _rows_of(agent, counting.target_config) != _rows_of(agent, config):
        return None
    state = load_state(stored.state, counting.init())
    # Of too few records the noise leaves no lengths to choose by.
    return counting.chosen(state) if counting.lengths(state).is_seen else None


def _rows_of(agent: str, config: Mapping[str, object]) -> dict[str, object]:
    """Return what an agent's rows follow from: its whole configuration, less the clip."""
    whole = json.loads(config_of(target_agent(agent, plain(config), records=1.0)))
    return {name: value for name, value in whole.items() if name not in ("clip", "records")}


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
    declared. Agents that read the same table, or borrow one another's records, are taken to share
    each record's budget, in equal parts unless server.toml says otherwise (`Purse`). An agent that
    cannot be planned is not to be trained, for that reason.

    Parameters
    ----------
    settings : ServerSettings
    roster : Roster
    spent : mapping of str to float
        Squared mu that earlier trainings of an agent have charged.
    """
    purses, refused = _purses(settings, roster)
    floor = _floor(settings)
    candidates = [
        _candidate(settings, name, roster, purse, spent)
        for purse in purses
        for name in purse.claims
    ]
    steps = steer(candidates, floor)
    worth = {step.agent for step in steps if step.trains}
    left = [one for one in candidates if one.agent in worth]
    # What the others would have taken goes to those that are worth it.
    fewer = [purse.among(worth) for purse in purses]
    again = steer([_with_part(one, _purse_of(one.agent, fewer), spent) for one in left], floor)
    if all(step.trains for step in again):
        steps = (*again, *(step for step in steps if not step.trains))
        purses = fewer
    told = [_with_share(step, purses) for step in steps]
    return (*sorted(told, key=lambda step: step.agent != FEDERATION), *refused)


def steered(settings: ServerSettings, steps: tuple[Step, ...]) -> ServerSettings:
    """Return settings with the agents that are worth it, in order, and their terms."""
    agents = {}
    for step in steps:
        if step.trains:
            own = settings.agents[step.agent]
            planned = settings.plan_of(step.agent)
            terms = {
                "rounds": step.rounds,
                "survivors": max(step.survivors, planned.survivors),
                "share": step.share,
            }
            merged = planned.model_copy(update=terms)
            agents[step.agent] = own.model_copy(
                update={"plan": merged.model_validate(merged.model_dump())}
            )
    return settings.model_copy(update={"agents": agents})


@dataclass(frozen=True)
class Claim:
    """What an agent asks for of the budget that it shares.

    Parameters
    ----------
    budget : float
        Squared mu of the whole promise that it is planned by.
    share : float
        Part of it, as server.toml says.
    is_set : bool
        Whether server.toml says so for this agent, by an epsilon or a share of its own.
    """

    budget: float
    share: float
    is_set: bool


@dataclass(frozen=True)
class Purse:
    """A budget, and the agents that share it.

    Members' client.toml is not known here: that agents which read one product table get the same
    file of each member is an assumption. An agent whose section says share = 1 in so many words is
    taken to have a budget of its own, as where members deal their records out.

    Parameters
    ----------
    table : str
        As `Candidate.table`.
    claims : mapping of str to Claim
    """

    table: str
    claims: Mapping[str, Claim]

    @property
    def budget(self) -> float:
        """Squared mu of a record's life: the largest promise of all."""
        return max((one.budget for one in self.claims.values()), default=0.0)

    def share(self, agent: str) -> float:
        """Return the part of an agent's promise that it is to be planned with.

        What no agent asks for by its own section is divided equally among the others.
        """
        own = self.claims[agent]
        others = [one for one in self.claims.values() if not one.is_set]
        taken = sum(one.budget * one.share for one in self.claims.values() if one.is_set)
        if own.is_set or taken >= self.budget:
            return own.share
        return min(own.share, (self.budget - taken) / len(others) / own.budget)

    def among(self, agents: Collection[str]) -> "Purse":
        """Return the same for some of its agents."""
        kept = {name: claim for name, claim in self.claims.items() if name in agents}
        return replace(self, claims=kept)


def _purses(settings: ServerSettings, roster: Roster) -> tuple[list[Purse], list[Step]]:
    """Return the budgets and who shares them; and a refusal of what cannot be planned."""
    found: dict[str, Purse] = {}
    refused = []
    for name in settings.agents:
        try:
            agent, plan = plan_for(settings, name, roster)
        except MeshError as error:
            reason = f"it cannot be planned: {error}"
            refused.append(Step(agent=name, trains=False, rounds=0, survivors=0, reason=reason))
            continue
        terms, own = settings.plan_of(name), settings.agents[name].plan.model_fields_set
        dealt = "share" in own and terms.share == 1
        table = "" if dealt else _table_of(agent, name)
        claim = Claim(
            budget=budget_of(terms.epsilon, plan.delta),
            share=terms.share,
            is_set=bool(own & {"epsilon", "share"}) or "share" in settings.plan.model_fields_set,
        )
        purse = found.setdefault(table or f"agent {name}", Purse(table, {}))
        found[table or f"agent {name}"] = replace(purse, claims={**purse.claims, name: claim})
    return list(found.values()), refused


def _table_of(agent: Agent, name: str) -> str:
    return agent.reads[0] if agent.reads else f"of {agent.borrows or name}"


def _purse_of(agent: str, purses: Sequence[Purse]) -> Purse:
    return next(purse for purse in purses if agent in purse.claims)


def _floor(settings: ServerSettings) -> Floor:
    terms = [settings.plan_of(name) for name in settings.agents]
    return Floor(
        survivors=min(one.survivors for one in terms), colluders=max(one.colluders for one in terms)
    )


def _candidate(
    settings: ServerSettings, name: str, roster: Roster, purse: Purse, spent: Mapping[str, float]
) -> Candidate:
    terms = settings.plan_of(name).model_copy(update={"share": purse.share(name)})
    planned = _planned(settings, name, terms)
    _, plan = plan_for(planned, name, roster)
    counts = name == FEDERATION
    bare = Candidate(
        agent=name,
        caps=caps_of(settings, name, roster),
        counts=counts,
        spares=plan.spares,
        epsilon_of=partial(_epsilon, delta=plan.delta),
        left=purse.budget - sum(spent.get(one, 0.0) for one in purse.claims),
        table=purse.table,
    )
    tried = () if counts else rounds_to_try(bare)
    outlooks = [_outlook(planned, name, roster, rounds) for rounds in tried]
    known = tuple(one for one in outlooks if one)
    return _with_part(replace(bare, outlooks=known), purse, spent)


def _epsilon(squared_mu: float, delta: float) -> float:
    """Return the epsilon that a budget is: the inverse of `budget_of`."""
    return epsilon_of(sqrt(squared_mu), delta) / DISCRETE_SLACK


def _with_part(candidate: Candidate, purse: Purse, spent: Mapping[str, float]) -> Candidate:
    """Return a candidate with what it takes of a budget, and what is left of that part."""
    claim = purse.claims[candidate.agent]
    part = purse.share(candidate.agent) * claim.budget
    return replace(candidate, cost=part, own=part - spent.get(candidate.agent, 0.0))


def _with_share(step: Step, purses: Sequence[Purse]) -> Step:
    if not step.trains:
        return step
    purse = _purse_of(step.agent, purses)
    share = purse.share(step.agent)
    if len(purse.claims) == 1:
        return replace(step, share=share)
    part = share * purse.claims[step.agent].budget / purse.budget
    told = f"{step.reason}; with {part:.0%} of the budget of table {purse.table}, shared by "
    return replace(step, share=share, reason=told + ", ".join(sorted(purse.claims)))


def _planned(settings: ServerSettings, name: str, terms: PlanSettings) -> ServerSettings:
    own = settings.agents[name].model_copy(update={"plan": terms})
    return settings.model_copy(update={"agents": {**settings.agents, name: own}})


def _outlook(settings: ServerSettings, name: str, roster: Roster, rounds: int) -> Outlook | None:
    terms = settings.plan_of(name).model_copy(update={"rounds": rounds})
    tried = _planned(settings, name, terms)
    found = forecast(tried, plan_for(tried, name, roster)[1], larger=False)
    return None if found is None else Outlook.of(rounds, found.facts)
