"""How much each column adds to what trees say of a record, against a record of neutral values.

Shapley values with one reference record (Lundberg et al. 2020, Nature Machine Intelligence
2, 56-67, "interventional" TreeSHAP), computed leaf by leaf: exact, and adding up to the difference.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.forest import Splits

Matrix = NDArray[np.float64]
Truths = NDArray[np.bool_]

AT_ONCE = 16
"""Records whose ways to all leaves are kept in memory together: some megabytes."""


def attribute(splits: Splits, values: Matrix, x: Matrix, neutral: NDArray[np.float64]) -> Matrix:
    """Return each column's part in the trees' sum at x less that at the neutral record.

    Parameters
    ----------
    splits : Splits
    values : ndarray, shape (trees, leaves)
    x : ndarray, shape (n, columns)
    neutral : ndarray, shape (columns,)

    Returns
    -------
    ndarray, shape (n, columns)
    """
    parts = [
        _attribute(splits, values, x[start : start + AT_ONCE], neutral)
        for start in range(0, len(x), AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(x.shape)


def _attribute(splits: Splits, values: Matrix, x: Matrix, neutral: NDArray[np.float64]) -> Matrix:
    nodes, turns = splits.paths()
    axis, cut = splits.axis[:, nodes], splits.cut[:, nodes]  # (trees, leaves, depth)
    ours = _met_by_column(axis, (x[:, axis] > cut) == turns)
    theirs = _met_by_column(axis, ((neutral[axis] > cut) == turns)[None])
    first = _first_of_column(axis)
    needs_x, needs_neutral = ours & ~theirs & first, theirs & ~ours & first
    reached = (ours | theirs).all(axis=-1)
    gain, loss = _shapley(needs_x.sum(axis=-1), needs_neutral.sum(axis=-1), splits.depth)
    leaf = np.where(reached, values, 0.0)
    share = needs_x * (gain * leaf)[..., None] - needs_neutral * (loss * leaf)[..., None]
    return _by_column(share, axis, x.shape[1])


def _met_by_column(axis: NDArray[np.int64], met: Truths) -> Truths:
    """Return for each split on the way whether all of its column's splits there are passed."""
    same = axis[..., :, None] == axis[..., None, :]
    failed = (~met)[..., None, :] & same
    met_by_column: Truths = ~failed.any(axis=-1)
    return met_by_column


def _first_of_column(axis: NDArray[np.int64]) -> Truths:
    earlier = np.tril(np.ones((axis.shape[-1],) * 2, dtype=bool), -1)
    same = axis[..., :, None] == axis[..., None, :]
    first: Truths = ~np.any(same & earlier, axis=-1)
    return first


def _shapley(
    ours: NDArray[np.int64], theirs: NDArray[np.int64], most: int
) -> tuple[Matrix, Matrix]:
    """Return what a column gains that must be the record's, and loses that must be neutral."""
    gain, loss = np.zeros((2, most + 1, most + 1))
    for a in range(most + 1):
        for b in range(most + 1 - a):
            orders = math.factorial(a + b)
            gain[a, b] = math.factorial(a - 1) * math.factorial(b) / orders if a else 0.0
            loss[a, b] = math.factorial(a) * math.factorial(b - 1) / orders if b else 0.0
    return gain[ours, theirs], loss[ours, theirs]


def _by_column(share: Matrix, axis: NDArray[np.int64], columns: int) -> Matrix:
    places = np.broadcast_to(axis, share.shape[1:]).ravel()
    sums = [np.bincount(places, one.ravel(), minlength=columns) for one in share]
    return np.array(sums, dtype=np.float64)
