"""How much better or worse each decision turned out than others on the same tickets.

A decision answers for what tickets cost afterwards, what comes later counting less. That is
compared with what they cost from the same moment on in the other trials of the queue (common random
numbers), less what the state it met explains: what was open by then, by true hours. As a baseline
may be, that is whatever the decision does not change (Mao et al. 2019, arXiv 1807.02264).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals, Known
from mesh_fl.agents.resource.dispatching_crew import Calendar, Crew
from mesh_fl.agents.resource.policy_trial import Decisions
from mesh_fl.agents.resource.simulator import Played

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

WINDOW_H = 16.0
"""Hours of work after which what tickets cost counts 1 / e for a decision."""

FARTHEST_H = 1e7
RIDGE = 0.01
MOST = 5.0
"""Of an advantage either way, in standard deviations."""


def advantages(
    arrivals: Arrivals, crew: Crew, trials: Sequence[tuple[Decisions, Played]]
) -> list[Vector]:
    """Return how good each decision was, in standard deviations of the queue's.

    Parameters
    ----------
    arrivals : Arrivals
    crew : Crew
        All work in the shifts of the first.
    trials : sequence of (Decisions, Played)
        Two or more of the same tickets.

    Returns
    -------
    list of ndarray, each shape (decisions,)
        Above 0 where less was paid. Decisions after the last ticket came get 0.
    """
    discount = Discount(crew.calendars[0])
    figures = _figures(arrivals, crew)
    rates = [CostRate(arrivals.known, played) for _, played in trials]
    moments = [decisions.at_h for decisions, _ in trials]
    costs = [_beside([one.after(at, discount) for one in rates], k) for k, at in enumerate(moments)]
    states = [
        _beside([_open(arrivals.known, figures, played, at) for _, played in trials], k)
        for k, at in enumerate(moments)
    ]
    last = arrivals.known.opened_h[-1] if len(arrivals.hours) else 0.0
    counts = [at < last for at in moments]
    left = _unexplained(np.concatenate(costs), np.concatenate(states), np.concatenate(counts))
    return np.split(-left, np.cumsum([len(at) for at in moments])[:-1])


class Discount:
    """Hours of the clock, each counting less by the hours of work before it.

    Nothing is decided while nobody works, so a night counts as much as the evening before it.

    Parameters
    ----------
    calendar : Calendar
    window_h : float
    """

    def __init__(self, calendar: Calendar, window_h: float = WINDOW_H) -> None:
        edges = [edge for span in calendar.spans for edge in span]
        # The last span goes on without an end; see `Calendar`.
        self._points = np.unique([0.0, *edges[:-1], FARTHEST_H])
        self._worked = np.array([calendar.worked(0.0, one) for one in self._points.tolist()])
        pauses = np.where(np.diff(self._worked) > 0, 0.0, np.diff(self._points))
        counted = pauses * np.exp(-self._worked[:-1] / window_h)
        self._paused = np.concatenate([[0.0], np.cumsum(counted)])
        self._window_h = window_h

    def until(self, moments_h: Vector) -> Vector:
        """Return the discounted hours from 0 until some moments."""
        at_work = self._window_h * -np.expm1(-self._windows(moments_h))
        return np.asarray(at_work + np.interp(moments_h, self._points, self._paused))

    def growth(self, moments_h: Vector) -> Vector:
        """Return how many times as much an hour counts seen from some moments as from 0."""
        return np.asarray(np.exp(self._windows(moments_h)))

    def _windows(self, moments_h: Vector) -> Vector:
        return np.asarray(np.interp(moments_h, self._points, self._worked) / self._window_h)


class CostRate:
    """What tickets cost an hour as time goes by: the weights of those open, twice if past due.

    Over all time that comes to `QueueFigures.cost_h` times all weights.

    Parameters
    ----------
    known : Known
    played : Played
    """

    def __init__(self, known: Known, played: Played) -> None:
        weight, late = known.weight, played.end_h > known.due_h
        due = np.maximum(known.due_h, known.opened_h)[late]
        times = np.concatenate([known.opened_h, due, played.end_h, played.end_h[late]])
        steps = np.concatenate([weight, weight[late], -weight, -weight[late]])
        order = np.argsort(times, kind="stable")
        self._times = times[order]
        self._rates = np.concatenate([[0.0], np.cumsum(steps[order])])

    def after(self, moments_h: Vector, discount: Discount) -> Vector:
        """Return what is paid from some moments on, discounted, shape (moments,)."""
        until = discount.until(self._times)
        parts = self._rates[1:-1] * np.diff(until)
        rest = np.concatenate([np.cumsum(parts[::-1])[::-1], [0.0, 0.0]])
        place = np.searchsorted(self._times, moments_h, side="right")
        # After the last step nothing is open, so that any next step will do.
        upcoming = np.append(until, until[-1:])[place] - discount.until(moments_h)
        paid: Vector = discount.growth(moments_h) * (self._rates[place] * upcoming + rest[place])
        return paid


def _beside(found: Sequence[NDArray[np.float64]], own: int) -> NDArray[np.float64]:
    """Return one of some arrays less the mean of the others."""
    others = [one for place, one in enumerate(found) if place != own]
    return np.asarray(found[own] - np.mean(others, axis=0))


def _figures(arrivals: Arrivals, crew: Crew) -> Matrix:
    """Return what is summed up over tickets to tell the state of a queue, shape (n, figures)."""
    known, hours = arrivals.known, arrivals.hours
    weight, scarcity = known.weight, crew.scarcity[known.skill]
    count, predicted = np.ones(len(hours)), known.predicted_h
    loads = [count, hours, predicted, weight, weight * hours, weight / hours]
    return np.column_stack([*loads, scarcity * hours, scarcity * weight])


def _open(known: Known, figures: Matrix, played: Played, at_h: Vector) -> Matrix:
    """Return sums over tickets that are open, past due and waiting just before some moments."""
    late = played.end_h > known.due_h
    due = np.maximum(known.due_h, known.opened_h)
    opened = _sums(known.opened_h, figures, at_h, "right")
    return np.hstack(
        [
            opened - _sums(played.end_h, figures, at_h, "right"),
            _sums(due[late], figures[late], at_h, "right")
            - _sums(played.end_h[late], figures[late], at_h, "right"),
            # What begins at this very moment is what was decided, and waited before it.
            opened - _sums(played.start_h, figures, at_h, "left"),
        ]
    )


def _sums(times: Vector, figures: Matrix, at_h: Vector, side: str) -> Matrix:
    """Sum up the figures of what has happened by some moments, shape (moments, figures)."""
    order = np.argsort(times, kind="stable")
    first = np.zeros((1, figures.shape[1]))
    sums = np.concatenate([first, np.cumsum(figures[order], axis=0)])
    place = np.searchsorted(times[order], at_h, side="left" if side == "left" else "right")
    return np.asarray(sums[place])


def _unexplained(costs: Vector, states: Matrix, counts: NDArray[np.bool_]) -> Vector:
    """Return what a ridge regression on the states leaves of costs, in standard deviations."""
    left = np.zeros(len(costs))
    if not counts.any():
        return left
    cost, state = costs[counts], states[counts] / (states[counts].std(axis=0) + 1e-9)
    moments = state.T @ state + RIDGE * len(cost) * np.eye(state.shape[1])
    rest = cost - state @ np.linalg.solve(moments, state.T @ cost)
    left[counts] = np.clip(rest / max(float(rest.std()), 1e-9), -MOST, MOST)
    return left
