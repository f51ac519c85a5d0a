"""Where requests are read, predicted, planned and answered."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mesh_fl.agent import State
from mesh_fl.agents.resource.answer import Comparison, ResourceAnswer, TaskHours, WeeklyNeed
from mesh_fl.agents.resource.durations import Durations
from mesh_fl.agents.resource.moments import moment
from mesh_fl.agents.resource.outcome import NOTHING_PLANNED, Outcome, efficiency, hours_saved
from mesh_fl.agents.resource.own_past import OwnPast
from mesh_fl.agents.resource.own_queue import OwnQueue, QueueShelf
from mesh_fl.agents.resource.predicting import Predicted, predict
from mesh_fl.agents.resource.replay import Replay
from mesh_fl.agents.resource.request import Budget, Request, requests_of
from mesh_fl.agents.resource.sourcing import Job, job_of
from mesh_fl.agents.resource.unavailable import reasons
from mesh_fl.schema import Table
from mesh_fl.site import Site

MINUTE_S = 60

WORK = {
    "actual_hours": "hours are of work",
    "elapsed_hours": "hours are from opening to closing, which is more than the work",
}


@dataclass(frozen=True)
class Desk:
    """Answers with what one member has at hand.

    Parameters
    ----------
    durations : Durations
    label : str
        What the hours are of.
    site : Site
    now : callable
        The clock, in seconds since 1970.
    """

    durations: Durations
    label: str
    site: Site = field(default_factory=Site)
    now: Callable[[], float] = time.time
    _shelf: QueueShelf = field(init=False, repr=False, compare=False)
    _past: OwnPast = field(init=False, repr=False, compare=False, default_factory=OwnPast)

    def __post_init__(self) -> None:
        """Take the tables."""
        object.__setattr__(self, "_shelf", QueueShelf(self.site.tables))

    def answer(self, state: State, table: Table) -> list[ResourceAnswer]:
        """Answer each request; see `request.ASKED`.

        Raises
        ------
        DataError
            If a request cannot be read, or all together ask for too much.
        """
        queue, budget, inputs = self._shelf.newest(), Budget(), self.durations.inputs.declared
        jobs = []
        # Plans count in minutes: a window of two hours must hold two hours of work.
        this_minute = self.now() // MINUTE_S * MINUTE_S
        for request in requests_of(table, this_minute):
            job = job_of(table, request, inputs, queue)
            plans = int(job.can_be_planned)
            budget.take(
                tasks=len(job.tasks),
                plans=plans,
                spans=plans * sum(one.spans for one in job.staff),
                seconds=plans * request.seconds,
            )
            jobs.append((request, job))
        # Only now, so that a call that asks for too much is refused before any work.
        return [self._answer(state, request, job, queue) for request, job in jobs]

    def _answer(self, state: State, request: Request, job: Job, queue: OwnQueue) -> ResourceAnswer:
        predicted = predict(self.durations, state, job.tasks)
        tasks = tuple(_tasks(job, predicted))
        planned = _planned(request, job, tasks)
        compared = planned.compared
        weekly, no_weeks = _weekly(request, job, queue)
        past = self._past.told(queue)
        answer = ResourceAnswer(
            as_of=moment(request.as_of),
            priority_mode=request.mode,
            time_window_hours=job.window_h,
            tasks=tasks,
            schedule=planned.schedule,
            unassigned=planned.unassigned,
            obstacles=planned.obstacles,
            efficiency_score=None if compared is None else efficiency(compared),
            time_saved_hours=None if compared is None else hours_saved(compared),
            compared=compared,
            hours_saved_a_month=past.hours_saved_a_month,
            capacity=planned.capacity,
            weekly_capacity=weekly,
            method=planned.method,
            is_optimal=planned.is_optimal,
            notes=(
                *job.notes,
                *_left_out(queue),
                *_longer(request, compared),
                *_others(request, compared),
                *_of_past(past),
                WORK[self.label],
            ),
            model_used=_model(state),
            unavailable={},
        )
        return answer.model_copy(
            update={"unavailable": dict(reasons(answer, job, no_weeks, past.reason))}
        )


def _tasks(job: Job, predicted: Predicted) -> Iterator[TaskHours]:
    for place, one in enumerate(job.tasks):
        p50 = float(predicted.p50[place])
        yield TaskHours(
            task_id=one.task_id,
            predicted_hours=p50,
            hours_p90=float(predicted.p90[place]),
            planned_hours=p50 if one.hours is None else one.hours,
            why=predicted.why[place],
        )


def _planned(request: Request, job: Job, tasks: tuple[TaskHours, ...]) -> Outcome:
    if not job.can_be_planned:
        return NOTHING_PLANNED
    # The solver takes a while to load, and requests for hours alone do without.
    from mesh_fl.agents.resource.planning import plan

    hours = [one.planned_hours for one in tasks]
    return plan(job, hours, request)


def _left_out(queue: OwnQueue) -> Iterator[str]:
    for name, count in queue.left_out.items():
        yield f"{count} rows of {name} could not be read; `mesh-client data check` tells why"


def _longer(request: Request, compared: Comparison | None) -> Iterator[str]:
    """Say where a plan lets tasks wait longer than first come, first served, and what for."""
    if compared is None or request.mode == "speed" or efficiency(compared) >= 0:
        return
    plan, first = compared.plan, compared.first_come
    gains = []
    if plan.labour_cost is not None and first.labour_cost is not None:
        gains.append(f"labour costs {plan.labour_cost:.0f} in place of {first.labour_cost:.0f}")
    if plan.late_hours is not None and first.late_hours is not None:
        gains.append(f"{plan.late_hours:.1f} hours are late in place of {first.late_hours:.1f}")
    told = " and ".join(gains) or "technicians fit their tasks better"
    yield (
        f"tasks wait {-efficiency(compared):.0%} longer than first come, first served, for {told}: "
        "priority_mode speed looks at waiting alone"
    )


def _others(request: Request, compared: Comparison | None) -> Iterator[str]:
    """Say where a plan does other tasks than first come, first served, to its disadvantage."""
    if compared is None:
        return
    plan, first = compared.plan, compared.first_come
    is_slower = request.mode == "speed" and efficiency(compared) < 0
    if plan.done < first.done or is_slower:
        yield (
            f"{plan.done} tasks are done in the window, whose weights by priority sum to "
            f"{plan.done_weight:g}; first come, first served would do {first.done} others or the "
            f"same, of {first.done_weight:g}. A task that only one of them does counts for the "
            "other as if it were done by the window's end, which is too soon"
        )


def _of_past(past: Replay) -> Iterator[str]:
    """Say what the hours saved a month are made of."""
    if past.hours_saved_a_month is not None:
        yield (
            f"hours_saved_a_month is time that clients wait, not work: {past.tickets} tickets of "
            f"{past.weeks} weeks played again with {past.policy} beside first come, first served; "
            f"{past.low:.1f} to {past.high:.1f} h with 95 % confidence"
        )


def _weekly(request: Request, job: Job, queue: OwnQueue) -> tuple[tuple[WeeklyNeed, ...], str]:
    if request.technicians:
        return (), "only told of your own technicians: leave technicians out"
    if not job.staff:
        return (), job.no_staff
    from mesh_fl.agents.resource.weeks import weekly_needs

    return weekly_needs(queue, job.staff, request.as_of)


def _model(state: State) -> str:
    rounds = int(state["round"])
    start = f"hours learned by the network in {rounds} rounds" if rounds else "public hours"
    own = int(state["own_records"]) if "own_records" in state else 0
    if own and rounds and state["alone"]:
        return f"public hours, fitted to {own} tickets of your own, which the network told worse"
    return f"{start}, fitted to {own} tickets of your own" if own else start
