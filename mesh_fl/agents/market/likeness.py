"""Scalar products of each row by itself.

A matrix product may round a row differently among other rows, and what a record adds to a sum must
depend on that record alone.
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


def scored(rows: Matrix, weights: Vector) -> Vector:
    """Return each row's scalar product with the weights, shape (n,)."""
    return np.array([(row * weights).sum() for row in rows], dtype=np.float64)


def likeness(row: NDArray[np.floating], group: NDArray[np.floating]) -> Vector:
    """Return the scalar products of one row with each row of a group, in double precision."""
    found: Vector = (group.astype(np.float64) * row.astype(np.float64)).sum(axis=1)
    return found
