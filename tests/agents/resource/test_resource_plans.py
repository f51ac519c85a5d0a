"""Plans as answers tell them: who does what when, beside first come, first served."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import DAY_S, own

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.calendars import working_hours, zone_of
from mesh_fl.agents.resource.request import MOST_SECONDS
from mesh_fl.client.models import Served, _public_card
from mesh_fl.client.serve import answer
from mesh_fl.errors import DataError, MeshError
from mesh_fl.site import Site

AGENT = ResourceAllocation()
NOW = "2026-03-02T08:00:00Z"
AT = 1_772_438_400.0
"""The same, a Monday."""


def ask(tables=None, **body):
    answering = AGENT.answering(Site(tables=own(tables or {})))
    served = Served(AGENT, AGENT.init(), _public_card("resource", adapted=False), answering)
    return answer(served, {"as_of": NOW, "seconds": 0.5} | body)


def task(name: str, hours: float, **more):
    return {"task_id": name, "hours": hours, **more}


def slots(found) -> dict[str, tuple[str, float, float]]:
    return {
        slot["task_id"]: (one["technician_id"], slot["start_h"], slot["end_h"])
        for one in found["schedule"]
        for slot in one["slots"]
    }


def test_a_plan_by_hand() -> None:
    found = ask(tasks=[task("a", 3), task("b", 1)], technicians=["t"], priority_mode="speed")
    assert slots(found) == {"b": ("t", 0.0, 1.0), "a": ("t", 1.0, 4.0)}
    (technician,) = found["schedule"]
    assert technician["assigned_tasks"] == ["b", "a"]
    assert technician["utilization"] == pytest.approx(4 / 40)
    assert technician["slots"][1]["start_at"] == "2026-03-02T09:00:00Z"
    plan, first = found["compared"]["plan"], found["compared"]["first_come"]
    assert (plan["flow_hours"], first["flow_hours"]) == (2.5, 3.5)
    assert found["time_saved_hours"] == pytest.approx(2.0)
    assert found["efficiency_score"] == pytest.approx(1 - 2.5 / 3.5)
    assert plan["late_hours"] is None
    assert plan["labour_cost"] is None


def test_urgent_tasks_count_more() -> None:
    tasks = [task("a", 1, priority=4), task("b", 2, priority=1, due_h=2)]
    found = ask(tasks=tasks, technicians=[{"id": "t", "cost_h": 10}], priority_mode="speed")
    assert list(slots(found)) == ["b", "a"]
    assert found["time_saved_hours"] == pytest.approx(-1.0)  # all together wait longer
    assert found["efficiency_score"] == pytest.approx(1 - (8 * 2 + 3) / (8 * 3 + 1))
    assert found["compared"]["first_come"]["late_hours"] == pytest.approx(1.0)
    assert found["compared"]["plan"]["late_hours"] == 0.0
    assert found["compared"]["plan"]["labour_cost"] == pytest.approx(30.0)


def test_a_task_that_only_one_order_does_counts_until_the_window_ends() -> None:
    tasks = [task("long", 6), task("a", 3), task("b", 3)]
    found = ask(tasks=tasks, technicians=["t"], time_window_hours=6, priority_mode="speed")
    assert set(slots(found)) == {"a", "b"}
    compared = found["compared"]
    assert (compared["tasks"], compared["plan"]["done"], compared["first_come"]["done"]) == (
        3,
        2,
        1,
    )
    assert compared["plan"]["flow_hours"] == pytest.approx((3 + 6 + 6) / 3)
    assert compared["first_come"]["flow_hours"] == pytest.approx(6.0)
    assert found["time_saved_hours"] == pytest.approx(3.0)


def test_the_cheaper_of_two_works_where_cost_counts() -> None:
    people = [{"id": "dear", "cost_h": 90}, {"id": "cheap", "cost_h": 30}]
    tasks = [task("a", 2), task("b", 2)]
    cost = ask(tasks=tasks, technicians=people, priority_mode="cost")
    speed = ask(tasks=tasks, technicians=people, priority_mode="speed")
    assert {who for who, _, _ in slots(cost).values()} == {"cheap"}
    assert {who for who, _, _ in slots(speed).values()} == {"cheap", "dear"}
    assert cost["compared"]["plan"]["labour_cost"] == pytest.approx(120.0)


def test_what_nobody_can_do_is_told_with_its_reason() -> None:
    tasks = [task("a", 1, skills=["VPN"]), task("b", 1, skills=["san"]), task("c", 90)]
    found = ask(tasks=tasks, technicians=[{"id": "t", "skills": "vpn"}], time_window_hours=8)
    assert list(slots(found)) == ["a"]
    reasons = {one["task_id"]: one["reason"] for one in found["unassigned"]}
    assert set(reasons) == {"b", "c"}
    assert "san" in reasons["b"]
    assert any("san" in one for one in found["obstacles"])


def test_predicted_hours_are_planned_with() -> None:
    found = ask(tasks=[{"id": "a", "est_hours": 5}], technicians=["t"])
    (hours,) = found["tasks"]
    start, end = slots(found)["a"][1:]
    assert end - start == pytest.approx(hours["planned_hours"], abs=1 / 60)
    assert hours["planned_hours"] == hours["predicted_hours"]


def test_capacity_is_counted_by_skill() -> None:
    tasks = [task("a", 6, skills=["vpn"]), task("b", 6, skills=["vpn"]), task("c", 1)]
    people = [{"id": "t", "skills": ["vpn"], "available_hours": 8}, {"id": "u", "busy": [[0, 9]]}]
    found = ask(tasks=tasks, technicians=people, time_window_hours=10)
    every, vpn = found["capacity"]
    assert (every["skill"], vpn["skill"]) == ("", "vpn")
    assert (every["work_hours"], every["free_hours"]) == pytest.approx((13, 9))
    assert (vpn["work_hours"], vpn["free_hours"], vpn["technicians"]) == (12, 8, 1)
    assert vpn["utilization"] == pytest.approx(1.5)
    assert vpn["technicians_more"] == 1  # 12 / 16 is below .85
    assert ask(tasks=[task("c", 1)], technicians=["t"])["capacity"][0]["technicians_more"] == 0


def test_coming_weeks_are_as_the_last_ones_were() -> None:
    closed = [
        {"category": "network", "opened_at": AT - n * 3600, "closed_at": AT - n * 3600 + 60,
         "actual_hours": 1.0 + n % 3}
        for n in range(1, 161)
    ]  # fmt: skip
    tables = OWN | {"tickets": [*OWN["tickets"], *closed]}
    (need,) = ask(tables)["weekly_capacity"]
    assert need["skill"] == "network"
    assert need["work_hours_week"] == pytest.approx(161 / 8 * 2, rel=0.02)  # one is open
    assert (need["technicians"], need["free_hours_week"]) == (1, pytest.approx(30.0))
    assert need["utilization"] == pytest.approx(need["work_hours_week"] / 30)
    assert need["technicians_more"] >= 1
    assert "fewer than 20 tickets" in ask(OWN)["unavailable"]["weekly_capacity"]


OWN = {
    "tickets": [
        {"ticket_id": "t1", "category": "Network", "opened_at": AT - DAY_S, "est_hours": 3},
        {"ticket_id": "t2", "category": "mail", "opened_at": AT - 2 * DAY_S, "est_hours": 10},
        {"ticket_id": "t3", "category": "mail", "closed_at": AT - 60},
    ],
    "technicians": [
        {"technician_id": "ada", "skills": "network; backup", "capacity_h_day": 6},
        {"technician_id": "ben", "timezone": "America/New_York"},
    ],
    "appointments": [
        {"technician_id": "ada", "start_at": AT, "end_at": AT + 3 * 3600},
        {"technician_id": "ben", "start_at": AT + 9 * DAY_S, "end_at": AT + 10 * DAY_S},
    ],
}


def test_own_tickets_are_planned_into_own_calendars() -> None:
    found = ask(OWN)
    assert found["time_window_hours"] == 168
    plan = slots(found)
    # Ada alone knows networks; she begins at nine and has an appointment until eleven.
    assert plan["t1"][:2] == ("ada", 3.0)
    free = {one["technician_id"]: one["free_hours"] for one in found["schedule"]}
    assert free == {"ada": pytest.approx(28.0), "ben": pytest.approx(40.0)}
    # Eleven hours of mail are longer than a day: they go on later.
    parts = [s for one in found["schedule"] for s in one["slots"] if s["task_id"] == "t2"]
    assert len(parts) > 1
    assert any("less their appointments" in one for one in found["notes"])


def test_told_technicians_go_before_own_ones() -> None:
    found = ask(OWN, technicians=[{"id": "zoe", "skills": ["network"]}])
    assert [one["technician_id"] for one in found["schedule"]] == ["zoe"]
    assert set(slots(found)) == {"t1", "t2"}


def test_somebody_without_hours_gets_no_task() -> None:
    people = [{"technician_id": "ada", "capacity_h_day": 0}]
    found = ask(OWN | {"technicians": people})
    assert slots(found) == {}
    (technician,) = found["schedule"]
    assert technician["utilization"] is None
    assert len(found["unassigned"]) == 2
    assert found["compared"] is None
    assert "efficiency_score" in found["unavailable"]
    told = ask(tasks=[task("a", 1)], technicians=[{"id": "t", "available": []}])
    assert slots(told) == {}


def test_every_empty_field_of_a_plan_has_a_reason() -> None:
    for found in (
        ask(OWN),
        ask(tasks=[task("a", 1)], technicians=["t"]),
        ask(tasks=[task("a", 1, skills=["x"])], technicians=["t"]),
        ask(tasks=[], technicians=["t"]),
    ):
        empty = {name for name, value in found.items() if value in (None, [])}
        assert empty - {"notes", "unused_fields"} == set(found["unavailable"])


def test_a_call_asks_for_a_bounded_search() -> None:
    one = {"tasks": [task("a", 1)], "technicians": ["t"], "seconds": MOST_SECONDS}
    answering = AGENT.answering(Site())
    served = Served(AGENT, AGENT.init(), _public_card("resource", adapted=False), answering)
    with pytest.raises(DataError, match="10 seconds of search in all requests"):
        answer(served, {"records": [one, one]})
    with pytest.raises(DataError, match="20 plans"):
        answer(served, {"records": [{**one, "seconds": 0}] * 21})
    with pytest.raises(DataError, match="seconds: expected a number from 0 to 10"):
        ask(seconds=11)
    with pytest.raises(DataError, match="priority_mode: expected one of balanced, speed"):
        ask(priority_mode="fast")


def test_the_same_request_has_the_same_plan() -> None:
    random = np.random.default_rng(2)
    tasks = [task(f"t{n}", float(random.uniform(0.2, 5)), priority=1 + n % 4) for n in range(7)]
    one, two = (ask(tasks=tasks, technicians=["a", "b"], seconds=5) for _ in range(2))
    assert slots(one) == slots(two)
    assert one["efficiency_score"] > 0.05


SOME = st.sampled_from(["a", "b", "vpn", ""])
HOURS = st.floats(-5, 60) | st.none()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 30), HOURS, HOURS, SOME), max_size=6),
    st.lists(st.tuples(SOME, st.lists(st.tuples(st.floats(-9, 50), st.floats(0, 9)))), max_size=3),
    st.floats(0, 60),
)
def test_every_task_is_planned_once_or_told_why_not(tasks, people, window) -> None:
    told = [
        {"task_id": f"t{n}", "hours": hours, "due_h": due, "release_h": release, "skills": skill}
        for n, (hours, due, release, skill) in enumerate(tasks)
    ]
    staff = [
        {
            "id": f"p{n}",
            "skills": skill,
            "busy": [[start, start + length] for start, length in busy],
        }
        for n, (skill, busy) in enumerate(people)
    ]
    try:
        found = ask(tasks=told, technicians=staff, time_window_hours=window, seconds=0)
    except MeshError as error:
        pytest.fail(str(error))
    json.dumps(found, allow_nan=False)
    if not told or not staff:
        assert found["unavailable"]["schedule"]
        return
    planned = [name for one in found["schedule"] for name in one["assigned_tasks"]]
    left = [one["task_id"] for one in found["unassigned"]]
    assert sorted(planned + left) == sorted(one["task_id"] for one in told)
    assert all(one["reason"] for one in found["unassigned"])
    assert all(0 <= start <= end <= window + 1e-6 for _, start, end in slots(found).values())


def test_a_working_day_begins_at_nine_where_somebody_is() -> None:
    week = working_hours(AT, 168.0, 8.0, "")
    assert week[0] == (1.0, 9.0)
    assert len(week) == 5
    assert week[-1] == (97.0, 105.0)
    assert working_hours(AT, 24.0, 8.0, "America/New_York") == ((6.0, 14.0),)
    assert working_hours(AT, 24.0, 20.0, "") == ((0.0, 16.0), (20.0, 24.0))  # begins at four
    assert working_hours(AT + 5 * DAY_S, 24.0, 8.0, "") == ()  # Saturday
    # A night of Europe's change to summer time is an hour shorter.
    friday = AT + 25 * DAY_S
    spans = working_hours(friday, 96.0, 8.0, "Europe/Berlin")
    assert [start for start, _ in spans] == [0.0, 71.0, 95.0]


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "\x00", "/", "A" * 5000])
def test_an_unknown_zone_is_that_of_the_world(name: str) -> None:
    assert str(zone_of(name)) == "UTC"


def test_work_begins_by_the_clock_also_on_the_day_it_changes() -> None:
    """In Cairo clocks went forward at midnight on Friday 2026-04-24."""
    before = datetime(2026, 4, 23, 21, 0, tzinfo=UTC).timestamp()
    ((start, end), *_) = working_hours(before, 24.0, 8.0, "Africa/Cairo")
    opens = datetime.fromtimestamp(before + start * 3600, zone_of("Africa/Cairo"))
    assert (opens.hour, opens.minute, end - start) == (9, 0, 8.0)


def test_ones_own_technicians_are_known_by_their_id() -> None:
    tables = {
        "technicians": [
            {"technician_id": "ada", "skills": "network", "cost_h": 70, "timezone": "UTC"},
            {"technician_id": "ben", "skills": "backup", "cost_h": 40, "timezone": "UTC"},
        ]
    }
    work = [task("a", 2, skills=["network"])]
    found = ask(tables, tasks=work, technicians=["ada", {"technician_id": "ben", "cost_h": 1}])
    assert slots(found) == {"a": ("ada", 1.0, 3.0)}  # who works from nine
    assert found["compared"]["plan"]["labour_cost"] == pytest.approx(140)
    nobody = ask(tables, tasks=work, technicians=[{"technician_id": "ada", "skills": []}])
    assert "nobody has the skill 'network'" in nobody["unassigned"][0]["reason"]
    with pytest.raises(DataError, match=r"one of your own technicians \(ada, ben\).*'ghost'"):
        ask(tables, tasks=work, technicians=["ada", "ghost"])


def test_a_plan_that_waits_longer_than_first_come_says_what_for() -> None:
    tasks = [task("a", 4), task("b", 4)]
    technicians = [{"id": "dear", "cost_h": 500}, {"id": "cheap", "cost_h": 5}]
    found = ask(tasks=tasks, technicians=technicians, priority_mode="cost")
    assert found["efficiency_score"] < 0
    (note,) = (one for one in found["notes"] if one.startswith("tasks wait"))
    assert "50% longer" in note
    assert "labour costs 40 in place of 2020" in note
    quick = ask(tasks=tasks, technicians=technicians, priority_mode="speed")
    assert not any(one.startswith("tasks wait") for one in quick["notes"])


def test_a_call_that_asks_for_too_much_is_refused_before_any_plan(monkeypatch) -> None:
    from mesh_fl.agents.resource import planning

    monkeypatch.setattr(planning, "plan", lambda *_: pytest.fail("planned"))
    answering = AGENT.answering(Site())
    served = Served(AGENT, AGENT.init(), _public_card("resource", adapted=False), answering)
    one = {"tasks": [task("a", 1)], "technicians": ["t"]}
    with pytest.raises(DataError, match="at most 10 seconds of search"):
        answer(served, {"records": [one] * 20})


def test_what_fits_a_window_exactly_fits_by_the_clock() -> None:
    from mesh_fl.agents.resource.desk import Desk
    from mesh_fl.schema import table_of

    desk = Desk(AGENT._durations, AGENT.label, now=lambda: AT + 37.25)
    window = {"start_at": "2026-03-02T10:00:00Z", "end_at": "2026-03-02T12:00:00Z"}
    told = {
        "tasks": json.dumps([task("a", 2)]),
        "technicians": json.dumps([{"technician_id": "t", "available": [window]}]),
    }
    fields = tuple(one for one in AGENT.schema if one.name != AGENT.label)
    record = {one.name: one.parse(told.get(one.name)) for one in fields}
    (found,) = desk.answer(AGENT.init(), table_of(fields, [record]))
    assert found.unassigned == ()
    assert found.schedule[0].slots[0].start_at == "2026-03-02T10:00:00Z"


def test_weekly_capacity_needs_no_open_ticket() -> None:
    closed = [
        {
            "opened_at": AT - (60 - day) * DAY_S,
            "closed_at": AT - (60 - day) * DAY_S + 7200,
            "actual_hours": 2.0,
            "category": "network",
        }
        for day in range(60)
    ]
    people = [{"technician_id": "ada", "skills": "network", "timezone": "UTC"}]
    found = ask({"tickets": closed, "technicians": people})
    assert found["tasks"] == []
    assert found["weekly_capacity"][0]["work_hours_week"] == pytest.approx(14.0, rel=0.05)


def test_time_zones_that_are_none_are_named() -> None:
    own = {**OWN, "technicians": [{"technician_id": "ada", "timezone": "W. Europe Standard Time"}]}
    (note,) = (one for one in ask(own)["notes"] if "planned in UTC" in one)
    assert "'W. Europe Standard Time'" in note
    assert not any("planned in UTC" in one for one in ask(OWN)["notes"])


def test_a_call_may_tell_so_many_spans() -> None:
    busy = [[2 * place, 2 * place + 1] for place in range(300)]
    people = [{"technician_id": f"p{place}", "busy": busy} for place in range(200)]
    with pytest.raises(DataError, match="50000 spans of technicians"):
        ask(tasks=[task("a", 1)], technicians=people, seconds=0)
    assert ask(tasks=[task("a", 1)], technicians=people[:100], seconds=0)["schedule"]


def test_a_plan_that_does_fewer_tasks_or_others_says_so() -> None:
    """Two short tasks came first; one urgent task takes the whole window."""
    tasks = [task("a", 1, priority=4), task("b", 1, priority=4), task("c", 2, priority=1)]
    found = ask(tasks=tasks, technicians=["t"], time_window_hours=2, priority_mode="speed")
    (note,) = (one for one in found["notes"] if "tasks are done in the window" in one)
    assert note.startswith("1 tasks are done in the window, whose weights by priority sum to 8;")
    assert "would do 2 others or the same, of 2" in note
    assert found["compared"]["plan"]["done_weight"] == 8
