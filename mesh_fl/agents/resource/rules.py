"""Dispatch rules: whoever is free takes the waiting task that comes first by a rule.

Technicians are never idle while a task waits that they can do and finish in time (Graham 1969).
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.problem import Problem
from mesh_fl.agents.resource.schedule import Schedule
from mesh_fl.agents.resource.schedule_grid import NEVER_MIN, Flags, Grid, Minutes
from mesh_fl.agents.resource.schedule_placing import Placement, Plan, pieces_from, schedule_of

Vector = NDArray[np.float64]

LOOKAHEAD = 2.0
"""Of ATC: a task is urgent when its slack is about so many mean tasks."""


class Rule(StrEnum):
    """Which waiting task goes first.

    FIFO: released first. SPT: shortest. WSPT: shortest for its weight (Smith 1956). EDD: due first
    (Jackson 1955). ATC: apparent tardiness cost (Vepsalainen and Morton 1987). SLACK: least time to
    spare until it has to begin. Ties go to the task that stands first.
    """

    FIFO = "fifo"
    SPT = "spt"
    WSPT = "wspt"
    EDD = "edd"
    ATC = "atc"
    SLACK = "slack"


def dispatch(problem: Problem, rule: Rule, ranks: Vector | None = None) -> Schedule:
    """Plan by a rule.

    Parameters
    ----------
    problem : Problem
    rule : Rule
    ranks : ndarray, shape (technicians,), optional
        Of those who are free at the same moment the lowest goes first; by default whoever can do
        the fewest tasks, so that those who can do more are kept for them.
    """
    return schedule_of(problem, dispatched(problem.grid, rule, ranks), f"rule:{rule}")


def dispatched(grid: Grid, rule: Rule, ranks: Vector | None = None) -> Plan:
    """Plan by a rule, by position and minute."""
    ranks = grid.can.sum(axis=0).astype(float) if ranks is None else ranks
    return _Floor(grid, rule, ranks).run()


def urgency(rule: Rule, grid: Grid, now: int, tasks: Minutes) -> Vector:
    """Return by what a rule orders some tasks, the smallest first, shape (tasks,)."""
    work, due = grid.work[tasks], grid.due[tasks]
    match rule:
        case Rule.FIFO:
            order = grid.release[tasks]
        case Rule.SPT:
            order = work
        case Rule.WSPT:
            return np.asarray(work / grid.weight[tasks], dtype=float)
        case Rule.EDD:
            order = due
        case Rule.SLACK:
            # Without a due time the slack is endless, however long the work.
            order = np.where(due == NEVER_MIN, NEVER_MIN, due - work - now)
        case Rule.ATC:
            return -_tardiness_cost(grid, now, tasks)
    return order.astype(float)


def _tardiness_cost(grid: Grid, now: int, tasks: Minutes) -> Vector:
    """Without a due time, a task is taken to be due at the horizon."""
    work = grid.work[tasks]
    slack = np.maximum(0, np.minimum(grid.due[tasks], max(grid.horizon, now)) - work - now)
    # In logarithms, since the exponential of a long slack is 0 for every task alike.
    cost: Vector = np.log(grid.weight[tasks] / work) - slack / (LOOKAHEAD * grid.mean_work)
    return cost


RELEASE, FREE = 0, 1
"""Kinds of events; at the same minute tasks come before technicians choose."""

NOT_CALLED = -1


class _Floor:
    """Tasks that wait, and technicians that are free, as time goes by.

    Technicians are numbered by their turn, so that the first of some is the one with the lowest.
    """

    def __init__(self, grid: Grid, rule: Rule, ranks: Vector) -> None:
        self.grid, self.rule = grid, rule
        self.who: list[int] = np.argsort(ranks, kind="stable").tolist()
        self.days = _Days([grid.windows[one] for one in self.who])
        self.can = grid.can[:, self.who]
        self.can_do = np.ascontiguousarray(self.can.T)
        self.work: list[int] = grid.work.tolist()
        self.waiting = np.zeros(len(grid.work), dtype=bool)
        self.free = np.zeros(len(self.who), dtype=bool)
        self.called = np.full(len(self.who), NOT_CALLED)
        self.plan: list[Placement | None] = [None] * len(grid.work)
        self.events = list(self._beginning())
        heapify(self.events)

    @cached_property
    def order(self) -> Vector | None:
        """By what tasks are ordered; None where that changes as time goes by."""
        if self.rule in {Rule.ATC, Rule.SLACK}:
            return None
        return urgency(self.rule, self.grid, 0, np.arange(len(self.work)))

    def _beginning(self) -> Iterator[tuple[int, int, int]]:
        for task in np.flatnonzero(self.can.any(axis=1)).tolist():
            yield int(self.grid.earliest[task]), RELEASE, task
        for technician in range(len(self.who)):
            self.called[technician] = 0
            yield 0, FREE, technician

    def run(self) -> Plan:
        """Let time go by until nothing more can happen."""
        while self.events:
            now, kind, which = heappop(self.events)
            if kind == RELEASE:
                self.days.go_to(now)
                self._release(now, which)
            elif self.called[which] == now:
                self.called[which] = NOT_CALLED
                self.days.go_to(now)
                self._choose(now, which)
        return tuple(self.plan)

    def _release(self, now: int, task: int) -> None:
        """Give a task to the first who is free and has time, or let it wait for them."""
        able = self.free & self.can[task]
        if not able.any():
            self.waiting[task] = True
            return
        # Whoever begins to work this very minute chooses among all that wait.
        ready = able & (self.called != now) & self._have_time(task, now)
        first = int(ready.argmax())
        if ready[first]:
            self._assign(task, first, now)
            return
        self.waiting[task] = True
        for technician in np.flatnonzero(able & (self.called == NOT_CALLED)).tolist():
            self._call_for_next_window(technician, now)

    def _have_time(self, task: int, now: int) -> Flags:
        """Tell who has time for a task from now on, shape (technicians,)."""
        if self.grid.latest[task] < now:
            return np.zeros(len(self.who), dtype=bool)
        room = self.days.rooms(now)
        if self.grid.splits[task]:
            room = np.where(room > 0, room + self.days.later, 0)
        return np.asarray(room >= self.work[task])

    def _choose(self, now: int, technician: int) -> None:
        """Let somebody who is free take a task, or wait for one."""
        self.free[technician] = True
        mine = np.flatnonzero(self.waiting & self.can_do[technician])
        if not len(mine):
            return
        tasks = self._fitting(mine, technician, now)
        if len(tasks):
            self._assign(self._first(tasks, now), technician, now)
        else:
            self._call_for_next_window(technician, now)

    def _first(self, tasks: Minutes, now: int) -> int:
        order = self.order
        told = urgency(self.rule, self.grid, now, tasks) if order is None else order[tasks]
        return int(tasks[np.argmin(told)])

    def _fitting(self, tasks: Minutes, technician: int, now: int) -> Minutes:
        """Return those of some tasks that somebody has time for from now on."""
        grid, room = self.grid, self.days.room(technician, now)
        if room == 0:
            return tasks[:0]
        work = grid.work[tasks]
        fits = work <= room
        if grid.any_splits:
            fits |= grid.splits[tasks] & (work <= room + self.days.later[technician])
        return tasks[fits & (grid.latest[tasks] >= now)]

    def _assign(self, task: int, technician: int, now: int) -> None:
        work, who = self.work[task], self.who[technician]
        whole = work <= self.days.room(technician, now)
        pieces = ((now, now + work),) if whole else pieces_from(self.grid.windows[who], now, work)
        placed = Placement(who, pieces)
        self.plan[task] = placed
        self.waiting[task] = False
        self.free[technician] = False
        self._call(placed.end, technician)

    def _call_for_next_window(self, technician: int, now: int) -> None:
        begin = self.days.next_begin(technician, now)
        if self.called[technician] == NOT_CALLED and begin < NEVER_MIN:
            self._call(begin, technician)

    def _call(self, when: int, technician: int) -> None:
        self.called[technician] = when
        heappush(self.events, (when, FREE, technician))


class _Days:
    """The windows of technicians, gone through once as time goes by.

    Of each technician `begin` and `end` are those of the first window that is not over, `later` the
    minutes of all after it, and `following` when the next one opens; each of shape (technicians,).
    """

    def __init__(self, windows: list[Minutes]) -> None:
        most = max(map(len, windows), default=0) + 2
        shape = (len(windows), most)
        # Windows that never open stand behind the last ones.
        self.begins, self.ends = np.full(shape, NEVER_MIN), np.full(shape, NEVER_MIN)
        self.laters = np.zeros(shape, dtype=np.int64)
        for one, spans in enumerate(windows):
            lengths = spans[:, 1] - spans[:, 0]
            self.begins[one, : len(spans)], self.ends[one, : len(spans)] = spans.T
            self.laters[one, : len(spans)] = lengths.sum() - np.cumsum(lengths)
        self.places = np.zeros(len(windows), dtype=np.int64)
        self._look()

    def _look(self) -> None:
        every = np.arange(len(self.places))
        self.begin, self.end = self.begins[every, self.places], self.ends[every, self.places]
        self.later = self.laters[every, self.places]
        self.following = self.begins[every, self.places + 1]
        self.first_end = int(self.end.min(initial=NEVER_MIN))

    def go_to(self, now: int) -> None:
        """Leave behind what is over."""
        while self.first_end <= now:
            self.places += self.end <= now
            self._look()

    def rooms(self, now: int) -> Minutes:
        """Return the minutes left in the windows that are open, 0 where none is."""
        return np.where(self.begin <= now, self.end - now, 0)

    def room(self, technician: int, now: int) -> int:
        """Return the same of one technician."""
        return int(self.end[technician]) - now if self.begin[technician] <= now else 0

    def next_begin(self, technician: int, now: int) -> int:
        """Return when the next window opens; never if none does."""
        begin = int(self.begin[technician])
        return begin if begin > now else int(self.following[technician])
