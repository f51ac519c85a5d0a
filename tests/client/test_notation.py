"""Exports as offices write them: other decimals, other dates, and words for nothing."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.client.data import Records, TableSource, read_records
from mesh_fl.client.notation import Notation
from mesh_fl.config import load_toml
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.schema import Field

HOURS = Field(name="hours", kind="number", low=-1e12, high=1e12, optional=True)
OPENED = Field(name="opened", kind="time", optional=True)
TERM = Field(name="term", kind="category", levels=("month", "year"), optional=True)

SETTINGS = """
path = "t.csv"
id = "No"
decimal = ","
missing = ["n/a", "-"]
timezone = "Europe/Berlin"

[columns]
hours = { column = "Aufwand", unit = "h" }
opened = { column = "Beginn", format = "%d.%m.%Y %H:%M" }
"""

EXPORT = """No;Aufwand;Beginn;term
1;0,25 h;02.03.2026 08:43;month
2;1.234,5;30.06.2026 00:00;N/A
3;n/a;-;year
4;- h;;
"""


def read(folder: Path, export: str, settings: str = SETTINGS) -> Records:
    (folder / "t.csv").write_text(export)
    (folder / "s.toml").write_text(settings)
    return read_records(load_toml(folder / "s.toml", TableSource), (HOURS, OPENED, TERM))


def test_an_export_of_an_office_is_read_as_it_is(tmp_path: Path) -> None:
    records = read(tmp_path, EXPORT)
    assert records.problems == ()
    assert records.table["hours"][:2].tolist() == [0.25, 1234.5]
    assert np.isnan(records.table["hours"][2:].astype(float)).all()
    moments = records.table["opened"].astype(float)
    assert [datetime.fromtimestamp(one, UTC).isoformat() for one in moments[:2]] == [
        "2026-03-02T07:43:00+00:00",  # winter: an hour before UTC
        "2026-06-29T22:00:00+00:00",  # summer: two
    ]
    assert np.isnan(moments[2:]).all()
    assert records.table["term"].tolist() == ["month", "", "year", ""]


@pytest.mark.parametrize(
    ("decimal", "text", "number"),
    [
        (",", "0,09", 0.09),
        (",", "-1.234.567,5", -1234567.5),
        (",", "1 234 567", 1234567),
        (",", "1\N{NARROW NO-BREAK SPACE}234,5", 1234.5),
        (",", "1,5e3", 1500),
        (".", "1,234.56", 1234.56),
        (".", "1'234.5", 1234.5),
        (".", "1,234", 1234),
        (None, "1.25", 1.25),
        (None, "1e3", 1000),
    ],
)
def test_numbers_are_read_with_their_own_decimals(
    decimal: str | None, text: str, number: float
) -> None:
    assert HOURS.parse(Notation(decimal=decimal).plain(HOURS, text)) == number


@pytest.mark.parametrize(
    ("decimal", "text"),
    [
        (",", "1.5"),  # one and a half, or the start of 1.500?
        (",", "12.34,5"),
        (",", "1,234.5"),
        (".", "1.234,5"),
        (".", "1,23"),
        (".", "12,34,567"),
        (".", "--1"),
        (",", "nan"),
        (",", "1_000"),
    ],
)
def test_a_number_of_another_notation_is_refused_and_never_guessed(decimal: str, text: str) -> None:
    with pytest.raises(DataError, match="written like"):
        Notation(decimal=decimal).plain(HOURS, text)


@given(
    number=st.decimals(-(10**9), 10**9, places=2),
    decimal=st.sampled_from([",", "."]),
    unit=st.sampled_from(["", "EUR", "$", "%"]),
    before=st.booleans(),
)
def test_every_number_is_read_back(number: float, decimal: str, unit: str, before: bool) -> None:
    text = f"{number:,.2f}"
    if decimal == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    text = f"{unit} {text}" if before else f"{text} {unit}"
    read = Notation(decimal=decimal, unit=unit).plain(HOURS, text)
    assert HOURS.parse(read) == float(number)


MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1))


@given(
    moment=MOMENTS,
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", ""]),
    form=st.sampled_from(["%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y%m%dT%H%M%S", ""]),
)
def test_every_moment_is_read_back(moment: datetime, zone: str, form: str) -> None:
    moment = moment.replace(microsecond=0)
    where = ZoneInfo(zone) if zone else None
    text = moment.strftime(form) if form else moment.isoformat()
    found = OPENED.parse(Notation(format=form, timezone=where).plain(OPENED, text))
    assert found == moment.replace(tzinfo=where or UTC).timestamp()


@pytest.mark.parametrize("text", ["2026-03-02T08:43:00Z", "1772440980", "1772440980000"])
def test_a_moment_that_names_its_offset_needs_no_zone(text: str) -> None:
    berlin = Notation(timezone=ZoneInfo("Europe/Berlin"))
    assert OPENED.parse(berlin.plain(OPENED, text)) == 1772440980


def test_an_offset_in_the_format_counts() -> None:
    form = Notation(format="%d/%b/%Y:%H:%M:%S %z", timezone=ZoneInfo("Europe/Berlin"))
    found = OPENED.parse(form.plain(OPENED, "02/Mar/2026:08:43:00 +0000"))
    assert found == 1772440980


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1;1.5;;", "column Aufwand: expected a number from -1000000000000 to 1000000000000 "
         "written like 1.234,56, found '1.5'"),
        ("1;;2026-03-02;", "column Beginn: expected a time written as %d.%m.%Y %H:%M, found '2026"),
        ("1;;31.02.2026 08:00;", "column Beginn: expected a time written as"),
    ],
)  # fmt: skip
def test_what_is_written_otherwise_is_named(tmp_path: Path, row: str, message: str) -> None:
    records = read(tmp_path, f"No;Aufwand;Beginn;term\n{row}\n2;1;;\n")
    (problem,) = records.problems
    assert message in str(problem)


@pytest.mark.parametrize(
    ("field", "text", "advice"),
    [
        (HOURS, "0,09", '; decimal = "," for this table reads 1.234,56'),
        (HOURS, "1,234.50", '; decimal = "." for this table reads 1,234.56'),
        (HOURS, "70 EUR", '; unit = "EUR", with the field'),
        (HOURS, "$ -1,200.50", '; unit = "$", with the field'),
        (HOURS, "seven", ""),
        (HOURS, "12 to 15", ""),
        (HOURS, "-5", ""),
        (OPENED, "02.03.2026 08:43", '; format = "%d.%m.%Y %H:%M"'),
        (OPENED, "03/02/2026 01:14 PM", '; format = "%d.%m.%Y %H:%M"'),
        (OPENED, "yesterday", ""),
    ],
)
def test_the_setting_that_would_read_it_is_told(field: Field, text: str, advice: str) -> None:
    found = Notation().advice(field, text)
    assert found.startswith(advice) if advice else not found


def test_a_number_with_a_unit_is_told_its_decimals_next() -> None:
    assert "decimal" in Notation(unit="h").advice(HOURS, "0,25 h")


def test_the_advice_stands_in_the_problem(tmp_path: Path) -> None:
    plain = 'path = "t.csv"\nid = "No"\n'
    records = read(tmp_path, "No,hours,opened\n1,5,02.03.2026 08:43\n2,5,\n", plain)
    (problem,) = records.problems
    assert "found '02.03.2026 08:43'; format = " in str(problem)


def test_mapped_words_are_not_read_again(tmp_path: Path) -> None:
    settings = (
        'path = "t.csv"\nid = "No"\ndecimal = ","\n'
        '[columns]\nhours = { column = "h", values = { "half a day" = 4.5, "none" = "" } }\n'
    )
    records = read(tmp_path, "No;h\n1;half a day\n2;2,5\n3;none\n", settings)
    assert records.problems == ()
    assert records.table["hours"][:2].tolist() == [4.5, 2.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('decimal = ";"', "decimal"),
        ('timezone = "Berlin"', "expected a time zone by its IANA name, as Europe/Berlin"),
        ('timezone = "../etc/passwd"', "expected a time zone by its IANA name"),
        ('columns.x = {column = "a", format = "%H:%M"}', "expected year, month and day"),
        ('columns.x = {column = "a", format = "dd.mm.yyyy"}', "expected year, month and day"),
        ('columns.x = {column = "a", format = "%d.%m.%Y %Q"}', "expected year, month and day"),
    ],
)
def test_a_bad_notation_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.toml").write_text(f'path = "t.csv"\nid = "id"\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load_toml(tmp_path / "s.toml", TableSource)
    assert message in str(caught.value)
