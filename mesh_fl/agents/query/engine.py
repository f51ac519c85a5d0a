"""From a plain question to a checked result over a member's own tables."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from mesh_fl.agents._reading import text as plain
from mesh_fl.agents.query.caveats import Caveats, unread
from mesh_fl.agents.query.chunks import Scan, scan
from mesh_fl.agents.query.currency import Counts, is_money, with_currencies
from mesh_fl.agents.query.database import Database, Result
from mesh_fl.agents.query.doubts import refuse_doubts
from mesh_fl.agents.query.drawn import chart_of
from mesh_fl.agents.query.names import refuse_disguised
from mesh_fl.agents.query.plan import Excluded, Linked, Plan
from mesh_fl.agents.query.reading import AbsentTableError, Reading, UnclearError
from mesh_fl.agents.query.relations import table_at
from mesh_fl.agents.query.result import Cell, Chart, Column, Found, Refused, Source
from mesh_fl.agents.query.sql import side_names, sql_of
from mesh_fl.agents.query.telling import interpretation_of, sentence_of
from mesh_fl.agents.query.understanding import understand
from mesh_fl.agents.query.values import Values, values_of
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.agents.query.wording import MOST_CHARACTERS, words_of
from mesh_fl.errors import DataError
from mesh_fl.site import OwnTable

__all__ = ["Cell", "Chart", "Column", "Engine", "Found", "Refused", "Source"]

SUGGESTIONS = (
    "how many tickets were opened last month",
    "top 5 clients by number of tickets this year",
    "which invoices are overdue",
)


class Engine:
    """Answers questions over the product tables among `tables`.

    Parameters
    ----------
    tables : mapping
        A member's tables by the name in client.toml.

    Raises
    ------
    ConfigError
        If DuckDB is not installed.
    """

    def __init__(self, tables: Mapping[str, OwnTable]) -> None:
        self._database = Database(tables)
        self._lock = threading.Lock()
        self._values: Values | None = None

    def ask(self, question: str, as_of: datetime) -> Found | Refused:
        """Answer one question, or say why not.

        Parameters
        ----------
        question : str
            In English.
        as_of : datetime
            The moment of asking; without a zone it is in UTC.
        """
        if len(question) > MOST_CHARACTERS:
            return Refused(f"a question has at most {MOST_CHARACTERS} characters", (), SUGGESTIONS)
        now = as_of.replace(tzinfo=as_of.tzinfo or UTC).astimezone(UTC)
        values = self._fresh()
        words = words_of(question)
        found = scan(words, now, values, vocabulary())
        if found.unknown:
            named = ", ".join(repr(word) for word in found.unknown)
            reason = f"I do not know what {named} refers to"
            return Refused(reason, found.unknown, SUGGESTIONS)
        first = words[0].written.lower() if words else ""
        reading = Reading(list(found.chunks), vocabulary(), self._filled(), now, first)
        try:
            refuse_disguised(words, [(c.at, c.size) for c in found.chunks], values)
            refuse_doubts([word.written for word in words])
            return self._answer(understand(reading), found, now)
        except AbsentTableError as error:
            return self._absent(error)
        except UnclearError as error:
            return replace(error.refused, suggestions=SUGGESTIONS)
        except DataError as error:
            return Refused(str(error), (), SUGGESTIONS)

    def _absent(self, error: AbsentTableError) -> Refused:
        """Say why a table is not here, where it is named and cannot be read."""
        loaded = self._database.loaded.get(error.table)
        if loaded is None or not loaded.fault:
            return replace(error.refused, suggestions=SUGGESTIONS)
        reason = f"the table {error.table} cannot be read: {plain(loaded.fault, 300)}"
        return Refused(reason, (), SUGGESTIONS)

    def _fresh(self) -> Values:
        with self._lock:
            if self._database.refresh() or self._values is None:
                self._values = values_of(self._database)
            return self._values

    def _filled(self) -> frozenset[str]:
        return frozenset(
            f"{name}.{column}"
            for name, loaded in self._database.loaded.items()
            for column in loaded.filled
        )

    def _run(self, plan: Plan, now: datetime) -> tuple[str, Result]:
        sql = sql_of(plan, now, self._filled())
        return sql, self._database.run(sql)

    def _answer(self, plan: Plan, scanned: Scan, now: datetime) -> Found:
        plan, unit = self._with_unit(plan, now)
        sql, result = self._run(plan, now)
        columns = tuple(_column(name, plan, unit) for name in result.names)
        sentence = sentence_of(plan, result.names, result.rows, unit)
        if result.truncated:
            sentence = f"The first {len(result.rows)} of more rows are told. {sentence}"
        told = Caveats(plan, unit, lambda other: self._run(other, now)[1].rows)
        sources = tuple(self._database.loaded[name].source for name in sorted(_tables(plan)))
        return Found(
            sentence=" ".join(dict.fromkeys([sentence, *told.sentences(), *unread(sources)])),
            interpretation=interpretation_of(plan, unit),
            sql=sql,
            columns=columns,
            rows=result.rows,
            truncated=result.truncated,
            chart=chart_of(plan, result.names, result.rows),
            sources=sources,
            confidence=_confidence(scanned),
        )

    def _with_unit(self, plan: Plan, now: datetime) -> tuple[Plan, str | None]:
        """Part amounts by currency where there are several, and find the unit of the measure."""
        if not is_money(plan):
            return plan, _unit(plan)
        if f"{plan.table}.currency" not in self._filled():
            return plan, None

        def count(asked: Plan) -> Counts:
            return {str(row[0]): int(row[-1] or 0) for row in self._run(asked, now)[1].rows}

        plan, unit = with_currencies(plan, count)
        share = plan.measure is not None and plan.measure.share_of is not None
        return plan, "%" if share else unit


def _unit(plan: Plan) -> str | None:
    if plan.measure is None:
        return None
    if plan.measure.share_of is not None:
        return "%"
    quantity = vocabulary().quantities.get(plan.measure.quantity)
    return None if quantity is None else quantity.unit


def _column(name: str, plan: Plan, unit: str | None) -> Column:
    title = name.replace("_", " ")
    if name in {"change_percent", "share_percent"}:
        return Column(name, title, "%")
    quantity = plan.measure.quantity if plan.measure is not None else ""
    is_measure = quantity and name.split("_", 1)[-1].startswith(quantity)
    is_side = name == "difference" or f'"{name}"' in side_names(plan)
    return Column(name, title, unit if is_measure or is_side else None)


def _tables(plan: Plan) -> set[str]:
    """Return every table that a plan reads."""
    conditions = [*plan.conditions, *(c for side in plan.sides for c in side.conditions)]
    if plan.measure is not None:
        conditions.extend(plan.measure.share_of or ())
    found = {plan.table} | {
        table_at(plan.table, g.path[:i]) for g in plan.groups for i in range(len(g.path) + 1)
    }
    for c in conditions:
        found |= {table_at(plan.table, c.path[:i]) for i in range(len(c.path) + 1)}
        if isinstance(c, Linked):
            found |= _linked_tables(c)
        if isinstance(c, Excluded):
            found |= _tables(Plan(plan.table, c.conditions))
    return found


def _linked_tables(linked: Linked) -> set[str]:
    found = {linked.table}
    for c in linked.conditions:
        found |= {table_at(linked.table, c.path[:i]) for i in range(len(c.path) + 1)}
        if isinstance(c, Linked):
            found |= _linked_tables(c)
    return found


def _confidence(scanned: Scan) -> float:
    """Return the share of meaningful words that were found as written; a corrected one is half."""
    meant = [c for c in scanned.chunks if any(m.kind != "filler" for m in c.meanings)]
    words = sum(c.size for c in meant)
    return sum(c.size * (1.0 if c.exact else 0.5) for c in meant) / max(words, 1)
