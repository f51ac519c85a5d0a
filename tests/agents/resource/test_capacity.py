import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.resource.capacity import Demand, Member, Target, plan_capacity
from mesh_fl.agents.resource.capacity_queue import erlang_c, hours_for_wait, mean_wait_h
from mesh_fl.agents.resource.capacity_sharing import Sharing
from mesh_fl.errors import DataError

WEEK_H = 40.0


def demand(hours_week: float, mean_hours: float = 1.0, scv: float = 1.0) -> Demand:
    return Demand("s", hours_week / mean_hours, mean_hours, scv * mean_hours**2)


def test_erlang_c_by_the_book() -> None:
    # Gross and Harris, Fundamentals of queueing theory: c = 2, r = 1 gives 1/3.
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    # By the sum of the definition.
    c, load = 7, 5.5
    blocked = load**c / math.factorial(c) * c / (c - load)
    whole = sum(load**k / math.factorial(k) for k in range(c)) + blocked
    assert erlang_c(c, load) == pytest.approx(blocked / whole)
    assert erlang_c(3, 3.0) == 1.0


def test_one_person_is_pollaczek_and_khinchine() -> None:
    for scv in (0.0, 1.0, 4.0):
        busy = 0.8
        wait = busy / (1 - busy) * 2.0 * (1 + scv) / 2
        assert mean_wait_h(demand(32.0, 2.0, scv), WEEK_H, WEEK_H) == pytest.approx(wait)


def test_the_wait_agrees_with_a_queue_that_is_played() -> None:
    """Three people, lognormal work: the approximation lies near what a simulation finds."""
    random = np.random.default_rng(5)
    people, busy, scv, tasks = 3, 0.8, 2.0, 200_000
    sigma = math.sqrt(math.log1p(scv))
    hours = random.lognormal(-(sigma**2) / 2, sigma, tasks)
    comes = np.cumsum(random.exponential(1 / (people * busy), tasks))
    free, waits = [0.0] * people, 0.0
    for come, work in zip(comes.tolist(), hours.tolist(), strict=True):
        begin = max(come, free[0])
        waits += begin - come
        free[0] = begin + work
        free.sort()
    told = mean_wait_h(demand(people * busy * WEEK_H, 1.0, scv), people * WEEK_H, WEEK_H)
    assert told == pytest.approx(waits / tasks, rel=0.1)


@given(st.floats(0.1, 500), st.floats(0.05, 20), st.floats(0, 9), st.floats(0.001, 50))
@settings(max_examples=100, deadline=None)
def test_hours_for_a_wait_are_the_fewest(work: float, mean: float, scv: float, wait: float) -> None:
    one = demand(work, mean, scv)
    found = hours_for_wait(one, wait, WEEK_H)
    assert mean_wait_h(one, found, WEEK_H) <= wait
    assert mean_wait_h(one, found * (1 - 1e-6), WEEK_H) > wait or found <= work * (1 + 1e-5)


def test_variance_is_measured_or_follows_from_p50_and_p90() -> None:
    measured = Demand.measured("s", 10, [1.0, 2.0, 6.0])
    assert (measured.mean_hours, measured.variance_hours) == (3.0, 7.0)
    random = np.random.default_rng(1)
    hours = random.lognormal(math.log(1.5), 0.8, 400_000)
    p50, p90 = np.quantile(hours, [0.5, 0.9])
    told = Demand.predicted("s", 10, float(p50), float(p90))
    assert told.mean_hours == pytest.approx(hours.mean(), rel=0.01)
    assert told.variance_hours == pytest.approx(hours.var(), rel=0.05)


@pytest.mark.parametrize(
    ("p50", "p90"), [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0), (1e-9, 1e9)]
)
def test_impossible_quantiles_are_told(p50: float, p90: float) -> None:
    with pytest.raises(DataError, match="expected"):
        Demand.predicted("s", 10, p50, p90)


def test_one_task_has_no_variance() -> None:
    with pytest.raises(DataError, match="expected the hours of 2 tasks or more, found 1"):
        Demand.measured("s", 10, [1.0])


SKILLS = ["a", "b", "c"]


@given(
    st.lists(st.floats(0, 200), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.frozensets(st.sampled_from(SKILLS), max_size=3), st.floats(0, 60)),
        max_size=5,
    ),
)
@settings(max_examples=80, deadline=None)
def test_the_fewest_people_more_are_the_fewest(
    work: list[float], people: list[tuple[frozenset[str], float]]
) -> None:
    members = [Member(f"{place}", *one) for place, one in enumerate(people)]
    demands = [Demand(name, hours, 1.0) for name, hours in zip(SKILLS, work, strict=True)]
    found = plan_capacity(demands, members, Target(0.8), WEEK_H)
    more = {one.skill: one.people_more for one in found.skills}
    needed = dict(zip(SKILLS, (hours / 0.8 for hours in work), strict=True))
    assert enough(needed, members, more)
    if found.people_more:
        for fewer in itertools.combinations_with_replacement(SKILLS, found.people_more - 1):
            if found.people_more > 4:
                break
            assert not enough(needed, members, {name: fewer.count(name) for name in SKILLS}, -1e-6)


def enough(
    needed: dict[str, float], members: list[Member], more: dict[str, int], spare: float = 1e-6
) -> bool:
    """Hall's condition: whatever skills are looked at, those who have one of them have the time."""
    for size in range(1, len(SKILLS) + 1):
        for some in itertools.combinations(SKILLS, size):
            there = sum(one.hours_week for one in members if one.skills & set(some))
            there += WEEK_H * sum(more[name] for name in some)
            if sum(needed[name] for name in some) > there + spare * 200:
                return False
    return True


def test_time_is_shared_so_that_the_busiest_are_least_busy() -> None:
    members = [Member("x", frozenset({"a"}), 10), Member("y", frozenset({"a", "b", "c"}), 30)]
    given_hours = Sharing(members, SKILLS).evened(np.array([20.0, 4.0, 0.0]))
    # All as busy: 24 h of work in 40.
    assert given_hours == pytest.approx([40 * 20 / 24, 40 * 4 / 24, 0])
    given_hours = Sharing(members, SKILLS).evened(np.array([1.0, 20.0, 10.0]))
    # Nobody can take more off y, so that a keeps all of x.
    assert given_hours == pytest.approx([10, 20, 10])


@given(st.lists(st.floats(0, 100), min_size=3, max_size=3), st.floats(0.5, 0.95))
@settings(max_examples=30, deadline=None)
def test_the_target_breaks_where_it_is_said_to(work: list[float], most: float) -> None:
    members = [
        Member("x", frozenset({"a", "b"}), 40),
        Member("y", frozenset({"b", "c"}), 32),
        Member("z", frozenset({"c"}), 20),
    ]
    demands = [Demand(name, hours, 1.0) for name, hours in zip(SKILLS, work, strict=True)]
    found = plan_capacity(demands, members, Target(most))
    if found.breaks_at is None or not 1e-3 < found.breaks_at < 1e6:
        return
    for factor, is_kept in ((1 - 1e-4, True), (1 + 1e-4, False)):
        grown = [one.times(found.breaks_at * factor) for one in demands]
        assert (plan_capacity(grown, members, Target(most)).people_more == 0) is is_kept


def test_figures_are_cited() -> None:
    members = [Member("x", frozenset({"a"}), 40)]
    found = plan_capacity([Demand("a", 36, 1.0, 1.0), Demand("b", 4, 2.0)], members, Target())
    nobody, busy = found.skills
    assert (nobody.skill, nobody.people_more, nobody.utilisation) == ("b", 1, None)
    assert "4 tasks a week of 2 h each are 8 h; nobody has the skill" in nobody.reason
    assert busy.utilisation == 0.9
    assert busy.wait_h == pytest.approx(9.0)
    assert busy.breaks_at == pytest.approx(0.85 / 0.9)
    assert "36 h; 1 has the skill, and 40 h for it; a task waits 9 working hours" in busy.reason
    assert "the target takes 42.35 h" in busy.reason
    assert found.people_more == 2


def test_a_wait_takes_more_people_than_utilisation_alone() -> None:
    demands = [demand(30.0, 2.0, 3.0)]
    members = [Member("x", frozenset({"s"}), 40)]
    assert plan_capacity(demands, members, Target(0.85)).people_more == 0
    found = plan_capacity(demands, members, Target(0.85, wait_h=1.0))
    assert found.people_more == 1
    breaks = found.skills[0].breaks_at
    assert breaks is not None
    grown = demands[0].times(breaks)
    assert mean_wait_h(grown, 40.0, WEEK_H) == pytest.approx(1.0, rel=1e-4)


def test_nothing_to_do_needs_nobody() -> None:
    assert plan_capacity([], [], Target()).people_more == 0
    idle = plan_capacity([Demand("a", 0, 1.0)], [], Target()).skills[0]
    assert (idle.people_more, idle.breaks_at, idle.wait_h) == (0, None, 0.0)


def test_work_that_anybody_can_do_has_no_skill() -> None:
    members = [Member("x", frozenset(), 40), Member("y", frozenset({"a"}), 40)]
    found = plan_capacity([Demand("", 60, 1.0), Demand("a", 4, 1.0)], members, Target())
    assert found.people_more == 0
    assert {one.skill: one.people for one in found.skills} == {"": 2, "a": 1}


def test_bad_figures_are_told() -> None:
    good = Demand("a", 1, 1.0)
    for name in ("tasks_week", "mean_hours", "variance_hours", "arrival_scv"):
        for bad in (-1.0, math.nan, math.inf):
            with pytest.raises(DataError, match=f"'a': {name}: expected 0 to"):
                dataclasses.replace(good, **{name: bad})
    for bad in (0.0, 1.0, math.nan):
        with pytest.raises(DataError, match="utilisation: expected above 0 and below 1"):
            Target(bad)
    with pytest.raises(DataError, match="demands: expected each once, found 'a' again"):
        plan_capacity([good, good], [], Target())
    with pytest.raises(DataError, match="week_h: expected above 0"):
        plan_capacity([good], [], Target(), 0.0)
    with pytest.raises(DataError, match="hours_week: expected 0 to"):
        Member("x", frozenset(), -1.0)
    with pytest.raises(DataError, match="expected work for 100,000 people at most"):
        plan_capacity([Demand("a", 1e9, 1e3)], [], Target())
