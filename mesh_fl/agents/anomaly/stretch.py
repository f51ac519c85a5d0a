"""One's own events of the last hours, judged by those before."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents.anomaly.books import Books, Events
from mesh_fl.agents.anomaly.finding import Finding
from mesh_fl.agents.anomaly.own_usual import cycle_s, usual_of
from mesh_fl.agents.anomaly.record_findings import of_events
from mesh_fl.agents.anomaly.request import Request
from mesh_fl.agents.anomaly.usual import Usual

if TYPE_CHECKING:
    from mesh_fl.agents.anomaly.agent import AnomalyDetection

Rows = NDArray[np.int64]

NAMED_BY = ("kind", "source")
"""Fields of an event that a metric type names."""


def of_stretch(agent: "AnomalyDetection", state: State, request: Request, books: Books) -> Finding:
    """Judge the events of the range that is asked for.

    They are judged by the events before; where those are too few by all, themselves included.
    """
    events = books.events
    if events is None:
        return Finding(what="events", why_nothing="there is no table of events")
    rows = _between(events, request.since, request.as_of, request.metric_type)
    if not len(rows):
        return Finding(what="events", why_nothing=_why_none(events, request.metric_type))
    usual = usual_of(agent, state, books, request.since)
    before = _same_hours(events, usual, request, cycle_s(agent.traits))
    return of_events(usual, events, rows, before, agent.rates)


def _same_hours(events: Events, usual: Usual, request: Request, cycle_s: int) -> Rows:
    """Return the usual events of the same hours of earlier cycles, by their place among them."""
    if not cycle_s or not usual.records:
        return np.zeros(0, dtype=np.int64)
    first = usual.until - len(usual.sample.places)
    step = cycle_s * math.ceil((request.as_of - request.since) / cycle_s)
    found, back = [], step
    while request.since - back >= events.ts[first]:
        found.append(
            _between(events, request.since - back, request.as_of - back, request.metric_type)
        )
        back += step
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *found])
    return rows[(rows >= first) & (rows < usual.until)] - first


def _between(events: Events, since: float, until: float, asked: str) -> Rows:
    window = events.between(since, until)
    rows = np.arange(window.start, window.stop)
    return rows[_matches(events, window, asked)] if asked else rows


def _matches(events: Events, window: slice, asked: str) -> NDArray[np.bool_]:
    """Tell which events are of a kind or a source that holds some letters."""
    lowered = asked.casefold()
    found = np.zeros(window.stop - window.start, dtype=np.bool_)
    for name in NAMED_BY:
        if name in events.table:
            words = events.table[name][window].tolist()
            found |= np.array([lowered in str(one).casefold() for one in words], dtype=np.bool_)
    return found


def _why_none(events: Events, asked: str) -> str:
    if not np.isfinite(events.ts).any():
        return "no event tells when it happened: map ts"
    if asked:
        return f"no event in this range has {asked!r} in its {' or '.join(NAMED_BY)}"
    return "no event in this range"
