"""How well plain questions are answered, on questions by somebody who had not read the code.

    python tests/agents/query/examination/examination.py

prints how many were right, wrong and refused by group, and how long an answer took.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from examination_company import NOW
from examination_grading import is_right
from examination_questions import Question, Unanswerable, questions, unanswerable
from examination_tables import own_tables, write_tables

from mesh_fl.agents.query.engine import Engine, Found, Refused

Mark = Literal["right", "wrong", "refused"]

MARKS: tuple[Mark, ...] = ("right", "wrong", "refused")
NO_ANSWER = "unanswerable"


@dataclass(frozen=True)
class Marked:
    """How one question went; one that cannot be answered is refused or wrong."""

    id: str
    group: str
    mark: Mark
    took_s: float
    hard: bool = False


def examine(engine: Engine) -> list[Marked]:
    return [
        *(_marked(engine, one, one.group, one.hard) for one in questions()),
        *(_marked(engine, one, NO_ANSWER) for one in unanswerable()),
    ]


def ids(marked: Sequence[Marked], mark: Mark, *, answerable: bool = True) -> list[str]:
    """Return which questions got a mark."""
    return [one.id for one in marked if one.mark == mark and (one.group != NO_ANSWER) is answerable]


def _marked(
    engine: Engine, asked: Question | Unanswerable, group: str, hard: bool = False
) -> Marked:
    begun_s = time.perf_counter()
    found = engine.ask(asked.question, NOW)
    return Marked(asked.id, group, _mark(asked, found), time.perf_counter() - begun_s, hard)


def _mark(asked: Question | Unanswerable, found: Found | Refused) -> Mark:
    if isinstance(found, Refused):
        return "refused"
    return "right" if isinstance(asked, Question) and is_right(asked, found) else "wrong"


def report(marked: Sequence[Marked]) -> Iterator[str]:
    """Return the lines to print."""
    yield f"{'':14}" + "".join(f"{mark:>8}" for mark in MARKS)
    for group in dict.fromkeys(one.group for one in marked):
        yield _line(group, [one for one in marked if one.group == group])
    yield _line("answerable", [one for one in marked if one.group != NO_ANSWER])
    yield _line("hard ones", [one for one in marked if one.hard])
    yield f"wrong: {', '.join(one.id for one in marked if one.mark == 'wrong')}"
    median, p95 = np.percentile([one.took_s for one in marked], [50, 95]) * 1e3
    yield f"time: median {median:.0f} ms, 95th percentile {p95:.0f} ms"


def _line(name: str, marked: Sequence[Marked]) -> str:
    count = Counter(one.mark for one in marked)
    return f"{name:14}" + "".join(f"{count[mark]:8}" for mark in MARKS)


def main() -> None:
    with TemporaryDirectory() as folder:
        write_tables(Path(folder))
        marked = examine(Engine(own_tables(Path(folder))))
    sys.stdout.writelines(f"{line}\n" for line in report(marked))


if __name__ == "__main__":
    main()
