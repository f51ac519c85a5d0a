"""Anomalies among readings: values of a request, or one's own series of the last hours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.alarm import Alarm
from mesh_fl.agents.anomaly.answer import Anomaly, Drift
from mesh_fl.agents.anomaly.books import Books
from mesh_fl.agents.anomaly.finding import MOST_TOLD, Finding, moment
from mesh_fl.agents.anomaly.request import Request
from mesh_fl.agents.anomaly.series import FEWEST
from mesh_fl.agents.anomaly.severity import Rates
from mesh_fl.agents.anomaly.study import Asked, Study

Vector = NDArray[np.float64]

LONGEST_HISTORY = 5000
"""Readings of a series that are looked at, the latest of them."""

MOST_SERIES = 500
"""Series of one answer, in the order of their names."""

MOST_NOTES = 10

MODEL = "trend, season and level of each series by medians, chances by rank"


def of_values(request: Request, rates: Rates) -> Finding:
    """Judge the values that a request tells."""
    values = np.zeros(0) if request.values is None else request.values
    told = int(np.isfinite(values).sum())
    if told < FEWEST:
        why = f"not enough data: {told} values, of {FEWEST} at least that say what is usual"
        return Finding(what="readings", why_nothing=why)
    name = request.metric_type or "values"
    return _told([Asked(Study.of(name, None, values, rates.first, request.period))], rates)


def of_series(request: Request, books: Books, rates: Rates) -> Finding:
    """Judge one's own readings of the range that is asked for, beside those before."""
    wanted = matching(request.metric_type, tuple(books.series))
    asked = [_asked(name, request, books, rates) for name in wanted[:MOST_SERIES]]
    found = _told([one for one in asked if one is not None], rates)
    if not found.judged:
        return replace(found, why_nothing=_why_none(request, books, wanted))
    if len(wanted) > MOST_SERIES:
        note = f"{len(wanted)} series, of which the first {MOST_SERIES} were judged"
        return replace(found, notes=(*found.notes, note))
    return found


def matching(asked: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are meant: the very one, else those that hold it; all for nothing."""
    if not asked:
        return tuple(names)
    lowered = asked.casefold()
    same = tuple(one for one in names if one.casefold() == lowered)
    return same or tuple(one for one in names if lowered in one.casefold())


def _asked(name: str, request: Request, books: Books, rates: Rates) -> Asked | None:
    """Return a series up to the moment that is asked about; None where it tells nothing of it."""
    series = books.series[name]
    first, stop = np.searchsorted(series.ts, [request.since, request.as_of], side="right").tolist()
    start = max(0, stop - LONGEST_HISTORY)
    if first == stop:
        return None
    ts, values = series.ts[start:stop], series.values[start:stop]
    key = ("series", name, start, stop, request.period)
    study = books.kept(key, lambda: Study.of(name, ts, values, rates.first, request.period))
    return Asked(study, max(0, first - start)) if study.judgement.readings >= FEWEST else None


def _told(asked: Sequence[Asked], rates: Rates) -> Finding:
    alarms = [
        (one.study, alarm)
        for one in asked
        for alarm in one.study.judgement.alarms
        if alarm.index >= one.since
    ]
    alarms.sort(key=lambda one: one[1].p_value)
    judged = sum(one.judged for one in asked)
    studies = [one.study for one in asked]
    return Finding(
        what="readings",
        judged=judged,
        anomalies=tuple(_anomaly(*one, rates) for one in alarms[:MOST_TOLD]),
        found=len(alarms),
        drift=tuple(one for study in studies for one in _drifts(study)),
        notes=tuple(_notes(studies)),
        models=(MODEL,) if judged else (),
    )


def _anomaly(study: Study, alarm: Alarm, rates: Rates) -> Anomaly:
    deviation = alarm.deviation if np.isfinite(alarm.deviation) else None
    return Anomaly(
        kind="reading",
        subject=study.name,
        at=_at(study, alarm.index),
        place=alarm.index if study.ts is None else None,
        value=alarm.value,
        expected=alarm.expected,
        deviation=deviation,
        anomaly_score=alarm.anomaly_score,
        chance=alarm.p_value,
        severity=rates.of(alarm.p_value) or "low",
        context=alarm.why,
        causes=(),
        own_forest_score=None,
    )


def _drifts(study: Study) -> Iterator[Drift]:
    for step in study.moves:
        yield Drift(
            subject=study.name,
            chance=step.chance,
            since=_at(study, step.place),
            context=f"the level moved from {step.before:.6g} to {step.after:.6g} about reading "
            f"{step.place} of {len(study.values)}, and stayed",
        )


def _at(study: Study, place: int) -> str | None:
    return None if study.ts is None else moment(float(study.ts[place]))


def _notes(studies: Sequence[Study]) -> Iterator[str]:
    """Say what each judgement notes, of several series with their names."""
    notes = [(study.name, note) for study in studies for note in study.judgement.notes]
    for name, note in notes[:MOST_NOTES]:
        yield note if len(studies) == 1 else f"{name}: {note}"
    if len(notes) > MOST_NOTES:
        yield f"{len(notes) - MOST_NOTES} more notes on series; ask for one by its metric_type"


def _why_none(request: Request, books: Books, wanted: Sequence[str]) -> str:
    if not wanted:
        known = ", ".join(list(books.series)[:10])
        return f"no series is called like {request.metric_type!r}; there are {known}"
    newest = max((books.series[one].ts[-1] for one in wanted), default=np.nan)
    if newest <= request.since:
        return f"no reading in this range: the newest is of {moment(float(newest))}"
    if not any(len(_range(request, books, one)) for one in wanted):
        return "no reading in this range"
    return f"not enough data: fewer than {FEWEST} readings of a series up to this range"


def _range(request: Request, books: Books, name: str) -> Vector:
    """Return the moments of a series that are asked about."""
    ts = books.series[name].ts
    first, stop = np.searchsorted(ts, [request.since, request.as_of], side="right").tolist()
    return ts[first:stop]
