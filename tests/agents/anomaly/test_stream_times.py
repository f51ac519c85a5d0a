"""The times that lines of a log begin with."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.anomaly.templates_time import LineTimes

NOV_1 = datetime(2026, 11, 1, 15, 3, 7, tzinfo=UTC).timestamp()
NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def read(line: str, now: datetime = NOW) -> float | None:
    return LineTimes(now.timestamp).of(line)


@pytest.mark.parametrize(
    ("line", "after_s"),
    [
        ("Nov 01 15:03:07 host1 sshd[1]: hi", 0),
        ("Nov  1 15:03:07 host1 sshd[1]: hi", 0),
        ("<34>Nov  1 15:03:07 host1 su: hi", 0),
        ("*Nov  1 15:03:07.250: %LINK-3-UPDOWN", 0.25),
        ("Nov  1 2026 15:03:07 asa", 0),
        ("[Sun Nov 01 15:03:07.500000 2026] [error]", 0.5),
        ("2026-11-01T15:03:07Z host1", 0),
        ("2026-11-01T15:03:07.5+02:00 host1", 0.5 - 7200),
        ("2026-11-01T15:03:07-0330 host1", 12_600),
        ("<165>1 2026-11-01T15:03:07.003Z host1", 0.003),
        ("2026-11-01 15:03:07,123 INFO", 0.123),
        ("[2026-11-01 15:03:07] INFO", 0),
        ("2026/11/01 15:03:07 [error] 7#7", 0),
        ("[01/Nov/2026:15:03:07 +0100] GET", -3600),
        ('10.0.0.7 - ann [01/Nov/2026:15:03:07 +0100] "GET / HTTP/1.1" 200', -3600),
        ("1793545387 TCP_MISS", 0),
        ("1793545387.250 TCP_MISS", 0.25),
        ("1793545387500 job", 0.5),
        ("2026-11-01T15:03:60Z leap", 53),
    ],
)
def test_times_are_read(line: str, after_s: float) -> None:
    assert read(line) == pytest.approx(NOV_1 + after_s, abs=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "host1 Nov 01 15:03:07",
        "Nov 31 15:03:07 host1",
        "Nov 01 24:03:07 host1",
        "Feb 30 00:00:00 host1",
        "2026-13-01T00:00:00Z",
        "2026-11-01T15:61:07Z",
        "2026-11-01T15:03:07+99:00",
        "0000-01-01T00:00:00Z",
        "[ 1234.567890] usb 1-1: new device",
        "12345678901 rows",
        "1793545387x",
        "9999999999 rows",
        "[00/Nov/2026:15:03:07 +0100]",
    ],
)
def test_what_is_no_time_is_none(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "now", "year"),
    [
        ("Dec 31 23:59:59 h", "2027-01-01T00:00:05", 2026),
        ("Jan  1 00:00:01 h", "2027-01-01T00:00:05", 2027),
        ("Jan  1 00:00:01 h", "2026-12-31T23:59:58", 2027),
        ("Jan  1 00:00:01 h", "2026-12-30T23:59:58", 2026),
        ("Nov 24 06:59:59 h", "2026-11-23T07:00:00", 2026),
        ("Nov 24 07:00:01 h", "2026-11-23T07:00:00", 2025),
        ("Feb 29 12:00:00 h", "2027-03-01T00:00:00", 2024),
        ("Feb 29 12:00:00 h", "1904-01-01T00:00:00", 1896),
    ],
)
def test_a_year_that_is_not_told_is_the_last_that_fits(line: str, now: str, year: int) -> None:
    found = read(line, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found is not None
    assert (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=found)).year == year


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.floats(-86_400, 300 * 86_400))
def test_lines_of_the_last_year_are_read_exactly(now: datetime, ago_s: float) -> None:
    now = now.replace(tzinfo=UTC)
    at = (now - timedelta(seconds=ago_s)).replace(microsecond=0)
    assert read(f"{at:%b %d %H:%M:%S} host", now) == at.timestamp()


@given(st.text(alphabet="0123456789:-/[]<>TZ+., JanFebNov*\u0663\u00b2", max_size=60))
def test_any_line_is_taken(line: str) -> None:
    found = read(line)
    assert found is None or isinstance(found, float)
