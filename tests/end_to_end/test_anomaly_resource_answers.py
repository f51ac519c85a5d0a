"""Anomalies and plans by a member alone: a real process, tables of its own, and no network."""

import json
import math
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import numpy as np
import pytest

from end_to_end.network import Network, free_ports, short_heartbeats
from mesh_fl.agents.resource.own_past import PLAYING

NOW = datetime(2025, 3, 3, 8, tzinfo=UTC)  # a Monday
NAME = "alone"
HOUR = timedelta(hours=1)

SETTINGS = """
[tables.events]
path = "events.csv"
id = "event_id"

[tables.metrics]
path = "metrics.csv"
id = "metric_id"

[tables.tickets]
path = "tickets.csv"
id = "ticket_id"

[tables.technicians]
path = "technicians.csv"
id = "technician_id"

[agents.anomaly]
tables = ["events"]

[agents.resource]
tables = ["tickets"]
"""

EVENTS, ODD_EVENT = 3000, "e2998"
READINGS, SPIKE_AT = 2000, 1990
USUAL_KINDS = ("blocked", "allowed")
SKILLS = {"ana": ("network", "email"), "bob": ("email",), "cy": ("backup",)}
OPEN = {"o0": "network", "o1": "email", "o2": "backup", "o3": "email"}

TASKS = [
    {"task_id": "switch", "hours": 3, "priority": 1, "skills": ["network"]},
    {"task_id": "mailbox", "hours": 1, "priority": 3, "skills": ["email"]},
    {"task_id": "restore", "hours": 2, "priority": 2, "skills": ["backup"], "due_h": 3},
    {"task_id": "archive", "hours": 4, "priority": 4, "skills": ["email"]},
    {"task_id": "router", "hours": 2, "priority": 2, "skills": ["network"], "release_h": 4},
]
TECHNICIANS = [
    {"technician_id": "ana", "skills": ["network", "email"], "available": [[0, 4], [5, 9]]},
    {"technician_id": "bob", "skills": ["email"], "available": [[0, 8]], "busy": [[2, 3]]},
    {"technician_id": "cy", "skills": ["backup"], "available": [[1, 8]]},
]
IMPOSSIBLE = {"task_id": "punch cards", "hours": 1, "skills": ["mainframe"]}


class Member:
    """A member that serves, and can be killed and started again."""

    def __init__(self, network):
        self.network = network
        self.http = httpx.Client(timeout=30, trust_env=False)
        self.start()

    def start(self):
        self.process = self.network.start_member(NAME)
        self.process.await_event("serving")
        until = time.monotonic() + 30
        while not all(one["adapted"] for one in self.network.get(NAME)["models"].values()):
            assert time.monotonic() < until, self.process.err
            time.sleep(0.1)

    def post(self, path, body):
        url = f"http://127.0.0.1:{self.network.ports[NAME]}{path}"
        return self.http.post(url, json=body)

    def put(self, path, body):
        found = self.post(path, {"as_of": NOW.isoformat(), **body})
        assert found.status_code == 200, found.text
        return found.json()

    def put_when_played(self, path, body):
        """Ask until the queue's past, which a thread plays again, is part of the answer."""
        until = time.monotonic() + 60
        while PLAYING in (found := self.put(path, body)).get("unavailable", {}).values():
            assert time.monotonic() < until, found
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    network = Network(tmp_path_factory.mktemp("alone"), prepare=short_heartbeats)
    home = network.home(NAME)
    network.call("mesh-client", "init", home, "--name", NAME)
    (network.ports[NAME],) = free_ports(1)
    settings = home / "client.toml"
    text = settings.read_text().replace("port = 8700", f"port = {network.ports[NAME]}")
    settings.write_text(text + SETTINGS)
    write_events(home / "events.csv")
    write_metrics(home / "metrics.csv")
    write_queue(home)
    one = Member(network)
    yield one
    one.http.close()
    network.end()


def write_events(path):
    random = np.random.default_rng(1)
    lines = ["event_id,ts,source,kind,severity,message"]
    for place in range(EVENTS):
        at = NOW - timedelta(minutes=10 * (EVENTS - 1 - place))
        kind = USUAL_KINDS[random.integers(2)]
        told = f"firewall,{kind},{random.integers(2)},{kind} host{random.integers(99)}"
        if f"e{place}" == ODD_EVENT:
            told = "domain controller,replication,4,replication asked for by pc17"
        lines.append(f"e{place},{at.isoformat()},{told}")
    path.write_text("\n".join(lines) + "\n")


def noise(seed):
    values = np.random.default_rng(seed).normal(50, 2, READINGS).round(3)
    values[SPIKE_AT] = 120
    return values.tolist()


def write_metrics(path):
    lines = ["metric_id,ts,series_id,value"]
    for place, value in enumerate(noise(2)):
        at = NOW - (READINGS - 1 - place) * HOUR
        lines.append(f"m{place},{at.isoformat()},db cpu,{value}")
    path.write_text("\n".join(lines) + "\n")


def write_queue(home):
    random = np.random.default_rng(3)
    tickets = ["ticket_id,opened_at,closed_at,priority,category,actual_hours"]
    for place in range(80):
        opened, hours = NOW - timedelta(days=60 - place / 2), random.uniform(0.5, 4)
        category = ("network", "email", "backup")[place % 3]
        closed = opened + 2 * hours * HOUR
        tickets.append(f"t{place},{opened},{closed},{1 + place % 4},{category},{hours:.2f}")
    for number, (ticket, category) in enumerate(OPEN.items()):
        tickets.append(f"{ticket},{NOW - (number + 1) * HOUR},,{1 + number},{category},")
    (home / "tickets.csv").write_text("\n".join(tickets) + "\n")
    people = ["technician_id,skills,cost_h,capacity_h_day,timezone"]
    people += [f"{one},{';'.join(skills)},50,8,UTC" for one, skills in SKILLS.items()]
    (home / "technicians.csv").write_text("\n".join(people) + "\n")


# Anomalies.


def test_a_spike_among_values_is_the_one_critical_anomaly(member):
    found = member.put("/anomaly", {"values": noise(4), "metric_type": "cpu"})
    first = found["anomalies"][0]
    assert (first["kind"], first["subject"], first["place"]) == ("reading", "cpu", SPIKE_AT)
    assert first["value"] == 120
    assert first["expected"] == pytest.approx(50, abs=1)
    assert first["severity"] == found["highest_severity"] == "critical"
    assert [one["place"] for one in found["anomalies"] if one["severity"] == "critical"] == [
        SPIKE_AT
    ]
    assert found["judged"] == {"readings": READINGS}
    assert found["root_causes"][0]["feature"] == "cpu"
    assert found["drift"] == []


def test_values_that_are_alike_raise_nothing(member):
    found = member.put("/anomaly", {"values": [7.0] * 300})
    assert found["anomalies"] == []
    assert found["highest_severity"] is None
    assert "stated rate" in found["unavailable"]["highest_severity"]


def test_an_event_unlike_its_own_is_explained(member):
    usual = {"source": "firewall", "kind": "blocked", "severity": 0, "message": "blocked host4"}
    assert member.put("/anomaly", usual)["anomalies"] == []
    found = member.put("/anomaly", {**usual, "source": "mainframe"})
    (first,) = found["anomalies"]
    assert first["kind"] == "record"
    assert first["causes"][0]["feature"] == found["root_causes"][0]["feature"] == "source"
    assert (first["causes"][0]["value"], first["causes"][0]["usual"]) == ("mainframe", "firewall")
    assert 0 < first["own_forest_score"] < 1


def test_a_strange_line_is_found_among_usual_ones(member):
    lines = [f"blocked host{place}" for place in range(50)]
    lines[17] = "kernel panic: not syncing"
    found = member.put("/anomaly", {"lines": lines})
    assert [(one["kind"], one["place"]) for one in found["anomalies"]] == [("line", 17)]
    assert found["judged"] == {"lines": 50}


def test_own_tables_tell_the_planted_event_and_spike(member):
    found = member.put("/anomaly", {})
    told = {(one["kind"], one["subject"]): one for one in found["anomalies"]}
    spike, odd = told["reading", "db cpu"], told["event", ODD_EVENT]
    at = NOW - (READINGS - 1 - SPIKE_AT) * HOUR
    assert datetime.fromisoformat(spike["at"]) == at
    assert (spike["value"], spike["severity"]) == (120, "critical")
    assert "domain controller" in odd["context"]
    assert {one["feature"] for one in odd["causes"]} & {"source", "kind", "message"}
    assert found["judged"]["readings"] == 24
    assert found["judged"]["events"] == 24 * 6
    causes = {one["feature"] for one in found["root_causes"]}
    assert "db cpu" in causes


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/anomaly", {"values": [1, "many", 3]}, "values"),
        ("/anomaly", {"values": {"a": 1}}, "values"),
        ("/anomaly", {"lines": [1, 2]}, "lines"),
        ("/anomaly", {"time_range_hours": -1}, "time_range_hours"),
        ("/anomaly", {"as_of": "2500-01-01"}, "as_of"),
        ("/resource", {"tasks": "[{]", "technicians": []}, "tasks"),
        ("/resource", {"tasks": [{"task_id": "a", "hours": -1}]}, "hours"),
        ("/resource", {"tasks": TASKS, "technicians": [{"skills": []}]}, "technician_id"),
        ("/resource", {"tasks": TASKS, "technicians": 2 * TECHNICIANS}, "twice"),
        ("/resource", {"tasks": TASKS, "seconds": 1e9}, "seconds"),
        ("/resource", {"tasks": TASKS, "priority_mode": "fast"}, "priority_mode"),
    ],
)
def test_bad_input_is_refused_with_one_message(member, path, body, told):
    found = member.post(path, body)
    assert found.status_code == 422, found.text
    detail = found.json()["detail"]
    assert told in json.dumps(detail)
    assert "Traceback" not in found.text
    assert member.process.status is None


def test_a_field_that_nothing_reads_is_named(member):
    assert member.put("/anomaly", {"values": [1.0] * 9, "colour": 1})["unused_fields"] == ["colour"]


# Plans.


def complaints(found, tasks, technicians):
    """Yield what is wrong with a plan: told apart from the code that made it, in hours."""
    people = {one["technician_id"]: one for one in technicians}
    wanted = {one["task_id"]: one for one in tasks}
    planned, left = {}, [one["task_id"] for one in found["unassigned"]]
    for plan in found["schedule"]:
        slots = sorted(plan["slots"], key=lambda one: one["start_h"])
        for before, after in pairwise(slots):
            if after["start_h"] < before["end_h"] - 1e-6:
                yield "two at once", before, after
        for slot in slots:
            planned.setdefault(slot["task_id"], []).append((plan["technician_id"], slot))
    if sorted(planned) + sorted(left) != sorted(planned) + sorted(set(wanted) - set(planned)):
        yield "not every task once", sorted(planned), left
    for name, parts in planned.items():
        task, (who,) = wanted[name], {one for one, _ in parts}
        if not set(task["skills"]) <= set(people[who]["skills"]):
            yield "not able", name, who
        worked = sum(slot["end_h"] - slot["start_h"] for _, slot in parts)
        if not math.isclose(worked, task["hours"], abs_tol=1 / 60 + 1e-6):
            yield "too short or too long", name, worked
        for _, slot in parts:
            yield from _of_slot(slot, task, people[who])


def _of_slot(slot, task, person):
    start, end = slot["start_h"], slot["end_h"]
    if start < task.get("release_h", 0) - 1e-6:
        yield "too early", slot
    if not any(low - 1e-6 <= start and end <= high + 1e-6 for low, high in person["available"]):
        yield "not there", slot
    if any(min(end, high) - max(start, low) > 1e-6 for low, high in person.get("busy", [])):
        yield "busy", slot
    begins = NOW + timedelta(hours=start)
    if abs(datetime.fromisoformat(slot["start_at"]) - begins) > timedelta(seconds=1):
        yield "another moment", slot


@pytest.mark.parametrize("mode", ["balanced", "speed", "cost", "quality"])
@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_plan_keeps_every_rule(member, mode, seconds):
    body = {"tasks": TASKS, "technicians": TECHNICIANS, "priority_mode": mode, "seconds": seconds}
    found = member.put("/resource", {**body, "time_window_hours": 10})
    assert list(complaints(found, TASKS, TECHNICIANS)) == []
    assert found["unassigned"] == []
    assert found["compared"]["plan"]["done"] == len(TASKS)


def test_the_checker_sees_a_spoilt_plan(member):
    body = {"tasks": TASKS, "technicians": TECHNICIANS, "seconds": 0, "time_window_hours": 10}
    found = member.put("/resource", body)
    busy = next(one for one in found["schedule"] if one["technician_id"] == "bob")
    assert busy["slots"]
    busy["slots"][0]["start_h"] = 2.5
    assert list(complaints(found, TASKS, TECHNICIANS))


def test_the_urgent_and_short_come_first_for_speed(member):
    tasks = [
        {"task_id": name, "hours": hours, "priority": priority, "skills": []}
        for name, hours, priority in (("long", 4, 3), ("urgent", 4, 1), ("short", 1, 3))
    ]
    body = {"tasks": tasks, "technicians": [{"technician_id": "p"}], "priority_mode": "speed"}
    found = member.put("/resource", {**body, "seconds": 0.3, "time_window_hours": 10})
    # By weight over hours (Smith 1956): 8/4 and 2/1 are alike, and 2/4 is last.
    (plan,) = found["schedule"]
    assert plan["assigned_tasks"][2] == "long"
    weighted = {"long": 2, "urgent": 8, "short": 2}
    total = sum(weighted[one["task_id"]] * one["end_h"] for one in plan["slots"])
    assert total == pytest.approx(8 * 4 + 2 * 5 + 2 * 9)


def test_an_impossible_skill_is_explained(member):
    body = {"tasks": [*TASKS, IMPOSSIBLE], "technicians": TECHNICIANS, "seconds": 0}
    found = member.put("/resource", {**body, "time_window_hours": 10})
    (left,) = found["unassigned"]
    assert left["task_id"] == IMPOSSIBLE["task_id"]
    assert "nobody has the skill" in left["reason"]
    assert "mainframe" in left["reason"]
    assert any("punch cards" in one for one in found["obstacles"])


def test_capacity_is_told_skill_by_skill(member):
    body = {"tasks": TASKS, "technicians": TECHNICIANS, "seconds": 0}
    found = member.put("/resource", {**body, "time_window_hours": 10})
    told = {one["skill"]: one for one in found["capacity"]}
    assert (told[""]["work_hours"], told[""]["free_hours"]) == (12, 8 + 7 + 7)
    assert (told["email"]["work_hours"], told["email"]["free_hours"]) == (5, 8 + 7)
    assert told["email"]["technicians"] == 2
    assert told["email"]["technicians_more"] == 0
    assert told[""]["utilization"] == pytest.approx(12 / 22)


def test_too_few_people_are_counted(member):
    tasks = [{"task_id": f"t{n}", "hours": 4, "skills": ["email"]} for n in range(10)]
    people = [{"technician_id": "bob", "skills": ["email"], "available": [[0, 8]]}]
    found = member.put("/resource", {"tasks": tasks, "technicians": people, "seconds": 0})
    told = {one["skill"]: one for one in found["capacity"]}
    # 40 hours at 85 % are 47.06; beyond the 8 there are, five more of 8 hours each.
    assert told["email"]["technicians_more"] == 5
    assert len(found["unassigned"]) == 8


def test_own_queue_is_planned_with_own_technicians(member):
    found = member.put("/resource", {"seconds": 0})
    assert {one["task_id"] for one in found["tasks"]} == set(OPEN)
    assert found["unassigned"] == []
    doers = {
        task: plan["technician_id"] for plan in found["schedule"] for task in plan["assigned_tasks"]
    }
    assert set(doers) == set(OPEN)
    for task, who in doers.items():
        assert OPEN[task] in SKILLS[who]
    for plan in found["schedule"]:
        for slot in plan["slots"]:
            start, end = (datetime.fromisoformat(slot[one]) for one in ("start_at", "end_at"))
            nine = start.replace(hour=9, minute=0)
            assert start.weekday() < 5
            assert nine <= start < end <= nine + 8 * HOUR
    assert all(one["predicted_hours"] > 0 for one in found["tasks"])


def test_a_killed_member_answers_the_same_again(member):
    plan = {"tasks": TASKS, "technicians": TECHNICIANS, "seconds": 0, "time_window_hours": 10}
    asked = [
        ("/anomaly", {"values": noise(4)}),
        ("/anomaly", {"source": "mainframe", "kind": "blocked"}),
        ("/anomaly", {"lines": ["blocked host1", "kernel panic: not syncing"]}),
        ("/anomaly", {}),
        ("/resource", plan),
        ("/resource", {"seconds": 0}),
    ]
    before = [member.put_when_played(*one) for one in asked]
    member.process.kill()
    with pytest.raises(httpx.TransportError):
        member.put(*asked[0])
    member.start()
    assert [member.put_when_played(*one) for one in asked] == before
