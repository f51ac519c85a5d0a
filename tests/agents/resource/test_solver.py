import dataclasses
import itertools
import math
import sys
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_problems import problems, queue

from mesh_fl.agents.resource import solver
from mesh_fl.agents.resource.feasibility import check
from mesh_fl.agents.resource.objective import Mode, Objective, objective
from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.rules import Rule, dispatch
from mesh_fl.agents.resource.schedule import Schedule
from mesh_fl.agents.resource.solver import solve
from mesh_fl.errors import ConfigError

MODES: tuple[Mode, ...] = ("balanced", "speed", "cost", "quality")


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few steps that time is never up, on however busy a machine."""
    monkeypatch.setattr(solver, "TRIED_A_SECOND", 300)
    monkeypatch.setattr(solver, "PARTS_A_SECOND", 0.2)
    monkeypatch.setattr(solver, "SMALL_STEPS_A_SECOND", 0.002)


def value(problem: Problem, schedule: Schedule, mode: Mode) -> int:
    """Count a schedule by its hours, as another would read it."""
    counts, grid, ends = objective(problem, mode), problem.grid, schedule.ends_h()
    who = {one.task_id: one.technician_id for one in schedule.assignments}
    people = [one.technician_id for one in problem.technicians]
    return sum(
        counts.placed(grid, place, people.index(who[task.task_id]), round(60 * ends[task.task_id]))
        if task.task_id in ends
        else int(counts.left_out[place])
        for place, task in enumerate(problem.tasks)
    )


@given(problems(), st.sampled_from(MODES), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_plans_are_feasible_and_never_worse_than_the_best_rule(
    problem: Problem, mode: Mode, seed: int
) -> None:
    found = solve(problem, mode, seconds=0.2, seed=seed)
    assert check(problem, found) == ()
    rules = [value(problem, dispatch(problem, rule), mode) for rule in Rule]
    assert value(problem, found, mode) == found.value <= min(rules)
    assert found.bound <= found.value


@given(problems(most_tasks=25, most_technicians=6))
@settings(max_examples=15, deadline=None)
def test_parts_of_a_large_problem_are_planned_as_well(problem: Problem) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "SMALL", 0)
        patch.setattr(solver, "TRIED_A_SECOND", 0)
        patch.setattr(solver, "PARTS_A_SECOND", 40)
        found = solve(problem, "balanced", seconds=0.2)
    assert check(problem, found) == ()
    rules = [value(problem, dispatch(problem, rule), "balanced") for rule in Rule]
    assert value(problem, found, "balanced") == found.value <= min(rules)


@given(problems(most_tasks=4, most_technicians=2), st.sampled_from(MODES))
@settings(max_examples=30, deadline=None)
def test_small_plans_are_the_best_there_are(problem: Problem, mode: Mode) -> None:
    tasks = tuple(dataclasses.replace(one, may_split=False) for one in problem.tasks)
    problem = Problem(tasks, problem.technicians, problem.horizon_h)
    found = solve(problem, mode, seconds=5)
    assume("clock" not in found.method)
    best = min(plans(problem, objective(problem, mode)))
    assert found.value == best
    assert found.is_optimal
    assert found.bound == best


def plans(problem: Problem, counts: Objective) -> Iterator[int]:
    """Yield what every plan comes to in which nobody waits without need."""
    people = range(-1, len(problem.technicians))
    for order in itertools.permutations(range(len(problem.tasks))):
        for who in itertools.product(people, repeat=len(order)):
            yield one_plan(problem, counts, order, who)


def one_plan(problem: Problem, counts: Objective, order: Sequence[int], who: Sequence[int]) -> int:
    now = [0] * len(problem.technicians)
    total = 0
    for task, person in zip(order, who, strict=True):
        begin = begins(problem, task, person, now[person]) if person >= 0 else None
        if begin is None:
            total += int(counts.left_out[task])
            continue
        now[person] = begin + int(problem.grid.work[task])
        total += counts.placed(problem.grid, task, person, now[person])
    return total


def begins(problem: Problem, task: int, person: int, now: int) -> int | None:
    grid = problem.grid
    if not problem.tasks[task].skills <= problem.technicians[person].skills:
        return None
    for start, end in grid.windows[person].tolist():
        begin = max(start, now, int(grid.earliest[task]))
        if begin + int(grid.work[task]) <= end and begin <= int(grid.latest[task]):
            return int(begin)
    return None


def test_each_mode_does_best_what_it_is_for() -> None:
    cheap = Technician("cheap", cost_h=20.0, level=1.0)
    able = Technician("able", cost_h=90.0, level=4.0)
    tasks = (
        Task("urgent", 4.0, priority=1, due_h=4.0),
        Task("plain", 3.0, priority=4, due_h=30.0),
        Task("other", 2.0, priority=4),
    )
    problem = Problem(tasks, (able, cheap), 40.0)
    found = {mode: solve(problem, mode, seconds=3) for mode in MODES}
    assert all(one.is_optimal for one in found.values())
    assert found["cost"].work_h() == {"cheap": 9.0}
    assert found["cost"].labour_cost(problem) == 180.0
    assert found["quality"].work_h() == {"able": 4.0, "cheap": 5.0}
    assert found["speed"].weighted_flow_h(problem) == 8 * 4 + 2 + 5
    least = min(one.labour_cost(problem) or math.inf for one in found.values())
    assert found["cost"].labour_cost(problem) == least


def test_what_an_hour_late_costs() -> None:
    # The short one first has the least flow time, the due one first the least tardiness.
    tasks = (Task("short", 1.0, priority=4), Task("due", 4.0, priority=4, due_h=4.0))
    problem = Problem(tasks, (Technician("p"),), 40.0)
    first = {mode: solve(problem, mode, seconds=3).assignments[0].task_id for mode in MODES}
    # Balanced: 6/6 of the waiting and 1/1 of the lateness, against 9/6 and none.
    assert first == {"speed": "short", "cost": "short", "quality": "due", "balanced": "due"}


def test_the_urgent_are_done_where_time_is_short() -> None:
    tasks = tuple(Task(f"{place}", 4.0, priority=1 if place > 6 else 4) for place in range(10))
    problem = Problem(tasks, (Technician("p"),), 13.0)
    for mode in MODES:
        found = solve(problem, mode, seconds=1)
        assert {one.task_id for one in found.assignments} == {"7", "8", "9"}
        assert "40 h of work are to be done, and 13 h are free" in found.unassigned[0].reason


@pytest.mark.parametrize("mode", MODES)
def test_how_long_tasks_have_waited_already_changes_no_plan(mode: Mode) -> None:
    """What is past is past in every plan; it once made up all of what balance looked at."""
    people = tuple(
        Technician(f"p{place}", cost_h=40 + place, level=1 + place % 3) for place in range(4)
    )

    def problem(release_h: float, due_h: float) -> Problem:
        tasks = tuple(Task(f"t{n}", 0.5 + n % 5, 1 + n % 4, due_h, release_h) for n in range(20))
        return Problem(tasks, people, 60.0)

    now, long_ago = problem(0.0, 0.0), problem(-5000.0, -900.0)
    one, two = (objective(each, mode) for each in (now, long_ago))
    for name in ("flow", "late", "pair", "left_out"):
        assert (getattr(one, name) == getattr(two, name)).all()
    assert solve(now, mode, 0.3).value == solve(long_ago, mode, 0.3).value


def test_nothing_is_left_out_to_let_others_go_sooner() -> None:
    hours = [20.0] + [0.5] * 30
    found = solve(queue(*hours, horizon_h=35.0), "speed", seconds=2)
    assert not found.unassigned
    assert found.assignments[-1].task_id == "t0"


def test_shortest_first_is_found_to_be_best() -> None:
    found = solve(queue(5, 4, 3, 2, 1, people=2), "speed", seconds=3)
    assert found.is_optimal
    assert found.flow_h(queue(5, 4, 3, 2, 1, people=2)) == (1 + 2 + 4 + 6 + 9) / 5


def test_nothing_to_plan_is_planned_at_once() -> None:
    nobody = solve(Problem((Task("t", 1.0),), (), 40.0), seconds=1)
    assert nobody.unassigned[0].reason == "there are no technicians"
    assert nobody.is_optimal
    assert solve(Problem((), (Technician("p"),), 40.0), seconds=1).value == 0
    assert solve(Problem((), (), 0.0), seconds=1).gap == 0
    none = solve(Problem((Task("t", 1.0),), (Technician("p"),), 0.0), seconds=1)
    assert "the plan ends at 0 h" in none.unassigned[0].reason


def test_the_smallest_and_the_strangest() -> None:
    tasks = (Task("\u202eא\x00 🙂", 0.01), Task("ﬁ", 0.01, skills=frozenset({"ﬁ"})))
    people = (Technician("\ud800", frozenset({"ﬁ", "fi"})),)
    problem = Problem(tasks, people, 2 / 60)
    found = solve(problem, "quality", seconds=1)
    assert check(problem, found) == ()
    assert len(found.assignments) == 2


def test_a_split_task_comes_last_where_it_is_the_least_urgent() -> None:
    person = Technician("p", available=((0.0, 8.0), (24.0, 32.0)))
    tasks = (Task("move", 10.0, may_split=True), Task("a", 2.0), Task("b", 3.0))
    problem = Problem(tasks, (person,), 40.0)
    found = solve(problem, "speed", seconds=2)
    assert check(problem, found) == ()
    assert [one.task_id for one in found.assignments] == ["a", "b", "move", "move"]
    assert not found.is_optimal  # which CP-SAT did not prove


@given(problems(), st.sampled_from([0, 400]))
@settings(max_examples=40, deadline=None)
def test_others_go_around_what_is_split(problem: Problem, small: int) -> None:
    tasks = tuple(
        dataclasses.replace(one, may_split=True, hours=2 * one.hours, latest_start_h=None)
        for one in problem.tasks
    )
    people = tuple(
        dataclasses.replace(one, available=tuple((4.0 * day, 4.0 * day + 2) for day in range(9)))
        for one in problem.technicians
    )
    often = Problem(tasks, people, problem.horizon_h)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "SMALL", small)
        patch.setattr(solver, "PARTS_A_SECOND", 20)
        found = solve(often, "quality", seconds=0.2)
    assert check(often, found) == ()
    rules = [value(often, dispatch(often, rule), "quality") for rule in Rule]
    assert value(often, found, "quality") == found.value <= min(rules)


@pytest.mark.usefixtures("no_clock")
@pytest.mark.parametrize("tasks", [14, 60])
def test_the_same_seed_finds_the_same_plan(tasks: int) -> None:
    problem = crowd(tasks, people=7)
    first, again = (solve(problem, "balanced", seconds=20, seed=4) for _ in range(2))
    assert "clock" not in first.method + again.method
    assert first == again
    assert "cp-sat" in first.method


def crowd(tasks: int, people: int) -> Problem:
    """Make a problem of the size that is asked for."""
    skills = ["a", "b", "c"]
    made = tuple(
        Task(
            task_id=f"t{one}",
            hours=0.2 + one * 7 % 11 / 3,
            priority=1 + one % 4,
            due_h=None if one % 3 else 4.0 + one % 17,
            release_h=one % 5 * 1.5,
            skills=frozenset({skills[one % 3]}) if one % 2 else frozenset(),
        )
        for one in range(tasks)
    )
    staff = tuple(
        Technician(
            f"p{one}",
            frozenset({skills[one % 3], skills[(one + 1) % 3]}),
            cost_h=30.0 + 7 * one % 40,
            level=1.0 + one % 4,
            busy=((4.0, 5.0),),
            available=tuple((24.0 * day, 24.0 * day + 8) for day in range(10)),
        )
        for one in range(people)
    )
    return Problem(made, staff, 240.0)


@pytest.mark.parametrize(("tasks", "people"), [(200, 20), (1000, 20)])
def test_large_problems_are_better_than_by_the_best_rule(tasks: int, people: int) -> None:
    problem = crowd(tasks, people)
    found = solve(problem, "speed", seconds=3)
    assert check(problem, found) == ()
    rules = [value(problem, dispatch(problem, rule), "speed") for rule in Rule]
    assert found.value <= min(rules)


def test_without_or_tools_tasks_are_moved_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python.cp_model", None)
    problem = crowd(20, 3)
    found = solve(problem, "speed", seconds=0.5)
    assert "pip install 'mesh_fl[schedule]'" in found.method
    assert not found.is_optimal
    assert check(problem, found) == ()


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, 1e6])
def test_bad_seconds_are_told(seconds: float) -> None:
    with pytest.raises(ConfigError, match="seconds: expected 0 to 600"):
        solve(queue(1.0), seconds=seconds)


@pytest.mark.parametrize("count", [4, 5, 8, 12])
def test_tasks_of_a_minute_that_are_alike_are_planned(count: int) -> None:
    """CP-SAT 9.15 raises an IndexError on their symmetries."""
    tasks = tuple(Task(f"t{n}", 1 / 60, priority=3 if n == 0 else 2) for n in range(count))
    problem = Problem(tasks, (Technician("p", available=((1, 1.5),)),), 168.0)
    plan = solve(problem)
    assert check(problem, plan) == ()
    assert plan.is_optimal or count > 5
    assert len(plan.assignments) == count


def test_a_solver_that_fails_leaves_the_rules_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    from ortools.sat.python import cp_model

    def fails(*_: object) -> None:
        raise IndexError("absl::btree_map::at")

    monkeypatch.setattr(cp_model.CpSolver, "solve", fails)
    plan = solve(queue(1, 2, 3))
    assert len(plan.assignments) == 3


def test_bad_settings_are_told() -> None:
    with pytest.raises(ConfigError, match="mode: expected one of balanced, speed, cost, quality"):
        solve(queue(1.0), "cheap")  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ConfigError, match="workers: expected 1 to 64"):
        solve(queue(1.0), workers=0)


def test_no_time_at_all_is_enough_for_a_rule() -> None:
    problem = crowd(30, 3)
    found = solve(problem, "speed", seconds=0)
    assert check(problem, found) == ()
    assert found.method.startswith("rule:")


@given(problems(most_tasks=5))
@settings(max_examples=40, deadline=None)
def test_points_are_told_apart_by_floats(problem: Problem) -> None:
    far = tuple(
        dataclasses.replace(one, release_h=-1e5, due_h=-1e5, weight=1000.0 if place else 1e-9)
        for place, one in enumerate(problem.tasks)
    )
    dear = tuple(
        dataclasses.replace(one, cost_h=1e7 if place else 0.01)
        for place, one in enumerate(problem.technicians)
    )
    wide = Problem(far, dear, 1e4)
    for mode in MODES:
        counts = objective(wide, mode)
        assert sum(counts.left_out.tolist()) < 2**53
        worst = counts.flow * (wide.grid.horizon - wide.grid.earliest)
        worst += counts.late * (wide.grid.horizon - wide.grid.still_due)
        worst += counts.pair.max(axis=1, initial=0)
        assert all(out > sum(worst.tolist()) for out in counts.left_out.tolist())
