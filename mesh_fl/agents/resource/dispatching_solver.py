"""CP-SAT as a policy: the waiting tickets are planned again and again (rolling horizon)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Known
from mesh_fl.agents.resource.dispatching import Atc
from mesh_fl.agents.resource.dispatching_crew import Calendar, Crew
from mesh_fl.agents.resource.objective import Mode
from mesh_fl.agents.resource.policy import Chooser, Seen
from mesh_fl.agents.resource.problem import MOST_WEIGHT, Problem, Task, Technician
from mesh_fl.agents.resource.schedule import Schedule
from mesh_fl.agents.resource.schedule_grid import Span
from mesh_fl.agents.resource.solver import solve

Vector = NDArray[np.float64]

HORIZON_H = 24.0 * 14
LEAST_H = 1 / 60
"""Plans count in minutes."""

NOT_ITS_OWN, NOT_PLANNED = 1e4, 1e6
"""What a ticket's rank grows by where the plan gives it to others, or knows nothing of it."""


@dataclass(frozen=True)
class RollingPlan:
    """Takes the ticket that a plan of all waiting ones gives to the technician first.

    Plans take predicted hours for true ones and know of no ticket to come. One is made where a
    ticket waits that the last one does not know of, or where that is too old.

    Parameters
    ----------
    seconds : float
        Of search for each plan.
    most : int
        Tickets in a plan: those that ATC puts first.
    age_h : float
        After which a plan is too old.
    mode : str
        See `objective`.
    """

    seconds: float = 0.05
    most: int = 40
    age_h: float = 4.0
    mode: Mode = "speed"
    name: str = "CP-SAT"

    def begin(self, known: Known, crew: Crew) -> Chooser:
        """Rank by the newest plan."""
        return _Planner(self, crew)


@dataclass
class _Plan:
    """When each ticket of a plan begins, and by whom."""

    at_h: float = -np.inf
    begins: dict[int, tuple[float, int]] = field(default_factory=dict)


class _Planner:
    def __init__(self, policy: RollingPlan, crew: Crew) -> None:
        self._policy, self._crew = policy, crew
        self._urgency = Atc(16.0)
        self._plan = _Plan()

    def __call__(self, seen: Seen) -> Vector:
        """Return ranks of the waiting tickets."""
        if self._is_old(seen):
            self._plan = self._made(seen)
        return np.array([self._rank(ticket, seen) for ticket in seen.waiting.tolist()])

    def _is_old(self, seen: Seen) -> bool:
        waiting = len(seen.waiting) + len(seen.others)
        # Of a long queue only the first are planned: new ones then wait for the next plan.
        short = waiting <= self._policy.most
        strangers = short and any(one not in self._plan.begins for one in seen.waiting.tolist())
        own = any(one in self._plan.begins for one in seen.waiting.tolist())
        too_old = seen.now_h - self._plan.at_h > self._policy.age_h
        return strangers or not own or too_old

    def _rank(self, ticket: int, seen: Seen) -> float:
        if ticket not in self._plan.begins:
            return NOT_PLANNED
        begins, technician = self._plan.begins[ticket]
        since = begins - self._plan.at_h
        return since if technician == seen.technician else since + NOT_ITS_OWN

    def _made(self, seen: Seen) -> _Plan:
        first = self._first(seen)
        found = solve(self._problem(seen, first), self._policy.mode, seconds=self._policy.seconds)
        return _Plan(seen.now_h, dict(_begins(found, seen.now_h)))

    def _first(self, seen: Seen) -> list[int]:
        every = np.sort(np.concatenate([seen.waiting, seen.others]))
        ranks = self._urgency.begin(seen.known, seen.crew)(
            Seen(
                seen.now_h,
                every,
                seen.others,
                seen.technician,
                seen.free_at_h,
                seen.known,
                seen.crew,
            )
        )
        chosen = every[np.argsort(ranks, kind="stable")[: self._policy.most]].tolist()
        # Whoever asks has to find something of its own in the plan.
        return chosen if set(chosen) & set(seen.waiting.tolist()) else [*chosen, seen.waiting[0]]

    def _problem(self, seen: Seen, tickets: list[int]) -> Problem:
        return Problem(
            tasks=tuple(_task(seen, ticket) for ticket in tickets),
            technicians=tuple(
                _technician(one, self._crew, seen) for one in range(len(self._crew.can))
            ),
            horizon_h=HORIZON_H,
        )


def _task(seen: Seen, ticket: int) -> Task:
    known, now = seen.known, seen.now_h
    due = float(known.due_h[ticket]) - now
    return Task(
        task_id=str(ticket),
        hours=max(float(known.predicted_h[ticket]), LEAST_H),
        due_h=due if np.isfinite(due) else None,
        release_h=float(known.opened_h[ticket]) - now,
        skills=frozenset({str(known.skill[ticket])}),
        weight=float(np.clip(known.weight[ticket], 1e-3, MOST_WEIGHT)),
        may_split=True,
    )


def _technician(one: int, crew: Crew, seen: Seen) -> Technician:
    wait = 0.0 if one == seen.technician else max(0.0, seen.free_at_h[one] - seen.now_h)
    return Technician(
        technician_id=str(one),
        skills=frozenset(map(str, np.flatnonzero(crew.can[one]).tolist())),
        available=_spans(crew.calendars[one], seen.now_h),
        busy=((0.0, min(wait, HORIZON_H)),) if wait else (),
    )


def _spans(calendar: Calendar, now: float) -> tuple[Span, ...]:
    """Return the shifts from now on, in hours from now; the whole horizon where there are none."""
    spans = ((start - now, end - now) for start, end in calendar.spans)
    found = tuple((max(0.0, a), min(b, HORIZON_H)) for a, b in spans if b > 0 and a < HORIZON_H)
    return found or ((0.0, HORIZON_H),)


def _begins(found: Schedule, now: float) -> list[tuple[int, tuple[float, int]]]:
    """Return the first piece of each ticket."""
    pieces = sorted(found.assignments, key=lambda one: -one.start_h)
    return [(int(one.task_id), (now + one.start_h, int(one.technician_id))) for one in pieces]
