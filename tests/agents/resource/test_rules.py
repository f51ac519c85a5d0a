import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_problems import problems, queue

from mesh_fl.agents.resource.feasibility import check
from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.rules import Rule, _Days, dispatch
from mesh_fl.agents.resource.schedule_grid import NEVER_MIN


def order(problem: Problem, rule: Rule) -> list[str]:
    return [one.task_id for one in dispatch(problem, rule).assignments]


@given(problems())
@settings(max_examples=80, deadline=None)
def test_every_rule_keeps_every_rule_of_the_problem(problem: Problem) -> None:
    for rule in Rule:
        assert check(problem, dispatch(problem, rule)) == ()


@given(problems())
@settings(max_examples=60, deadline=None)
def test_nobody_is_idle_while_work_waits(problem: Problem) -> None:
    """What is left out fits into no window that is left after everything else is planned."""
    schedule = dispatch(problem, Rule.SPT)
    left = {one.task_id for one in schedule.unassigned}
    for person in problem.technicians:
        busy = tuple(
            (one.start_h, one.end_h)
            for one in schedule.assignments
            if one.technician_id == person.technician_id
        )
        free = dataclasses.replace(person, busy=person.busy + busy)
        for task in problem.tasks:
            if task.task_id in left:
                alone = Problem((task,), (free,), problem.horizon_h)
                whole = ~alone.grid.splits
                assert not (alone.grid.can & whole[:, None]).any()


def test_orders_are_those_of_the_books() -> None:
    tasks = (
        Task("long", 4.0, priority=1, due_h=20.0),
        Task("short", 1.0, priority=4, due_h=30.0),
        Task("urgent", 3.0, priority=1, due_h=9.0),
        Task("early", 2.0, priority=4, release_h=-2.0, due_h=5.0),
    )
    problem = Problem(tasks, (Technician("p"),), 40.0)
    assert order(problem, Rule.FIFO) == ["early", "long", "short", "urgent"]
    assert order(problem, Rule.SPT) == ["short", "early", "urgent", "long"]
    assert order(problem, Rule.WSPT) == ["urgent", "long", "short", "early"]
    assert order(problem, Rule.EDD) == ["early", "urgent", "long", "short"]
    assert order(problem, Rule.SLACK) == ["early", "urgent", "long", "short"]


def test_apparent_tardiness_cost_by_hand() -> None:
    # ln(w/p) - slack / (2 * 4 h): at 0, a: ln 1/2 - 0/8 = -.69; b: ln 1/6 - 14/8 = -3.54;
    # c: ln 1/4 - 0 = -1.39. A rule by due time alone would begin with c.
    tasks = (
        Task("b", 6.0, weight=1.0, due_h=20.0),
        Task("c", 4.0, weight=1.0, due_h=1.0),
        Task("a", 2.0, weight=1.0, due_h=2.0),
    )
    problem = Problem(tasks, (Technician("p"),), 40.0)
    assert order(problem, Rule.ATC) == ["a", "c", "b"]
    assert order(problem, Rule.EDD) == ["c", "a", "b"]


def test_the_longest_slack_still_tells_tasks_apart() -> None:
    tasks = tuple(
        Task(f"{place}", 0.1, weight=1.0, due_h=due) for place, due in enumerate([9e4, 8e3, 9e3])
    )
    assert order(Problem(tasks, (Technician("p"),), 9999.0), Rule.ATC) == ["1", "2", "0"]


def test_shortest_first_has_the_least_flow_time_on_alike_machines() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        hours = np.round(random.uniform(0.1, 5, 12), 1).tolist()
        shortest = dispatch(queue(*hours, people=3), Rule.SPT)
        by_hand, free = 0.0, [0.0, 0.0, 0.0]
        for one in sorted(hours):
            free.sort()
            free[0] += one
            by_hand += free[0]
        assert shortest.flow_h(queue(*hours, people=3)) == pytest.approx(by_hand / 12)


def test_who_can_do_more_is_kept_for_it() -> None:
    tasks = (Task("plain", 4.0), Task("router", 4.0, skills=frozenset({"network"})))
    both = Technician("both", frozenset({"network"}))
    problem = Problem(tasks, (both, Technician("one")), 40.0)
    schedule = dispatch(problem, Rule.FIFO)
    assert schedule.makespan_h == 4.0
    # Unless another order of people is asked for.
    assert dispatch(problem, Rule.FIFO, np.array([0.0, 1.0])).makespan_h == 8.0


def test_a_long_task_goes_on_after_a_break_only_where_it_may() -> None:
    person = Technician("p", available=((0.0, 8.0), (24.0, 32.0)), busy=((2.0, 3.0),))
    task = Task("move", 10.0, may_split=True)
    found = dispatch(Problem((task,), (person,), 40.0), Rule.FIFO)
    pieces = [(one.start_h, one.end_h) for one in found.assignments]
    assert pieces == [(0.0, 2.0), (3.0, 8.0), (24.0, 27.0)]
    whole = dataclasses.replace(task, may_split=False)
    left = dispatch(Problem((whole,), (person,), 40.0), Rule.FIFO).unassigned
    assert "longest free window of 'p' is 8 h, shorter than its 10 h" in left[0].reason


def test_a_task_that_fits_somewhere_is_not_split() -> None:
    person = Technician("p", available=((0.0, 1.0), (24.0, 32.0)))
    found = dispatch(Problem((Task("t", 2.0, may_split=True),), (person,), 40.0), Rule.FIFO)
    assert [(one.start_h, one.end_h) for one in found.assignments] == [(24.0, 26.0)]


@given(problems(), st.lists(st.integers(0, 3000), min_size=1, max_size=12).map(sorted))
@settings(max_examples=80, deadline=None)
def test_days_go_by_as_the_windows_have_it(problem: Problem, moments: list[int]) -> None:
    windows = list(problem.grid.windows)
    days = _Days(windows)
    for now in moments:
        days.go_to(now)
        for one, spans in enumerate(windows):
            room = sum(end - now for start, end in spans if start <= now < end)
            later = sum(end - start for start, end in spans if start > now)
            opening = min((start for start, _ in spans if start > now), default=NEVER_MIN)
            assert days.room(one, now) == days.rooms(now)[one] == room
            assert days.next_begin(one, now) == opening
            if room:
                assert days.later[one] == later
