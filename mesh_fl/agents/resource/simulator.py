"""A queue of tickets and the technicians who work on it, event by event.

A technician who is free and at work takes the ticket that the policy ranks first among those that
he or she can do, and finishes it, with pauses between shifts. Nobody idles at work while a ticket
waits that he or she can do.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.dispatching_lines import line_of
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.errors import DataError

Vector = NDArray[np.float64]

FREE, SHIFT = 0, 1
"""Kinds of events; tickets that come at the same moment come first."""


@dataclass(frozen=True)
class Played:
    """What happened to each ticket, in the order of the arrivals; each shape (n,).

    Parameters
    ----------
    start_h, end_h : ndarray
        When work began and was done.
    technician : ndarray of int
        Who did it.
    """

    start_h: Vector = field(repr=False)
    end_h: Vector = field(repr=False)
    technician: NDArray[np.int64] = field(repr=False)


def simulate_queue(arrivals: Arrivals, crew: Crew, policy: DispatchPolicy) -> Played:
    """Let tickets come, wait and be done, until all are.

    Parameters
    ----------
    arrivals : Arrivals
    crew : Crew
    policy : DispatchPolicy
        Sees predicted hours; true ones only pass.

    Raises
    ------
    DataError
        If a ticket needs a skill that nobody has.
    """
    skills = arrivals.known.skill
    known = range(crew.can.shape[1])
    lacking = sorted({one for one in skills.tolist() if one not in known or not crew.able[one]})
    if lacking:
        raise DataError(f"skill {lacking[0]}: nobody has it, so its tickets would wait for ever")
    return _Floor(arrivals, crew, policy).run()


class _Floor:
    """Technicians and tickets as time goes by."""

    def __init__(self, arrivals: Arrivals, crew: Crew, policy: DispatchPolicy) -> None:
        known, tickets, people = arrivals.known, len(arrivals.hours), len(crew.can)
        # Lists, since single entries of arrays are slow to read.
        self.opened: list[float] = known.opened_h.tolist()
        self.skill: list[int] = known.skill.tolist()
        self.predicted: list[float] = known.predicted_h.tolist()
        self.hours: list[float] = arrivals.hours.tolist()
        self.calendars, self.able = crew.calendars, crew.able
        self.line = line_of(policy, known, crew)
        self.idle, self.called = [True] * people, [False] * people
        self.free_at = [0.0] * people
        self.start, self.end = [0.0] * tickets, [0.0] * tickets
        self.who = [0] * tickets
        self.events: list[tuple[float, int, int]] = []

    def run(self) -> Played:
        """Go from event to event."""
        ticket, tickets, events = 0, len(self.opened), self.events
        while ticket < tickets or events:
            if ticket < tickets and (not events or self.opened[ticket] <= events[0][0]):
                self._open(ticket)
                ticket += 1
            else:
                now, kind, technician = heappop(events)
                if kind == SHIFT:
                    self.called[technician] = False
                else:
                    self.idle[technician] = True
                if self.idle[technician]:
                    self._take(now, technician)
        return Played(np.array(self.start), np.array(self.end), np.array(self.who, dtype=np.int64))

    def _open(self, ticket: int) -> None:
        """Give a ticket to somebody who is idle, or let it wait."""
        now = self.opened[ticket]
        for technician in self.able[self.skill[ticket]]:
            if self.idle[technician] and self._is_at_work(now, technician):
                self._begin(now, technician, ticket)
                return
        self.line.push(ticket, self.skill[ticket])

    def _take(self, now: float, technician: int) -> None:
        """Let somebody idle take the next ticket, if there is one and the shift is on."""
        if self._is_at_work(now, technician):
            ticket = self.line.pop(now, technician, self.free_at)
            if ticket is not None:
                self._begin(now, technician, ticket)

    def _is_at_work(self, now: float, technician: int) -> bool:
        """Tell whether somebody is; if not, call them as their shift begins."""
        opens = self.calendars[technician].opens(now)
        if opens > now and not self.called[technician]:
            self.called[technician] = True
            heappush(self.events, (opens, SHIFT, technician))
        return opens <= now

    def _begin(self, now: float, technician: int, ticket: int) -> None:
        calendar = self.calendars[technician]
        end = calendar.ends(now, self.hours[ticket])
        self.start[ticket], self.end[ticket], self.who[ticket] = now, end, technician
        self.idle[technician] = False
        self.free_at[technician] = calendar.ends(now, self.predicted[ticket])
        heappush(self.events, (end, FREE, technician))
