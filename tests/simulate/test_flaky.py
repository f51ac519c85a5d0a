from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import AGENT, FOUNDERS, NAMES, RECORDS, plan_of

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.errors import PlanError
from mesh_fl.layout import Layout
from mesh_fl.messages import Enrol, ToMember, ToServer
from mesh_fl.planning import make_plan
from mesh_fl.privacy import pipeline
from mesh_fl.privacy.plan import LARGE, Plan
from mesh_fl.roster import Roster
from mesh_fl.simulate.conduct import Conduct
from mesh_fl.simulate.flaky import FlakyExchange
from mesh_fl.simulate.network import Outcome, rehearse

SHARDS: dict[str, Data] = {
    name: {"point": np.random.default_rng(number).normal(0.4, 0.3, (RECORDS, 3))}
    for number, name in enumerate(NAMES)
}


@dataclass(frozen=True, kw_only=True)
class Roll(Agent):
    """Counts the records of each member: whose records are in a sum, and how often, is seen."""

    unit: ClassVar = "record"
    clip: float = 1.0
    members: int
    rounds: int

    def init(self) -> State:
        return {"seen": np.zeros((self.rounds, self.members)), "round": np.zeros(())}

    def layout(self, state: State) -> Layout:
        return {"counts": (self.members,)}

    def contribute(self, state: State, data: Data) -> Rows:
        return np.eye(self.members)[data["who"]]

    def apply(self, state: State, total: Total) -> State:
        seen = state["seen"].copy()
        seen[int(state["round"])] = total["counts"]
        return {"seen": seen, "round": state["round"] + 1}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        return data["who"]


@dataclass
class Called:
    """A network of so many members, each with one record more than the one before."""

    members: int
    survivors: int
    rounds: int = 3
    agent: Roll = field(init=False)
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.agent = Roll(members=self.members, rounds=self.rounds)
        names = [f"m{number:02}" for number in range(self.members)]
        self.shards: dict[str, Data] = {
            name: {"who": np.full(number + 1, number)} for number, name in enumerate(names)
        }
        caps = dict.fromkeys(names, self.members)
        terms = {"rounds": self.rounds, "survivors": self.survivors, "spares": 12}
        self.plan = make_plan(self.agent, "roll", caps, measures=0, **terms)

    def rehearse(self, conduct: Conduct, *, encrypted: bool, seed: int = 0) -> Outcome:
        return rehearse(
            self.agent, self.plan, self.shards, seed=seed, encrypted=encrypted, conduct=conduct
        )


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly any noise, so that sums tell whose records are in them.

    Without any they would be the same in every round, which members refuse as shown again.
    """
    monkeypatch.setattr(
        pipeline, "discrete_gaussian", lambda sigma, size, source: sampled(4.0, size, source)
    )


sampled = pipeline.discrete_gaussian
NOISE = 0.2
"""Of 28 shares of standard deviation 4, at a scale of 1000: ten standard deviations."""

SMALL = Called(members=6, survivors=3)
LARGER = Called(members=LARGE + 8, survivors=LARGE, rounds=2)


@pytest.mark.usefixtures("quiet")
class TestSums:
    """Totals are the records of those who are there: all of theirs, once, and nobody else's."""

    @pytest.mark.parametrize("encrypted", [False, True])
    @pytest.mark.parametrize("called", [SMALL, LARGER], ids=["small", "large"])
    def test_they_are_exact(self, called: Called, encrypted: bool) -> None:
        run = called.rehearse(Conduct(dropout=0.08, absent=0.1), encrypted=encrypted)
        assert run.checkpoint.status == "finished"
        own = np.arange(called.members) + 1.0
        present = run.state["seen"] > 0.5
        np.testing.assert_allclose(run.state["seen"], present * own, atol=NOISE)
        assert present.sum(axis=1).tolist() == [one.members for one in run.checkpoint.history]
        assert (present.sum(axis=1) >= called.survivors).all()
        assert not present.all(), "somebody was missing"

    def test_where_everybody_answers_nobody_is_missing(self) -> None:
        run = SMALL.rehearse(Conduct(median_s=1.0, spread=1.0), encrypted=False)
        own = np.arange(6) + 1.0
        np.testing.assert_allclose(run.state["seen"], np.tile(own, (3, 1)), atol=NOISE)
        assert run.waited_s > 0


class TestSeed:
    def test_noise_and_conduct_come_again(self) -> None:
        conduct = Conduct(dropout=0.1, absent=0.1, median_s=1.0, spread=0.5, timeout_s=3.0)
        first, again, other = (
            LARGER.rehearse(conduct, encrypted=True, seed=seed) for seed in (1, 1, 2)
        )
        assert first.checkpoint.digest == again.checkpoint.digest != other.checkpoint.digest
        assert first.waited_s == again.waited_s
        assert first.waited_s >= 2 * 3.0


class TestAttempts:
    def test_a_silence_costs_a_small_network_an_attempt(self) -> None:
        run = rehearse(AGENT, plan_of(spares=1), SHARDS, seed=0, conduct=Conduct(dropout=0.4))
        assert run.checkpoint.status == "exhausted"
        assert run.checkpoint.attempt > len(run.checkpoint.history)

    def test_who_is_late_is_silent(self) -> None:
        late = Conduct(median_s=10.0, timeout_s=1.0)
        run = rehearse(AGENT, plan_of(spares=1), SHARDS, seed=0, conduct=late)
        assert run.checkpoint.status == "exhausted"
        assert run.checkpoint.history == []
        assert run.waited_s == run.checkpoint.attempt * 1.0

    def test_too_many_absent_is_said(self) -> None:
        with pytest.raises(PlanError, match="too few members were there in 1000 draws"):
            rehearse(AGENT, plan_of(survivors=5), SHARDS, conduct=Conduct(absent=0.999))


@dataclass
class Everybody:
    """Notes whom messages reach."""

    reached: list[set[str]] = field(default_factory=list)

    def roster(self) -> Roster:
        return FOUNDERS.roster

    def connected(self) -> frozenset[str]:
        return frozenset(NAMES)

    def send(self, messages: dict[str, ToMember], timeout_s: float) -> dict[str, ToServer]:
        self.reached.append(set(messages))
        return {}

    @property
    def traffic(self) -> tuple[int, int]:
        return (7, 9)


class TestExchange:
    ENROL = Enrol(training="a" * 32, plan=plan_of(), roster=b"", latest=None)

    def flaky(self, conduct: Conduct, fewest: int = 1) -> FlakyExchange:
        return FlakyExchange(Everybody(), conduct, np.random.default_rng(3), fewest)

    def test_a_server_that_waits_sees_others_come(self) -> None:
        flaky = self.flaky(Conduct(absent=0.5))
        seen = {flaky.connected() for _ in range(200)}
        assert 2 < len(seen) <= 10
        assert all(seen)

    def test_who_is_there_is_drawn_anew_after_each_ask_of_a_large_cohort(self) -> None:
        """Whatever phases follow the ask before the server looks again."""
        crowd = dict.fromkeys((f"m{number:02d}" for number in range(2 * LARGE)), 1)
        agent = Roll(members=len(crowd), rounds=6)
        plan = make_plan(
            agent, "roll", crowd, rounds=6, measures=0, survivors=LARGE + 1, epsilon=8.0
        )
        shards = {name: {"who": np.array([place])} for place, name in enumerate(crowd)}
        found = rehearse(agent, plan, shards, seed=1, conduct=Conduct(absent=0.3))
        assert len({record.members for record in found.checkpoint.history}) > 1

    def test_there_are_always_enough(self) -> None:
        flaky = self.flaky(Conduct(absent=0.5), fewest=4)
        assert all(len(flaky.connected()) >= 4 for _ in range(200))

    def test_silence_is_for_releases_only(self) -> None:
        flaky = self.flaky(Conduct(dropout=0.9, absent=0.3))
        here = flaky.connected()
        flaky.send(dict.fromkeys(NAMES, self.ENROL), 1.0)
        assert flaky.inner.reached == [set(here)]
        assert flaky.waited_s == 0

    def test_the_rest_is_passed_on(self) -> None:
        flaky = self.flaky(Conduct())
        assert flaky.connected() == set(NAMES)
        assert flaky.roster() is FOUNDERS.roster
        assert flaky.traffic == (7, 9)
