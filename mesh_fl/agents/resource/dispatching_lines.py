"""Tickets that wait, in whichever way a policy ranks them."""

from abc import ABC, abstractmethod
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Known
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.policy import Chooser, DispatchPolicy, Seen


class Line(ABC):
    """Waiting tickets."""

    @abstractmethod
    def push(self, ticket: int, skill: int) -> None:
        """Let a ticket wait."""

    @abstractmethod
    def pop(self, now: float, technician: int, free_at: list[float]) -> int | None:
        """Take out the ticket that a technician does next; None if none can be done."""


def line_of(policy: DispatchPolicy, known: Known, crew: Crew) -> Line:
    """Return an empty line that a policy orders."""
    found = policy.begin(known, crew)
    return _Ranked(found, crew) if isinstance(found, np.ndarray) else _Chosen(found, known, crew)


class _Ranked(Line):
    """A heap for each skill, where ranks never change."""

    def __init__(self, ranks: NDArray[np.float64], crew: Crew) -> None:
        self._ranks: list[float] = ranks.tolist()
        self._heaps: list[list[tuple[float, int]]] = [[] for _ in range(crew.can.shape[1])]
        self._of = [[self._heaps[skill] for skill in np.flatnonzero(row)] for row in crew.can]

    def push(self, ticket: int, skill: int) -> None:
        heappush(self._heaps[skill], (self._ranks[ticket], ticket))

    def pop(self, now: float, technician: int, free_at: list[float]) -> int | None:
        heaps = [heap for heap in self._of[technician] if heap]
        return heappop(min(heaps, key=lambda heap: heap[0]))[1] if heaps else None


class _Chosen(Line):
    """A list for each skill, where a policy looks at all that wait."""

    def __init__(self, choose: Chooser, known: Known, crew: Crew) -> None:
        self._choose, self._known, self._crew = choose, known, crew
        self._lists: list[list[int]] = [[] for _ in range(crew.can.shape[1])]

    def push(self, ticket: int, skill: int) -> None:
        self._lists[skill].append(ticket)

    def pop(self, now: float, technician: int, free_at: list[float]) -> int | None:
        waiting = self._waiting(technician, True)
        if not len(waiting):
            return None
        place = 0
        if len(waiting) > 1:
            others = self._waiting(technician, False)
            seen = Seen(now, waiting, others, technician, free_at, self._known, self._crew)
            place = int(np.argmin(self._choose(seen)))
        ticket = int(waiting[place])
        self._lists[self._known.skill[ticket]].remove(ticket)
        return ticket

    def _waiting(self, technician: int, can: bool) -> NDArray[np.int64]:
        able = self._crew.can[technician].tolist()
        found = [
            one
            for skill, is_able in enumerate(able)
            if is_able is can
            for one in self._lists[skill]
        ]
        found.sort()
        return np.array(found, dtype=np.int64)
