"""One trial of a crowd: deal public records out, train, and compare every way to get a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf, isinf
from statistics import fmean

import numpy as np

from mesh_fl.agent import Agent, Data, State
from mesh_fl.client.report import public_cap
from mesh_fl.errors import DataError
from mesh_fl.planning import configure, make_plan
from mesh_fl.privacy.plan import Plan
from mesh_fl.quality import Metric
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Places, Shards
from mesh_fl.simulate.splits import Deal, at_random

SURVIVORS, COLLUDERS = 0.9, 0.1
"""What a crowd's plan allows for: nine in ten answer, one in ten colludes with the operator."""

EVALUATED = 50
"""Clients at most whose own models are fitted in a trial; they are spread over all."""

TEST_SHARE = 0.2


@dataclass(frozen=True)
class Workload:
    """Public records that an agent is tried on.

    Parameters
    ----------
    dataset : str
        What people call it.
    agent : str
        Registered name, or package.module:Class.
    config : dict
        The agent's configuration; `records` is filled in by the crowd.
    data : Data
        All records, prepared.
    metric : Metric
        A figure of the agent's `evaluate`.
    rounds : int
        Of a training.
    test : Data, optional
        Records that models are compared on and nobody trains on, such as the latest ones; a fifth
        of all, drawn anew in each trial, when left out.
    together : str, optional
        An array of `data`: records with one value of it are all compared on or all trained on, as
        where several of them answer one question.
    """

    dataset: str
    agent: str
    config: Mapping[str, object]
    data: Data
    metric: Metric
    rounds: int = 16
    test: Data | None = None
    together: str | None = None

    @property
    def records(self) -> int:
        """How many there are."""
        return len(next(iter(self.data.values())))

    @property
    def held_out(self) -> int:
        """How many of them a trial keeps for comparing; about so many where groups are kept."""
        if self.test is not None:
            return 0
        return max(1, int(TEST_SHARE * self.records))

    def split(self, random: np.random.Generator) -> tuple[Places, Places]:
        """Draw the records that a trial compares on, and return them and the others."""
        order = random.permutation(self.records)
        if self.test is not None or self.together is None:
            return order[: self.held_out], order[self.held_out :]
        values, groups = np.unique(self.data[self.together], return_inverse=True)
        kept = random.permutation(len(values))[: max(1, int(TEST_SHARE * len(values)))]
        is_kept = np.isin(groups[order], kept)
        return order[is_kept], order[~is_kept]

    def configured(self, caps: Mapping[str, int]) -> Agent:
        """Return the agent as it is configured for clients with these caps."""
        return configure(self.agent, self.config, caps)

    def configured_alone(self, records: int) -> Agent:
        """Return the agent for one client, whatever crowd its configuration names."""
        config = {k: v for k, v in self.config.items() if k not in ("records", "clients")}
        return configure(self.agent, config, {"alone": max(1, records)})


@dataclass(frozen=True)
class Crowd:
    """Clients with their records, and records of nobody to compare models on.

    Parameters
    ----------
    workload : Workload
    shards : Shards
    test : Data
    seed : int
        Of the split and of all noise.
    """

    workload: Workload
    shards: Shards
    test: Data
    seed: int

    @classmethod
    def gather(
        cls, workload: Workload, members: int, records: int, seed: int, deal: Deal = at_random
    ) -> "Crowd":
        """Deal public records out to members; a fifth of all is kept for comparing.

        Raises
        ------
        DataError
            If there are too few.
        """
        random = np.random.default_rng([seed, members, records])
        kept, others = workload.split(random)
        if members * records > len(others):
            raise DataError(
                f"{members} x {records} records were asked for, {workload.dataset} has "
                f"{len(others)} beside the {len(kept)} that models are compared on: "
                "ask for fewer members or records, or bring more data"
            )
        drawn = {key: values[kept] for key, values in workload.data.items()}
        rest = {key: values[others] for key, values in workload.data.items()}
        parts = deal(rest, members, records, random)
        test = drawn if workload.test is None else workload.test
        return cls(workload, Shards.deal(rest, parts), test, seed)

    @cached_property
    def caps(self) -> dict[str, int]:
        """What the clients would declare."""
        return {name: public_cap(size) for name, size in self.shards.caps.items()}

    @cached_property
    def agent(self) -> Agent:
        """The agent as the federation trains it."""
        return self.workload.configured(self.caps)

    def plan(self, epsilon: float) -> Plan:
        """Return the crowd's plan: see `SURVIVORS` and `COLLUDERS`."""
        members = len(self.shards)
        return make_plan(
            self.agent,
            self.workload.agent,
            self.caps,
            rounds=self.workload.rounds,
            measures=0,
            survivors=max(2, int(members * SURVIVORS)),
            colluders=int(members * COLLUDERS),
            epsilon=epsilon,
        )

    def federate(self, epsilon: float) -> State:
        """Train the global model; an infinite epsilon means clipped rows without noise."""
        terms: Plan | Exact = Exact(rounds=self.workload.rounds)
        if not isinf(epsilon):
            terms = self.plan(epsilon)
        return simulate(self.agent, terms, self.shards, seed=self.noise_seed).state

    @property
    def noise_seed(self) -> int:
        """Return a seed of this crowd's own: crowds of other sizes must not share their luck."""
        sizes = [self.seed, len(self.shards), int(self.shards.starts[-1])]
        return int(np.random.SeedSequence(sizes).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def alone(self, data: Data) -> State:
        """Return what the same agent learns of some records alone, without privacy.

        By its local fit from the public model where it has one, else by rounds over these records.
        """
        if type(self.agent).adapt is not Agent.adapt:
            return self.agent.adapt(self.agent.init(), data)
        shards = Shards.of({"alone": data})
        own = self.workload.configured_alone(sum(shards.sizes))
        exact = Exact(rounds=self.workload.rounds)
        return simulate(own, exact, shards, seed=self.noise_seed).state

    def quality(self, state: State) -> float:
        """Return the workload's figure of a model, on records of nobody."""
        return float(self.agent.evaluate(state, self.test)[self.workload.metric.name])

    def some(self) -> list[Data]:
        """Return the records of the clients whose own models are fitted."""
        places = np.linspace(0, len(self.shards) - 1, min(EVALUATED, len(self.shards)))
        return [self.shards[int(place)] for place in places]


@dataclass(frozen=True)
class References:
    """What a crowd is compared with; none of it depends on epsilon.

    Parameters
    ----------
    public : float
        The model before any training: what everybody knows.
    alone : float
        Each member's own model with the same public knowledge; the mean over members.
    pooled : float
        One model on everybody's records, without privacy.
    """

    public: float
    alone: float
    pooled: float

    @classmethod
    def of(cls, crowd: Crowd) -> "References":
        """Fit and compare them."""
        return cls(
            public=crowd.quality(crowd.agent.init()),
            alone=fmean(crowd.quality(crowd.alone(shard)) for shard in crowd.some()),
            pooled=crowd.quality(crowd.alone(crowd.shards.data)),
        )


@dataclass(frozen=True)
class Federated:
    """What the federation gives.

    Parameters
    ----------
    epsilon : float
    federated : float
        The global model.
    adapted : float
        The global model fitted on to each member's own records; the mean over members.
    """

    epsilon: float
    federated: float
    adapted: float

    @classmethod
    def of(cls, crowd: Crowd, epsilon: float = inf) -> "Federated":
        """Train and compare."""
        state = crowd.federate(epsilon)
        adapted = [crowd.quality(crowd.agent.adapt(state, shard)) for shard in crowd.some()]
        return cls(epsilon, crowd.quality(state), fmean(adapted))
