"""Hours saved a month are told of one's own past only, and only where it is understood."""

import itertools

import numpy as np
import pytest
from test_replay import past

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.desk import Desk
from mesh_fl.agents.resource.own_past import PLAYING, RESTING, OwnPast, played
from mesh_fl.agents.resource.own_queue import OwnQueue
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Field, Table, column_of, table_of
from mesh_fl.site import OwnRows, OwnTable, Site

AGENT = ResourceAllocation()


class Tickets(OwnTable):
    def __init__(self, rows: list[dict[str, object]], left_out: int = 0) -> None:
        self.rows, self.left_out, self.changes = rows, left_out, 0

    @property
    def stamp(self) -> tuple[int, ...]:
        return (self.changes,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        columns = {
            one.name: column_of(one, [one.parse(row.get(one.name)) for row in self.rows])
            for one in schema
        }
        return OwnRows(columns, self.left_out)


def ask(desk: Desk):
    fields = tuple(one for one in AGENT.schema if one.name != AGENT.label)
    question = {"tasks": '[{"task_id": "a", "hours": 1}]'}
    (answer,) = desk.answer(
        AGENT.init(), table_of(fields, [{f.name: f.parse(question.get(f.name)) for f in fields}])
    )
    return answer


def desk_with(tickets: Tickets) -> Desk:
    return AGENT.answering(Site(tables={"tickets": tickets})).__self__


def test_a_past_that_is_understood_is_told_once_it_was_played() -> None:
    desk = desk_with(Tickets(past()))
    first = ask(desk)
    assert first.hours_saved_a_month is None
    assert "ask again" in first.unavailable["hours_saved_a_month"]
    desk._past.wait()
    told = ask(desk)
    expected = played(desk._shelf.newest())
    assert told.hours_saved_a_month == expected.hours_saved_a_month > 0
    assert "hours_saved_a_month" not in told.unavailable
    (note,) = (one for one in told.notes if one.startswith("hours_saved_a_month"))
    assert "not work" in note
    assert f"{expected.low:.1f} to {expected.high:.1f} h" in note


@pytest.mark.parametrize(
    ("rows", "left_out", "reason"),
    [
        (past()[:50], 0, "at least 100 closed tickets"),
        (past(), 500, "rows of tickets cannot be read"),
    ],
)
def test_nothing_is_claimed_of_another(rows, left_out, reason) -> None:
    desk = desk_with(Tickets(rows, left_out))
    ask(desk)
    desk._past.wait()
    told = ask(desk)
    assert told.hours_saved_a_month is None
    assert reason in told.unavailable["hours_saved_a_month"]
    assert any("could not be read" in one for one in told.notes) == bool(left_out)


def test_without_tickets_there_is_no_past() -> None:
    told = ask(AGENT.answering(Site()).__self__)
    assert told.hours_saved_a_month is None
    assert "no table of tickets" in told.unavailable["hours_saved_a_month"]


def test_a_table_that_grows_all_day_is_not_played_again_all_day() -> None:
    ticks = itertools.count()
    shelf = OwnPast(lambda: float(next(ticks)))  # each replay takes a second
    few, more = _queue(past()), _queue(past()[:-1])
    shelf.told(few)
    shelf.wait()
    first = shelf.told(few)
    assert first.hours_saved_a_month is not None
    asked = 0
    while shelf.told(more) == first:
        shelf.wait()
        asked += 1
    assert asked >= RESTING
    assert shelf.told(more).tickets == first.tickets - 1


def test_a_table_that_was_mended_is_played_at_once() -> None:
    shelf = OwnPast(lambda: 0.0)
    few, many = (_queue(past()[:count]) for count in (50, 60))
    shelf.told(few)
    shelf.wait()
    assert "found 50" in shelf.told(few).reason
    assert shelf.told(many).reason == PLAYING
    shelf.wait()
    assert "found 60" in shelf.told(many).reason


def _queue(rows: list[dict[str, object]]) -> OwnQueue:
    fields = TABLES["tickets"].fields
    table: Table = {
        one.name: column_of(one, [one.parse(row.get(one.name)) for row in rows]) for one in fields
    }
    assert len(np.unique(table["ticket_id"])) == len(rows)
    return OwnQueue({"tickets": table})
