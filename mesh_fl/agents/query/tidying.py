"""Chunks that belong together become one: client Acme, priority 1, the healthcare industry."""

from dataclasses import replace

from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.plan import Operator
from mesh_fl.agents.query.reading import Reading
from mesh_fl.agents.query.vocabulary import Meaning
from mesh_fl.msp_tables import TABLES

NUMERIC = {"priority": "tickets", "severity": "events", "csat": "tickets"}
"""Columns of whole numbers that a question names with a number: priority 1."""

OPERATORS: tuple[Operator, ...] = (">", ">=", "<", "<=", "=")


def tidy(reading: Reading) -> None:
    """Join chunks that belong together, in place."""
    named = {m.table for c in reading.chunks for k in ("table", "quantity") for m in c.of(k)}
    reading.chunks = [c for c in reading.chunks if not _is_filler(c, named)]
    reading.chunks = [
        c.only(*(m for m in c.meanings if m.kind != "filler")) for c in reading.chunks
    ]
    reading.chunks = [
        c for i, c in enumerate(reading.chunks) if not _is_bare_over(reading, c, i + 1)
    ]
    _numbered(reading)
    _named(reading)


def _is_filler(chunk: Chunk, named: set[str]) -> bool:
    """Tell running agreements from servers running Windows, where the word adds nothing."""
    if not chunk.of("filler") or chunk.of("value"):
        return False
    others = [m for m in chunk.meanings if m.kind != "filler"]
    return not any(not m.table or m.table in named for m in others)


def _is_bare_over(reading: Reading, chunk: Chunk, after: int) -> bool:
    """Over the past week, under managed services: no comparison, as no number follows."""
    bare = chunk.of("comparison") and chunk.text.lower() in {"over", "under", "above"}
    return bool(bare) and reading.kind_at(after, "time", "value")


def _numbered(reading: Reading) -> None:
    """Priority 1, severity 3 or 4: numbers after a column of numbers are values of it."""
    chunks, i = reading.chunks, 0
    while i < len(chunks):
        column = _numeric(chunks[i])
        if column and reading.kind_at(i + 1, "number"):
            values = [_value(chunks[i + 1], column, chunks[i])]
            end = i + 2
            while reading.kind_at(end, "and", "or") and reading.kind_at(end + 1, "number"):
                values.append(_value(chunks[end + 1], column, chunks[end + 1]))
                end += 2
            chunks[i:end] = values
        i += 1


def _numeric(chunk: Chunk) -> str:
    names = [m.name for m in (*chunk.of("quantity"), *chunk.of("dimension"))]
    return next((name for name in names if name in NUMERIC), "")


def _value(number: Chunk, column: str, start: Chunk) -> Chunk:
    meaning = Meaning("value", NUMERIC[column], column, f"{number.number:g}")
    size = number.at + number.size - start.at
    return replace(start, size=size, meanings=(meaning,), text=f"{column} {number.number:g}")


def _named(reading: Reading) -> None:
    """Client Acme, network category: the word for the column or table adds nothing."""
    chunks, i = reading.chunks, 0
    while i < len(chunks):
        for j in (i + 1, i - 1):
            if 0 <= j < len(chunks) and (kept := _same_thing(reading, i, j)):
                chunks[j] = chunks[j].only(*kept)
                del chunks[i]
                i -= 1
                break
        i += 1


def _same_thing(reading: Reading, i: int, j: int) -> tuple[Meaning, ...]:
    """Return the meanings of the value at j that the word at i stands for."""
    word, value = reading.chunks[i], reading.chunks[j]
    if not value.of("value") or (max(i, j) == i and word.after_comma) or word.of("value"):
        return ()
    if reading.kind_at(i - 1, "by", "which", "most", "least", "count") and i < j:
        return ()
    tables = {m.table for m in word.of("table")}
    named = tuple(
        m
        for m in value.of("value")
        if m.table in tables
        and m.name in {reading.known.tables[m.table].label, TABLES[m.table].key}
        and (i < j or m.name == "name")
    )
    columns = {(m.table, m.name) for m in word.of("dimension")}
    if i > j and reading.kind_at(i + 1, "by", "most"):
        columns = set()
    return named or tuple(m for m in value.of("value") if (m.table, m.name) in columns)
