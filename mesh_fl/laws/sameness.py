"""When two answers are the same: to 1e-12 of what can be seen behind the clip."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.laws.case import Matrix, Turn
from mesh_fl.laws.law import BreachError

TOLERANCE = 1e-12
"""BLAS may round a row differently among other rows; the pipeline's integers cannot see this."""

Answers = Mapping[str, NDArray[np.generic]]


def expect_rows(turn: Turn, data: Data, expected: Matrix, circumstance: str) -> None:
    """Ask for rows and compare them.

    Parameters
    ----------
    turn : Turn
        How to ask.
    data : Data
        n records.
    expected : ndarray, shape (n, dim)
    circumstance : str
        What was changed, for the evidence.

    Raises
    ------
    BreachError
        Naming the first row that differs and by how much.
    """
    compare_rows(turn, turn.rows(data), expected, circumstance)


def compare_rows(turn: Turn, found: Matrix, expected: Matrix, circumstance: str) -> None:
    """Raise `BreachError` unless rows are the same, NaN and infinity included."""
    if found.shape != expected.shape:
        raise BreachError(
            f"{turn}, {circumstance}: expected {expected.shape} rows, got {found.shape}"
        )
    known = np.where(np.isfinite(expected), np.abs(expected), 0.0)
    size = np.maximum(known.max(axis=1, initial=0.0), float(turn.agent.clip))
    same = np.isclose(found, expected, rtol=0, atol=TOLERANCE * size[:, None], equal_nan=True)
    moved = np.flatnonzero(~same.all(axis=1))
    if moved.size:
        by = np.abs(found[moved[0]] - expected[moved[0]]).max()
        raise BreachError(f"{turn}, {circumstance}: row {moved[0]} differs by {by:.3g}")


def compare_answers(found: Answers, expected: Answers, circumstance: str) -> None:
    """Raise `BreachError` unless named arrays are the same."""
    if list(found) != list(expected):
        raise BreachError(f"{circumstance}: expected {list(expected)}, got {list(found)}")
    for name, values in expected.items():
        if not same(found[name], values):
            raise BreachError(f"{circumstance}: {name} differs")


def same(found: NDArray[np.generic], expected: NDArray[np.generic]) -> bool:
    """Tell whether two arrays agree in shape, kind and values; NaN equals NaN."""
    if found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return False
    if expected.dtype.kind not in "fc":
        return bool(np.array_equal(found, expected))
    known = np.where(np.isfinite(expected), np.abs(expected), 0.0)
    reach = TOLERANCE * max(1.0, float(known.max(initial=0.0)))
    return bool(np.allclose(found, expected, rtol=0, atol=reach, equal_nan=True))
