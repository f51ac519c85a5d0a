"""Exports as offices write them: other decimals, other dates, and words for nothing."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.client.data import Records, TableSource, read_records
from mesh_fl.client.notation import PLAIN, Notation
from mesh_fl.client.notation_advice import advice
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
        (".", "1-2"),
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
    found = OPENED.parse(
        Notation(formats=(form,) if form else (), timezone=where).plain(OPENED, text)
    )
    assert found == moment.replace(tzinfo=where or UTC).timestamp()


@pytest.mark.parametrize("text", ["2026-03-02T08:43:00Z", "1772440980", "1772440980000"])
def test_a_moment_that_names_its_offset_needs_no_zone(text: str) -> None:
    berlin = Notation(timezone=ZoneInfo("Europe/Berlin"))
    assert OPENED.parse(berlin.plain(OPENED, text)) == 1772440980


def test_an_offset_in_the_format_counts() -> None:
    form = Notation(formats=("%d/%b/%Y:%H:%M:%S %z",), timezone=ZoneInfo("Europe/Berlin"))
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


UNIT = "with the field's column, takes it off, and factor"
KIND = Field(name="kind", kind="category", levels=("a", "b"))


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        (HOURS, "0,09", '; decimal = "," for this table reads 1.234,56'),
        (HOURS, "1,234.50", '; decimal = "." for this table reads 1,234.56'),
        (HOURS, "1.234,56-", '; decimal = ","'),
        (HOURS, "(1,234.50)", '; decimal = "."'),
        (HOURS, "70 EUR", f'; unit = "EUR", {UNIT}'),
        (HOURS, "$ -1,200.50", f'; unit = "$", {UNIT}'),
        (HOURS, "-$1,200.50", f'; unit = "$", {UNIT}'),
        (HOURS, "90 min", f'; unit = "min", {UNIT}'),
        (HOURS, "15 Minuten", f'; unit = "Minuten", {UNIT}'),
        (HOURS, "1:30", "; export lengths of time as numbers"),
        (HOURS, "N/A", '; missing = ["N/A"] for this table'),
        (HOURS, "seven", ""),
        (HOURS, "12 to 15", ""),
        (HOURS, "-5", ""),
        (OPENED, "02.03.2026 08:43", '; format = "%d.%m.%Y %H:%M", with'),
        (OPENED, "02.03.26", '; format = "%d.%m.%y", with'),
        (OPENED, "03/02/2026 01:14 PM", '; format = "%m/%d/%Y %I:%M %p" or "%d/%m/%Y %I:%M %p"'),
        (OPENED, "12/31/2099", '; format = "%m/%d/%Y", with'),
        (OPENED, "02-Mar-26", '; format = "%d-%b-%y", with'),
        (OPENED, "202603020843", '; format = "%Y%m%d%H%M", with'),
        (OPENED, "20260302084312", '; format = "%Y%m%d%H%M%S", with'),
        (OPENED, "46083.36", '; format = "excel", with'),
        (OPENED, "-", '; missing = ["-"]'),
        (OPENED, "yesterday", "; format, with the field's column, tells how times are written"),
        (KIND, "Hoch", "; values, with the field's column"),
    ],
)
def test_the_setting_that_would_read_it_is_told(field: Field, text: str, told: str) -> None:
    found = advice(PLAIN, field, text)
    assert found.startswith(told) if told else not found
    if "format = " in found:
        form = found.split('"')[1]
        assert OPENED.parse(Notation(formats=(form,)).plain(OPENED, text))


def test_a_number_with_a_unit_is_told_its_decimals_next() -> None:
    assert "decimal" in advice(Notation(unit="h"), HOURS, "0,25 h")


def test_a_second_format_is_told_beside_the_first() -> None:
    found = advice(Notation(formats=("%d.%m.%Y %H:%M",)), OPENED, "02.03.2026")
    assert found == '; format may be a list: "%d.%m.%Y" beside the others would read it'


@pytest.mark.parametrize(
    ("unit", "decimal", "text", "number"),
    [
        ("", ",", "1.234,56-", -1234.56),
        ("", ",", "-5,00", -5.0),
        ("", ".", "(123)", -123.0),
        ("", ".", "+7", 7.0),
        ("", ",", "\N{MINUS SIGN}7,5", -7.5),
        ("$", ".", "-$1,234.56", -1234.56),
        ("$", ".", "$-1,234.56", -1234.56),
        ("$", ".", "($1,234.56)", -1234.56),
        ("$", ".", "$(1,234.56)", -1234.56),
        ("EUR", ",", "-70,00 EUR", -70.0),
        ("EUR", ",", "EUR 70,00-", -70.0),
        ("EUR", None, "-70 EUR", -70.0),
        ("EUR", None, "70", 70.0),
    ],
)
def test_signs_stand_where_offices_put_them(
    unit: str, decimal: str | None, text: str, number: float
) -> None:
    assert HOURS.parse(Notation(unit=unit, decimal=decimal).plain(HOURS, text)) == number


@pytest.mark.parametrize("text", ["--5,0", "-5,0-", "(-5,0)", "-(5,0)", "EUR EUR", "EUR", "-"])
def test_two_signs_or_no_number_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        HOURS.parse(Notation(unit="EUR", decimal=",").plain(HOURS, text))


@pytest.mark.parametrize(
    "text",
    ["2958465.9999999", "2958466", "0", "-1", "nan", "inf", "1e3", "4_6", "46083.", "\u0663"],
)
def test_what_is_no_day_of_a_spreadsheet_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="expected a time written as excel"):
        Notation(formats=("excel",)).plain(OPENED, text)


def test_advice_ends_where_nobody_reads_on(tmp_path: Path) -> None:
    rows = "".join(f"{n},5,02.03.2026\n" for n in range(1500))
    plain = 'path = "t.csv"\nid = "No"\n'
    records = read(tmp_path, f"No,hours,opened\nx,5,\n{rows}", plain)
    told = [" reads it" in str(problem) for problem in records.problems]
    assert told == [True] * 1000 + [False] * 500


@pytest.mark.parametrize("cell", ["90 min", 90, 90.0])
def test_a_factor_makes_hours_of_minutes(cell: object) -> None:
    assert HOURS.parse(Notation(unit="min", factor=1 / 60).plain(HOURS, cell)) == 1.5


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("formats", "text", "seconds"),
    [
        (("%d.%m.%Y",), "01.11.2023", datetime(2023, 11, 1, tzinfo=UTC)),
        ((), "2023-11-01", datetime(2023, 11, 1, tzinfo=UTC)),
        ((), "20231101", datetime(2023, 11, 1, tzinfo=UTC)),
        (("excel",), "45231", datetime(2023, 11, 1, tzinfo=UTC)),
        (("excel",), "45231.5", datetime(2023, 11, 1, 12, tzinfo=BERLIN)),
        (("excel",), "45231,5", datetime(2023, 11, 1, 12, tzinfo=BERLIN)),
        ((), "2023-11-01T00:00", datetime(2023, 11, 1, tzinfo=BERLIN)),
        (("%d.%m.%Y %H:%M", "%d.%m.%Y"), "01.11.2023", datetime(2023, 11, 1, tzinfo=UTC)),
        (("%d.%m.%Y", "%d.%m.%Y %H"), "01.11.2023 08", datetime(2023, 11, 1, 8, tzinfo=BERLIN)),
    ],
)  # fmt: skip
def test_a_date_stays_that_date_in_any_zone(
    formats: tuple[str, ...], text: str, seconds: datetime
) -> None:
    found = OPENED.parse(Notation(formats=formats, timezone=BERLIN).plain(OPENED, text))
    assert found == seconds.timestamp()


def test_a_column_may_have_a_zone_of_its_own(tmp_path: Path) -> None:
    settings = SETTINGS.replace('%H:%M" }', '%H:%M", timezone = "UTC" }')
    records = read(tmp_path, EXPORT, settings)
    moment = datetime.fromtimestamp(float(records.table["opened"][0]), UTC)
    assert (moment.hour, moment.minute) == (8, 43)


@pytest.mark.parametrize("text", ["202603020843", "20260302084312", "99999999999999"])
def test_digits_of_a_date_are_no_epoch(text: str) -> None:
    if text.startswith("9"):
        assert OPENED.parse(text) == 99999999999.999
        return
    with pytest.raises(DataError, match="expected a date or time"):
        OPENED.parse(text)


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
        ('columns.x = {column = "a", format = "%m/%d/%Y %H:%M %p"}', "%I with %p or %H alone"),
        ('columns.x = {column = "a", format = "%m/%d/%Y %I:%M"}', "%I with %p or %H alone"),
    ],
)
def test_a_bad_notation_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.toml").write_text(f'path = "t.csv"\nid = "id"\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load_toml(tmp_path / "s.toml", TableSource)
    assert message in str(caught.value)
