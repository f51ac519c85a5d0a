"""A network of a large cohort in one process, whose members can drop out of any exchange."""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import AGENT, FragileBlobs, Fuse, Home, Network, Wire, check_invariants

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.messages import Ask, Pending, Reply, ToMember, ToServer
from mesh_fl.planning import make_plan
from mesh_fl.privacy import pipeline
from mesh_fl.privacy.plan import Plan
from mesh_fl.simulate.network import Founders
from mesh_fl.training import Training, begin

PHASES = ("advertise", "deal", "ask", "confirm", "reveal")
Drop = Callable[[str, int, Collection[str]], Collection[str]]
"""Who falls silent in an exchange: given its phase, how many of that phase there were, and whom."""


def nobody(phase: str, count: int, names: Collection[str]) -> Collection[str]:
    return ()


def tenth(seed: int) -> Drop:
    """One in ten drops out of every exchange."""
    rng = random.Random(seed)
    return lambda phase, count, names: rng.sample(sorted(names), len(names) // 10)


def silent(phase: str, absent: int, at: int = 1) -> Drop:
    """So many drop out of the n-th exchange of a phase."""
    return lambda now, count, names: sorted(names)[:absent] if (now, count) == (phase, at) else ()


@dataclass(frozen=True)
class Cohort:
    """Who they are, and the plan they agreed on."""

    names: tuple[str, ...]
    founders: Founders
    plan: Plan

    @classmethod
    def of(cls, members: int, **terms: object) -> "Cohort":
        names = tuple(f"m{number:03}" for number in range(members))
        caps = dict.fromkeys(names, 64)
        plan = make_plan(AGENT, "centre", caps, **{"rounds": 2, "measures": 0, **terms})
        return cls(names, Founders.of(caps, plan.colluders), plan)


COHORT = Cohort.of(24, survivors=14, epoch_steps=99)


def phase_of(messages: Mapping[str, ToMember]) -> str:
    """Which exchange of a large attempt this is, if any."""
    first = next(iter(messages.values()))
    if isinstance(first, Ask):
        return "ask" if first.call.circle else ""
    return first.type if first.type in PHASES else ""


@dataclass
class Flaky(Wire):
    """Who misses an exchange stays connected; `gone` are those that do not."""

    gone: set[str] = field(default_factory=set)

    def connected(self) -> frozenset[str]:
        return frozenset(self.people.keys() - self.gone)


@dataclass
class Crowd(Network):
    """One operator and a large cohort."""

    cohort: Cohort = COHORT
    drop: Drop = nobody

    def __post_init__(self) -> None:
        names = self.cohort.names
        self.plan = self.cohort.plan
        self.homes = {name: self._home(name, number) for number, name in enumerate(names)}
        self.wire = Flaky(self.homes, newest=self.cohort.founders.roster, before=self._drop_out)
        self.fuse = Fuse()
        self.blobs = FragileBlobs(self.fuse)
        self.events = []
        self.kills = 0
        self.counts = dict.fromkeys(PHASES, 0)

    def _home(self, name: str, number: int) -> Home:
        terms = {"founders": self.cohort.founders, "records": 5, "make_cipher": self.make_cipher}
        return Home(name, number, **{**terms, **self.member_options.get(name, {})})

    def _drop_out(self, wire: Wire, messages: Mapping[str, ToMember]) -> None:
        wire.offline.clear()
        if phase := phase_of(messages):
            self.counts[phase] += 1
            wire.offline |= set(self.drop(phase, self.counts[phase], messages))

    def training(self) -> Training:
        settings = {"timeout_s": 1.0, "patience_s": 0.05, "poll_s": 0.001, **self.options}
        return Training(
            AGENT,
            Checkpoint.load(self.blobs) or begin(AGENT, self.plan),
            self.wire,
            self.blobs,
            self.cohort.founders.operator,
            make_cipher=self.make_cipher,
            on_event=self.events.append,
            quorum=len(self.homes),
            **settings,
        )

    def finished(self) -> Training:
        """Train to the end, and have everybody hold the last model."""
        training = self.run()
        assert training.checkpoint.status == "finished", self.told("ended")
        self.drop = nobody
        for _ in range(8):  # who fell silent often is not asked each time
            if len(training._closed) < len(self.homes):
                training.close()
        check_invariants(self, training)
        return training

    @property
    def attempts_paid(self) -> dict[str, int]:
        return {name: len(home.ledger().charges) for name, home in self.homes.items()}

    def asked(self, kind: type[ToMember]) -> list[ToMember]:
        return [message for _, message in self.wire.sent if type(message) is kind]

    def pendings(self) -> dict[int, Pending]:
        """The sums that members were asked to open, by step."""
        asks = [message for message in self.asked(Ask) if isinstance(message, Ask)]
        return {ask.pending.step: ask.pending for ask in asks if ask.pending}


class Spy:
    """Notes what each member sealed in each attempt: its sum with noise, before the masks."""

    def __init__(self, patch: pytest.MonkeyPatch, crowd: Crowd) -> None:
        self.sealed: dict[tuple[str, int], NDArray[np.int64]] = {}
        self._sum_rows, self._noise = pipeline.sum_rows, pipeline.discrete_gaussian
        patch.setattr(pipeline, "sum_rows", self._summed)
        patch.setattr(pipeline, "discrete_gaussian", self._noised)
        self._change, crowd.wire.change = crowd.wire.change, self.note

    def _summed(self, *args: object) -> NDArray[np.int64]:
        self._last = self._sum_rows(*args)  # type: ignore[arg-type]
        return self._last

    def _noised(self, *args: object) -> NDArray[np.int64]:
        noise = self._noise(*args)  # type: ignore[arg-type]
        self._last = self._last + noise
        return noise

    def note(self, name: str, answer: ToServer) -> ToServer | None:
        if isinstance(answer, Reply) and answer.sealed is not None:
            self.sealed.setdefault((name, answer.account.attempt), self._last)
        return self._change(name, answer)

    def sum_of(self, pending: Pending) -> NDArray[np.int64]:
        """The sum of what the survivors of an attempt sealed."""
        attempt = pending.call.attempt
        return np.sum([self.sealed[one.by, attempt] for one in pending.accounts], axis=0)


def totals_of(training: Training) -> dict[int, NDArray[np.int64]]:
    """The opened integer totals, by step."""
    at = training.checkpoint
    blobs = {step: training.blobs[f"{at.training}.total.{step - 1}"] for step in steps(at)}
    return {step: np.frombuffer(blob, dtype="<i8") for step, blob in blobs.items()}


def steps(at: Checkpoint) -> range:
    return range(1, at.applied + 1)
