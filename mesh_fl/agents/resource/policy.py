"""What decides which waiting ticket a free technician takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Known
from mesh_fl.agents.resource.dispatching_crew import Crew

Vector = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a policy sees as a technician becomes free; true hours are not among it.

    Parameters
    ----------
    now_h : float
    waiting : ndarray of int
        Tickets that the technician can do, by place in `known`, those opened first first.
    others : ndarray of int
        Waiting tickets that only others can do.
    technician : int
    free_at_h : list of float
        When everybody is expected to be free, by predicted hours.
    known : Known
        Of all tickets; nothing of those not opened yet may be read.
    crew : Crew
    """

    now_h: float
    waiting: Places
    others: Places
    technician: int
    free_at_h: list[float]
    known: Known = field(repr=False)
    crew: Crew = field(repr=False)


Chooser = Callable[[Seen], Vector]
"""Ranks the waiting tickets, shape (waiting,): the smallest goes first, and of those the oldest."""


class DispatchPolicy(Protocol):
    """Ranks waiting tickets."""

    @property
    def name(self) -> str:
        """What people call it."""

    def begin(self, known: Known, crew: Crew) -> Vector | Chooser:
        """Begin a simulation.

        Returns
        -------
        ndarray of shape (n,), or callable
            Ranks of all tickets where they never change, or else what ranks those that wait. A
            ticket's rank must depend on what is known once it is opened.
        """
