"""Words, times and declared phrases."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.query.relations import REFERENCES, path_between
from mesh_fl.agents.query.times import read_time
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.agents.query.wording import distance, is_near, plain, stems, words_of
from mesh_fl.msp_tables import TABLES

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

TIMES = [
    ("today", "2026-11-22", "2026-11-23"),
    ("yesterday", "2026-11-21", "2026-11-22"),
    ("this week", "2026-11-16", "2026-11-23"),
    ("last week", "2026-11-09", "2026-11-16"),
    ("next week", "2026-11-23", "2026-11-30"),
    ("last month", "2026-10-01", "2026-11-01"),
    ("this quarter", "2026-10-01", "2027-01-01"),
    ("last quarter", "2026-07-01", "2026-10-01"),
    ("last year", "2025-01-01", "2026-01-01"),
    ("march", "2026-03-01", "2026-04-01"),
    ("december", "2025-12-01", "2026-01-01"),
    ("march 2025", "2025-03-01", "2025-04-01"),
    ("october of last year", "2025-10-01", "2025-11-01"),
    ("q2", "2026-04-01", "2026-07-01"),
    ("q2 2025", "2025-04-01", "2025-07-01"),
    ("second quarter of 2025", "2025-04-01", "2025-07-01"),
    ("2025", "2025-01-01", "2026-01-01"),
    ("2026-10", "2026-10-01", "2026-11-01"),
    ("2026-10-05", "2026-10-05", "2026-10-06"),
    ("20 november", "2026-11-20", "2026-11-21"),
    ("november 20th 2025", "2025-11-20", "2025-11-21"),
    ("between 1 october and 15 october", "2026-10-01", "2026-10-16"),
    ("from march to may 2025", "2025-03-01", "2025-06-01"),
    ("since march", "2026-03-01", None),
    ("before 2026", None, "2026-01-01"),
    ("after 5 october", "2026-10-06", None),
]


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("text", "start", "end"), TIMES)
def test_a_time_in_words(text: str, start: str | None, end: str | None) -> None:
    words = stems(text)
    found = read_time(words, 0, NOW)
    assert found is not None
    span, size = found
    assert size == len(words)
    assert (span.start, span.end) == (_moment(start), _moment(end))


def test_days_back_are_counted_from_now_and_include_it() -> None:
    found = read_time(stems("last 30 days"), 0, NOW)
    assert found is not None
    assert found[0].start == NOW - timedelta(days=30)
    assert found[0].end is not None
    assert found[0].end > NOW


@pytest.mark.parametrize("text", ["31 february", "q5", "2026-13", "may", "last 5 tickets", ""])
def test_what_is_no_time_is_not_read_as_one(text: str) -> None:
    assert read_time(stems(text), 0, NOW) is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_times(text: str) -> None:
    words = stems(text)
    for at in range(len(words)):
        found = read_time(words, at, NOW)
        assert found is None or 1 <= found[1] <= len(words) - at


def test_invisible_and_look_alike_characters_are_folded() -> None:
    assert plain("tick\u200bets\u202e") == "tickets"
    assert stems("\uff34\uff29\uff23\uff2b\uff25\uff34\uff33") == ("ticket",)
    assert stems("Acme\u2019s") == ("acme",)


@given(st.text(max_size=200))
def test_words_keep_no_control_character(text: str) -> None:
    for word in words_of(text):
        assert word.stem
        assert word.written.isprintable()


words = st.text("abcde", max_size=8)


@given(words, words)
def test_distance_is_symmetric_and_zero_for_the_same(left: str, right: str) -> None:
    assert distance(left, right, 9) == distance(right, left, 9)
    assert (distance(left, right, 9) == 0) == (left == right)
    assert distance(left, right, 9) <= max(len(left), len(right))


def test_a_slip_is_near_and_another_number_is_not() -> None:
    assert is_near("tickts", "ticket") or is_near("tickt", "ticket")
    assert is_near("invocie", "invoice")
    assert not is_near("life", "live")
    assert not is_near("server2012", "server2019")


def test_all_that_is_declared_exists() -> None:
    known = vocabulary()
    columns = {f"{t.name}.{f.name}" for t in TABLES.values() for f in t.fields}
    assert set(known.tables) == set(TABLES)
    for q in known.quantities.values():
        assert {f"{q.table}.{need}" for need in q.needs} <= columns
        assert not q.time or f"{q.table}.{q.time}" in columns
    for state in known.states.values():
        assert {f"{state.table}.{need}" for need in state.needs} <= columns
    for table in known.tables.values():
        assert not table.amount or table.amount in known.quantities
        assert not table.time or f"{table.name}.{table.time}" in columns
    meanings = [m for found in known.phrases.values() for m in found]
    named = {f"{m.table}.{m.name}" for m in meanings if m.kind in {"event", "dimension"}}
    assert named <= columns


def test_references_lead_to_keys() -> None:
    for table, references in REFERENCES.items():
        fields = {f.name for f in TABLES[table].fields}
        assert set(references) <= fields
    assert path_between("time_entries", "clients") == ("ticket_id", "client_id")
    assert path_between("clients", "tickets") is None
