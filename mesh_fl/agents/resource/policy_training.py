"""Learning a policy by trial in the simulator, from the order of WSPT on.

Each step plays some queues several times; see `policy_trial`, `policy_credit`, `policy_gradient`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import QueueSetting, made_up_arrivals
from mesh_fl.agents.resource.dispatching import Fifo
from mesh_fl.agents.resource.dispatching_figures import figures
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.agents.resource.policy_credit import advantages
from mesh_fl.agents.resource.policy_gradient import Learner
from mesh_fl.agents.resource.policy_learned import LearnedPolicy
from mesh_fl.agents.resource.policy_trial import Decisions, play
from mesh_fl.agents.resource.simulator import simulate_queue
from mesh_fl.errors import ConfigError

Vector = NDArray[np.float64]

Told = Callable[[int, int], None]
"""Is told how many episodes are played, of how many."""

QUEUES, TRIALS = 6, 8
"""Of a step: how many queues are played, and how often each."""

WEEKS = 6
"""Of a queue to learn from."""

TRAINING_SEED, HELD_OUT_SEED = 10**6, 2 * 10**6
"""Where the seeds of queues begin that policies learn from, and that one is chosen on."""

HELD_OUT = 24
"""Queues a load that what was learned is judged on beside what it began with."""

FEWEST_EPISODES, MOST_EPISODES = QUEUES * TRIALS, 1_000_000


@dataclass(frozen=True)
class Lesson:
    """What came of training.

    Parameters
    ----------
    policy : LearnedPolicy
        What was learned, or what it began with where that is better on held-out queues.
    episodes : int
        Played to learn from.
    before, after : float
        Cost on held-out queues over the cost of FIFO there: of what it began with, and of what was
        learned.
    """

    policy: LearnedPolicy
    episodes: int
    before: float
    after: float


def train(
    setting: QueueSetting,
    loads: tuple[float, ...],
    episodes: int,
    seed: int,
    told: Told = lambda done, of: None,
) -> Lesson:
    """Learn a policy for queues of some loads.

    Parameters
    ----------
    setting : QueueSetting
        All but its load and weeks.
    loads : tuple of float
        In turn.
    episodes : int
        Queues to play, in steps of 48; the result depends on the seed and these alone.
    seed : int
    told : callable, optional

    Raises
    ------
    ConfigError
        If there are too few or too many episodes, or no load, or torch is not installed.
    """
    if not FEWEST_EPISODES <= episodes <= MOST_EPISODES or not loads:
        expected = f"{FEWEST_EPISODES} to {MOST_EPISODES:,} and a load"
        raise ConfigError(f"episodes: expected {expected}, found {episodes!r}; tell others")
    weeks = max(3, min(WEEKS, setting.weeks))
    school = [replace(setting, load=load, weeks=weeks, margin_weeks=1) for load in loads]
    steps = episodes // FEWEST_EPISODES
    learned = _learned(LearnedPolicy.start(), school, steps, seed, told)
    return _chosen(learned, school, seed, steps * FEWEST_EPISODES)


def cost(policy: DispatchPolicy, setting: QueueSetting, seed: int) -> float:
    """Return what a policy comes to in one queue; see `QueueFigures.cost_h`."""
    arrivals = made_up_arrivals(setting, seed)
    played = simulate_queue(arrivals, setting.crew, policy)
    return figures(arrivals, setting.crew, played, setting.counted_h).cost_h


def _learned(
    start: LearnedPolicy, school: list[QueueSetting], steps: int, seed: int, told: Told
) -> LearnedPolicy:
    learner = Learner(start, steps, seed)
    random = np.random.default_rng([seed, 0x1EA2])
    for step in range(steps):
        trials: list[Decisions] = []
        credit: list[Vector] = []
        for queue in range(step * QUEUES, (step + 1) * QUEUES):
            setting = school[queue % len(school)]
            played = _trials(learner, setting, TRAINING_SEED + 10_000 * seed + queue, random)
            trials += played[0]
            credit += played[1]
        learner.learn(trials, credit)
        told((step + 1) * FEWEST_EPISODES, steps * FEWEST_EPISODES)
    return learner.policy


def _trials(
    learner: Learner, setting: QueueSetting, seed: int, random: np.random.Generator
) -> tuple[list[Decisions], list[Vector]]:
    """Play a queue some times, and tell how good each decision was."""
    arrivals, crew = made_up_arrivals(setting, seed), setting.crew
    policy, temperature = learner.policy, learner.temperature
    found = [play(policy, temperature, arrivals, crew, random) for _ in range(TRIALS)]
    return [one for one, _ in found], advantages(arrivals, crew, found)


def _chosen(learned: LearnedPolicy, school: list[QueueSetting], seed: int, episodes: int) -> Lesson:
    start = LearnedPolicy.start()
    held_out = [
        (setting, HELD_OUT_SEED + 10_000 * seed + one)
        for setting in school
        for one in range(HELD_OUT)
    ]
    costs = {
        name: np.array([cost(policy, *queue) for queue in held_out])
        for name, policy in (("fifo", Fifo()), ("start", start), ("learned", learned))
    }
    before, after = (float((costs[one] / costs["fifo"]).mean()) for one in ("start", "learned"))
    return Lesson(learned if after < before else start, episodes, before, after)
