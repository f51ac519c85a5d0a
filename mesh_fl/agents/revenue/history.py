"""A client's monthly amounts, as a document tells them and as forecasters take them."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.errors import DataError

Vector = NDArray[np.float64]

LONGEST = 240
"""Months that are looked at: the latest ones."""

MOST = 1000
"""Months that a document may hold."""

LARGEST = 1e15
"""Amount; sums of squares of larger ones lose all digits."""

EXPECTED = "a JSON list of monthly amounts, oldest first, such as [1200, 1150.5, 1310]"


def read_history(written: str, latest: int = LONGEST) -> Vector:
    """Read the latest months of a document; none of an empty one.

    Parameters
    ----------
    written : str
    latest : int
        How many are kept.

    Raises
    ------
    DataError
        If it is no list of numbers, or one of them is too large.
    """
    if not written.strip():
        return np.zeros(0)
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        raise _refused("what is no JSON, or nested too deeply") from None
    if isinstance(found, dict):
        found = found.get("history")
    if not isinstance(found, list):
        raise _refused(f"a {type(found).__name__}")
    return as_history(found, latest)


def as_history(amounts: Sequence[object], latest: int = LONGEST) -> Vector:
    """Return the latest months of a list.

    Raises
    ------
    DataError
        As in `read_history`.
    """
    if len(amounts) > MOST:
        raise _refused(f"{len(amounts)} months, of which at most {MOST} are read; send the latest")
    return np.array([_amount(one) for one in amounts[-latest:]], dtype=np.float64)


def reckoned_with(series: Vector) -> Vector:
    """Return the latest months of amounts, if they can be reckoned with.

    Raises
    ------
    DataError
        As in `as_history`, and if there is no month.
    """
    if len(series) == 0:
        raise DataError("history: expected at least one month, found none; send what there is")
    if len(series) > MOST or not (np.abs(series[-LONGEST:]) <= LARGEST).all():
        return as_history(series.tolist())  # which says what is wrong
    return series[-LONGEST:].astype(np.float64)


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"a {type(value).__name__} in the list")
    if not -LARGEST <= value <= LARGEST:  # NaN is not, either
        raise _refused(f"an amount beyond {LARGEST:g}, or none at all")
    return float(value)


def _refused(found: str) -> DataError:
    return DataError(f"history: expected {EXPECTED}, found {found}")
