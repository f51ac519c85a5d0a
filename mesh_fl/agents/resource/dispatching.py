"""Dispatching rules as policies of a queue that goes on."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals, Known
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.policy import Chooser, DispatchPolicy, Seen

Vector = NDArray[np.float64]

NEVER_DUE_H = 1e4
"""Slack of a ticket that is never due, and the most of any."""

LOOKAHEAD = 2.0


@dataclass(frozen=True)
class Fifo:
    """Opened first."""

    name: str = "FIFO"

    def begin(self, known: Known, crew: Crew) -> Vector:
        """Rank by opening."""
        return known.opened_h


@dataclass(frozen=True)
class Spt:
    """Predicted to be the shortest."""

    name: str = "SPT"

    def begin(self, known: Known, crew: Crew) -> Vector:
        """Rank by predicted hours."""
        return known.predicted_h


@dataclass(frozen=True)
class Wspt:
    """Predicted to be the shortest for its weight (Smith 1956)."""

    name: str = "WSPT"

    def begin(self, known: Known, crew: Crew) -> Vector:
        """Rank by predicted hours over weight."""
        return _over(known.predicted_h, known.weight)


@dataclass(frozen=True)
class Edd:
    """Due first (Jackson 1955)."""

    name: str = "EDD"

    def begin(self, known: Known, crew: Crew) -> Vector:
        """Rank by when it is due."""
        return known.due_h


@dataclass(frozen=True)
class Atc:
    """Apparent tardiness cost (Vepsalainen and Morton 1987), by predicted hours.

    Parameters
    ----------
    lookahead : float
        A ticket is urgent when its slack is about so many mean predicted hours of those that wait.
    """

    lookahead: float = LOOKAHEAD

    @property
    def name(self) -> str:
        """With its lookahead."""
        return f"ATC({self.lookahead:g})"

    def begin(self, known: Known, crew: Crew) -> Chooser:
        """Rank at each decision, since slack shrinks."""
        return self._ranks

    def _ranks(self, seen: Seen) -> Vector:
        known, waiting = seen.known, seen.waiting
        predicted = known.predicted_h[waiting]
        slack = np.clip(known.due_h[waiting] - predicted - seen.now_h, 0.0, NEVER_DUE_H)
        # In logarithms, since the exponential of a long slack is 0 for every ticket alike.
        urgent: Vector = slack / (self.lookahead * predicted.mean())
        return urgent + np.log(_over(predicted, known.weight[waiting]))


@dataclass(frozen=True)
class Oracle:
    """Shortest for its weight with the true hours known beforehand, which nobody knows.

    Parameters
    ----------
    hours : ndarray, shape (n,)
    by_weight : bool
    """

    hours: Vector = field(repr=False)
    by_weight: bool = True

    @property
    def name(self) -> str:
        """It tells that it knows."""
        return "true WSPT" if self.by_weight else "true SPT"

    def begin(self, known: Known, crew: Crew) -> Vector:
        """Rank by true hours."""
        return _over(self.hours, known.weight) if self.by_weight else self.hours


def oracles(arrivals: Arrivals) -> tuple[DispatchPolicy, ...]:
    """Return those who know the hours of these tickets."""
    return Oracle(arrivals.hours, by_weight=False), Oracle(arrivals.hours)


RULES: tuple[DispatchPolicy, ...] = (Fifo(), Spt(), Wspt(), Edd(), Atc())
"""Rules with nothing to learn."""


def _over(hours: Vector, weight: Vector) -> Vector:
    return np.asarray(hours / np.maximum(weight, 1e-9))
