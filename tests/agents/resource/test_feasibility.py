import dataclasses

import pytest
from hypothesis import given, settings
from made_problems import problems

from mesh_fl.agents.resource.feasibility import check, explain
from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.rules import Rule, dispatch
from mesh_fl.agents.resource.schedule import Assignment, Schedule, Unassigned
from mesh_fl.agents.resource.schedule_obstacles import reasons

TASKS = (
    Task("router", 2.0, skills=frozenset({"network"}), release_h=1.0),
    Task("mail", 3.0, latest_start_h=9.0),
)
PEOPLE = (
    Technician("a", frozenset({"network"}), busy=((5.0, 6.0),), available=((0.0, 8.0),)),
    Technician("b"),
)
PROBLEM = Problem(TASKS, PEOPLE, 12.0)
ROUTER, MAIL = Assignment("router", "a", 1.0, 3.0), Assignment("mail", "b", 0.0, 3.0)


def plan(*assignments: Assignment, left: tuple[Unassigned, ...] = ()) -> Schedule:
    return Schedule(assignments, left, "by hand")


def test_a_plan_that_can_be_done_has_no_faults() -> None:
    assert check(PROBLEM, plan(ROUTER, MAIL)) == ()
    assert check(PROBLEM, plan(ROUTER, left=(Unassigned("mail", "no time"),))) == ()


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        (plan(ROUTER), "'mail' is neither planned nor left out"),
        (plan(ROUTER, MAIL, left=(Unassigned("mail", "x"),)), "planned and left out"),
        (plan(ROUTER, left=(Unassigned("mail", ""),)), "'mail': no reason"),
        (plan(ROUTER, MAIL, Assignment("ghost", "b", 4.0, 5.0)), "'ghost' is no task"),
        (plan(ROUTER, Assignment("mail", "c", 0.0, 3.0)), "'c' is no technician"),
        (plan(Assignment("router", "b", 3.0, 5.0), MAIL), "needs ['network']"),
        (plan(Assignment("router", "a", 0.5, 2.5), MAIL), "before it can"),
        (plan(Assignment("router", "a", 1.0, 2.9), MAIL), "takes 2.0 h"),
        (plan(Assignment("router", "a", 1.0, 3.1), MAIL), "takes 2.0 h"),
        (plan(ROUTER, Assignment("mail", "a", 2.0, 5.0)), "at once"),
        (plan(ROUTER, Assignment("mail", "a", 3.0, 6.0)), "busy from 5.0 h"),
        (plan(Assignment("router", "a", 7.0, 9.0), MAIL), "not available"),
        (plan(ROUTER, Assignment("mail", "b", 9.1, 12.1)), "outside of the horizon"),
        (plan(ROUTER, Assignment("mail", "b", 9.1, 12.1)), "later than at 9.0 h"),
        (
            plan(ROUTER, Assignment("mail", "b", 0.0, 1.0), Assignment("mail", "b", 2.0, 4.0)),
            "may not be",
        ),
        (
            plan(ROUTER, Assignment("mail", "b", 0.0, 1.0), Assignment("mail", "a", 6.0, 8.0)),
            "done by 2 technicians",
        ),
    ],
)
def test_every_fault_is_found(schedule: Schedule, told: str) -> None:
    assert any(told in complaint for complaint in check(PROBLEM, schedule))


@given(problems())
@settings(max_examples=40, deadline=None)
def test_a_minute_too_early_or_too_long_is_found(problem: Problem) -> None:
    """Starts of a plan by a rule are as early as can be, so that none can be moved before 0."""
    schedule = dispatch(problem, Rule.FIFO)
    for place, one in enumerate(schedule.assignments):
        for changed in (
            dataclasses.replace(one, start_h=one.start_h - 0.02),
            dataclasses.replace(one, end_h=one.end_h + 0.02),
            dataclasses.replace(one, start_h=one.start_h + 1e4, end_h=one.end_h + 1e4),
        ):
            parts = list(schedule.assignments)
            parts[place] = changed
            assert check(problem, dataclasses.replace(schedule, assignments=tuple(parts)))


@given(problems())
@settings(max_examples=50, deadline=None)
def test_what_certainly_cannot_be_done_is_done_by_no_rule(problem: Problem) -> None:
    never = {id_ for one in explain(problem) if one.is_certain for id_ in one.task_ids}
    alone = {
        task.task_id
        for task in problem.tasks
        if dispatch(Problem((task,), problem.technicians, problem.horizon_h), Rule.FIFO).unassigned
    }
    assert never == alone
    for rule in Rule:
        assert never <= {one.task_id for one in dispatch(problem, rule).unassigned}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (Task("t", 1.0, skills=frozenset({"cobol"})), "nobody has the skill 'cobol'"),
        (
            Task("t", 1.0, skills=frozenset({"network", "server"})),
            "nobody has all of 'network', 'server'; 'a' comes closest and lacks 'server'",
        ),
        (
            Task("t", 6.0, skills=frozenset({"network"})),
            "the longest free window of 'a' is 5 h, shorter than its 6 h",
        ),
        (
            Task("t", 4.0, skills=frozenset({"network"}), release_h=2.0),
            "the longest free window of 'a' after 2 h is 3 h, shorter than its 4 h",
        ),
        (
            Task("t", 13.0, skills=frozenset({"network"}), may_split=True),
            "the free windows of 'a' come to 7 h, less than its 13 h",
        ),
        (Task("t", 1.0, release_h=12.0), "it can begin at 12 h, and the plan ends at 12 h"),
        (
            Task("t", 1.0, release_h=5.0, latest_start_h=4.0),
            "it has to begin by 4 h, and can from 5 h on",
        ),
        (Task("t", 13.0), "the longest free window of the 2 who can do it is 12 h"),
    ],
)
def test_what_cannot_be_done_is_explained_with_figures(task: Task, told: str) -> None:
    people = (PEOPLE[0], Technician("b", frozenset({"server"})))
    problem = Problem((task,), people, 12.0)
    (found,) = explain(problem)
    assert found.is_certain
    assert told in found.reason
    assert dispatch(problem, Rule.FIFO).unassigned[0].reason == found.reason


def test_too_much_work_of_a_skill_is_explained() -> None:
    tasks = tuple(Task(f"{one}", 4.0, skills=frozenset({"network"})) for one in range(3))
    problem = Problem(tasks, PEOPLE, 12.0)
    (found,) = explain(problem)
    assert found.task_ids == ("0", "1", "2")
    assert not found.is_certain
    assert found.reason == (
        "12 h of work are to be done by somebody with 'network', and 7 h are free before 12 h"
    )
    left = dispatch(problem, Rule.FIFO).unassigned
    assert len(left) == 2
    assert {one.reason for one in left} == {found.reason}


def test_what_will_be_late_is_told_before() -> None:
    problem = Problem((Task("t", 2.0, release_h=3.0, due_h=4.5),), PEOPLE, 12.0)
    (found,) = explain(problem)
    assert found.reason == "it will be late: due at 4.5 h, and done at 5 h at the earliest"
    assert not dispatch(problem, Rule.FIFO).unassigned


def test_lack_of_a_window_is_told_apart_from_lack_of_hours() -> None:
    tasks = (Task("a", 5.0), Task("b", 5.0))
    person = Technician("p", available=((0.0, 6.0), (24.0, 29.0), (48.0, 49.0)), busy=((26, 27),))
    left = dispatch(Problem(tasks, (person,), 60.0), Rule.FIFO).unassigned
    assert left[0].reason == (
        "no free window of 5 h is left: 1 can do it, and other tasks take the time"
    )


def test_many_skills_and_long_names_are_cut() -> None:
    skills = frozenset(f"{one}" * 500 for one in range(10))
    (found,) = explain(Problem((Task("t", 1.0, skills=skills),), PEOPLE, 12.0))
    assert "and 5 more" in found.reason
    assert len(found.reason) < 600


def test_the_most_that_one_of_several_has_is_told() -> None:
    task = Task("t", 3.5, may_split=True)
    problem = Problem((task,), (Technician("a"), Technician("b")), 1.0)
    (reason,) = reasons(problem, [0])
    assert reason == (
        "the most free windows of one of the 2 who can do it come to 1 h, less than its 3.5 h"
    )
