"""A queue's past is played again, and nothing is claimed of one that is not understood."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mesh_fl.agents.resource.dispatching import RULES
from mesh_fl.agents.resource.policy_learned import LearnedPolicy
from mesh_fl.agents.resource.replay import replay
from mesh_fl.agents.resource.replay_history import history_of
from mesh_fl.agents.resource.replay_predictions import foretold
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Table, column_of

MONDAY_S = 4 * 86_400.0 + 2600 * 7 * 86_400.0
HOURS = {"password": 0.3, "printer": 1.0, "server": 4.0}


def table(name: str, rows: list[dict[str, object]]) -> Table:
    columns = {f: [f.parse(row.get(f.name)) for row in rows] for f in TABLES[name].fields}
    return {field.name: column_of(field, values) for field, values in columns.items()}


Order = Callable[[float, float], float]
"""Whose smallest goes first, of the moment of opening and the hours."""


def past(
    seed: int = 0, weeks: int = 16, people: int = 3, load: float = 0.9, shifts: bool = True
) -> list[dict[str, object]]:
    """Tickets first come, first served: a loop of its own, in hours of work, not of the clock."""
    return past_by(lambda at, hours: at, seed, weeks, people, load, shifts)


def past_by(
    order: Order,
    seed: int = 0,
    weeks: int = 16,
    people: int = 3,
    load: float = 0.9,
    shifts: bool = True,
) -> list[dict[str, object]]:
    """Tickets in any order of those that wait."""
    random = np.random.default_rng(seed)
    names = random.choice(list(HOURS), 4000, p=[0.5, 0.3, 0.2])
    hours = np.array([HOURS[one] for one in names]) * random.lognormal(0, 0.3, 4000)
    gaps = random.exponential(hours.mean() / people / load, 4000)
    opened = np.cumsum(gaps)
    free, rows = np.zeros(people), []
    open_now = [number for number, at in enumerate(opened.tolist()) if at <= weeks * 40]
    while open_now:
        who = int(free.argmin())
        now = max(free[who], opened[open_now[0]])
        waiting = [number for number in open_now if opened[number] <= now]
        number = min(waiting, key=lambda one: order(float(opened[one]), float(hours[one])))
        open_now.remove(number)
        at, start = float(opened[number]), max(float(opened[number]), free[who])
        free[who] = start + hours[number]
        moments = (at, start, free[who])
        clock = [_clock(one) if shifts else MONDAY_S + one * 3600 for one in moments]
        rows.append(
            {
                "ticket_id": f"T{number}",
                "category": str(names[number]),
                "priority": float(random.integers(1, 5)),
                "assignee_id": f"tech {who}",
                "actual_hours": float(hours[number]),
                **dict(zip(("opened_at", "first_response_at", "closed_at"), clock, strict=True)),
            }
        )
    return rows


def _clock(worked: float) -> float:
    """From hours of work, eight a day and five days a week, to seconds."""
    day, hour = divmod(worked, 8)
    week, day = divmod(day, 5)
    return MONDAY_S + ((week * 7 + day) * 24 + 9 + hour) * 3600


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    return past()


def test_a_past_first_come_first_served_is_understood_and_shorter_first_saves(rows) -> None:
    found = replay(table("tickets", rows), policy="SPT")
    assert found.reason == ""
    assert found.observed_wait_h is not None
    assert found.played_wait_h == pytest.approx(found.observed_wait_h, rel=0.1)
    assert found.weekly_correlation is not None
    assert found.weekly_correlation > 0.9
    assert found.share_on_tickets is not None
    assert found.share_on_tickets > 0.9
    assert found.hours_saved_a_month is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.hours_saved_a_month < found.high
    assert (found.tickets, found.technicians) == (len(rows), 3)


def test_fifo_saves_nothing_and_labour_is_never_claimed(rows) -> None:
    found = replay(table("tickets", rows), policies=(*RULES, LearnedPolicy.start()))
    savings = {one.policy: one for one in found.savings}
    assert savings["FIFO"].hours_saved_a_month == savings["FIFO"].low == 0
    assert found.hours_saved_a_month == savings["WSPT"].hours_saved_a_month
    assert savings["learned"].hours_saved_a_month == savings["WSPT"].hours_saved_a_month
    assert found.labour_hours_saved_a_month is None
    assert "not in the tables" in found.labour_reason


def test_hours_saved_are_the_difference_of_flow_times(rows) -> None:
    found = replay(table("tickets", rows), policy="SPT")
    fifo, spt = (next(x for x in found.savings if x.policy == name) for name in ("FIFO", "SPT"))
    months = found.weeks * 7 / (365.25 / 12)
    saved = (fifo.flow_h - spt.flow_h) * found.tickets / months
    assert spt.hours_saved_a_month == pytest.approx(saved, rel=1e-6)


def test_predictions_that_know_nothing_save_nothing(rows) -> None:
    blind = np.random.default_rng(1).random(len(rows)) + 0.5
    found = replay(table("tickets", rows), predicted_h=blind, policy="SPT")
    told = replay(table("tickets", rows), policy="SPT")
    assert found.hours_saved_a_month is not None
    assert told.hours_saved_a_month is not None
    assert abs(found.hours_saved_a_month) < 0.4 * told.hours_saved_a_month


def test_the_longest_first_costs_hours(rows) -> None:
    hours = np.array([float(str(row["actual_hours"])) for row in rows])
    found = replay(table("tickets", rows), predicted_h=1 / hours, policy="SPT")
    assert found.high is not None
    assert found.high < 0


def test_round_the_clock_is_understood_too() -> None:
    found = replay(table("tickets", past(1, weeks=60, shifts=False)))
    assert found.reason == ""
    assert found.hours_saved_a_month is not None


def test_technicians_who_do_other_work_too_are_understood() -> None:
    """Everything takes twice as long as the hours that are told: half the time goes elsewhere."""
    tickets = past(2, weeks=24)
    for row in tickets:
        row["actual_hours"] = float(str(row["actual_hours"])) / 2
    found = replay(table("tickets", tickets))
    assert found.reason == ""
    assert found.share_on_tickets == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [1.0, 0.7, 0.5])
def test_nothing_is_claimed_of_a_past_that_went_shortest_first(seed: int, share: float) -> None:
    """Shortest first has gained all that there is; with a fitted share waits look like FIFO's."""
    tickets = past_by(lambda at, hours: hours, seed, weeks=24)
    for row in tickets:
        row["actual_hours"] = float(str(row["actual_hours"])) * share
    found = replay(table("tickets", tickets))
    assert found.hours_saved_a_month is None
    assert "not understood" in found.reason or "short tickets already waited" in found.reason


@pytest.mark.parametrize("seed", range(4))
def test_whoever_is_drawn_next_waits_as_first_come_first_served_does(seed: int) -> None:
    """An order that knows nothing of hours has the same mean wait, so the claim holds."""
    random = np.random.default_rng(seed)
    found = replay(table("tickets", past_by(lambda at, hours: random.random(), seed, weeks=24)))
    assert found.gained_already is None or found.gained_already <= 0.25
    assert "short tickets" not in found.reason


def test_a_ticket_that_stands_twice_is_played_once() -> None:
    tickets = past(2, weeks=24)
    again = [one for row in tickets for one in (row, row)]
    once, twice = (replay(table("tickets", one)) for one in (tickets, again))
    assert twice == once
    assert once.hours_saved_a_month is not None


def _wait_at_random(rows: list[dict[str, object]]) -> None:
    random = np.random.default_rng(3)
    for row in rows:
        opened = float(str(row["opened_at"]))
        row["first_response_at"] = opened + random.exponential(30) * 3600
        row["closed_at"] = float(str(row["first_response_at"])) + 40_000


def _wait_longer_and_longer(rows: list[dict[str, object]]) -> None:
    for number, row in enumerate(rows):
        opened = float(str(row["opened_at"]))
        row["first_response_at"] = opened + (0.01 * number) ** 2 * 3600
        row["closed_at"] = float(str(row["first_response_at"])) + 40_000


@pytest.mark.parametrize("spoil", [_wait_at_random, _wait_longer_and_longer])
def test_nothing_is_claimed_of_a_past_that_is_no_queue(
    spoil: Callable[[list[dict[str, object]]], None],
) -> None:
    tickets = past(4)
    spoil(tickets)
    found = replay(table("tickets", tickets))
    assert found.hours_saved_a_month is None
    assert found.savings == ()
    assert "the past is not understood" in found.reason
    assert any(character.isdigit() for character in found.reason)


@pytest.mark.parametrize(
    ("few", "reason"),
    [(50, "at least 100 closed tickets"), (150, "in 8 weeks"), (0, "none of 0 tickets tells")],
)
def test_too_short_a_past_is_told(rows, few: int, reason: str) -> None:
    assert reason in replay(table("tickets", rows[:few])).reason


@pytest.mark.parametrize(
    "missing", ["opened_at", "first_response_at", "closed_at", "assignee_id", "actual_hours"]
)
def test_what_is_missing_is_told(rows, missing: str) -> None:
    lacking = [{name: value for name, value in row.items() if name != missing} for row in rows]
    found = replay(table("tickets", lacking))
    assert found.hours_saved_a_month is None
    assert "none of" in found.reason
    assert missing in found.reason or missing == "assignee_id"


def test_time_entries_tell_when_work_began_and_who_did_it(rows) -> None:
    lacking = ("first_response_at", "assignee_id", "actual_hours")
    bare = [{name: value for name, value in row.items() if name not in lacking} for row in rows]
    entries = [
        {
            "entry_id": f"E{number}-{part}",
            "ticket_id": row["ticket_id"],
            "technician_id": row["assignee_id"],
            "started_at": float(str(row["first_response_at"])) + part,
            "hours": float(str(row["actual_hours"])) / 2,
        }
        for number, row in enumerate(rows)
        for part in (1, 0)
    ]
    whole = replay(table("tickets", rows))
    found = replay(table("tickets", bare), None, table("time_entries", entries))
    assert replace(found, savings=()) == replace(whole, savings=())


def test_categories_that_are_skills_need_somebody_who_has_them(rows) -> None:
    people = [
        {"technician_id": f"tech {n}", "skills": "Server" if n == 0 else ""} for n in range(3)
    ]
    tickets = [dict(row) for row in rows]
    for row in tickets:
        if row["category"] == "server":
            row["assignee_id"] = "tech 0"
    found = history_of(table("tickets", tickets), table("technicians", people), None)
    server = np.array([one == "server" for one in found.category])
    assert set(found.skill[server]) == {1}
    assert set(found.skill[~server]) == {0}
    assert found.crew.can.tolist() == [[True, True], [True, False], [True, False]]


def test_predictions_know_only_what_was_closed_before(rows) -> None:
    history = history_of(table("tickets", rows), None, None)
    cut = len(rows) // 2
    moment = history.opened_h[cut]
    later = history.closed_h >= moment
    changed = replace(history, hours=np.where(later, 99.0, history.hours))
    assert np.array_equal(foretold(history)[: cut + 1], foretold(changed)[: cut + 1])
    assert not np.array_equal(foretold(history), foretold(changed))


def test_predictions_learn_the_categories(rows) -> None:
    history = history_of(table("tickets", rows), None, None)
    late = np.arange(len(rows)) > 300
    found, true = np.log(foretold(history))[late], np.log(history.hours)[late]
    assert np.corrcoef(found, true)[0, 1] > 0.9


def test_figures_that_cannot_be_are_refused(rows) -> None:
    tickets = table("tickets", rows)
    with pytest.raises(DataError, match="predicted_h"):
        replay(tickets, predicted_h=np.ones(3))
    with pytest.raises(DataError, match="predicted_h"):
        replay(tickets, predicted_h=np.full(len(rows), np.nan))
    with pytest.raises(DataError, match="policy: expected one of FIFO"):
        replay(tickets, policy="best")


@pytest.mark.parametrize("far", [-1e15, 1e15, 1e300, np.nan])
def test_moments_far_away_are_told_or_left_out(rows, far: float) -> None:
    tickets = table("tickets", [dict(row) for row in rows])
    for name in ("opened_at", "closed_at", "due_at"):
        tickets[name] = np.where(np.arange(len(rows)) == 5, far, tickets[name])
    found = replay(tickets)
    assert found.reason or found.tickets >= len(rows) - 1


@pytest.mark.parametrize("name", ["tickets", "time_entries"])
def test_many_unreadable_rows_leave_nothing_to_claim(rows, name: str) -> None:
    entries = [
        {"entry_id": row["ticket_id"], "ticket_id": row["ticket_id"], "started_at": moment}
        for row in rows
        if (moment := row["first_response_at"])
    ]
    tables = (table("tickets", rows), None, table("time_entries", entries))
    few, many = (replay(*tables, left_out={name: len(rows) // part}) for part in (20, 5))
    assert few.hours_saved_a_month is not None
    assert many.hours_saved_a_month is None
    assert f"rows of {name} cannot be read" in many.reason


def test_work_that_most_tickets_do_not_tell_leaves_nothing_to_claim(rows) -> None:
    bare = [
        {**row, "actual_hours": None} if number % 5 > 1 else row for number, row in enumerate(rows)
    ]
    found = replay(table("tickets", bare))
    assert found.hours_saved_a_month is None
    assert f"of {len(rows)} closed tickets tell who did them" in found.reason


def test_a_placeholder_for_an_unknown_moment_is_left_out(rows) -> None:
    tickets = [dict(row) for row in rows]
    tickets[40]["closed_at"] = 7_258_118_400.0  # the year 2200
    found = replay(table("tickets", tickets))
    assert found.tickets == len(rows) - 1
    assert found.hours_saved_a_month is not None
