"""Why a field of an answer is None or empty."""

from collections.abc import Iterator

from mesh_fl.agents.resource.answer import ResourceAnswer
from mesh_fl.agents.resource.sourcing import Job

OF_A_PLAN = ("schedule", "capacity", "method", "is_optimal")
OF_A_COMPARISON = ("efficiency_score", "time_saved_hours", "compared")

NOTHING_DONE = "no task can be done in the window; see unassigned"


def reasons(
    answer: ResourceAnswer, job: Job, no_weeks: str, no_past: str
) -> Iterator[tuple[str, str]]:
    """Yield each such field with its reason."""
    why = job.no_tasks or job.no_staff
    if not answer.tasks:
        yield "tasks", job.no_tasks
    if why:
        yield from (
            (name, why) for name in (*OF_A_PLAN, *OF_A_COMPARISON, "unassigned", "obstacles")
        )
    elif answer.compared is None:
        yield from ((name, NOTHING_DONE) for name in OF_A_COMPARISON)
    if not why and not answer.unassigned:
        yield "unassigned", "every task is in the plan"
    if not why and not answer.obstacles:
        yield "obstacles", "nothing stands in the way"
    if no_weeks:
        yield "weekly_capacity", no_weeks
    if answer.hours_saved_a_month is None:
        yield "hours_saved_a_month", no_past
