"""The questions of the examination, and what each must be answered."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.query.result import Cell

Table = tuple[tuple[Cell, ...], ...]


class Question(BaseModel):
    """One question that the tables answer; see questions.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    group: str
    kind: Literal["number", "rows", "yes_no"]
    question: str
    sql: str
    expected: Table
    also: tuple[Table, ...] = ()
    ordered: bool = False
    hard: bool = False


class Unanswerable(BaseModel):
    """One question that they do not answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    question: str
    why: str


def questions() -> list[Question]:
    return [Question(**told) for told in _read("questions.toml")]


def unanswerable() -> list[Unanswerable]:
    return [Unanswerable(**told) for told in _read("unanswerable.toml")]


def _read(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).with_name(name)
    told: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    return told
