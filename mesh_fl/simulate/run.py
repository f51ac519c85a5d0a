"""One simulated training of a crowd, by whatever runs it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

from mesh_fl.agent import Agent, State
from mesh_fl.errors import DataError
from mesh_fl.logbook import Event
from mesh_fl.planning import make_plan
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.plan import Plan
from mesh_fl.simulate.dealing import deal_of
from mesh_fl.simulate.engine import Exact, Round, Simulated, simulate
from mesh_fl.simulate.network import rehearse
from mesh_fl.simulate.setting import Setting
from mesh_fl.simulate.sums import Sums
from mesh_fl.simulate.trial import COLLUDERS, Crowd
from mesh_fl.simulate.workloads import Material

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """A simulation that is set up.

    Parameters
    ----------
    setting : Setting
    crowd : Crowd
        Clients with their records, and records of nobody.
    """

    setting: Setting
    crowd: Crowd

    @classmethod
    def of(cls, material: Material, setting: Setting) -> "Trial":
        """Deal the records out.

        Raises
        ------
        DataError
            If there are too few.
        """
        workload, clients = material.workload, setting.clients
        left = workload.records - workload.held_out
        records = setting.records or left // clients
        if not records:
            raise DataError(
                f"{workload.dataset} has {left} records for {clients} clients: ask for fewer"
            )
        deal = deal_of(setting.split) if setting.split else material.deal
        return cls(setting, Crowd.gather(workload, clients, records, setting.seed, deal))

    @cached_property
    def agent(self) -> Agent:
        """The agent, whose public number of records is that of a cohort."""
        mean = sum(self.crowd.caps.values()) / self.setting.clients
        asked = {f"asked-{place}": max(1, round(mean)) for place in range(self.setting.asked)}
        return self.crowd.workload.configured(asked)

    @cached_property
    def terms(self) -> Plan | Exact:
        """A plan, or rounds without noise."""
        setting, workload = self.setting, self.crowd.workload
        if math.isinf(setting.epsilon):
            return Exact(rounds=workload.rounds)
        return make_plan(
            self.agent,
            workload.agent,
            self.crowd.caps,
            rounds=workload.rounds,
            measures=0,
            survivors=setting.enough,
            spares=setting.spares,
            colluders=int(setting.asked * COLLUDERS),
            epsilon=setting.epsilon,
        )

    def train(self, tell: Tell) -> "Ended":
        """Run all rounds.

        Raises
        ------
        MeshError
            If plan, agent or engine cannot go on.
        """
        if self.setting.encrypted and isinstance(self.terms, Plan):
            return self._rehearsed(self.terms, tell)
        if self.setting.engine == "ray":
            from mesh_fl.simulate.ray_sums import on_ray

            work = partial(self._simulated, tell)
            return on_ray(self.agent, self.crowd.shards, work, nodes=self.setting.nodes)
        return self._simulated(tell, None)

    def _simulated(self, tell: Tell, sums: Sums | None) -> "Ended":
        found = simulate(
            self.agent,
            self.terms,
            self.crowd.shards,
            cohort=self.setting.cohort,
            seed=self.setting.seed,
            noise=self.setting.noise,
            conduct=self.setting.conduct,
            sums=sums,
            on_round=lambda done: tell(_sentence(done, self.crowd.workload.rounds)),
        )
        return Ended.of(found)

    def _rehearsed(self, plan: Plan, tell: Tell) -> "Ended":
        def follow(event: Event) -> None:
            if event.kind in ("round", "dead", "refused"):
                tell(f"round {event.step}/{event.steps}: {event.text}")

        shards = dict(self.crowd.shards.items())
        setting = self.setting
        found = rehearse(
            self.agent,
            plan,
            shards,
            seed=setting.seed,
            encrypted=True,
            conduct=setting.conduct,
            on_event=follow,
        )
        at = found.checkpoint
        return Ended(
            found.state,
            at.status,
            tuple(record.members for record in at.history),
            at.attempt,
            found.waited_s,
            at.digest,
            epsilon_of(at.spent**0.5, plan.delta),
        )


@dataclass(frozen=True)
class Ended:
    """What a simulation ended with.

    Parameters
    ----------
    state : State
    status : str
        "finished", or "exhausted" where spare attempts ran out; "split" if members disagreed.
    clients : tuple of int
        In the sum of each round.
    attempts : int
        All of them, also those that came to nothing.
    waited_s : float
        Simulated time.
    digest : str
    epsilon_spent : float or None
        None without a plan.
    """

    state: State
    status: str
    clients: tuple[int, ...]
    attempts: int
    waited_s: float
    digest: str
    epsilon_spent: float | None

    @classmethod
    def of(cls, found: Simulated) -> "Ended":
        """Return the same of a simulation by sums."""
        return cls(
            found.state,
            found.status,
            tuple(done.clients for done in found.history),
            found.attempts,
            found.waited_s,
            found.digest,
            found.epsilon_spent,
        )


def _sentence(done: Round, rounds: int) -> str:
    tries = f", {done.attempts} attempts" if done.attempts > 1 else ""
    waited = f", waited {done.waited_s:.1f} s" if done.waited_s else ""
    return f"round {done.step}/{rounds}: {done.clients} clients{tries}{waited}"
