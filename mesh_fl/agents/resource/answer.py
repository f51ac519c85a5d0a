"""What resource allocation answers."""

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.resource.request import Mode


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """What is known of a task, and by how much it multiplies the predicted hours."""

    because: str
    factor: float


class TaskHours(Answer):
    """How long a task takes.

    Attributes
    ----------
    predicted_hours : float
        As many tasks like it take less as take more (P50).
    hours_p90 : float
        Nine in ten take no longer.
    planned_hours : float
        What is planned with: the request's own hours, or else `predicted_hours`.
    why : tuple of Reason
        The strongest first.
    """

    task_id: str
    predicted_hours: float
    hours_p90: float
    planned_hours: float
    why: tuple[Reason, ...]


class Slot(Answer):
    """When a technician works on a task, in hours from now and as moments."""

    task_id: str
    start_h: float
    end_h: float
    start_at: str
    end_at: str


class TechnicianPlan(Answer):
    """What one technician does.

    Attributes
    ----------
    assigned_tasks : tuple of str
        In the order in which they are done.
    utilization : float or None
        Share of the free hours in the window that is planned; None if there are none.
    free_hours : float
        Available and not busy, in the window.
    """

    technician_id: str
    assigned_tasks: tuple[str, ...]
    utilization: float | None
    free_hours: float
    slots: tuple[Slot, ...]


class UnassignedTask(Answer):
    """A task that is in no plan, and why."""

    task_id: str
    reason: str


class PlanFigures(Answer):
    """What a plan comes to, on the tasks that it or another does.

    Attributes
    ----------
    done : int
        Tasks in the plan.
    done_weight : float
        The same with each task counting by its priority: 8, 4, 2, 1.
    flow_hours : float
        Mean time from now, or from when a task can begin, until it is done; until the window's end
        for a task that only the other plan does.
    weighted_flow_hours : float
        The same with each task counting by its priority.
    late_hours : float or None
        Sum of the hours past due; None where nothing is due.
    labour_cost : float or None
        Of the whole plan; None where somebody's `cost_h` is not known.
    """

    done: int
    done_weight: float
    flow_hours: float
    weighted_flow_hours: float
    late_hours: float | None
    labour_cost: float | None


class Comparison(Answer):
    """The plan beside first come, first served.

    Attributes
    ----------
    tasks : int
        That either does; flow times and lateness are of these.
    plan, first_come : PlanFigures
    """

    tasks: int
    plan: PlanFigures
    first_come: PlanFigures


class CapacityNeed(Answer):
    """Whether technicians suffice for the work of one skill, and how many more would.

    Attributes
    ----------
    skill : str
        Empty for all work together.
    work_hours : float
        Planned hours of the tasks.
    free_hours : float
        Of those technicians who can do them, in the window.
    utilization : float or None
        The first over the second.
    technicians : int
        Who can do them.
    technicians_more : int or None
        The smallest number of them, with the usual free hours, that keeps the utilization at
        `target_utilization`; None where nobody has free hours.
    target_utilization : float
    """

    skill: str
    work_hours: float
    free_hours: float
    utilization: float | None
    technicians: int
    technicians_more: int | None
    target_utilization: float


class WeeklyNeed(Answer):
    """Whether technicians suffice for a usual week of one skill; see `capacity.SkillCapacity`."""

    skill: str
    work_hours_week: float
    free_hours_week: float
    technicians: int
    utilization: float | None
    wait_hours: float | None
    breaks_at: float | None
    technicians_more: int
    reason: str


class ResourceAnswer(Answer):
    """How long tasks take, who does them when, and whether there are enough people.

    Attributes
    ----------
    as_of : str
    priority_mode : str
    time_window_hours : float or None
    tasks : tuple of TaskHours
    schedule : tuple of TechnicianPlan
    unassigned : tuple of UnassignedTask
    obstacles : tuple of str
        What stands in the way, whoever plans.
    efficiency_score : float or None
        By which share the weighted mean flow time of these tasks is below that of first come, first
        served.
    time_saved_hours : float or None
        Hours that those wait less, all together, who opened the tasks; each counts alike, so that
        it can be below 0 where urgent tasks go first. No hours of work.
    compared : Comparison or None
        What both are computed from.
    hours_saved_a_month : float or None
        Of waiting, by playing the queue's own history again; never claimed otherwise.
    capacity : tuple of CapacityNeed
        Of these tasks in this window.
    weekly_capacity : tuple of WeeklyNeed
        Of the weeks to come, as the last ones of one's own queue were.
    method : str or None
        What made the plan.
    is_optimal : bool or None
        Whether no better plan exists for these hours.
    notes : tuple of str
        What should be known to judge it.
    model_used : str
    unavailable : dict of str to str
        Why each field that is None, or empty, could not be computed.
    """

    as_of: str
    priority_mode: Mode
    time_window_hours: float | None
    tasks: tuple[TaskHours, ...]
    schedule: tuple[TechnicianPlan, ...]
    unassigned: tuple[UnassignedTask, ...]
    obstacles: tuple[str, ...]
    efficiency_score: float | None
    time_saved_hours: float | None
    compared: Comparison | None
    hours_saved_a_month: float | None
    capacity: tuple[CapacityNeed, ...]
    weekly_capacity: tuple[WeeklyNeed, ...]
    method: str | None
    is_optimal: bool | None
    notes: tuple[str, ...]
    model_used: str
    unavailable: dict[str, str]
