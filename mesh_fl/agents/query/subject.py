"""Whose rows a question is about."""

from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.comparing import Having
from mesh_fl.agents.query.reading import Reading, UnclearError
from mesh_fl.agents.query.roles import Roles


def subject_of(reading: Reading, roles: Roles, having: Having | None) -> str:
    """Return the table whose rows are counted, put together or listed.

    Raises
    ------
    UnclearError
        If the question does not tell.
    """
    if having is not None and having.grouped:
        return having.table
    if roles.quantity is not None:
        return roles.quantity.table
    nouns = [m for m in reading.mentions if m.role == "" and not m.negated]
    if roles.superlative in {"most", "least", "frequent"} or roles.ranked_by:
        return _lowest(reading, [m.table for m in reading.mentions]) or _inferred(reading)
    if roles.counts:
        first = min(reading.all_of("count"), default=0)
        after = [m.table for m in nouns if m.at > first]
        if after:
            return after[0]
    if nouns:
        return nouns[0].table
    return _inferred(reading)


def _lowest(reading: Reading, tables: list[str]) -> str:
    """Return the table from which all others are reached: tickets of clients, not clients."""
    hints = [
        m.table
        for c in reading.chunks
        for m in c.of("value")
        if len({x.table for x in c.meanings}) == 1
    ]
    wanted = list(dict.fromkeys([*tables, *hints])) if tables else []
    for table in wanted:
        if all(reading.reaches(table, other) for other in wanted):
            return table
    return tables[0] if len(tables) == 1 else ""


def _is_loose(chunk: Chunk) -> bool:
    """Say whether a word alone, as in show passwords, names no table."""
    columns = {(m.table, m.name) for m in chunk.of("value")}
    return bool(columns) and columns <= _LOOSE


_LOOSE = {
    ("tickets", "category"),
    ("agreements", "type"),
    ("invoices", "kind"),
    ("events", "kind"),
    ("events", "source"),
}


def _inferred(reading: Reading) -> str:
    """Find the one table that every word can bear on, where the question names none."""
    kinds = ("value", "state", "event", "dimension", "quantity")
    words = [c for c in reading.chunks if any(c.of(kind) for kind in kinds)]
    options = []
    for table in sorted(reading.tables):
        sets = [{m.table for kind in kinds for m in c.of(kind)} for c in words]
        fits = all(any(reading.reaches(table, t) for t in s) for s in sets)
        if sets and fits and any(table in s for s in sets):
            options.append(table)
    own = [t for t in options if all(t in {m.table for m in c.meanings} for c in words)]
    if words and all(_is_loose(c) for c in words):
        raise UnclearError("the question does not say what it is about: name tickets, invoices ...")
    if len(own) == 1:
        return own[0]
    if len(options) == 1:
        return options[0]
    if not options:
        raise UnclearError("the question does not say what it is about: name tickets, invoices ...")
    raise UnclearError(f"this can be about {', '.join(options)}: say which")
