"""Training without a network: the agents, plans and rounds of a deployment, in one process.

What members would add up is added up here at once, since a sum over clients is a sum over their
records; keys, masks and messages are left out, because they change no total. The totals are the
very integers of a deployment, and with ``noise="shares"`` so is the noise. Where messages, masks
and encryption shall run too, `mesh_fl.simulate.network.rehearse` is the same training by the code
of a deployment.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, State
from mesh_fl.errors import AgentError, ConfigError, MeshError, PlanError
from mesh_fl.layout import unpack
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.digest import chain
from mesh_fl.privacy.noise import SeededSource, discrete_gaussian
from mesh_fl.privacy.plan import LARGE, Kind, Plan, Release, schedule_of
from mesh_fl.simulate.conduct import Conduct, Places
from mesh_fl.simulate.shards import Shards
from mesh_fl.simulate.stand_in import rounded_gaussian
from mesh_fl.simulate.sums import LocalSums, Rowwise, Sums
from mesh_fl.state import first_digest

Noise = Literal["one draw", "shares"]
Status = Literal["finished", "exhausted"]

LARGE_BLOCK = 1 << 23
"""Bytes: never written to, so no memory is taken."""

DRAWS = 1000
"""How often a cohort is drawn anew until enough clients are there."""


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Rounds without a promise: exact sums, to compare private ones with.

    Whoever answers is added up, also in small cohorts, since nothing is charged for an attempt.

    Parameters
    ----------
    rounds, measures : int
        As in `Plan`.
    clipped : bool
        Whether rows are clipped and rounded as a plan would have it.
    """

    rounds: int
    measures: int = 0
    clipped: bool = True

    def __post_init__(self) -> None:
        """Refuse rounds that cannot be."""
        if not 0 <= self.measures <= self.rounds or self.rounds < 1:
            raise ConfigError(
                f"expected at least 1 round and at most as many measures, found {self.rounds} and "
                f"{self.measures}"
            )

    @property
    def schedule(self) -> tuple[Kind, ...]:
        """The releases in order."""
        return schedule_of(self.rounds, self.measures)


@dataclass(frozen=True)
class Round:
    """What came of one release.

    Parameters
    ----------
    step : int
        Counted from 1.
    kind : {"train", "measure"}
    clients : int
        In the sum.
    attempts : int
        Until it succeeded, 1 where nobody fell silent.
    waited_s : float
        Simulated time that its attempts took.
    scores : dict of str to float
        What a measure told.
    """

    step: int
    kind: Kind
    clients: int
    attempts: int
    waited_s: float
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Simulated:
    """What a simulated training ended with.

    Parameters
    ----------
    state : State
        The global model.
    history : tuple of Round
        Releases in order.
    status : {"finished", "exhausted"}
        Whether all rounds were made, or spare attempts ran out.
    attempts : int
        All of them, also those that came to nothing.
    waited_s : float
        Simulated time that they took.
    digest : str
        Of the plan, the initial model and all totals: the same for the same plan, data and seed.
    epsilon_spent : float or None
        By a record (or client, where that is the unit) that took part in everything; None without
        a plan.
    """

    state: State
    history: tuple[Round, ...]
    status: Status
    attempts: int
    waited_s: float
    digest: str
    epsilon_spent: float | None


def simulate(
    agent: Agent,
    terms: Plan | Exact,
    shards: Shards | Mapping[str, Data],
    *,
    cohort: int | None = None,
    seed: int | None = None,
    noise: Noise = "one draw",
    conduct: Conduct = Conduct(),  # noqa: B008
    sums: Sums | None = None,
    on_round: Callable[[Round], None] = lambda done: None,
) -> Simulated:
    """Train over clients in this process.

    Parameters
    ----------
    agent : Agent
        As the plan configures it.
    terms : Plan or Exact
        A calibrated plan whose caps name the clients; or rounds without privacy.
    shards : Shards or dict of str to Data
        Each client's prepared records.
    cohort : int, optional
        Clients drawn for each release; everybody when left out, as in a deployment. The plan's
        promise holds for a client that is drawn every time: no amplification is claimed.
    seed : int, optional
        Makes everything reproducible to the bit on one machine. Without it all is drawn afresh.
    noise : {"one draw", "shares"}
        One draw of the variance that all shares of noise have together, by a fast generator; or
        each client's own share by the sampler of a deployment.
    conduct : Conduct
        Who is away, falls silent, is late.
    sums : Sums, optional
        Who adds up; by default this process.
    on_round : callable
        Told of each release.

    Returns
    -------
    Simulated

    Raises
    ------
    AgentError
        If the agent fails, with stage, client and agent.
    PlanError
        If the plan does not fit the clients.
    """
    dealt = shards if isinstance(shards, Shards) else Shards.of(shards)
    if cohort is not None and cohort < 1:
        raise ConfigError(f"expected a cohort of at least 1 client, found {cohort}")
    if noise not in get_args(Noise) or (seed is not None and seed < 0):
        raise ConfigError(
            f"expected noise out of {get_args(Noise)} and a seed of at least 0, found {noise!r} "
            f"and {seed}"
        )
    if isinstance(terms, Plan):
        _refuse_misfit(agent, terms, dealt, cohort)
    run = _Run(
        agent,
        terms,
        dealt,
        cohort=cohort or len(dealt),
        seed=secrets.randbits(64) if seed is None else seed,
        noise=noise,
        conduct=conduct,
        sums=sums or LocalSums(agent, dealt),
    )
    # The C library hands large blocks back after each round, only to fetch them again page by page,
    # a third of the time of a round; once a larger one was freed it keeps them (mallopt(3)).
    np.empty(LARGE_BLOCK, dtype=np.uint8)
    status = run.train(on_round)
    return Simulated(
        state=run.state,
        history=tuple(run.history),
        status=status,
        attempts=run.attempt,
        waited_s=run.waited_s,
        digest=run.digest,
        epsilon_spent=run.epsilon_spent,
    )


@dataclass
class _Run:
    """A training while it runs."""

    agent: Agent
    terms: Plan | Exact
    shards: Shards
    cohort: int
    seed: int
    noise: Noise
    conduct: Conduct
    sums: Sums
    history: list[Round] = field(default_factory=list)
    spent: float = 0.0
    attempt: int = 0
    waited_s: float = 0.0

    def __post_init__(self) -> None:
        self.state = self.agent.init()
        plan_digest = self.terms.digest if isinstance(self.terms, Plan) else repr(self.terms)
        self.digest = first_digest(plan_digest, self.state)
        # The last word keeps the stream apart from those that users draw from the same seed.
        self._random = np.random.default_rng([self.seed, 0x51A])
        self._sources: dict[int, SeededSource] = {}

    @property
    def epsilon_spent(self) -> float | None:
        if not isinstance(self.terms, Plan):
            return None
        return epsilon_of(self.spent**0.5, self.terms.delta)

    def train(self, on_round: Callable[[Round], None]) -> Status:
        for step, kind in enumerate(self.terms.schedule, start=1):
            done = self._release(step, kind)
            if done is None:
                return "exhausted"
            self.history.append(done)
            on_round(done)
        return "finished"

    def _release(self, step: int, kind: Kind) -> Round | None:
        """Attempt a release until it succeeds; None where no further attempt is affordable."""
        before_s = self.waited_s
        for attempts in range(1, DRAWS + 1):
            asked = self._draw()
            if not self._charge(step, kind):
                return None
            turnout = self.conduct.turnout(asked, self._random)
            self.waited_s += turnout.duration_s
            if self._suffices(asked, turnout.answered):
                total = self._total(kind, turnout.answered)
                scores, waited_s = self._take(kind, total), self.waited_s - before_s
                return Round(step, kind, len(turnout.answered), attempts, waited_s, scores)
        raise PlanError(
            f"too few clients answered in {DRAWS} attempts at one release: lower `dropout` or "
            "`median_s`, or wait longer"
        )

    def _draw(self) -> Places:
        """Return the clients to ask: those that are there, or some of them."""
        everybody = np.arange(len(self.shards))
        for _ in range(DRAWS):
            here = self.conduct.present(everybody, self._random)
            if self._enough(here):
                break
        else:
            raise PlanError(
                f"too few clients were there in {DRAWS} draws: lower `absent`, or plan for fewer "
                "survivors"
            )
        if len(here) <= self.cohort:
            return here
        return np.sort(self._random.choice(here, self.cohort, replace=False))

    def _enough(self, clients: Places) -> bool:
        return len(clients) >= (self.terms.survivors if isinstance(self.terms, Plan) else 1)

    def _suffices(self, asked: Places, answered: Places) -> bool:
        whole = len(answered) == len(asked)
        large = not isinstance(self.terms, Plan) or len(asked) > LARGE
        return self._enough(answered) and (whole or large)

    def _charge(self, step: int, kind: Kind) -> bool:
        if isinstance(self.terms, Plan):
            if not self.terms.affords(self.spent, step - 1):
                return False
            self.spent += self.terms.cost(kind)
        self.attempt += 1
        return True

    def _total(self, kind: Kind, clients: Places) -> NDArray[np.float64]:
        """Return the total of a release, and add it to the digest."""
        if isinstance(self.terms, Plan):
            release = self.terms.bare_release(kind)
            integers = self.sums.integers(kind, self.state, clients)
            integers = integers + self._noise(release, clients)
            total, payload = integers / release.scale, integers.astype("<i8").tobytes()
        elif self.terms.clipped:
            integers = self.sums.integers(kind, self.state, clients)
            total = integers / Rowwise.of(self.agent, kind, self.state).scale
            payload = integers.astype("<i8").tobytes()
        else:
            total = self.sums.floats(kind, self.state, clients)
            payload = total.astype("<f8").tobytes()
        self.digest = chain("total", self.digest, payload)
        return total

    def _noise(self, release: Release, clients: Places) -> NDArray[np.int64]:
        if self.noise == "one draw":
            sigma = release.share * len(clients) ** 0.5
            return rounded_gaussian(sigma, release.dimension, self._random)
        shares = np.zeros(release.dimension, dtype=np.int64)
        for client in clients.tolist():
            if client not in self._sources:
                self._sources[client] = SeededSource((self.seed << 32) + client)
            shares += discrete_gaussian(release.share, release.dimension, self._sources[client])
        return shares

    def _move(self, state: State) -> None:
        if _shapes(state) != _shapes(self.state):
            raise AgentError(
                f"server: agent {type(self.agent).__name__} failed in apply: expected a model of "
                f"{_shapes(self.state)}, got {_shapes(state)}"
            )
        self.state = state

    def _take(self, kind: Kind, total: NDArray[np.float64]) -> Mapping[str, float]:
        """Have the agent learn from a total, or read it."""
        stage = "apply" if kind == "train" else "score"
        try:
            if kind == "train":
                blocks = unpack(self.agent.layout(self.state), total)
                self._move(self.agent.apply(self.state, blocks))
                return {}
            return self.agent.score(unpack(self.agent.measure_layout(), total))
        except MeshError:
            raise
        except Exception as error:
            raise AgentError(
                f"server: agent {type(self.agent).__name__} failed in {stage}: "
                f"{type(error).__name__}: {error}"
            ) from error


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(block) for name, block in state.items()}


def _refuse_misfit(agent: Agent, plan: Plan, shards: Shards, cohort: int | None) -> None:
    strangers = [name for name in shards.names if name not in plan.caps]
    if strangers:
        raise PlanError(
            f"the plan names no client {strangers[0]!r} ({len(strangers)} of {len(shards)} are "
            "missing): make it for `shards.caps`"
        )
    for name, records in zip(shards.names, shards.sizes, strict=True):
        if agent.unit == "record" and records > plan.caps[name]:
            raise PlanError(f"{name} has {records} records, its cap is {plan.caps[name]}")
    if min(cohort or len(shards), len(shards)) < plan.survivors:
        raise PlanError(
            f"expected at least the plan's {plan.survivors} survivors in a cohort, found "
            f"{cohort or len(shards)}: draw more clients, or plan for fewer"
        )
