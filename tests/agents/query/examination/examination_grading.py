"""Grades an answer fairly.

Names and order of columns do not matter, nor do extra columns, ids in place of names, or rounding
to two or more decimals. The number of rows does.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import permutations

from examination_company import CLIENTS, TECHNICIANS
from examination_questions import Question

from mesh_fl.agents.query.result import Cell, Found

Plain = str | float | bool | datetime | None
Table = Sequence[Sequence[Cell]]

NAMES = {key.casefold(): one.name.casefold() for key, one in (CLIENTS | TECHNICIANS).items()}
NOTHING = {"", "<none>", "none", "null", "nan", "n/a", "(none)", "unknown", "missing", "(missing)"}
FLAGS = {"true": True, "yes": True, "false": False, "no": False}
BILLABLE = {
    True: ("billable",),
    False: ("non-billable", "not billable", "nonbillable"),
}


def is_right(question: Question, found: Found) -> bool:
    """Whether an answer says what was expected.

    A yes or no is in a cell, or the sentence's first word, or the figures that settle it are there.
    """
    rows = found.rows
    told = _yes_or_no(found) if question.kind == "yes_no" else None
    if told is not None:
        return told == question.expected[0][0]
    accepted = question.also if question.kind == "yes_no" else (question.expected, *question.also)
    return any(agrees(rows, table, ordered=question.ordered) for table in accepted)


def _yes_or_no(found: Found) -> bool | None:
    flags = [cell for row in found.rows for cell in map(plain, row) if isinstance(cell, bool)]
    if len(found.rows) == len(flags) == 1:
        return flags[0]
    said = re.match(r"\W*(yes|no)\b", found.sentence.casefold())
    return FLAGS[said[1]] if said else None


def agrees(rows: Table, expected: Table, *, ordered: bool = False) -> bool:
    """Whether some columns of the rows hold the expected table."""
    if len(rows) != len(expected):
        return False
    wanted = [[plain(cell) for cell in row] for row in expected]
    got = [[plain(cell) for cell in row] for row in rows]
    return not wanted or any(
        _same_rows(read, wanted) and (not ordered or _same_order(read, wanted))
        for read in _readings(got, len(wanted[0]))
    )


def _readings(rows: list[list[Plain]], width: int) -> Iterator[list[list[Plain]]]:
    """Return the rows by every choice of so many columns."""
    for chosen in permutations(range(len(rows[0])), width):
        yield [[row[place] for place in chosen] for row in rows]


def _same_rows(rows: list[list[Plain]], expected: list[list[Plain]]) -> bool:
    left = list(expected)
    for row in rows:
        hit = next((i for i, want in enumerate(left) if all(map(same, row, want))), None)
        if hit is None:
            return False
        left.pop(hit)
    return True


def _same_order(rows: list[list[Plain]], expected: list[list[Plain]]) -> bool:
    """Whether the measure, which is the last column, falls alike; ties may stand in any order."""
    return all(same(got[-1], want[-1]) for got, want in zip(rows, expected, strict=True))


def same(got: Plain, wanted: Plain) -> bool:
    """Whether two plain cells agree."""
    if isinstance(wanted, bool):
        return got == wanted or got in BILLABLE[wanted]
    if isinstance(got, bool):
        return False
    if isinstance(got, float) and isinstance(wanted, float):
        return _close(got, wanted)
    return got == wanted


def _close(got: float, wanted: float) -> bool:
    """Whether two numbers are the same but for half of the last decimal, from two decimals on."""
    if math.isclose(got, wanted, rel_tol=1e-9, abs_tol=2e-6):
        return True
    return any(
        abs(got - round(got, places)) < 1e-9 and abs(got - wanted) <= 0.5001 * 10**-places
        for places in (2, 3, 4)
    )


def plain(cell: Cell) -> Plain:
    """Return a cell as nothing, a flag, a number, a moment or folded text."""
    if cell is None or isinstance(cell, bool):
        return cell
    if not isinstance(cell, str):
        return None if math.isnan(cell) else float(cell)
    text = " ".join(cell.split()).casefold()
    if text in NOTHING:
        return None
    if text in FLAGS:
        return FLAGS[text]
    return _moment(text) or NAMES.get(text, text)


def _moment(text: str) -> datetime | None:
    """Return when the day, month or quarter that a label names begins, or the moment itself."""
    with suppress(ValueError):
        return _in_utc(datetime.fromisoformat(text.upper()))
    for form in ("%Y-%m", "%Y/%m", "%B %Y", "%b %Y", "%Y %B", "%Y %b"):
        with suppress(ValueError):
            return _in_utc(datetime.strptime(text, form))
    found = re.fullmatch(r"(?P<year>\d{4})[- ]?q(?P<q>[1-4])", text)
    found = found or re.fullmatch(r"q(?P<q>[1-4])[- /]?(?P<year>\d{4})", text)
    return found and datetime(int(found["year"]), int(found["q"]) * 3 - 2, 1, tzinfo=UTC)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=moment.tzinfo or UTC)
