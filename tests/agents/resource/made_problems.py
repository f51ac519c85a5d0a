"""Scheduling problems that are drawn at random."""

from hypothesis import strategies as st

from mesh_fl.agents.resource.problem import Problem, Task, Technician

SKILLS = ["network", "server", "日本語", "Ω"]
HOURS = st.floats(0.01, 12) | st.sampled_from([0.01, 0.25, 1 / 3, 1.0, 2.0, 8.0])
MOMENTS = st.floats(-5, 40) | st.sampled_from([0.0, 8.0, 1e-7])


@st.composite
def spans(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    pairs = draw(st.lists(st.tuples(st.floats(-3, 40), st.floats(0, 9)), max_size=4))
    return tuple((start, start + length) for start, length in pairs)


@st.composite
def problems(draw: st.DrawFn, most_tasks: int = 12, most_technicians: int = 4) -> Problem:
    skills = st.frozensets(st.sampled_from(SKILLS), max_size=2)
    tasks = [
        Task(
            task_id=f"t{place}",
            hours=draw(HOURS),
            priority=draw(st.integers(1, 4)),
            due_h=draw(st.none() | MOMENTS),
            release_h=draw(MOMENTS),
            skills=draw(skills),
            latest_start_h=draw(st.none() | st.none() | MOMENTS),
            weight=draw(st.none() | st.floats(0.001, 1000)),
            may_split=draw(st.booleans()),
        )
        for place in range(draw(st.integers(0, most_tasks)))
    ]
    technicians = [
        Technician(
            technician_id=f"p{place}",
            skills=draw(st.frozensets(st.sampled_from(SKILLS), max_size=4)),
            cost_h=draw(st.none() | st.floats(0, 500)),
            level=draw(st.none() | st.floats(0, 4)),
            busy=draw(spans()),
            available=draw(spans()),
        )
        for place in range(draw(st.integers(0, most_technicians)))
    ]
    horizon = draw(st.floats(0, 40) | st.sampled_from([0.0, 24.0, 40.0]))
    return Problem(tuple(tasks), tuple(technicians), horizon)


def queue(*hours: float, people: int = 1, horizon_h: float = 40.0) -> Problem:
    """Make tasks that wait already, and people who can do all of them."""
    tasks = tuple(Task(f"t{place}", one) for place, one in enumerate(hours))
    technicians = tuple(Technician(f"p{place}") for place in range(people))
    return Problem(tasks, technicians, horizon_h)
