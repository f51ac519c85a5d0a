"""Where requests are read, judged and answered."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mesh_fl.agent import State
from mesh_fl.agents.anomaly.answer import AnomalyAnswer
from mesh_fl.agents.anomaly.books import Books, Shelf
from mesh_fl.agents.anomaly.finding import MOST_TOLD, Finding, moment
from mesh_fl.agents.anomaly.own_usual import usual_of
from mesh_fl.agents.anomaly.reading_findings import of_series, of_values
from mesh_fl.agents.anomaly.record_findings import of_lines, of_record
from mesh_fl.agents.anomaly.request import Request, requests_of
from mesh_fl.agents.anomaly.root_causes import root_causes
from mesh_fl.agents.anomaly.severity import highest
from mesh_fl.agents.anomaly.stretch import of_stretch
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.site import OwnTable

if TYPE_CHECKING:
    from mesh_fl.agents.anomaly.agent import AnomalyDetection

NO_TABLES = (
    "nothing to judge: tell values, lines or a record, or name the tables events or metrics in "
    "client.toml"
)


MOST_READ = 100
"""Requests of one batch that tables, values or lines are read for."""


class Desk:
    """Answers with what one member has at hand.

    Parameters
    ----------
    agent : AnomalyDetection
    tables : mapping
        The tables of client.toml.
    now : callable
        The clock, in seconds since 1970.
    """

    def __init__(
        self,
        agent: "AnomalyDetection",
        tables: Mapping[str, OwnTable],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._agent = agent
        self._shelf = Shelf(tables, agent.traits)
        self._now = now

    def answer(self, state: State, table: Table) -> list[AnomalyAnswer]:
        """Answer each request; see `request.fields`.

        Raises
        ------
        DataError
            If values or lines cannot be read, or a time is too far away.
        """
        books = self._shelf.newest()
        requests = list(requests_of(table, self._agent.traits, self._now()))
        _refuse_many(requests)
        return [self._answer(state, one, books) for one in requests]

    def _answer(self, state: State, request: Request, books: Books) -> AnomalyAnswer:
        findings = tuple(self._findings(state, request, books))
        rates = self._agent.rates
        every = [one for found in findings for one in found.anomalies]
        every.sort(key=lambda one: one.chance)
        judged = {found.what: found.judged for found in findings if not found.why_nothing}
        told = tuple(every[:MOST_TOLD])
        causes = root_causes(told)
        drift = tuple(one for found in findings for one in found.drift)
        models = dict.fromkeys(model for found in findings for model in found.models)
        known = [found.usual_records for found in findings if found.usual_records is not None]
        return AnomalyAnswer(
            metric_type=request.metric_type or None,
            as_of=moment(request.as_of) or "",
            time_range_hours=request.range_hours,
            anomalies=told,
            anomalies_found=sum(found.found for found in findings),
            highest_severity=highest(one.severity for one in every),
            root_causes=causes,
            drift=drift,
            judged=judged,
            false_alarm_rate=rates.first,
            severity_rates=rates.by_severity,
            expected_false_alarms=rates.first * sum(judged.values()),
            usual_records=known[0] if known else None,
            notes=tuple(dict.fromkeys(_notes(findings, books))),
            model_used="; ".join(models) or "none: nothing was there to judge",
            unavailable=dict(_unavailable(request, findings, bool(every), bool(drift), known)),
        )

    def _findings(self, state: State, request: Request, books: Books) -> Iterator[Finding]:
        rates = self._agent.rates
        if request.values is not None:
            yield of_values(request, rates)
        if request.lines is not None or request.record is not None:
            usual = usual_of(self._agent, state, books, request.as_of)
            if request.lines is not None:
                yield of_lines(usual, request.lines, rates)
            if request.record is not None:
                yield of_record(usual, request, rates)
        if request.asks_tables:
            yield from self._of_tables(state, request, books)

    def _of_tables(self, state: State, request: Request, books: Books) -> Iterator[Finding]:
        if books.events is None and not books.series:
            why = "; ".join(f"{name}: {fault}" for name, fault in books.faults.items())
            yield Finding(what="events", why_nothing=why or NO_TABLES)
            return
        if books.series:
            yield of_series(request, books, self._agent.rates)
        if books.events is not None:
            yield of_stretch(self._agent, state, request, books)


def _refuse_many(requests: Sequence[Request]) -> None:
    """Refuse a batch that would take minutes; records by themselves are quickly judged."""
    read = sum(
        one.asks_tables or one.values is not None or one.lines is not None for one in requests
    )
    if read > MOST_READ:
        raise DataError(
            f"anomaly: expected at most {MOST_READ} requests of one batch that read tables, values "
            f"or lines, found {read}; send them in several"
        )


def _notes(findings: Sequence[Finding], books: Books) -> Iterator[str]:
    for found in findings:
        yield from found.notes
        if found.why_nothing:
            yield f"{found.what}: {found.why_nothing}"
    for name, fault in books.faults.items():
        yield f"table {name} could not be read: {fault}"
    for name, count in books.left_out.items():
        yield f"{count} rows of {name} could not be read; `mesh-client data check` tells why"


def _unavailable(
    request: Request,
    findings: Sequence[Finding],
    any_anomaly: bool,
    any_drift: bool,
    known: Sequence[int],
) -> Iterator[tuple[str, str]]:
    """Say why a field is None or empty."""
    whys = "; ".join(found.why_nothing for found in findings if found.why_nothing)
    judged = sum(found.judged for found in findings)
    quiet = whys if whys and not judged else "nothing is as unusual as the stated rate asks for"
    if not request.metric_type:
        yield "metric_type", "none was asked for"
    if not any_anomaly:
        yield "anomalies", quiet
        yield "highest_severity", quiet
        yield "root_causes", quiet
    if not any_drift:
        yield "drift", whys if whys and not judged else "none was noticed"
    no_forest = [found.why_no_forest for found in findings if found.why_no_forest]
    if no_forest:
        yield "own_forest_score", no_forest[0]
    if not known:
        yield "usual_records", "no record was judged by your own"
