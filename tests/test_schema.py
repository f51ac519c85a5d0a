import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.errors import DataError
from mesh_fl.schema import FALSE_WORDS, TRUE_WORDS, Field, column_of, table_of

HOURS = Field(name="hours", kind="number", low=-2, high=24)
ANY = Field(name="amount", kind="number")
PAID = Field(name="paid", kind="flag")
TERM = Field(name="term", kind="category", levels=("month", "year"))
DOCUMENT = Field(name="bundle", kind="document", optional=True)
NOTE = Field(name="note", kind="text")


@pytest.mark.parametrize(
    ("field", "value", "parsed"),
    [
        (HOURS, "-2", -2.0),
        (HOURS, " 24 ", 24.0),
        (HOURS, "1e1", 10.0),
        (HOURS, 7, 7.0),
        (HOURS, Decimal("1.50"), 1.5),
        (ANY, "-1234567.5", -1234567.5),
        (PAID, True, 1.0),
        (PAID, np.False_, 0.0),
        (PAID, 1.0, 1.0),
        (PAID, "No", 0.0),
        (TERM, "year ", "year"),
        (NOTE, 12, "12"),
        (NOTE, "nan", "nan"),
    ],
)
def test_a_value_is_read(field: Field, value: object, parsed: float | str) -> None:
    assert field.parse(value) == parsed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (HOURS, "24.0001"),
        (HOURS, "-2.1"),
        (HOURS, "nan"),
        (HOURS, "inf"),
        (HOURS, "1,5"),
        (HOURS, "1_0"),
        (HOURS, "€ 20"),
        (HOURS, "20 %"),
        (HOURS, True),
        (HOURS, [1]),
        (ANY, "1" * 400),
        pytest.param(ANY, 10**5000, id="huge"),
        (PAID, 2),
        (PAID, "no.0"),
        (PAID, "yes.0"),
        (TERM, "Year"),
        (TERM, b"year"),
        (NOTE, {"a": 1}),
        (NOTE, b"text"),
        pytest.param(NOTE, "\ud800", id="surrogate"),
    ],
)
def test_no_value_is_guessed(field: Field, value: object) -> None:
    with pytest.raises(DataError, match=rf"^{field.name}: expected .*, found "):
        field.parse(value)


def test_the_message_tells_what_was_expected_and_found() -> None:
    with pytest.raises(DataError) as caught:
        HOURS.parse("25")
    assert str(caught.value) == "hours: expected a number from -2 to 24, found '25'"
    assert ANY.expects() == "a number"
    assert Field(name="n", kind="number", high=16777217).expects().endswith("to 16777217")


@pytest.mark.parametrize("missing", [None, "", "  ", math.nan, np.float32("nan")])
@pytest.mark.parametrize("field", [HOURS, PAID, TERM, NOTE])
def test_only_an_optional_value_may_be_missing(field: Field, missing: object) -> None:
    with pytest.raises(DataError, match="found nothing"):
        field.parse(missing)
    value = field.model_copy(update={"optional": True}).parse(missing)
    assert value == "" if field.kind in ("category", "text") else math.isnan(float(value))


@settings(deadline=None)
@given(st.floats(-2, 24))
def test_a_number_survives_as_text(number: float) -> None:
    assert HOURS.parse(repr(number)) == HOURS.parse(number) == number


@settings(deadline=None)
@given(st.text(max_size=12))
def test_text_never_gives_anything_but_a_value_or_a_data_error(text: str) -> None:
    for field in (HOURS, PAID, TERM):
        try:
            value = field.parse(text)
        except DataError:
            continue
        assert value in TERM.levels or -2 <= float(value) <= 24


def test_flag_words_are_disjoint_and_lower_case() -> None:
    assert not TRUE_WORDS & FALSE_WORDS
    assert all(word == word.lower() for word in TRUE_WORDS | FALSE_WORDS)


@pytest.mark.parametrize(
    "declaration",
    [
        {"kind": "category"},
        {"kind": "category", "levels": ("a",)},
        {"kind": "category", "levels": ("a", "b", "a")},
        {"kind": "category", "levels": ("a", " b")},
        {"kind": "category", "levels": ("a", "")},
        {"kind": "number", "low": 1, "high": 1},
        {"kind": "number", "low": math.inf},
        {"kind": "number", "high": math.nan},
        {"kind": "date"},
        {"kind": "flag", "unit": "h"},
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(declaration: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Field.model_validate({"name": "x", **declaration})


def test_columns_have_the_kind_of_their_field() -> None:
    table = table_of((HOURS, TERM), [{"hours": 1.0, "term": "year"}, {"hours": 2.0, "term": ""}])
    assert table["hours"].dtype == np.float64
    assert table["hours"].tolist() == [1.0, 2.0]
    assert table["term"].tolist() == ["year", ""]
    assert column_of(PAID, []).shape == (0,)
    assert table_of((NOTE,), [])["note"].dtype.kind == "O"


def test_one_long_text_makes_no_other_value_longer() -> None:
    notes = column_of(NOTE, ["short", "x" * 1_000_000, ""])
    assert notes.nbytes < 1000
    assert notes.tolist() == ["short", "x" * 1_000_000, ""]


@pytest.mark.parametrize("value", [{"a": [1, "é"]}, [], '{"a":1}', " [1] "])
def test_a_document_is_json_or_json_as_text(value: object) -> None:
    text = DOCUMENT.parse(value)
    assert isinstance(text, str)
    assert json.loads(text) == (json.loads(value) if isinstance(value, str) else value)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_document_is_the_empty_text(value: object) -> None:
    assert DOCUMENT.parse(value) == ""


def test_a_document_nested_too_deeply_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DataError, match="nested too deeply"):
        DOCUMENT.parse(deep)


def test_a_text_is_no_document() -> None:
    with pytest.raises(DataError, match="expected text, found a dict"):
        NOTE.parse({"a": 1})


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("2026-03-31T14:05:00Z", 1_774_965_900),
        ("2026-03-31 16:05:00+02:00", 1_774_965_900),
        ("2026-03-31T14:05", 1_774_965_900),
        (1_774_965_900, 1_774_965_900),
        ("1774965900000", 1_774_965_900),
        (1_774_965_900.25, 1_774_965_900.25),
    ],
    ids=str,
)
def test_a_time_is_seconds_in_utc(written: object, seconds: float) -> None:
    assert Field(name="at", kind="time").parse(written) == seconds


@pytest.mark.parametrize("written", ["31/03/2026", "yesterday", "2026-13-01", "12", "9" * 30, "-1"])
def test_what_is_no_time_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(DataError, match=r"at: expected a date or time such as 2026-03-31"):
        Field(name="at", kind="time").parse(written)


def test_a_missing_time_is_no_number() -> None:
    at = Field(name="at", kind="time", optional=True)
    assert math.isnan(at.parse(""))
    assert column_of(at, [at.parse(None), 1.5]).dtype == np.float64


@pytest.mark.parametrize("kind", ["text", "category"])
def test_whole_floats_are_words_as_whole_numbers_are(kind: str) -> None:
    field = Field(name="x", kind=kind, levels=("1001", "7"))
    assert field.parse(1001.0) == field.parse(1001) == field.parse("1001") == "1001"


def test_other_floats_stay_as_they_are() -> None:
    assert Field(name="x", kind="text").parse(1.5) == "1.5"
    assert Field(name="x", kind="text").parse(float("inf")) == "inf"
