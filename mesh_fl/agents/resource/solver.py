"""Plans by constraint programming (OR-Tools CP-SAT), from the best plan of the dispatch rules.

The best rule's plan is improved by moving tasks, which gives CP-SAT a hint to begin with. A small
problem is then one model, and often proved to be solved. Of a large one, CP-SAT plans a part at a
time anew while the rest stays (Shaw 1998, CP98). No result is worse than the best rule's.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import takewhile
from random import Random

import numpy as np

from mesh_fl.agents.resource.objective import Mode, Objective, objective
from mesh_fl.agents.resource.problem import Problem
from mesh_fl.agents.resource.rules import Rule, dispatched
from mesh_fl.agents.resource.schedule import Schedule
from mesh_fl.agents.resource.schedule_effort import Clock
from mesh_fl.agents.resource.schedule_grid import Grid
from mesh_fl.agents.resource.schedule_model import Effort, PartModel
from mesh_fl.agents.resource.schedule_orders import Orders
from mesh_fl.agents.resource.schedule_placing import Plan, schedule_of
from mesh_fl.agents.resource.schedule_ruin import move_one_by_one, ruin_and_recreate
from mesh_fl.errors import ConfigError

MOST_SECONDS = 600.0
EXTRA = "OR-Tools is not installed: pip install 'mesh_fl[schedule]'"

TRIED_A_SECOND = 60_000
"""Places tried for a task, for each second allowed: about 0.3 s on one free core."""

PARTS_A_SECOND = 2
PART_STEPS = 0.02
"""Of CP-SAT's own count for one part: about 0.15 s on one free core."""

SMALL = 400
"""Pairs of tasks and technicians in one model at most."""

SMALL_STEPS_A_SECOND = 0.1

PART_TASKS, PART_TECHNICIANS = 12, 3

RULES_S = 5.0
"""That all rules together may take, whatever the time that is allowed."""

SPARE = 0.05
"""Share of the time that is left for what comes after the search, and for telling it."""


@dataclass(frozen=True)
class _Best:
    """The best plan so far.

    Parameters
    ----------
    plan : Plan
    method : str
    bound : float
        What none can fall below.
    is_optimal : bool
    """

    plan: Plan
    method: str
    bound: float = -math.inf
    is_optimal: bool = False


def solve(
    problem: Problem,
    mode: Mode = "balanced",
    seconds: float = 2.0,
    seed: int = 0,
    workers: int = 1,
) -> Schedule:
    """Plan as well as can be in so many seconds.

    Parameters
    ----------
    problem : Problem
    mode : {"balanced", "speed", "cost", "quality"}
        See `mesh_fl.agents.resource.objective.objective`.
    seconds : float
        For all of it. The search is counted in steps that take about two thirds of them on one
        free core; the clock cuts it off only on a machine that is busy or slower.
    seed : int
        With one worker, the same seed finds the same plan, unless `method` says that the clock
        cut it off.
    workers : int
        Of CP-SAT.

    Returns
    -------
    Schedule
        Without OR-Tools, what moving tasks comes to; `method` says so.

    Raises
    ------
    ConfigError
        If there is no such mode, or a figure is out of bounds.
    """
    if not 0 <= seconds <= MOST_SECONDS:
        raise ConfigError(f"seconds: expected 0 to {MOST_SECONDS:g}, found {seconds!r}")
    if not 1 <= workers <= 64:
        raise ConfigError(f"workers: expected 1 to 64, found {workers!r}")
    deadline = time.monotonic() + seconds * (1 - SPARE)
    counts = objective(problem, mode)
    search = _Search(problem.grid, counts, deadline, seconds, seed, workers, _has_cp_sat())
    best = search.run()
    value = counts.of(problem.grid, best.plan)
    return schedule_of(
        problem,
        best.plan,
        best.method,
        is_optimal=best.is_optimal,
        value=float(value),
        bound=float(value) if best.is_optimal else max(best.bound, float(search.least())),
    )


def _has_cp_sat() -> bool:
    """Load OR-Tools, which takes a second the first time, before time is shared out."""
    try:
        import_module("ortools.sat.python.cp_model")
    except ImportError:
        return False
    return True


def best_rule(grid: Grid, counts: Objective, deadline: float = math.inf) -> tuple[Rule, Plan]:
    """Return the rule whose plan is best, and the plan.

    Every rule is tried, but for problems so large that it takes `RULES_S`; then, until the
    deadline, each with those first of all technicians who are free at once who are best for all
    tasks together, rather than who can do the fewest.
    """
    enough = max(deadline, time.monotonic() + RULES_S)
    plans = [(rule, dispatched(grid, rule)) for rule in _in_time(enough)]
    if counts.pair.any():
        ranks = counts.pair.sum(axis=0).astype(float)
        plans += [(rule, dispatched(grid, rule, ranks)) for rule in _in_time(deadline)]
    return min(plans, key=lambda one: counts.of(grid, one[1]))


def _in_time(deadline: float) -> Iterator[Rule]:
    return takewhile(lambda _: time.monotonic() < deadline, Rule)


@dataclass
class _Search:
    """Rules, then moving tasks, then CP-SAT."""

    grid: Grid
    counts: Objective
    deadline: float
    seconds: float
    seed: int
    workers: int
    has_cp_sat: bool
    was_cut: bool = False

    def run(self) -> _Best:
        """Return the best plan found."""
        rule, plan = best_rule(self.grid, self.counts, self.deadline)
        best = _Best(plan, f"rule:{rule}")
        if not self.grid.can.any():
            return replace(best, is_optimal=True)
        best = self._better(best, self._moved(best.plan), f"moves from {best.method}")
        if not self.has_cp_sat:
            return replace(best, method=f"{best.method}; {EXTRA}")
        best = self._solved(best) if self._is_small() else self._in_parts(best)
        return (
            replace(best, method=best.method + ", cut off by the clock") if self.was_cut else best
        )

    def least(self) -> int:
        """Return what no plan can fall below: each task as if it were the only one."""
        grid, counts = self.grid, self.counts
        ends = grid.earliest + grid.work
        waiting = counts.flow * (ends - grid.earliest)
        waiting = waiting + counts.late * np.maximum(0, ends - grid.still_due)
        dearest = counts.pair.max(initial=0)
        pairs = counts.pair.min(axis=1, where=grid.can, initial=dearest)
        alone = np.where(grid.can.any(axis=1), waiting + pairs, counts.left_out)
        return sum(alone.tolist())

    def _is_small(self) -> bool:
        return int(self.grid.can.sum()) <= SMALL

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _better(self, best: _Best, plan: Plan, method: str) -> _Best:
        before, after = (self.counts.of(self.grid, one) for one in (best.plan, plan))
        return replace(best, plan=plan, method=method) if after < before else best

    def _moved(self, plan: Plan) -> Plan:
        share = 0.1 if self._is_small() else 1.0
        clock = Clock(int(share * TRIED_A_SECOND * self.seconds), self._moves_end())
        orders = Orders(self.grid, self.counts, plan)
        move_one_by_one(orders, clock, self.seed)
        ruin_and_recreate(orders, clock, self.seed)
        self.was_cut = clock.was_cut
        return orders.plan()

    def _moves_end(self) -> float:
        """Return until when tasks may be moved: CP-SAT gets what is left."""
        return time.monotonic() + 0.6 * self._left()

    def _solved(self, best: _Best) -> _Best:
        """Let CP-SAT plan all tasks, but for those that are split."""
        tasks = np.flatnonzero(~self.grid.splits).tolist()
        model = PartModel(self.grid, self.counts, best.plan, tasks, range(len(self.grid.windows)))
        steps = SMALL_STEPS_A_SECOND * self.seconds
        found = model.search(Effort(self._left(), steps, self.seed, self.workers))
        self.was_cut = self.was_cut or self._left() <= 0
        if found is None:
            return best
        method = f"cp-sat from {best.method}"
        better = self._better(best, found.plan, method)
        if self.grid.any_splits:  # they stay where they are
            return better
        if found.is_optimal:
            better = replace(better, method=method)
        return replace(better, bound=found.bound, is_optimal=found.is_optimal)

    def _in_parts(self, best: _Best) -> _Best:
        """Let CP-SAT plan some tasks of some technicians anew, again and again."""
        random = Random(self.seed)  # noqa: S311 - nothing secret
        method = f"cp-sat in parts from {best.method}"
        for _ in range(int(PARTS_A_SECOND * self.seconds)):
            if self._left() <= 0:
                self.was_cut = True
                break
            best = self._better(best, self._replanned(best.plan, random), method)
        return best

    def _replanned(self, plan: Plan, random: Random) -> Plan:
        people = [one for one, spans in enumerate(self.grid.windows) if len(spans)]
        some = sorted(random.sample(people, min(PART_TECHNICIANS, len(people))))
        tasks = self._near(plan, some, random)
        model = PartModel(self.grid, self.counts, plan, tasks, some)
        found = model.search(
            Effort(self._left(), PART_STEPS, random.randrange(2**31), self.workers)
        )
        return plan if found is None else found.plan

    def _near(self, plan: Plan, technicians: list[int], random: Random) -> list[int]:
        """Return tasks that these technicians do, or could do, at about the same time."""
        free = ~self.grid.splits & self.grid.can[:, technicians].any(axis=1)
        begins = {
            task: placed.start if placed is not None else None
            for task, placed in enumerate(plan)
            if free[task] and (placed is None or placed.technician in technicians)
        }
        told = [begin for begin in begins.values() if begin is not None]
        centre = random.choice(told) if told else 0
        far = {task: abs((centre if at is None else at) - centre) for task, at in begins.items()}
        order = sorted(begins, key=lambda task: (far[task], random.random()))
        return sorted(order[:PART_TASKS])
