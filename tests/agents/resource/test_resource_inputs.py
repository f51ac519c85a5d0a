"""Declared inputs become cells by their declaration alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.agents.resource.inputs import BIAS_WEIGHT, NOWHERE, Input, Inputs, plain
from mesh_fl.agents.resource.ticket_inputs import ticket_inputs
from mesh_fl.errors import DataError

WORD = Input(name="category", kind="text", words=("Backup", "mail"), cells=16)
HOURS = Input(name="est_hours", kind="number", edges=(1, 2, 4))
TIME = Input(name="opened_at", kind="time")
MONDAY_NOON = 1_772_452_800.0
"""2026-03-02 12:00 UTC."""


def place(one: Input, *values: object) -> list[list[int]]:
    kind = object if one.kind in ("text", "category") else np.float64
    return one.place(np.array(values, dtype=kind)).tolist()


def test_declared_words_come_first_and_case_and_space_do_not_count() -> None:
    assert place(WORD, "backup", " BACKUP ", "Mail") == [[0], [0], [1]]
    assert place(WORD, "\uff2d\uff21\uff29\uff2c") == [[1]]


@given(st.text())
def test_any_word_has_a_cell_of_its_own_kind(word: str) -> None:
    ((cell,),) = place(WORD, word)
    if plain(word):
        assert 0 <= cell < 18
        assert place(WORD, word.upper().lower())[0][0] == cell or word.lower() != word
    else:
        assert cell == NOWHERE


def test_cells_are_the_same_for_ever() -> None:
    # A model that was trained with other cells would read nonsense.
    assert place(WORD, "printer", "vpn", "password") == [[4], [9], [17]]


def test_without_cells_other_words_are_not_known() -> None:
    only = Input(name="c", kind="text", words=("a",), cells=0)
    assert place(only, "a", "b") == [[0], [NOWHERE]]


def test_numbers_fall_between_edges() -> None:
    assert place(HOURS, 0, 1, 3.9, 4, 1e300, math.nan, math.inf) == [
        [0], [1], [2], [3], [3], [NOWHERE], [NOWHERE],
    ]  # fmt: skip


def test_a_time_is_an_hour_and_a_day() -> None:
    assert place(TIME, MONDAY_NOON, MONDAY_NOON - 13 * 3600, 0.0, -1.0) == [
        [12, 0], [23, 6], [0, 3], [23, 2],
    ]  # fmt: skip


def test_a_flag_has_two_cells_and_a_category_one_a_level() -> None:
    assert place(Input(name="f", kind="flag"), 0.0, 1.0, math.nan) == [[0], [1], [NOWHERE]]
    levels = Input(name="c", kind="category", levels=("low", "high"))
    assert place(levels, "high", "", "low") == [[1], [NOWHERE], [0]]
    with pytest.raises(DataError, match="c: expected one of low, high, found 'odd'"):
        place(levels, "odd")


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"kind": "document"}, "expected text"),
        ({"kind": "number"}, "needs edges"),
        ({"kind": "number", "edges": (2, 1)}, "edges must rise"),
        ({"kind": "text", "words": ("a", "A")}, "stands twice"),
        ({"kind": "text", "cells": 0}, "1 to 4096 cells"),
        ({"kind": "text", "cells": 5000}, "1 to 4096 cells"),
        ({"kind": "flag", "weight": 0.0}, "weight must be 0.001 to 1000"),
        ({"kind": "flag", "factors": (1.0,)}, "expected 2 factors"),
        ({"kind": "flag", "factors": (1.0, 0.0)}, "factors must be above 0"),
    ],
)
def test_a_declaration_that_cannot_be_encoded_is_refused(declared, told) -> None:
    with pytest.raises(ValidationError, match=told):
        Input(name="x", **declared)


def test_public_factors_are_what_a_model_begins_with() -> None:
    hours = Input(name="h", kind="number", edges=(1.0,), factors=(0.5, 3.0))
    inputs = Inputs((WORD, hours), usual_hours=2.0)
    cells = inputs.place({"h": np.array([0.2, 5.0, math.nan])})
    found = np.exp(inputs.factors(cells, inputs.prior).sum(axis=1))
    assert found == pytest.approx([1.0, 6.0, 2.0])


def test_every_ticket_has_the_bias_and_no_row_is_longer_than_1() -> None:
    inputs = Inputs(ticket_inputs())
    n = 50
    random = np.random.default_rng(1)
    cells = inputs.place(
        {
            "category": np.array(random.choice(["a", "b", ""], n), object),
            "priority": random.choice([1.0, 4.0, math.nan], n),
            "est_hours": random.choice([0.0, 99.0, math.nan], n),
            "opened_at": random.uniform(0, 2e9, n),
        }
    )
    rows = inputs.rows(cells)
    assert np.linalg.norm(rows, axis=1).max() == pytest.approx(1.0)
    assert (rows[:, -1] == inputs.strengths[-1]).all()
    assert inputs.strengths[-1] == pytest.approx(BIAS_WEIGHT * inputs.strengths[0])
    weights = random.normal(size=inputs.size)
    assert rows @ weights == pytest.approx(inputs.factors(cells, weights).sum(axis=1))


def test_columns_of_unlike_length_are_refused() -> None:
    with pytest.raises(DataError, match="columns of one length"):
        Inputs((WORD,)).place({"category": np.array(["a"], object), "x": np.zeros(2)})
