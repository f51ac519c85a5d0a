from dataclasses import replace

import pytest
from examination_grading import agrees, is_right, same
from examination_questions import Question, Table, questions

from mesh_fl.agents.query.result import Cell, Chart, Found

ASKED = Question(id="Q", group="count", kind="number", question="?", sql="", expected=((3.14159,),))
TOP = (("Tidemark Shipping", 9), ("Saltmarsh Trust", 5), ("Oriel Architects", 5))
MONTHS = (("2026-01-01", 4.0), ("2026-02-01", 5.0))
FLAGS = ((False, 2), (True, 1))


def found(*rows: tuple[Cell, ...], sentence: str = "") -> Found:
    return Found(sentence, "", "", (), rows, False, Chart("number", None, ()), (), 1.0)


@pytest.mark.parametrize("row", [("x", 3.14), (3.1416,), (3.14159, None)])
def test_rounding_and_other_columns_do_not_matter(row: tuple[Cell, ...]) -> None:
    assert agrees([row], [[3.14159]])


@pytest.mark.parametrize("rows", [[(3.1,)], [(3.16,)], [(3,)], [(3.14,)] * 2, [(None,)], []])
def test_another_number_or_more_of_them_are_wrong(rows: Table) -> None:
    assert not agrees(rows, [[3.14159]])


def test_another_reading_is_right_too() -> None:
    asked = ASKED.model_copy(update={"also": (((31,),),)})
    assert is_right(asked, found((31,)))
    assert not is_right(asked, found((30,)))


def test_ties_may_stand_in_any_order() -> None:
    assert agrees([TOP[0], TOP[2], TOP[1]], TOP, ordered=True)
    assert not agrees(TOP[::-1], TOP, ordered=True)
    assert agrees(TOP[::-1], TOP)


def test_ids_stand_for_names_and_columns_in_any_order() -> None:
    assert agrees([(9, "K1215"), (5, "K1229"), (5, "K1222")], TOP, ordered=True)


def test_a_row_too_few_or_too_many_is_wrong() -> None:
    assert not agrees(TOP[:2], TOP)
    assert not agrees([*TOP, TOP[0]], TOP)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-01", "2026-02"),
        ("January 2026", "Feb 2026"),
        ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00+00:00"),
    ],
)
def test_a_month_is_known_however_it_is_written(first: str, second: str) -> None:
    assert agrees([(first, 4), (second, 5)], MONTHS)
    assert not agrees([(first, 5), (second, 4)], MONTHS)


@pytest.mark.parametrize("label", ["2025-Q3", "Q3 2025", "2025 q3"])
def test_a_quarter_begins_with_its_first_day(label: str) -> None:
    assert agrees([(label, 1)], [["2025-07-01", 1]])
    assert not agrees([(label, 1)], [["2025-04-01", 1]])


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), ("billable", "not billable"), (1, 0)])
def test_a_flag_is_known_by_its_words(yes: Cell, no: Cell) -> None:
    assert agrees([(yes, 1), (no, 2)], FLAGS)
    assert not agrees([(yes, 2), (no, 1)], FLAGS)


def test_a_flag_is_no_number() -> None:
    assert not same(True, 1.0)


def test_nothing_is_known_by_its_words() -> None:
    assert agrees([(None, 2)], [["<none>", 2]])


def test_a_yes_or_no_is_in_a_cell_or_the_sentence_or_the_figures() -> None:
    asked = ASKED.model_copy(
        update={"kind": "yes_no", "expected": ((False,),), "also": (((5, 6),),)}
    )
    assert is_right(asked, found((False,)))
    assert not is_right(asked, found((True,)))
    assert is_right(asked, found((5, 7), sentence="No, 5 against 7."))
    assert not is_right(asked, found((5, 6), sentence="Yes: 5 and 6."))
    assert is_right(asked, found((5, 6)))
    assert not is_right(asked, found((5, 7)))


def test_what_is_expected_is_right_and_anything_else_is_wrong() -> None:
    assert [one.id for one in questions() if not _sound(one)] == []


def _sound(question: Question) -> bool:
    given = found(*(("extra", *row)[::-1] for row in question.expected))
    changed = tuple(tuple(_changed(cell) for cell in row) for row in question.expected)
    return (
        is_right(question, given)
        and not is_right(question, replace(given, rows=changed))
        and not is_right(question, replace(given, rows=()))
        and all(is_right(question, replace(given, rows=table)) for table in question.also)
    )


def _changed(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return not cell
    return f"{cell}x" if isinstance(cell, str) else float(cell or 0) * 1.37 + 3.3
