"""Who does what when, and what that comes to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_fl.agents.resource.problem import Problem, Task


@dataclass(frozen=True)
class Assignment:
    """A technician works on a task, in hours from now; a task that is split has several."""

    task_id: str
    technician_id: str
    start_h: float
    end_h: float

    @property
    def hours(self) -> float:
        """How long."""
        return self.end_h - self.start_h


@dataclass(frozen=True)
class Unassigned:
    """A task that nobody does, and why."""

    task_id: str
    reason: str


@dataclass(frozen=True)
class Schedule:
    """A plan.

    Parameters
    ----------
    assignments : tuple of Assignment
        By time.
    unassigned : tuple of Unassigned
    method : str
        What made it.
    is_optimal : bool
        Whether no plan of the same problem is better in the mode that was asked for.
    value, bound : float
        What the plan counts in that mode, less is better, and what none can fall below; NaN where
        nobody asked.
    """

    assignments: tuple[Assignment, ...] = field(repr=False)
    unassigned: tuple[Unassigned, ...] = field(repr=False)
    method: str
    is_optimal: bool = False
    value: float = math.nan
    bound: float = math.nan

    @property
    def gap(self) -> float:
        """By which share the plan could be better at most; NaN where nothing is known."""
        return 0.0 if self.value == self.bound else (self.value - self.bound) / self.value

    @property
    def makespan_h(self) -> float:
        """When the last task is done; 0 if there is none."""
        return max((one.end_h for one in self.assignments), default=0.0)

    def ends_h(self) -> dict[str, float]:
        """Return when each task that is planned is done."""
        found: dict[str, float] = {}
        for one in self.assignments:
            found[one.task_id] = max(one.end_h, found.get(one.task_id, -math.inf))
        return found

    def work_h(self) -> dict[str, float]:
        """Return the hours planned of each technician who has any."""
        found: dict[str, float] = {}
        for one in self.assignments:
            found[one.technician_id] = found.get(one.technician_id, 0.0) + one.hours
        return found

    def utilisation(self, problem: Problem) -> Mapping[str, float]:
        """Return the share of each technician's free hours that is planned; NaN without any."""
        work = self.work_h()
        found = {}
        for one in problem.technicians:
            free = problem.free_hours[one.technician_id]
            planned = work.get(one.technician_id, 0.0)
            found[one.technician_id] = planned / free if free > 0 else math.nan
        return found

    def flow_h(self, problem: Problem) -> float:
        """Return the mean time from a task's release until it is done; NaN if none is planned."""
        flows = [end - task.release_h for task, end in self._planned(problem)]
        return sum(flows) / len(flows) if flows else math.nan

    def weighted_flow_h(self, problem: Problem) -> float:
        """Return the sum of those times, each times its task's weight."""
        return sum(task.weighs * (end - task.release_h) for task, end in self._planned(problem))

    def weighted_tardiness_h(self, problem: Problem) -> float:
        """Return the sum of the hours past due, each times its task's weight."""
        return sum(
            task.weighs * max(0.0, end - task.due_h)
            for task, end in self._planned(problem)
            if task.due_h is not None
        )

    def late(self, problem: Problem) -> int:
        """Return how many tasks are done after they are due."""
        planned = self._planned(problem)
        return sum(task.due_h is not None and end > task.due_h + 1e-9 for task, end in planned)

    def labour_cost(self, problem: Problem) -> float | None:
        """Return what the planned work costs; None if somebody's rate is not known."""
        rates = {one.technician_id: one.cost_h for one in problem.technicians}
        total = 0.0
        for technician, hours in self.work_h().items():
            rate = rates[technician]
            if rate is None:
                return None
            total += rate * hours
        return total

    def _planned(self, problem: Problem) -> Iterator[tuple[Task, float]]:
        ends = self.ends_h()
        return ((task, ends[task.task_id]) for task in problem.tasks if task.task_id in ends)
