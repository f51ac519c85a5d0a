"""What a request is about: tasks, technicians and a window, of itself or of one's own tables."""

from collections.abc import Iterator
from dataclasses import dataclass

from mesh_fl.agents.resource.inputs import Input
from mesh_fl.agents.resource.own_queue import OwnQueue
from mesh_fl.agents.resource.request import MOST_TASKS, MOST_TECHNICIANS, Request
from mesh_fl.agents.resource.tasks import USUAL_PRIORITY, Told, read_tasks
from mesh_fl.agents.resource.technicians import Staff, read_technicians
from mesh_fl.errors import DataError
from mesh_fl.schema import Table, Value

USUAL_WINDOW_H = 40.0
"""Of technicians that are told: hours of work."""

OWN_WINDOW_H = 168.0
"""Of one's own technicians, whose calendar is known: a week of the clock."""

MOST_ZONES = 5
"""That a note names."""

NO_TASKS = (
    "no task was told, and client.toml names no table of tickets: give tasks, a list of objects, "
    "or add [tables.tickets]"
)
NEVER_CLOSED = (
    "no ticket of the table tells closed_at, so nobody knows which are open: map it, or give tasks"
)
NOTHING_OPEN = "no ticket of the table is open; give tasks to plan others"
NO_TECHNICIANS = (
    "no technician was told, and client.toml names no table of technicians: give technicians, a "
    "list of objects, or add [tables.technicians]"
)
ONLY_TASKS = "tasks were told without technicians: give technicians to plan them"


@dataclass(frozen=True)
class Job:
    """What is to be planned.

    Parameters
    ----------
    tasks : tuple of Told
    staff : tuple of Staff
    window_h : float
    no_tasks, no_staff : str
        Why there are none.
    notes : tuple of str
    """

    tasks: tuple[Told, ...]
    staff: tuple[Staff, ...]
    window_h: float
    no_tasks: str = ""
    no_staff: str = ""
    notes: tuple[str, ...] = ()

    @property
    def can_be_planned(self) -> bool:
        """Whether there is something to plan, and somebody to do it."""
        return bool(self.tasks and self.staff)


def job_of(table: Table, request: Request, inputs: tuple[Input, ...], queue: OwnQueue) -> Job:
    """Find out what a request is about.

    Parameters
    ----------
    table : Table
        Holds the request, and maybe one task by its inputs.

    Raises
    ------
    DataError
        If tasks or technicians cannot be read.
    """
    told = _told_tasks(table, request, inputs, queue)
    window = request.window_h
    if window is None:
        window = USUAL_WINDOW_H if told or request.technicians else OWN_WINDOW_H
    if request.technicians:
        own = {one.technician_id: one for one in queue.staff(request.as_of, window)}
        staff = read_technicians(request.technicians, request.as_of, MOST_TECHNICIANS, own)
        no_staff = "technicians is an empty list"
    elif told is not None:
        staff, no_staff = (), ONLY_TASKS
    else:
        staff, no_staff = _own_staff(request, queue, window)
    tasks = _own_tasks(request, inputs, queue) if told is None else told
    return Job(
        tasks=tasks,
        staff=staff,
        window_h=window,
        no_tasks="" if tasks else _no_tasks(told is not None, queue),
        no_staff="" if staff else no_staff,
        notes=tuple(_notes(request, tasks, staff, told is None, queue)),
    )


def _told_tasks(
    table: Table, request: Request, inputs: tuple[Input, ...], queue: OwnQueue
) -> tuple[Told, ...] | None:
    """Return the tasks that a request tells; None if it tells none."""
    if request.tasks:
        return read_tasks(
            request.tasks,
            inputs,
            request.as_of,
            MOST_TASKS,
            lambda ticket: queue.ticket(ticket, inputs, request.as_of),
        )
    values = {one.name: _value(table[one.name][request.row]) for one in inputs if one.name in table}
    known = {name: value for name, value in values.items() if value == value and value != ""}
    if not known:
        return None
    priority = round(float(known.get("priority", USUAL_PRIORITY)))
    return (Told(task_id="task 1", inputs=known, priority=priority),)


def _own_tasks(request: Request, inputs: tuple[Input, ...], queue: OwnQueue) -> tuple[Told, ...]:
    if not queue.tells_closing:
        return ()
    return queue.open_tickets(inputs, request.as_of, MOST_TASKS)


def _own_staff(request: Request, queue: OwnQueue, window_h: float) -> tuple[tuple[Staff, ...], str]:
    staff = tuple(queue.staff(request.as_of, window_h))
    if len(staff) > MOST_TECHNICIANS:
        raise DataError(
            f"technicians: expected at most {MOST_TECHNICIANS}, found {len(staff)} in the table; "
            "give those to plan with"
        )
    return staff, queue.faults.get("technicians", NO_TECHNICIANS)


def _no_tasks(is_told: bool, queue: OwnQueue) -> str:
    if is_told:
        return "tasks is an empty list"
    if "tickets" in queue.faults:
        return queue.faults["tickets"]
    if "tickets" not in queue.tables:
        return NO_TASKS
    return NOTHING_OPEN if queue.tells_closing else NEVER_CLOSED


def _notes(
    request: Request,
    tasks: tuple[Told, ...],
    staff: tuple[Staff, ...],
    is_own: bool,
    queue: OwnQueue,
) -> Iterator[str]:
    if is_own and len(tasks) == MOST_TASKS:
        found = queue.open_count(request.as_of)
        yield f"{found} tickets are open: the {MOST_TASKS} most urgent and oldest are looked at"
    for what, ignored in (
        ("tasks", {name for one in tasks for name in one.ignored}),
        ("technicians", {name for one in staff for name in one.ignored}),
    ):
        if ignored:
            yield f"fields of {what} that nothing reads: {', '.join(sorted(ignored)[:10])}"
    if staff and not request.technicians:
        yield (
            "technicians work their capacity_h_day (8 where it is not told) from nine on Monday to "
            "Friday in their time zone (UTC where it is not told), less their appointments; "
            "hours are of the clock"
        )
        if queue.strange_zones:
            shown = ", ".join(repr(one[:80]) for one in queue.strange_zones[:MOST_ZONES])
            yield (
                f"technicians of these time zones are planned in UTC, for no such zone is known: "
                f"{shown}; map them to IANA names such as Europe/Berlin"
            )
    for name in ("appointments", "time_entries"):
        if name in queue.faults and not (request.tasks and request.technicians):
            yield queue.faults[name]


def _value(value: object) -> Value:
    return value if isinstance(value, str) else float(str(value))
