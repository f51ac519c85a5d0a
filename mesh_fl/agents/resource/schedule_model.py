"""A scheduling problem, or a part of it, in the words of CP-SAT.

A task has a start, and for each technician who can do it an interval that is there or is not; the
intervals of one technician do not overlap, nor do they overlap what is not free.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_fl.agents.resource.objective import Objective
from mesh_fl.agents.resource.schedule_grid import Grid
from mesh_fl.agents.resource.schedule_placing import Piece, Placement, Plan, gaps_beside

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

FAULTS = (IndexError, RuntimeError, ValueError)
"""What C++ exceptions become."""


@dataclass(frozen=True)
class Effort:
    """How long a search may take.

    Parameters
    ----------
    seconds : float
        Of the clock.
    steps : float
        As CP-SAT counts its work, about a second each: the same on every machine.
    seed, workers : int
    """

    seconds: float
    steps: float
    seed: int = 0
    workers: int = 1


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Parameters
    ----------
    plan : Plan
    bound : float
        What these tasks come to at least.
    is_optimal : bool
    steps : float
        That the search took.
    """

    plan: Plan
    bound: float
    is_optimal: bool
    steps: float


class PartModel:
    """Some tasks are planned anew by some technicians; all others stay as a plan has them.

    Parameters
    ----------
    grid : Grid
    counts : Objective
    plan : Plan
        Where the search begins.
    tasks, technicians : collection of int
        Which; each such task is done by one of these technicians, or by nobody. None of them is
        split.
    """

    def __init__(
        self,
        grid: Grid,
        counts: Objective,
        plan: Plan,
        tasks: Collection[int],
        technicians: Collection[int],
    ) -> None:
        from ortools.sat.python import cp_model

        self.cp = cp_model
        self.grid, self.counts, self.plan = grid, counts, plan
        self.model = cp_model.CpModel()
        self.starts: dict[int, cp_model.IntVar] = {}
        self.pairs: dict[tuple[int, int], cp_model.IntVar] = {}
        self.terms: list[tuple[cp_model.IntVar, int]] = []
        self.constant = 0
        # Leaving out what is planned now can only make room for what is not.
        self.some_out = any(plan[task] is None and grid.can[task].any() for task in tasks)
        self.intervals: dict[int, list[cp_model.IntervalVar]] = {}
        self.gaps = self._gaps(frozenset(tasks), technicians)
        for task in tasks:
            self._add(task)
        for technician in technicians:
            self._add_blocks(technician)
        variables, points = zip(*self.terms, strict=True) if self.terms else ((), ())
        weighted = cp_model.LinearExpr.weighted_sum(variables, points)
        self.model.minimize(weighted + self.constant)

    def _gaps(self, tasks: frozenset[int], technicians: Collection[int]) -> dict[int, list[Piece]]:
        """Return when each technician has time, besides the tasks that stay."""
        stay = [one for task, one in enumerate(self.plan) if one is not None and task not in tasks]
        gaps = gaps_beside(self.grid, stay)
        return {one: gaps[one] for one in technicians}

    def _add(self, task: int) -> None:
        begins = {one: spans for one in self.gaps if (spans := self._begins(task, one))}
        if not begins:
            self.constant += int(self.counts.left_out[task])
            return
        domain = self.cp.Domain.from_intervals([list(s) for one in begins.values() for s in one])
        start = self.starts[task] = self.model.new_int_var_from_domain(domain, "")
        placed = self.plan[task]
        at = placed.start if placed is not None else domain.min()
        self.model.add_hint(start, at)
        for technician in begins:
            self._add_pair(task, technician, start, placed)
        chosen = [self.pairs[task, one] for one in begins]
        self._add_points(task, start, domain.min(), at)
        if self.some_out:
            chosen.append(self._leaving_out(task, placed is None))
        self.model.add_exactly_one(chosen)

    def _begins(self, task: int, technician: int) -> list[Piece]:
        """Return between which minutes somebody can begin a task."""
        if not self.grid.can[task, technician]:
            return []
        work, latest = int(self.grid.work[task]), int(self.grid.latest[task])
        earliest = int(self.grid.earliest[task])
        spans = (
            (max(start, earliest), min(end - work, latest)) for start, end in self.gaps[technician]
        )
        return [(low, high) for low, high in spans if low <= high]

    def _add_pair(
        self, task: int, technician: int, start: cp_model.IntVar, placed: Placement | None
    ) -> None:
        taken = self.model.new_bool_var("")
        interval = self.model.new_optional_fixed_size_interval_var(
            start, int(self.grid.work[task]), taken, ""
        )
        self.pairs[task, technician] = taken
        self.intervals.setdefault(technician, []).append(interval)
        self.model.add_hint(taken, placed is not None and placed.technician == technician)
        if points := int(self.counts.pair[task, technician]):
            self.terms.append((taken, points))

    def _add_points(self, task: int, start: cp_model.IntVar, soonest: int, at: int) -> None:
        """Count flow and lateness; a task that is left out begins at its soonest, for nothing."""
        counts, grid = self.counts, self.grid
        work, due = int(grid.work[task]), int(grid.still_due[task])
        flow, late = int(counts.flow[task]), int(counts.late[task])
        self.constant += flow * (work - int(grid.earliest[task]))
        self.terms.append((start, flow))
        least = max(0, soonest + work - due)
        self.for_nothing = flow * (soonest + work - int(grid.earliest[task])) + late * least
        if late and due < grid.horizon:
            lateness = self.model.new_int_var(least, max(least, grid.horizon - due), "")
            self.model.add(lateness >= start + (work - due))
            self.model.add_hint(lateness, max(0, at + work - due))
            self.terms.append((lateness, late))

    def _leaving_out(self, task: int, is_out: bool) -> cp_model.IntVar:
        variable = self.model.new_bool_var("")
        self.model.add_hint(variable, is_out)
        self.terms.append((variable, int(self.counts.left_out[task]) - self.for_nothing))
        return variable

    def _add_blocks(self, technician: int) -> None:
        """Let intervals of a technician overlap neither each other nor what is not free."""
        mine = self.intervals.get(technician)
        if not mine:
            return
        begin = 0
        blocks = []
        for start, end in [*self.gaps[technician], (self.grid.horizon, self.grid.horizon)]:
            if start > begin:
                blocks.append(self.model.new_fixed_size_interval_var(begin, start - begin, ""))
            begin = end
        self.model.add_no_overlap([*mine, *blocks])

    def search(self, effort: Effort) -> Found | None:
        """Return the best plan found; None if there is none."""
        solver = self.cp.CpSolver()
        solver.parameters.max_time_in_seconds = max(0.0, effort.seconds)
        solver.parameters.max_deterministic_time = effort.steps
        solver.parameters.random_seed = effort.seed
        solver.parameters.num_workers = effort.workers
        status = self._status(solver)
        if status not in (self.cp.OPTIMAL, self.cp.FEASIBLE):
            return None
        return Found(
            plan=self._plan(solver),
            bound=solver.best_objective_bound,
            is_optimal=status == self.cp.OPTIMAL,
            steps=solver.deterministic_time,
        )

    def _status(self, solver: cp_model.CpSolver) -> cp_model.CpSolverStatus | None:
        """Solve; None where CP-SAT itself fails.

        CP-SAT 9.15 fails at the symmetries of some tasks that are alike and take a minute.
        """
        for symmetry_level in (solver.parameters.symmetry_level, 0):
            solver.parameters.symmetry_level = symmetry_level
            with contextlib.suppress(*FAULTS):
                return solver.solve(self.model)
        return None

    def _plan(self, solver: cp_model.CpSolver) -> Plan:
        found = list(self.plan)
        for task, start in self.starts.items():
            found[task] = None
            begin = solver.value(start)
            for technician in self.gaps:
                taken = self.pairs.get((task, technician))
                if taken is not None and solver.boolean_value(taken):
                    found[task] = Placement(
                        technician, ((begin, begin + int(self.grid.work[task])),)
                    )
        return tuple(found)
