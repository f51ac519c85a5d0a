"""What makes a plan good, by mode: one sum over tasks, whatever the mode.

A task that is planned costs `flow` for each minute from now, or from its release if that is later,
until it is done, `late` for each minute past due from now on, and `pair` for who does it; one that
is not planned costs `left_out`, which is more than all that planning it could cost the others.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.problem import Problem
from mesh_fl.agents.resource.rules import Rule, dispatched
from mesh_fl.agents.resource.schedule_grid import Grid, Minutes
from mesh_fl.agents.resource.schedule_placing import Plan
from mesh_fl.errors import ConfigError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Mode = Literal["balanced", "speed", "cost", "quality"]

WAITING = 16
"""What a minute of waiting costs for a task that weighs 1, in points; all figures are whole."""

LABOUR = 10_000
"""A minute of labour at the mean rate, in weighted minutes of waiting, where cost goes first."""

LATE = 2
"""A minute late in weighted minutes of waiting, where cost goes first."""

SHORT_OF_LEVEL = 480
"""Work by somebody one level short, in weighted minutes of waiting, where quality goes first."""

ABOVE_LEVEL = 0.1
"""Work by somebody a level too able, in levels short: they are kept for what needs them."""

SLA = 10
"""A minute late in weighted minutes of waiting, where quality goes first."""

EACH = 1e8
"""Points of each of the four parts where they are balanced, as first come, first served has it."""

LEAST_LATE = 0.1
"""In balance, being late is taken to come to this share of the waiting at least."""

LEAST_SHORT = 0.1
"""In balance, tasks are taken to lack so many levels each at least."""

HIGHEST_PRIORITY_LEVEL = 5
"""Less its priority this is the level that a task asks for."""

MOST_UNLIKE = 1000.0
"""By how much leaving out one task can count more than another."""

LARGEST = 1e15
"""Of all points together: a float tells each of them apart."""


@dataclass(frozen=True)
class Objective:
    """Whole points of each task, less is better.

    Parameters
    ----------
    flow, late, left_out : ndarray of int, shape (tasks,)
        A minute until it is done, a minute late, and not being planned.
    pair : ndarray of int, shape (tasks, technicians)
    """

    flow: Minutes
    late: Minutes
    pair: Minutes
    left_out: Minutes

    def of(self, grid: Grid, plan: Plan) -> int:
        """Return what a plan comes to."""
        return sum(
            int(self.left_out[task])
            if one is None
            else self.placed(grid, task, one.technician, one.end)
            for task, one in enumerate(plan)
        )

    def placed(self, grid: Grid, task: int, technician: int, end: int) -> int:
        """Return what a task costs that somebody has done by then."""
        flow = int(self.flow[task]) * (end - int(grid.earliest[task]))
        late = int(self.late[task]) * max(0, end - int(grid.still_due[task]))
        return flow + late + int(self.pair[task, technician])


def objective(problem: Problem, mode: Mode) -> Objective:
    """Return what a mode counts.

    speed
        Weighted flow time: how long tasks wait and are worked on, times their weights.
    cost
        What labour costs (hours times `cost_h`; the mean rate for those who have none), then
        weighted tardiness, then weighted flow time; a minute of labour at the mean rate outweighs
        10,000 weighted minutes of waiting.
    quality
        Work by people less able than its priority asks for (level 4 for priority 1 to level 1 for
        priority 4; the mean level for those who have none), and weighted tardiness; then flow time.
    balanced
        The sum of all four - flow time, tardiness, labour, level - each as a share of what first
        come, first served comes to.

    Raises
    ------
    ConfigError
        If there is no such mode.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"mode: expected one of {', '.join(get_args(Mode))}, found {mode!r}")
    grid = problem.grid
    labour, short = _labour(problem), _short(problem)
    if mode == "balanced":
        flow, late, pair = _balanced(grid, labour, short)
    else:
        waiting = WAITING * grid.weight
        flow, late, pair = {
            "speed": (waiting, 0 * waiting, 0 * labour),
            "cost": (waiting, LATE * waiting, WAITING * LABOUR * labour),
            "quality": (waiting, SLA * waiting, WAITING * SHORT_OF_LEVEL * short),
        }[mode]
    return _whole(grid, flow, late, pair)


def _labour(problem: Problem) -> Matrix:
    """Return minutes of labour, at the mean rate; nothing where no rate is known."""
    rates = np.array([np.nan if one.cost_h is None else one.cost_h for one in problem.technicians])
    usual = float(np.nanmean(rates)) if np.isfinite(rates).any() else 0.0
    shares = np.where(np.isnan(rates), 1.0, rates / usual) if usual > 0 else np.zeros(len(rates))
    return np.outer(problem.grid.work.astype(float), shares)


def _short(problem: Problem) -> Matrix:
    """Return weighted levels that people lack for a task; nothing where no level is known."""
    levels = np.array([np.nan if one.level is None else one.level for one in problem.technicians])
    if not np.isfinite(levels).any():
        return np.zeros(problem.grid.can.shape)
    asked = np.array([HIGHEST_PRIORITY_LEVEL - task.priority for task in problem.tasks])
    lacking = asked[:, None] - np.where(np.isnan(levels), np.nanmean(levels), levels)
    lack: Matrix = np.where(lacking > 0, lacking, ABOVE_LEVEL * -lacking)
    return problem.grid.weight[:, None] * lack


def _balanced(grid: Grid, labour: Matrix, short: Matrix) -> tuple[Vector, Vector, Matrix]:
    """Make each part a share of what first come, first served comes to."""
    done = [
        (task, one.technician, one.end)
        for task, one in enumerate(dispatched(grid, Rule.FIFO))
        if one is not None
    ]
    tasks, who, ends = np.array(done, dtype=np.int64).reshape(-1, 3).T
    weight = grid.weight[tasks]
    waited = float(weight @ (ends - grid.earliest[tasks]))
    late = float(weight @ np.maximum(0, ends - grid.still_due[tasks]))
    return (
        _share(grid.weight, waited),
        _share(grid.weight, max(late, LEAST_LATE * waited)),
        _share(labour, float(labour[tasks, who].sum()))
        + _share(short, max(float(short[tasks, who].sum()), LEAST_SHORT * float(weight.sum()))),
    )


def _share(part: Matrix, whole: float) -> Matrix:
    return EACH * part / whole if whole > 0 else 0.0 * part


def _whole(grid: Grid, flow: Vector, late: Vector, pair: Matrix) -> Objective:
    """Round, and find what leaving a task out has to cost so that nobody gains by it."""
    ratio = grid.weight / max(1e-9, float(grid.weight.max(initial=0.0)) / MOST_UNLIKE)
    ratio = np.rint(np.maximum(1.0, ratio / max(1.0, float(ratio.min(initial=np.inf)))))
    longest = np.maximum(0, grid.horizon - grid.earliest)
    latest = np.maximum(0, grid.horizon - grid.still_due)
    most = float((flow * longest + late * latest + pair.max(axis=1, initial=0.0)).sum())
    fits = min(1.0, LARGEST / max(1.0, most * float(ratio.sum())))
    # Each of the rounded figures is above the exact one by a half at most.
    dearest = 1 + math.ceil(fits * most) + int((longest + latest).sum()) + len(grid.work)
    flow_points, late_points, pair_points = (
        np.rint(fits * one).astype(np.int64) for one in (flow, late, pair)
    )
    return Objective(flow_points, late_points, pair_points, ratio.astype(np.int64) * dearest)
