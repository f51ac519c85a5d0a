"""Trial: a learned policy plays a queue and now and then takes another ticket than its first."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals, Known
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.policy import Chooser, Seen
from mesh_fl.agents.resource.policy_features import FEATURES, Tickets
from mesh_fl.agents.resource.policy_learned import LearnedPolicy, Network
from mesh_fl.agents.resource.simulator import Played, simulate_queue

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """What was decided in one queue, in order of time.

    Parameters
    ----------
    at_h : ndarray, shape (decisions,)
    features : ndarray, shape (tickets, features)
        Of all that waited at the first decision, then at the second, and so on.
    log_ratio : ndarray, shape (tickets,)
        By which WSPT ranks them.
    waiting, chosen : ndarray of int, shape (decisions,)
        How many waited, and which of them was taken.
    """

    at_h: Vector = field(repr=False)
    features: Matrix = field(repr=False)
    log_ratio: Vector = field(repr=False)
    waiting: Places = field(repr=False)
    chosen: Places = field(repr=False)


def play(
    policy: LearnedPolicy,
    temperature: float,
    arrivals: Arrivals,
    crew: Crew,
    random: np.random.Generator,
) -> tuple[Decisions, Played]:
    """Play a queue, and take each ticket with the probability that a softmax of scores gives it.

    Parameters
    ----------
    policy : LearnedPolicy
    temperature : float
        A ticket whose score is worse by this is taken e times as rarely.
    arrivals : Arrivals
    crew : Crew
    random : Generator
    """
    trial = _Trial(policy, temperature, random)
    played = simulate_queue(arrivals, crew, trial)
    return trial.decisions(), played


class _Trial:
    name = "trial"

    def __init__(
        self, policy: LearnedPolicy, temperature: float, random: np.random.Generator
    ) -> None:
        self._network, self._random = Network(policy.blocks), random
        self._temperature = temperature
        self._at: list[float] = []
        self._features: list[Matrix] = [np.zeros((0, len(FEATURES)))]
        self._log_ratio: list[Vector] = [np.zeros(0)]
        self._chosen: list[int] = []

    def begin(self, known: Known, crew: Crew) -> Chooser:
        """Choose at random at each decision, and note it down."""
        tickets = Tickets(known, crew)

        def choose(seen: Seen) -> Vector:
            features, log_ratio = tickets.features(seen), tickets.log_ratio[seen.waiting]
            scores = (log_ratio + self._network(features)) / self._temperature
            # The first of scores with Gumbel noise is a draw from their softmax (Gumbel 1954).
            ranks: Vector = scores - self._random.gumbel(size=len(scores))
            self._note(seen.now_h, features, log_ratio, int(ranks.argmin()))
            return ranks

        return choose

    def _note(self, now_h: float, features: Matrix, log_ratio: Vector, chosen: int) -> None:
        self._at.append(now_h)
        self._features.append(features)
        self._log_ratio.append(log_ratio)
        self._chosen.append(chosen)

    def decisions(self) -> Decisions:
        """Return what was decided."""
        return Decisions(
            at_h=np.array(self._at),
            features=np.concatenate(self._features),
            log_ratio=np.concatenate(self._log_ratio),
            waiting=np.array([len(one) for one in self._log_ratio[1:]], dtype=np.int64),
            chosen=np.array(self._chosen, dtype=np.int64),
        )
