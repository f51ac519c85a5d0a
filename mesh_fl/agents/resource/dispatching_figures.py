"""What a queue comes to: for those who wait, and for those who work."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.simulator import Played
from mesh_fl.errors import DataError

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class QueueFigures:
    """Means over tickets, in hours of the clock.

    Parameters
    ----------
    cost_h : float
        What policies are judged by: flow time plus tardiness, each ticket counting by its weight.
    flow_h, weighted_flow_h : float
        From opening until done; alike, and by weight.
    wait_h : float
        From opening until work begins.
    tardiness_h : float
        Past due, 0 where in time; by weight.
    sla_share : float
        Of the tickets that are due, those done in time; NaN where none is due.
    utilisation : float
        Hours worked over hours there are, from the first counted opening to the last.
    """

    cost_h: float
    flow_h: float
    weighted_flow_h: float
    wait_h: float
    tardiness_h: float
    sla_share: float
    utilisation: float


def figures(
    arrivals: Arrivals, crew: Crew, played: Played, counted_h: tuple[float, float] | None = None
) -> QueueFigures:
    """Sum up what happened.

    Parameters
    ----------
    counted_h : tuple of two floats, optional
        Only tickets opened between these hours count; others are there to keep them company.

    Raises
    ------
    DataError
        If no ticket counts.
    """
    known = arrivals.known
    low, high = (-np.inf, np.inf) if counted_h is None else counted_h
    counted = (known.opened_h >= low) & (known.opened_h < high)
    if not counted.any():
        raise DataError("expected tickets to count, found none; let them come for longer")
    weight = known.weight[counted] if known.weight[counted].any() else np.ones(counted.sum())
    flow = (played.end_h - known.opened_h)[counted]
    late = np.maximum(0.0, played.end_h - known.due_h)[counted]
    is_due = np.isfinite(known.due_h[counted])
    weighted_flow = float(np.average(flow, weights=weight))
    tardiness = float(np.average(late, weights=weight))
    return QueueFigures(
        cost_h=weighted_flow + tardiness,
        flow_h=float(flow.mean()),
        weighted_flow_h=weighted_flow,
        wait_h=float((played.start_h - known.opened_h)[counted].mean()),
        tardiness_h=tardiness,
        sla_share=float((late[is_due] <= 0).mean()) if is_due.any() else np.nan,
        utilisation=_utilisation(arrivals, crew, played, counted),
    )


def _utilisation(arrivals: Arrivals, crew: Crew, played: Played, counted: Flags) -> float:
    opened = arrivals.known.opened_h[counted]
    first, last = float(opened.min()), float(opened.max())
    there = sum(calendar.worked(first, last) for calendar in crew.calendars)
    if there <= 0:
        return np.nan
    inside = (played.start_h >= first) & (played.end_h <= last)
    across = np.flatnonzero(~inside & (played.end_h > first) & (played.start_h < last))
    worked = float(arrivals.hours[inside].sum())
    for one in across.tolist():
        start, end = max(first, float(played.start_h[one])), min(last, float(played.end_h[one]))
        worked += crew.calendars[played.technician[one]].worked(start, end)
    return worked / there
