"""A plan as an order of tasks for each technician, who does each as soon as it fits."""

import math
from collections.abc import Iterable

from mesh_fl.agents.resource.objective import Objective
from mesh_fl.agents.resource.schedule_grid import Grid
from mesh_fl.agents.resource.schedule_placing import Placement, Plan, pieces_from

Saved = tuple[list[list[int]], list[int], list[int], set[int]]


class Orders:
    """An order of tasks for each technician, and what it comes to.

    Parameters
    ----------
    grid : Grid
    counts : Objective
    plan : Plan

    Attributes
    ----------
    tried : int
        Places that were looked at so far: how much was done, on every machine alike.
    """

    def __init__(self, grid: Grid, counts: Objective, plan: Plan) -> None:
        self.grid = grid
        # Lists, since a figure of an array takes several times as long to read.
        self.work: list[int] = grid.work.tolist()
        self.earliest: list[int] = grid.earliest.tolist()
        self.latest: list[int] = grid.latest.tolist()
        self.due: list[int] = grid.still_due.tolist()
        self.flow: list[int] = counts.flow.tolist()
        self.late: list[int] = counts.late.tolist()
        self.pair: list[list[int]] = counts.pair.tolist()
        self.left_out: list[int] = counts.left_out.tolist()
        self.splits: list[bool] = grid.splits.tolist()
        self.gaps: list[list[list[int]]] = [spans.tolist() for spans in grid.windows]
        self.able: list[list[int]] = [row.nonzero()[0].tolist() for row in grid.can]
        self.able_sets = [frozenset(able) for able in self.able]
        self.who: list[int] = [-1] * len(plan)
        self.orders: list[list[int]] = [[] for _ in grid.windows]
        self._read(plan)
        self.costs = [int(self._cost(one, order)) for one, order in enumerate(self.orders)]
        self.tried = 0
        self.out = {task for task, able in enumerate(self.able) if able and self.who[task] < 0}

    def _read(self, plan: Plan) -> None:
        placed = [(one.start, task, one) for task, one in enumerate(plan) if one is not None]
        for _, task, one in sorted(placed, key=lambda each: each[:2]):
            self.who[task] = one.technician
            self.orders[one.technician].append(task)

    def total(self) -> int:
        """Return what all tasks come to, but for those that nobody can do."""
        return sum(self.costs) + sum(self.left_out[task] for task in self.out)

    def plan(self) -> Plan:
        """Return when each task is done."""
        found: list[Placement | None] = [None] * len(self.work)
        for task, begin in self.begins().items():
            windows = self.grid.windows[self.who[task]]
            found[task] = Placement(self.who[task], pieces_from(windows, begin, self.work[task]))
        return tuple(found)

    def begins(self) -> dict[int, int]:
        """Return when each task begins."""
        found = {}
        for technician, order in enumerate(self.orders):
            now, gap = 0, 0
            for task in order:
                found[task], now, gap = self._step(technician, task, now, gap)
        return found

    def _step(self, technician: int, task: int, now: int, gap: int) -> tuple[int, int, int]:
        """Return when somebody begins and ends a task that an order holds, and in which gap."""
        gaps, work = self.gaps[technician], self.work[task]
        now = max(now, self.earliest[task])
        whole = 1 if self.splits[task] else work
        while max(now, gaps[gap][0]) + whole > gaps[gap][1]:
            gap += 1
        begin = now = max(now, gaps[gap][0])
        while now + work > gaps[gap][1]:
            work -= max(0, gaps[gap][1] - now)
            gap += 1
            now = max(now, gaps[gap][0])
        return begin, now + work, gap

    def _cost(
        self,
        technician: int,
        order: Iterable[int],
        most: float = math.inf,
        now: int = 0,
        gap: int = 0,
        total: float = 0,
    ) -> float:
        """Return what an order comes to; infinity if it cannot be done, or comes to most or more.

        Parameters
        ----------
        now, gap, total : int
            Where the order begins, and what is before it comes to.
        """
        gaps = self.gaps[technician]
        for task in order:
            work = self.work[task]
            if now < self.earliest[task]:
                now = self.earliest[task]
            while True:
                if gap == len(gaps):
                    return math.inf
                start, end = gaps[gap]
                if now < start:
                    now = start
                if now + work <= end:
                    break
                if self.splits[task] and now < end and now <= self.latest[task]:
                    now, gap = self._last_piece(technician, work, now, gap)
                    if gap == len(gaps):
                        return math.inf
                    work = 0
                    break
                gap += 1
            if work and now > self.latest[task]:
                return math.inf
            now += work
            total += self._points(technician, task, now)
            if total >= most:
                return math.inf
        return total

    def _last_piece(self, technician: int, work: int, now: int, gap: int) -> tuple[int, int]:
        """Return when work is done that goes on over breaks, and in which gap; beyond the last."""
        for place in range(gap, len(self.gaps[technician])):
            start, end = self.gaps[technician][place]
            now = max(now, start)
            if now + work <= end:
                return now + work, place
            work -= max(0, end - now)
        return now, len(self.gaps[technician])

    def _points(self, technician: int, task: int, end: int) -> int:
        points = self.flow[task] * (end - self.earliest[task]) + self.pair[task][technician]
        return points + self.late[task] * (end - self.due[task]) if end > self.due[task] else points

    def take_out(self, task: int) -> None:
        """Let nobody do a task."""
        technician = self.who[task]
        if technician >= 0:
            self.orders[technician].remove(task)
            self.costs[technician] = int(self._cost(technician, self.orders[technician]))
            self.who[task] = -1
            self.out.add(task)

    def put_back(self, task: int) -> None:
        """Put a task where it costs least, if that is less than to leave it out."""
        least, where = self.left_out[task], None
        for technician in self.able[task]:
            found, place = self._cheapest(technician, task, least)
            if found < least:
                least, where = found, (technician, place)
        if where is not None:
            technician, place = where
            self.orders[technician].insert(place, task)
            self.costs[technician] += least
            self.who[task] = technician
            self.out.discard(task)

    def _cheapest(self, technician: int, task: int, least: int) -> tuple[int, int]:
        """Return what it costs at least to put a task into an order, if less, and the place."""
        order, cost = self.orders[technician], self.costs[technician]
        now, gap, total, best = 0, 0, 0, -1
        self.tried += len(order) + 1
        for place in range(len(order) + 1):
            # Others can only be delayed, so that its own cost is what it adds at least.
            soonest = max(now, self.earliest[task]) + self.work[task]
            if self._points(technician, task, soonest) >= least:
                break
            tail = (task, *order[place:])
            found = self._cost(technician, tail, cost + least, now, gap, total)
            if found < cost + least:
                least, best = int(found) - cost, place
            if place < len(order):
                _, now, gap = self._step(technician, order[place], now, gap)
                total += self._points(technician, order[place], now)
        return least, best

    def saved(self) -> Saved:
        """Return what `restore` takes."""
        orders = [order.copy() for order in self.orders]
        return orders, self.costs.copy(), self.who.copy(), self.out.copy()

    def restore(self, saved: Saved) -> None:
        """Go back to what was saved."""
        self.orders, self.costs, self.who, self.out = saved
