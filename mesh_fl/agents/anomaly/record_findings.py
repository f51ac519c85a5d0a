"""Anomalies among records: one's own events, lines of a log, a record that a request tells."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.answer import Anomaly
from mesh_fl.agents.anomaly.books import Events
from mesh_fl.agents.anomaly.finding import MOST_TOLD, Finding, moment
from mesh_fl.agents.anomaly.judging import Judged, in_words
from mesh_fl.agents.anomaly.own_forest import positions
from mesh_fl.agents.anomaly.request import Request
from mesh_fl.agents.anomaly.severity import Rates
from mesh_fl.agents.anomaly.shift import shift
from mesh_fl.agents.anomaly.usual import LONGEST_VALUE, Sample, Usual
from mesh_fl.schema import Table

Rows = NDArray[np.int64]

NOT_KNOWN = (
    "nothing says what is usual here: name the table events in client.toml, or let the model be "
    "adapted to your own records"
)
NO_TEMPLATE = "the configuration has no trait of kind template, which reads lines"


@dataclass(frozen=True)
class Subject:
    """What a record is called in an answer."""

    kind: Literal["event", "line", "record"]
    name: str
    at: str | None
    place: int | None


def of_events(usual: Usual, events: Events, rows: Rows, before: Rows, rates: Rates) -> Finding:
    """Judge some events.

    Parameters
    ----------
    before : ndarray of int
        The usual events, by their place among these, that others are compared with as a whole.
    """
    judged = Judged.of(usual, events.part(rows), by_part=False)

    def called(row: int) -> Subject:
        place = int(rows[row])
        return Subject("event", str(events.ids[place]), moment(float(events.ts[place])), None)

    found = _found("events", judged, called, rates)
    # Events that are themselves among the usual ones cannot differ from them.
    is_new = len(rows) > 0 and int(rows[0]) >= usual.until
    if not is_new:
        return found
    return replace(found, drift=tuple(shift(judged.chances, usual.own_chances[before])))


def of_lines(usual: Usual, lines: Sequence[str], rates: Rates) -> Finding:
    """Judge lines of a log by their template."""
    reads = next((one for one in usual.traits if one.kind == "template"), None)
    if reads is None:
        return Finding(what="lines", why_nothing=NO_TEMPLATE)
    table: Table = {reads.column: np.array(lines, dtype=np.object_)}
    sample = _sample(usual, table, len(lines))
    judged = Judged.of(usual, sample, by_part=True)
    found = _found(
        "lines", judged, lambda row: Subject("line", lines[row][:LONGEST_VALUE], None, row), rates
    )
    place = usual.traits.index(reads)
    words = sample.words[place]
    strange = 0 if words is None or usual.known[place] is None else int((words < 0).sum())
    if 2 * strange <= len(lines):
        return found
    other_log = (
        f"{strange} of {len(lines)} lines are like no message of your events: where they are of "
        "another log, `mesh-client watch --text` judges it by itself"
    )
    return replace(found, notes=(*found.notes, other_log))


def of_record(usual: Usual, request: Request, rates: Rates) -> Finding:
    """Judge the record that a request tells, by what it tells."""
    table = request.record or {}
    judged = Judged.of(usual, _sample(usual, table, 1), by_part=True)
    return _found("records", judged, lambda row: Subject("record", "record", None, None), rates)


def _sample(usual: Usual, table: Table, count: int) -> Sample:
    """Return records of a request as they are judged."""
    nothing = np.full(count, -1, dtype=np.int64)
    places, words = [], []
    for one, known in zip(usual.traits, usual.known, strict=True):
        column = table.get(one.column)
        if column is None:
            places.append(nothing)
            words.append(nothing)
        else:
            places.append(one.places(column))
            words.append(nothing if known is None else known.find(one.tokens(column)))
    return Sample(table, np.stack(places, axis=1), words)


def _found(what: str, judged: Judged, called: Callable[[int], Subject], rates: Rates) -> Finding:
    count = len(judged.chances)
    if count and np.isnan(judged.chances).all():
        return Finding(what=what, why_nothing=NOT_KNOWN)
    usual = judged.usual
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(judged.chances <= rates.first)
    worst = rows[np.argsort(judged.chances[rows], kind="stable")]
    return Finding(
        what=what,
        judged=count,
        anomalies=tuple(_anomalies(judged, worst[:MOST_TOLD], called, rates)),
        found=len(worst),
        notes=tuple(_notes(usual, rates)),
        models=(_model(usual),),
        usual_records=usual.records,
        why_no_forest=usual.why_no_forest,
    )


def _anomalies(
    judged: Judged, rows: NDArray[np.int64], called: Callable[[int], Subject], rates: Rates
) -> Iterator[Anomaly]:
    """Yield the anomalies, the rarest first."""
    forest = _forest_scores(judged, rows)
    for number, row in enumerate(rows.tolist()):
        chance = float(judged.chances[row])
        severity = rates.of(chance)
        if severity is None:
            continue
        causes, subject = judged.causes(row), called(row)
        yield Anomaly(
            kind=subject.kind,
            subject=subject.name,
            at=subject.at,
            place=subject.place,
            value=None,
            expected=None,
            deviation=judged.deviation(row),
            anomaly_score=1 - chance,
            chance=chance,
            severity=severity,
            context=in_words(causes),
            causes=causes,
            own_forest_score=forest[number],
        )


def _forest_scores(judged: Judged, rows: NDArray[np.int64]) -> list[float | None]:
    forest = judged.usual.forest
    if forest is None or not len(rows):
        return [None] * len(rows)
    records = judged.records
    at = positions(judged.usual.traits, {name: one[rows] for name, one in records.table.items()})
    return [float(one) for one in forest.scores(records.places[rows], at)]


def _notes(usual: Usual, rates: Rates) -> Iterator[str]:
    yield f"what is usual: {usual.source}"
    tail = usual.whole_tail
    beyond = () if tail is None else rates.beyond(tail.smallest)
    if tail is not None and beyond:
        needed = round(1 / rates.by_severity[beyond[0]])
        yield (
            f"{tail.records} records of your own cannot show a chance below {tail.smallest:.2g}, "
            f"so no record is called {' or '.join(beyond)}: {beyond[0]} takes {needed} records"
        )


def _model(usual: Usual) -> str:
    made_of = "histogram" if usual.density.blocks.splits is None else "public random trees"
    own = f"{usual.records} records of your own"
    whose = f"the network beside {own}" if usual.density.trusts_network else own
    return f"{made_of} of {whose}"
