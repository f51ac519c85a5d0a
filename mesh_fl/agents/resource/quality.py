"""How good a duration model is, exactly on records at hand or from sums with noise."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Total
from mesh_fl.agents.resource.flow_time import savings
from mesh_fl.agents.resource.spread import LEVELS, within
from mesh_fl.layout import Layout

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

NAMES = (
    "r2",
    "mae_log",
    "coverage",
    "coverage_error",
    "flow_time_saving",
    "waiting_time_saving",
)

LAYOUT: Layout = {"tickets": (), "first": (), "second": (), "missed": (), "inside": ()}

LONGEST = math.sqrt(5)
"""Of a row before it is scaled: each of its five parts is at most 1."""

FARTHEST = 2.0
"""Of a miss, in half the distance between the bounds: predictions lie between them, too."""


def exactly(logs: Vector, predicted: Vector, spread: Vector) -> dict[str, float]:
    """Return the figures on records at hand.

    Parameters
    ----------
    logs, predicted : ndarray, shape (n,)
        Logarithms of hours.
    spread : ndarray, shape (3,)
        Quantiles of misses.
    """
    if not len(logs):
        return dict.fromkeys(NAMES, math.nan)
    missed = logs - predicted
    apart = float(((logs - logs.mean()) ** 2).sum())
    coverage = float(within(missed, spread).mean())
    saved = savings(predicted, np.exp(logs))
    figures = (
        1 - float(missed @ missed) / apart if apart > 0 else math.nan,
        float(np.abs(missed).mean()),
        coverage,
        abs(coverage - (LEVELS[-1] - LEVELS[0])),
        saved.stay,
        saved.wait,
    )
    return dict(zip(NAMES, figures, strict=True))


def rows(logs: Vector, predicted: Vector, spread: Vector, bounds: tuple[float, float]) -> Matrix:
    """Return what is summed; each part is at most 1.

    The parts are 1, the place between the bounds, its square, the squared miss, and whether the
    miss is inside of the spread.
    """
    low, high = map(math.log, bounds)
    place = (2 * np.clip(logs, low, high) - low - high) / (high - low)
    off = np.abs(np.clip(logs, low, high) - predicted) * 2 / (high - low) / FARTHEST
    inside = within(logs - predicted, spread)
    parts = (np.ones_like(place), place, place**2, np.minimum(1.0, off) ** 2, inside)
    return np.stack(parts, axis=1) / LONGEST


def read(total: Total) -> Mapping[str, float]:
    """Read "r2", "coverage" and the number of tickets; NaN where the noise leaves nothing."""
    sums = {name: float(block) * LONGEST for name, block in total.items()}
    tickets = sums["tickets"]
    apart = sums["second"] - sums["first"] ** 2 / tickets if tickets > 0 else 0.0
    return {
        "r2": min(1.0, 1 - sums["missed"] * FARTHEST**2 / apart) if apart > 0 else math.nan,
        "coverage": float(np.clip(sums["inside"] / tickets, 0, 1)) if tickets > 0 else math.nan,
        "tickets": max(0.0, tickets),
    }
