"""What words mean: the phrases of vocabulary.toml by their stems."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mesh_fl.agents.query.wording import stems

Stems = tuple[str, ...]


@dataclass(frozen=True)
class Meaning:
    """One thing that a phrase can stand for.

    Parameters
    ----------
    kind : str
        table, quantity, dimension, event, state, value, aggregate, comparison, filler, or the
        name of a group of function words.
    table : str
        The table it belongs to; empty for function words.
    name : str
        Of the quantity, column, state, aggregate or operator.
    value : str
        The value of a column as it stands in the data.
    """

    kind: str
    table: str = ""
    name: str = ""
    value: str = ""


@dataclass(frozen=True)
class TableWords:
    """What is said of a table."""

    name: str
    title: str
    show: tuple[str, ...]
    label: str = ""
    time: str = ""
    amount: str = ""


@dataclass(frozen=True)
class Quantity:
    """A number that each row of a table gives."""

    name: str
    table: str
    title: str
    per_row: str
    needs: tuple[str, ...]
    default: str = ""
    unit: str | None = None
    time: str = ""
    state: str = ""


@dataclass(frozen=True)
class State:
    """A condition on a row that has a word of its own."""

    name: str
    table: str
    title: str
    sql: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """All that is declared.

    Parameters
    ----------
    phrases : mapping
        Meanings by stems.
    tables, quantities, states : mapping
        By table, by quantity, by (table, state).
    """

    phrases: Mapping[Stems, tuple[Meaning, ...]] = field(repr=False)
    tables: Mapping[str, TableWords]
    quantities: Mapping[str, Quantity]
    states: Mapping[tuple[str, str], State]


_Declared = Mapping[str, object]


@cache
def vocabulary() -> Vocabulary:
    """Read the declared words once."""
    text = Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)
    found: dict[Stems, dict[Meaning, None]] = {}
    for phrase, meaning in _phrases(declared):
        found.setdefault(stems(phrase), {})[meaning] = None
    return Vocabulary(
        phrases={key: tuple(meanings) for key, meanings in found.items()},
        tables={
            name: TableWords(name, d["title"], tuple(d["show"]), *(d.get(k, "") for k in _OF_TABLE))
            for name, d in declared["tables"].items()
        },
        quantities={d["name"]: _quantity(d) for d in declared["quantities"]},
        states={(d["table"], d["name"]): _state(d) for d in declared["states"]},
    )


_OF_TABLE = ("label", "time", "amount")


def _quantity(d: Mapping[str, object]) -> Quantity:
    needs = d["needs"]
    assert isinstance(needs, list)  # noqa: S101
    return Quantity(
        name=str(d["name"]),
        table=str(d["table"]),
        title=str(d["title"]),
        per_row=str(d["per_row"]),
        needs=tuple(needs),
        default=str(d.get("default", "")),
        unit=str(d["unit"]) if "unit" in d else None,
        time=str(d.get("time", "")),
        state=str(d.get("state", "")),
    )


def _state(d: Mapping[str, object]) -> State:
    needs = d["needs"]
    assert isinstance(needs, list)  # noqa: S101
    return State(str(d["name"]), str(d["table"]), str(d["title"]), str(d["sql"]), tuple(needs))


def _phrases(declared: Mapping[str, object]) -> Iterator[tuple[str, Meaning]]:
    yield from ((phrase, Meaning("filler")) for phrase in _list(declared["filler"]))
    for kind, phrases in _table(declared["words"]).items():
        yield from ((phrase, Meaning(kind)) for phrase in _list(phrases))
    for kind, group in (("aggregate", "aggregates"), ("comparison", "comparisons")):
        for name, phrases in _table(declared[group]).items():
            yield from ((phrase, Meaning(kind, name=name)) for phrase in _list(phrases))
    yield from _things(declared)


def _things(declared: Mapping[str, object]) -> Iterator[tuple[str, Meaning]]:
    for name, d in _table(declared["tables"]).items():
        yield from ((phrase, Meaning("table", name)) for phrase in _list(_table(d)["words"]))
    for column, phrases in _table(declared["dimensions"]).items():
        table, _, name = column.partition(".")
        yield from ((phrase, Meaning("dimension", table, name)) for phrase in _list(phrases))
    for kind, group in (("quantity", "quantities"), ("state", "states")):
        for d in _list(declared[group]):
            entry = _table(d)
            meaning = Meaning(kind, str(entry["table"]), str(entry["name"]))
            yield from ((str(phrase), meaning) for phrase in _list(entry["words"]))
    for d in _list(declared["events"]):
        entry = _table(d)
        table, _, name = str(entry["column"]).partition(".")
        yield from (
            (str(phrase), Meaning("event", table, name)) for phrase in _list(entry["words"])
        )


def _table(value: object) -> dict[str, object]:
    assert isinstance(value, dict)  # noqa: S101
    return value


def _list(value: object) -> list[str]:
    assert isinstance(value, list)  # noqa: S101
    return value
