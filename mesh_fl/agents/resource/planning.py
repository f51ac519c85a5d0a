"""From tasks with hours and technicians to a plan, beside first come, first served."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from mesh_fl.agents.resource.answer import Slot, TechnicianPlan, UnassignedTask
from mesh_fl.agents.resource.comparing import compare
from mesh_fl.agents.resource.feasibility import explain
from mesh_fl.agents.resource.moments import moment
from mesh_fl.agents.resource.needs import needs
from mesh_fl.agents.resource.outcome import Outcome
from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.request import Request
from mesh_fl.agents.resource.rules import Rule, dispatched
from mesh_fl.agents.resource.schedule import Assignment, Schedule
from mesh_fl.agents.resource.schedule_placing import schedule_of
from mesh_fl.agents.resource.solver import solve
from mesh_fl.agents.resource.sourcing import Job
from mesh_fl.agents.resource.tasks import Told
from mesh_fl.agents.resource.technicians import Staff
from mesh_fl.agents.resource.told import HOUR_S

SEED = 0

SHORTEST_H = 1 / 60
"""What a plan takes a task as at least: it counts in minutes."""

MOST_OBSTACLES, SHOWN_TASKS = 20, 5

NEVER = ((0.0, 0.0),)
"""Spans of somebody who is not there in the window."""


def plan(job: Job, hours: Sequence[float], request: Request) -> Outcome:
    """Plan tasks, and tell what first come, first served would have been.

    Parameters
    ----------
    job : Job
    hours : sequence of float
        Of each task.
    request : Request
        Tells the mode, the moment and how long to search; without any time the plan is that of
        the best rule.

    Raises
    ------
    DataError
        If the problem is none that can be planned.
    """
    problem = Problem(
        tasks=tuple(_task(*one) for one in zip(job.tasks, hours, strict=True)),
        technicians=tuple(map(_technician, job.staff)),
        horizon_h=job.window_h,
    )
    chosen = solve(problem, request.mode, seconds=request.seconds, seed=SEED)
    return Outcome(
        schedule=_technicians(problem, chosen, request.as_of),
        unassigned=tuple(
            UnassignedTask(task_id=one.task_id, reason=one.reason) for one in chosen.unassigned
        ),
        obstacles=tuple(islice(_obstacles(problem), MOST_OBSTACLES)),
        compared=compare(problem, chosen, _first_come(problem)),
        capacity=needs(problem),
        method=chosen.method,
        is_optimal=chosen.is_optimal,
    )


def _first_come(problem: Problem) -> Schedule:
    """Return what first come, first served does; why it leaves out the others is not asked."""
    plan = dispatched(problem.grid, Rule.FIFO)
    done = [(task, one) for task, one in zip(problem.tasks, plan, strict=True) if one is not None]
    part = replace(problem, tasks=tuple(task for task, _ in done))
    return schedule_of(part, tuple(one for _, one in done), f"rule:{Rule.FIFO}")


def _obstacles(problem: Problem) -> Iterator[str]:
    for one in explain(problem):
        tasks = ", ".join(one.task_ids[:SHOWN_TASKS])
        more = len(one.task_ids) - SHOWN_TASKS
        yield f"{tasks}{f' and {more} more' if more > 0 else ''}: {one.reason}"


def _task(told: Told, hours: float) -> Task:
    return Task(
        task_id=told.task_id,
        hours=max(hours, SHORTEST_H),
        priority=told.priority,
        due_h=told.due_h,
        release_h=told.release_h or 0.0,
        skills=told.skills,
        may_split=True,
    )


def _technician(staff: Staff) -> Technician:
    # A technician without a span is there all the time.
    available = () if staff.available is None else staff.available or NEVER
    return Technician(
        technician_id=staff.technician_id,
        skills=staff.skills,
        cost_h=staff.cost_h,
        level=staff.level,
        busy=staff.busy,
        available=available,
    )


def _technicians(problem: Problem, chosen: Schedule, now: float) -> tuple[TechnicianPlan, ...]:
    assigned: dict[str, list[Assignment]] = {}
    for one in sorted(chosen.assignments, key=lambda one: (one.start_h, one.task_id)):
        assigned.setdefault(one.technician_id, []).append(one)
    used = chosen.utilisation(problem)
    return tuple(
        TechnicianPlan(
            technician_id=one.technician_id,
            assigned_tasks=_in_order(assigned.get(one.technician_id, [])),
            utilization=_share(used[one.technician_id]),
            free_hours=problem.free_hours[one.technician_id],
            slots=tuple(_slot(part, now) for part in assigned.get(one.technician_id, [])),
        )
        for one in problem.technicians
    )


def _in_order(assigned: Sequence[Assignment]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.task_id for one in assigned))


def _share(utilisation: float) -> float | None:
    return None if np.isnan(utilisation) else min(1.0, utilisation)


def _slot(one: Assignment, now: float) -> Slot:
    return Slot(
        task_id=one.task_id,
        start_h=one.start_h,
        end_h=one.end_h,
        start_at=moment(now + one.start_h * HOUR_S),
        end_at=moment(now + one.end_h * HOUR_S),
    )
