"""Values and times of a series as arrays; what is none is told before anything is computed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.errors import DataError

Vector = NDArray[np.float64]

LARGEST = 1e150
"""Sizes beyond which squares and sums of readings would be infinite."""


SMALLEST = 1e-150
"""Sizes below which a reading is 0: what is smaller has no precision left."""


def read_values(values: Sequence[float | None] | Vector) -> Vector:
    """Return values as an array; NaN where one is missing.

    Raises
    ------
    DataError
        If they are not one row of numbers of usual size.
    """
    told = _row(values, "values")
    size = np.abs(told[np.isfinite(told)]).max(initial=0.0)
    if np.isinf(told).any() or size > LARGEST:
        raise DataError(
            f"expected values between -{LARGEST:g} and {LARGEST:g}, or null where one is missing, "
            "found a larger one"
        )
    return np.where(np.abs(told) < SMALLEST, 0.0, told)


def read_times(times: Sequence[float] | Vector | None, count: int) -> Vector | None:
    """Return times as an array, or None.

    Raises
    ------
    DataError
        If there are not as many as values, or one is missing or earlier than the one before.
    """
    if times is None:
        return None
    told = _row(times, "times")
    if len(told) != count:
        raise DataError(f"expected as many times as values, {count}, found {len(told)}")
    if not np.isfinite(told).all() or (np.diff(told) < 0).any():
        raise DataError("expected rising times, oldest first, found one missing or earlier")
    return told


def _row(values: Sequence[float | None] | Vector, what: str) -> Vector:
    try:
        told = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"expected {what} that are numbers, found something else") from None
    if told.ndim != 1:
        raise DataError(f"expected one row of {what}, found an array of shape {told.shape}")
    return told
