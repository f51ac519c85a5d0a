"""What a record adds: how its misses pull at the blend, and how many leave their band."""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.conformal import KNOTS, LEVEL, outside, shares_of_knots
from mesh_fl.layout import Layout

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

BAND_WEIGHT = 0.5
"""Of the bands in a row, beside the blend."""

PULL_SHARE = 0.85
"""Of the clip, at most for the blend."""


def layout_of(moves: int) -> Layout:
    """Return the blocks of a row where the blend has so many directions."""
    return {"pull": (moves,), "excess": (len(KNOTS),)}


def pulls(miss: Matrix, apart: NDArray[np.float64]) -> Matrix:
    """Return minus the gradient of each record's mean absolute miss, shape (n, moves)."""
    return _mean_of_known(np.sign(miss)[:, :, None] * apart)


def excesses(miss: Matrix, reach: Matrix, logs: Vector) -> Matrix:
    """Return by how much more than planned lies outside of the band, by knot, shape (n, 3)."""
    beyond = outside(miss, reach, logs) - (1 - LEVEL)
    return _mean_of_known(beyond[:, :, None] * shares_of_knots(miss.shape[1]))


def rows_of(pull: Matrix, excess: Matrix, clip: float) -> Matrix:
    """Put both parts into rows no longer than the clip, the pull cut to its share of it.

    Otherwise long pulls, which come with large misses, would take most of the excess with them as
    the row is clipped, and bands would stay too narrow.
    """
    length = np.linalg.norm(pull, axis=1, keepdims=True)
    cut = pull * np.minimum(1.0, PULL_SHARE * clip / np.maximum(length, 1e-300))
    rows = np.hstack([cut, BAND_WEIGHT * excess])
    whole = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Matrix = rows * np.minimum(1.0, clip / np.maximum(whole, 1e-300))
    return scaled


def _mean_of_known(values: NDArray[np.float64]) -> Matrix:
    """Return means over the months; zeros where none is known."""
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=1), 1)
    means: Matrix = np.where(known, values, 0.0).sum(axis=1) / counts
    return means
