"""A queue's past in other orders, beside the waits that were observed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals
from mesh_fl.agents.resource.dispatching import Fifo
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.agents.resource.replay_history import History
from mesh_fl.agents.resource.simulator import Played, simulate_queue

Vector = NDArray[np.float64]

LEAST_SHARE = 0.2
"""Of the hours there are that go into tickets, at least; less is no queue of tickets."""

HALVINGS = 12
RESAMPLES = 2000
WEEKS_A_MONTH = 365.25 / 12 / 7


@dataclass(frozen=True)
class Saving:
    """What one policy saves beside FIFO, in hours of waiting a month.

    Parameters
    ----------
    policy : str
    hours_saved_a_month, low, high : float
        Of all clients together, each ticket alike; with a 95 % bootstrap interval over weeks.
    weighted_share : float
        By which share the flow time, each ticket counting by its weight, is lower.
    flow_h, wait_h : float
        Means.
    """

    policy: str
    hours_saved_a_month: float
    low: float
    high: float
    weighted_share: float
    flow_h: float
    wait_h: float


class Past:
    """Tickets, predictions, and what becomes of them.

    Parameters
    ----------
    history : History
    predicted_h : ndarray, shape (n,)
        Hours as they were predicted at opening.
    """

    def __init__(self, history: History, predicted_h: Vector) -> None:
        self.history, self._predicted = history, predicted_h
        weeks = np.unique(history.week)
        self.second = history.week > weeks[len(weeks) // 2 - 1]

    def play(self, policy: DispatchPolicy, share: float) -> Played:
        """Play all tickets; they take longer the smaller the share of time that goes into them."""
        history = self.history
        arrivals = Arrivals(history.known(self._predicted / share), history.hours / share)
        return simulate_queue(arrivals, history.crew, policy)

    def waits(self, played: Played) -> tuple[Vector, Vector]:
        """Return how long tickets waited, as it was and as it was played."""
        opened = self.history.opened_h
        return self.history.start_h - opened, played.start_h - opened

    def fitted_share(self) -> float:
        """Return the share of time for tickets with which the first half waits as it did."""
        if self._first_half(1.0) >= 0:
            return 1.0
        low, high = LEAST_SHARE, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._first_half(middle) >= 0 else (low, middle)
        return (low + high) / 2

    def _first_half(self, share: float) -> float:
        """Return by how much the first half waits longer when it is played than it did."""
        observed, played = self.waits(self.play(Fifo(), share))
        return float((played - observed)[~self.second].mean())

    def correlation(self, played: Played) -> float:
        """Return that of weekly mean waits; NaN where one never changes."""
        weeks = self.history.week - self.history.week.min()
        counts = np.bincount(weeks)
        observed, played_h = (
            np.asarray(np.bincount(weeks, one)[counts > 0] / counts[counts > 0])
            for one in self.waits(played)
        )
        if min(observed.std(), played_h.std()) < 1e-9:
            return float("nan")
        return float(np.corrcoef(observed, played_h)[0, 1])

    def gained_already(self, played: Played, first: Played) -> float:
        """Return the share of what a policy gains beside FIFO that the past had gained itself.

        Whatever the order, hours of work times hours of waiting come to the same in all (Kleinrock
        1965, Naval Research Logistics Quarterly 12, 181-192): who waits less than first come, first
        served has let the long ones wait for the short ones. So the covariance of work and waiting
        tells how far an order was from FIFO, within each week. What chance alone could make of the
        weeks (two standard errors) is 0.
        """
        observed, fifo = map(self._covariances, self.waits(first))
        gain = float((self._covariances(self.waits(played)[1]) - fifo).sum())
        gained = observed - fifo
        is_clear = abs(gained.mean()) > 2 * gained.std(ddof=1) / math.sqrt(len(gained))
        return float(gained.sum()) / gain if gain > 0 and is_clear else 0.0

    def _covariances(self, waits: Vector) -> Vector:
        """Return the sum of each week's products of work and waiting beside the week's mean."""
        weeks = self.history.week - self.history.week.min()
        means = np.bincount(weeks, waits) / np.maximum(np.bincount(weeks), 1)
        return np.asarray(np.bincount(weeks, self.history.hours * (waits - means[weeks])))

    def saving(self, policy: DispatchPolicy, first: Played, share: float, seed: int) -> Saving:
        """Return what a policy saves beside FIFO."""
        history, played = self.history, self.play(policy, share)
        saved = first.end_h - played.end_h
        weeks = history.week - history.week.min()
        sums = np.bincount(weeks, saved)
        random = np.random.default_rng([seed, 0xB007])
        means = random.choice(sums, (RESAMPLES, len(sums))).mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        flow = first.end_h - history.opened_h
        return Saving(
            policy=policy.name,
            hours_saved_a_month=float(sums.mean()) * WEEKS_A_MONTH,
            low=float(low) * WEEKS_A_MONTH,
            high=float(high) * WEEKS_A_MONTH,
            weighted_share=float((history.weight @ saved) / (history.weight @ flow)),
            flow_h=float((played.end_h - history.opened_h).mean()),
            wait_h=float((played.start_h - history.opened_h).mean()),
        )
