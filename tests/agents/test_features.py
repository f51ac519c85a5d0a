import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.agents._features import Feature, encode
from mesh_fl.errors import DataError
from mesh_fl.schema import table_of

TERM = Feature(name="term", kind="category", levels=("monthly", "yearly", "longer"))
TENURE = Feature(name="tenure", kind="number", low=0, high=72, scale="log")
BALANCE = Feature(name="balance", kind="number", low=-50, high=150)
PAPERLESS = Feature(name="paperless", kind="flag")


def number(**changes):
    return Feature(**({"name": "x", "kind": "number", "low": 0, "high": 1} | changes))


@pytest.mark.parametrize(
    ("feature", "values", "codes"),
    [
        (TERM, ["monthly", "yearly", "longer"], [-1, 0, 1]),
        (PAPERLESS, [0.0, 1.0], [-1, 1]),
        (BALANCE, [-50.0, 0.0, 50.0, 150.0], [-1, -0.5, 0, 1]),
        (TENURE, [0.0, 8.0, 72.0], [-1, 2 * math.log(9) / math.log(73) - 1, 1]),
        (number(low=10, high=109, scale="log"), [10.0, 19.0, 109.0], [-1, 0, 1]),
    ],
)
def test_known_codes(feature, values, codes):
    assert feature.encode(np.array(values)) == pytest.approx(codes, abs=1e-12)


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    scale=st.sampled_from(["linear", "log"]),
    places=st.lists(st.floats(0, 1), min_size=2, max_size=5).map(sorted),
)
def test_numbers_rise_from_minus_one_to_one(low, width, scale, places):
    feature = number(low=low, high=low + width, scale=scale)
    values = np.clip(low + np.array([0, *places, 1]) * width, low, low + width)
    codes = feature.encode(values)
    assert codes[0] == pytest.approx(-1)
    assert codes[-1] == pytest.approx(1)
    assert (np.diff(codes) >= 0).all()


@pytest.mark.parametrize(
    ("feature", "missing"),
    [
        (number(optional=True), math.nan),
        (number(optional=True, scale="log"), math.nan),
        (Feature(name="f", kind="flag", optional=True), math.nan),
        (TERM.model_copy(update={"optional": True}), ""),
    ],
)
def test_a_missing_optional_value_is_neutral_and_a_needed_one_is_refused(feature, missing):
    column = np.array([missing])
    assert feature.encode(column).tolist() == [0.0]
    with pytest.raises(DataError, match=f"{feature.name}: expected .*, found nothing"):
        feature.model_copy(update={"optional": False}).encode(column)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (BALANCE, 150.1),
        (BALANCE, -50.1),
        (BALANCE, math.inf),
        (TENURE, -0.5),
        (TENURE, -5.0),
        (TENURE, 73.0),
        (PAPERLESS, 2.0),
        (TERM, "weekly"),
        (BALANCE, "much"),
    ],
)
def test_values_outside_the_declaration_are_refused(feature, value):
    with pytest.raises(DataError, match=f"{feature.name}: expected .*, found"):
        feature.encode(np.array([value]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": None}, "needs finite low and high"),
        ({"low": None}, "needs finite low and high"),
        ({"low": -math.inf}, "finite"),
        ({"low": 2}, "must be below high"),
        ({"kind": "flag", "scale": "log"}, "scale 'log' is for numbers"),
        ({"kind": "text"}, "kind"),
        ({"kind": "category"}, "at least two different levels"),
        ({"scael": "log"}, "scael"),
    ],
)
def test_a_bad_declaration_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        number(**changes)


def test_encode_orders_columns_by_declaration_and_adds_a_bias():
    records = [{"paperless": 1.0, "term": "longer"}, {"paperless": 0.0, "term": "monthly"}]
    table = {**table_of((PAPERLESS, TERM), records), "surplus": np.array(["a", "b"])}
    assert encode((TERM, PAPERLESS), table).tolist() == [[1, 1, 1], [-1, -1, 1]]


def test_encode_of_no_records_keeps_the_width():
    assert encode((TERM, PAPERLESS), table_of((TERM, PAPERLESS), [])).shape == (0, 3)


def test_missing_and_ragged_columns_are_named():
    with pytest.raises(DataError, match="expected columns term, found paperless"):
        encode((TERM, PAPERLESS), {"paperless": np.zeros(1)})
    with pytest.raises(DataError, match=r"one length, found lengths \[1, 2\]"):
        encode((BALANCE, PAPERLESS), {"paperless": np.zeros(1), "balance": np.zeros(2)})
