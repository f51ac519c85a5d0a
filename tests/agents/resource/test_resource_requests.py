"""What a request may tell, and how long its tasks take by it."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import DAY_S, own

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.inputs import Input
from mesh_fl.agents.resource.request import MOST_TASKS, MOST_TECHNICIANS
from mesh_fl.agents.resource.tasks import read_tasks
from mesh_fl.agents.resource.technicians import read_technicians
from mesh_fl.client.models import Served, _public_card
from mesh_fl.client.serve import answer
from mesh_fl.errors import DataError, MeshError
from mesh_fl.site import Site

AGENT = ResourceAllocation()
NOW = "2026-03-02T08:00:00Z"
AT = 1_772_438_400.0
"""The same, a Monday."""

TABLES = {
    "tickets": [
        {"ticket_id": "old", "category": "Mail", "priority": 3, "opened_at": AT - 9 * DAY_S},
        {"ticket_id": "hot", "category": "Backup", "priority": 1, "opened_at": AT - DAY_S,
         "due_at": AT + 4 * 3600, "est_hours": 3},
        {"ticket_id": "done", "priority": 1, "opened_at": AT - DAY_S, "closed_at": AT - 60},
        {"ticket_id": "next", "priority": 1, "opened_at": AT + DAY_S},
        {"ticket_id": "hot", "category": "twice", "priority": 1},
    ],
}  # fmt: skip


def served(tables=None, state=None, agent=AGENT) -> Served:
    answering = agent.answering(Site(tables=own(tables or {})))
    model = agent.init() if state is None else state
    return Served(agent, model, _public_card("resource", adapted=False), answering)


def ask(tables=None, state=None, **body):
    return answer(served(tables, state), {"as_of": NOW, **body})


def ids(found) -> list[str]:
    return [one["task_id"] for one in found["tasks"]]


def test_hours_come_with_what_is_known_of_a_task() -> None:
    found = ask(tasks=[{"id": "a", "est_hours": 5}, {"task_id": "b"}, {"ticket_id": 7}])
    assert ids(found) == ["a", "b", "7"]
    long, unknown, _ = found["tasks"]
    assert unknown["predicted_hours"] == pytest.approx(AGENT.usual_hours)
    assert unknown["why"] == []
    assert long["predicted_hours"] == pytest.approx(AGENT.usual_hours * 5.6)
    assert long["why"] == [{"because": "est_hours 5", "factor": pytest.approx(5.6)}]
    assert long["hours_p90"] > long["predicted_hours"] == long["planned_hours"]


def test_own_hours_go_before_the_prediction() -> None:
    (found,) = ask(tasks=[{"hours": 2.5, "est_hours": 5}])["tasks"]
    assert found["planned_hours"] == 2.5
    assert found["predicted_hours"] == pytest.approx(5.6)


def test_one_task_may_be_told_by_its_inputs() -> None:
    found = ask(category="Backup", est_hours=1.5, priority=2)
    assert len(found["tasks"]) == 1
    assert found["tasks"][0]["why"][0]["because"] == "est_hours 1.5"
    assert found["unavailable"]["schedule"].startswith("tasks were told without technicians")


def test_reasons_are_what_the_model_learned() -> None:
    data = AGENT.prepare(
        {
            "category": np.array(["printer"] * 60 + ["server"] * 60, object),
            "actual_hours": np.array([0.25] * 60 + [6.0] * 60),
        }
    )
    state = AGENT.adapt(AGENT.init(), data)
    found = ask(state=state, tasks=[{"category": "Server"}, {"category": "printer"}])
    long, short = found["tasks"]
    assert long["why"][0]["because"] == "category Server"
    assert long["why"][0]["factor"] > 1 > short["why"][0]["factor"]
    assert long["predicted_hours"] > 4 > 0.5 > short["predicted_hours"]
    assert found["model_used"] == "public hours, fitted to 120 tickets of your own"
    trained = {**state, "round": np.array(16.0)}
    assert "in 16 rounds" in ask(state=trained, tasks=[{}])["model_used"]


def test_without_tasks_the_open_tickets_are_meant() -> None:
    # One ticket has to be closed: otherwise nobody knows whether the table tells closing at all.
    found = ask(TABLES)
    assert ids(found) == ["hot", "old"]
    assert found["tasks"][0]["why"][0]["because"] == "est_hours 3"
    assert found["unavailable"]["schedule"].startswith("no technician was told, and client.toml")


def test_own_tickets_are_named_by_id_and_filled_in() -> None:
    by_id = ask(TABLES, tasks=["hot"])["tasks"]
    told = ask(TABLES, tasks=[{"task_id": "hot", "hours": 1}])["tasks"]
    assert by_id[0]["why"] == told[0]["why"] != []
    assert told[0]["planned_hours"] == 1
    for ticket in ("done", "next", "nobody's"):
        with pytest.raises(DataError, match="expected the id of an open ticket of your own"):
            ask(TABLES, tasks=[ticket])


def test_tables_are_read_again_once_they_change() -> None:
    tables = own(TABLES)
    asked = AGENT.answering(Site(tables=tables))
    table = {"tasks": np.array([""], object), "as_of": np.array([AT])}
    assert len(asked(AGENT.init(), table)[0].tasks) == 2
    asked(AGENT.init(), table)
    assert tables["tickets"].reads == 1
    tables["tickets"].rows, tables["tickets"].version = TABLES["tickets"][1:], 1
    assert len(asked(AGENT.init(), table)[0].tasks) == 1
    assert tables["tickets"].reads == 2


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({}, "client.toml names no table of tickets"),
        ({"tickets": []}, "table tickets cannot be read: tickets.csv: expected rows"),
        ({"tickets": [{"opened_at": AT - 1}]}, "no ticket of the table tells closed_at"),
        ({"tickets": [{"closed_at": AT - 1}]}, "no ticket of the table is open"),
    ],
)
def test_why_there_are_no_tasks_is_told(tables, why) -> None:
    found = ask(tables)
    assert found["tasks"] == []
    assert why in found["unavailable"]["tasks"]
    assert why in found["unavailable"]["schedule"]


def test_every_empty_field_has_a_reason() -> None:
    for found in (ask(), ask(TABLES), ask(tasks=[]), ask(tasks=[{}], technicians=[])):
        empty = {name for name, value in found.items() if value in (None, [])}
        assert empty - {"notes", "unused_fields"} == set(found["unavailable"])


def test_fields_that_nothing_reads_are_told() -> None:
    found = ask(tasks=[{"colour": "red", "hours": 1}, {"colour": "blue", "hours": 1, "x": 1}])
    assert "fields of tasks that nothing reads: colour, x" in found["notes"]


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ("nonsense", "tasks: expected a list of objects|tasks: expected JSON"),
        ({"a": 1}, "tasks: expected a list of objects, found an object"),
        ([3], r"tasks\[0\]: expected an object or the id of a ticket, found a number"),
        ([{}, {"hours": -1}], r"tasks\[1\].hours: expected a number from 0"),
        ([{"hours": "long"}], r"tasks\[0\].hours"),
        ([{"hours": 1e9}], r"tasks\[0\].hours"),
        ([{"priority": 9}], r"tasks\[0\].priority: expected a number from 1 to 4"),
        ([{"priority": "huge"}], r"tasks\[0\].priority"),
        ([{"est_hours": -3}], r"tasks\[0\].est_hours"),
        ([{"due_at": "soon"}], r"tasks\[0\].due_at: expected a date"),
        ([{"skills": 3}], r"tasks\[0\].skills: expected a list of texts"),
        ([{"skills": [""]}], r"tasks\[0\].skills: expected at most"),
        ([{"skills": ["a"] * 51}], r"tasks\[0\].skills: expected at most"),
        ([{"id": "a"}, {"id": "a"}], "expected each id once, found 'a' again"),
        ([{"id": "x" * 500}], r"tasks\[0\].task_id: expected text of 1 to 200"),
        ([{"id": ["a"]}], r"tasks\[0\].task_id: expected text"),
        ([{}] * (MOST_TASKS + 1), "expected at most 1000, found 1001"),
    ],
)
def test_tasks_that_cannot_be_read_are_refused(tasks, told) -> None:
    with pytest.raises(DataError, match=told):
        ask(tasks=tasks)


@pytest.mark.parametrize(
    ("technicians", "told"),
    [
        ({}, "technicians: expected a list of objects"),
        ([{}], r"technicians\[0\]: expected technician_id, found none"),
        ([4], r"technicians\[0\]: expected an object"),
        ([{"id": "a"}, {"id": "a"}], "'a' stands there twice"),
        ([{"id": "a", "cost_h": -1}], r"technicians\[0\].cost_h"),
        ([{"id": "a", "level": "wizard"}], r"technicians\[0\].level: expected 0 to 4 or one of"),
        ([{"id": "a", "busy": [[2, 1]]}], r"technicians\[0\].busy\[0\]: expected two rising"),
        ([{"id": "a", "busy": [[1]]}], r"busy\[0\]: expected two rising"),
        ([{"id": "a", "busy": "noon"}], r"technicians\[0\].busy: expected a list of at most 400"),
        ([{"id": "a", "available": [[0, "x"]]}], r"available\[0\].end_h: expected a number"),
        ([{"id": "a"}] * (MOST_TECHNICIANS + 1), "expected at most 200, found 201"),
    ],
)
def test_technicians_that_cannot_be_read_are_refused(technicians, told) -> None:
    with pytest.raises(DataError, match=told):
        ask(tasks=[{}], technicians=technicians)


def test_a_task_is_read_whole() -> None:
    written = json.dumps(
        [
            {"id": "a", "priority": "high", "required_skills": "VPN; Fire  wall", "category": "x",
             "deadline": "2026-03-02T12:00:00Z", "release_h": 1.5},
        ]
    )  # fmt: skip
    (task,) = read_tasks(written, AGENT.inputs, AT, 9, lambda one: None)
    assert task.skills == {"vpn", "fire wall"}
    assert (task.priority, task.due_h, task.release_h) == (2, 4.0, 1.5)
    assert task.inputs == {"priority": 2.0, "category": "x"}
    assert task.ignored == ()


def test_a_technician_is_read_whole() -> None:
    written = json.dumps(
        [
            {"id": 7, "skills": ["VPN"], "hourly_rate": 50, "level": "Senior",
             "busy": [{"start_at": "2026-03-02T09:00:00Z", "end_at": "2026-03-02T10:30:00Z"}],
             "available": [[0, 8], [24, 32]], "colour": "red"},
            {"id": "b", "available_hours": 6, "level": 2},
            "c",
        ]
    )  # fmt: skip
    one, two, three = read_technicians(written, AT, 9, {})
    assert (one.technician_id, one.skills, one.cost_h, one.level) == ("7", {"vpn"}, 50.0, 3.0)
    assert one.busy == ((1.0, 2.5),)
    assert one.available == ((0.0, 8.0), (24.0, 32.0))
    assert one.ignored == ("colour",)
    assert (two.available, two.level) == (((0.0, 6.0),), 2.0)
    assert (three.technician_id, three.available) == ("c", None)


def test_a_call_of_many_requests_is_bounded() -> None:
    many = [{"tasks": [{}] * 1 + [{"hours": 1}] * 999, "as_of": NOW} for _ in range(11)]
    with pytest.raises(DataError, match="at most 10000 tasks"):
        answer(served(), {"records": many})


NAMES = (
    "task_id id hours est_hours priority category skills due_h due_at release_h opened_at "
    "technician_id busy available available_hours level cost_h start_h end_h"
)
FIELDS = st.sampled_from(NAMES.split())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "9" * 5000, "2026-03-02", "\ud800", "high"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON, JSON, JSON, JSON)
def test_anything_is_answered_or_refused_in_words(one, two, three, four) -> None:
    for body in (
        {"tasks": one, "category": two, "as_of": three, "priority": four},
        {"tasks": [{"id": "a", "skills": one, "due_h": two, "hours": three}, four]},
        {"tasks": [{}], "technicians": one, "seconds": 0},
        {"tasks": [], "technicians": [{"id": "a", "busy": one, "available": two, "level": three}]},
    ):
        found, refused = {"tasks": []}, ""
        try:
            found = answer(served(), body)
        except MeshError as error:
            refused = str(error)
        assert len(refused) < 5000
        json.dumps(found, allow_nan=False)
        assert all(math.isfinite(one["predicted_hours"]) for one in found["tasks"])


def test_a_large_request_is_read_in_one_pass() -> None:
    with pytest.raises(DataError, match="expected at most 1000"):
        ask(tasks=[{"id": str(n)} for n in range(50_000)])
    assert ask(tasks=[{"category": "x" * 1_000_000}])["tasks"][0]["why"] == []


def test_other_inputs_can_be_declared() -> None:
    agent = ResourceAllocation(
        label="elapsed_hours",
        inputs=(Input(name="site", kind="category", levels=("near", "far"), factors=(1, 3)),),
    )
    found = answer(served(agent=agent), {"tasks": [{"site": "far"}, {"site": ""}]})
    assert found["tasks"][0]["predicted_hours"] == pytest.approx(3.0)
    assert "from opening to closing, which is more than the work" in found["notes"][-1]
    with pytest.raises(DataError, match=r"tasks\[0\].site: expected one of near, far"):
        answer(served(agent=agent), {"tasks": [{"site": "moon"}]})
