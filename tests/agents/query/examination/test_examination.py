"""Questions in plain English, written by somebody who had not read the code.

At the first run 78 of 100 were right, 3 wrong and 19 refused; of 30 that no table answers, 29 were
refused. The bars below let a change lose a few, not many.
"""

import math
from datetime import date
from pathlib import Path

import duckdb
import pytest
from examination import Marked, examine, ids
from examination_questions import Question, Unanswerable, questions, unanswerable
from examination_tables import own_tables, write_tables

from mesh_fl.agents.query.engine import Engine
from mesh_fl.agents.query.result import Cell
from mesh_fl.msp_tables import TABLES

LEAST_RIGHT = 70
MOST_WRONG = 5
LEAST_REFUSED = 25
TYPES = {"text": "VARCHAR", "time": "TIMESTAMP", "number": "DOUBLE", "flag": "BOOLEAN"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examination")
    write_tables(folder)
    return folder


@pytest.fixture(scope="session")
def marked(folder: Path) -> list[Marked]:
    return examine(Engine(own_tables(folder)))


@pytest.fixture(scope="session")
def database(folder: Path) -> duckdb.DuckDBPyConnection:
    """Reads the files by itself: what is expected must not depend on how the engine loads them."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for name, table in TABLES.items():
        path = folder / f"{name}.csv"
        known = {field.name: TYPES[field.kind] for field in table.fields}
        header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
        columns = {column: known[column] for column in header}
        database.read_csv(path, header=True, columns=columns).create(name)
    return database


def test_most_are_answered_and_few_of_them_wrong(marked: list[Marked]) -> None:
    right, wrong = ids(marked, "right"), ids(marked, "wrong")
    told = f"{len(right)} right; wrong: {wrong}; refused: {ids(marked, 'refused')}"
    assert len(right) >= LEAST_RIGHT, told
    assert len(wrong) <= MOST_WRONG, told


def test_what_the_tables_cannot_answer_is_refused(marked: list[Marked]) -> None:
    refused = ids(marked, "refused", answerable=False)
    assert len(refused) >= LEAST_REFUSED, f"answered: {ids(marked, 'wrong', answerable=False)}"


def test_nothing_is_asked_twice() -> None:
    asked: list[Question | Unanswerable] = [*questions(), *unanswerable()]
    assert len(questions()) == 100
    assert len(unanswerable()) == 30
    assert len({one.id for one in asked}) == len({one.question for one in asked}) == 130


def test_the_sql_gives_what_is_expected(database: duckdb.DuckDBPyConnection) -> None:
    other = [one.id for one in questions() if not _recomputed(one, database)]
    assert other == []


def _recomputed(question: Question, database: duckdb.DuckDBPyConnection) -> bool:
    rows = database.execute(question.sql).fetchall()
    found = [[_told(cell) for cell in row] for row in rows]
    expected = [list(row) for row in question.expected]
    if not question.ordered:
        found.sort(key=repr)
        expected.sort(key=repr)
    return len(found) == len(expected) and all(
        len(got) == len(wanted) and all(map(_alike, got, wanted))
        for got, wanted in zip(found, expected, strict=True)
    )


def _told(value: Cell | date) -> Cell:
    if value is None:
        return "<none>"
    return value.isoformat() if isinstance(value, date) else value


def _alike(got: Cell, wanted: Cell) -> bool:
    """Whether two cells are the same; the file has six decimals."""
    if isinstance(got, float) and isinstance(wanted, float):
        return math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-6)
    return type(got) is type(wanted) and got == wanted
