"""What planning came to, as an answer tells it."""

from dataclasses import dataclass

from mesh_fl.agents.resource.answer import (
    CapacityNeed,
    Comparison,
    TechnicianPlan,
    UnassignedTask,
)


@dataclass(frozen=True)
class Outcome:
    """A plan in the parts of an answer; see `ResourceAnswer`."""

    schedule: tuple[TechnicianPlan, ...] = ()
    unassigned: tuple[UnassignedTask, ...] = ()
    obstacles: tuple[str, ...] = ()
    compared: Comparison | None = None
    capacity: tuple[CapacityNeed, ...] = ()
    method: str | None = None
    is_optimal: bool | None = None


NOTHING_PLANNED = Outcome()


def efficiency(compared: Comparison) -> float:
    """Return by which share the weighted mean flow time is below first come, first served."""
    first = compared.first_come.weighted_flow_hours
    return 1 - compared.plan.weighted_flow_hours / first if first > 0 else 0.0


def hours_saved(compared: Comparison) -> float:
    """Return how much less all tasks together wait, in hours."""
    return compared.tasks * (compared.first_come.flow_hours - compared.plan.flow_hours)
