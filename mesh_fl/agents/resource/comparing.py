"""A plan beside another, on the tasks that either does."""

from collections.abc import Sequence

import numpy as np

from mesh_fl.agents.resource.answer import Comparison, PlanFigures
from mesh_fl.agents.resource.problem import Problem, Task
from mesh_fl.agents.resource.schedule import Schedule


def compare(problem: Problem, chosen: Schedule, first_come: Schedule) -> Comparison | None:
    """Compare two plans; None where neither does any task.

    Time counts from now, or from when a task can begin if that is later. A task that only one of
    them does counts until the window's end for the other, which is too little.
    """
    done = chosen.ends_h().keys() | first_come.ends_h().keys()
    either = [one for one in problem.tasks if one.task_id in done]
    if not either:
        return None
    return Comparison(
        tasks=len(either),
        plan=_figures(problem, either, chosen),
        first_come=_figures(problem, either, first_come),
    )


def _figures(problem: Problem, tasks: Sequence[Task], schedule: Schedule) -> PlanFigures:
    done, last = schedule.ends_h(), problem.horizon_h
    ends = {one.task_id: done.get(one.task_id, last) for one in tasks}
    flow = np.array([ends[one.task_id] - max(one.release_h, 0.0) for one in tasks])
    late = [max(0.0, ends[one.task_id] - one.due_h) for one in tasks if one.due_h is not None]
    return PlanFigures(
        done=len(done),
        done_weight=float(sum(one.weighs for one in tasks if one.task_id in done)),
        flow_hours=float(flow.mean()),
        weighted_flow_hours=float(np.average(flow, weights=[one.weighs for one in tasks])),
        late_hours=sum(late) if late else None,
        labour_cost=schedule.labour_cost(problem),
    )
