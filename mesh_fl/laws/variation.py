"""Variations of data, states and totals: the records of an array are its axis 0."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]
Floats = Mapping[str, NDArray[np.float64]]
Index = NDArray[np.int64]


def count(data: Arrays) -> int:
    """Return the number of records."""
    return len(next(iter(data.values())))


def take(data: Arrays, index: Index) -> dict[str, NDArray[np.generic]]:
    """Return the records at `index`, in that order."""
    return {name: values[index] for name, values in data.items()}


def spread(data: Arrays, most: int) -> dict[str, NDArray[np.generic]]:
    """Return at most `most` records, evenly spaced from the first to the last."""
    held = count(data)
    return take(data, np.unique(np.linspace(0, held - 1, min(held, most)).astype(np.int64)))


def join(first: Arrays, second: Arrays) -> dict[str, NDArray[np.generic]]:
    """Return the records of both, one after the other."""
    return {name: np.concatenate([values, second[name]]) for name, values in first.items()}


def poison(data: Arrays, record: int, value: float) -> dict[str, NDArray[np.generic]]:
    """Return the data with every real number of one record replaced by `value`."""
    poisoned = copied(data)
    for values in poisoned.values():
        if values.dtype.kind == "f":
            values[record] = value
    return poisoned


def copied(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return copies, so that a callee's side effects stay with it."""
    return {name: np.array(values) for name, values in arrays.items()}


def copied_floats(arrays: Floats) -> dict[str, NDArray[np.float64]]:
    """Return copies of a state or a total."""
    return {name: np.array(values) for name, values in arrays.items()}


def lock(arrays: Arrays) -> None:
    """Make arrays read-only."""
    for values in arrays.values():
        values.flags.writeable = False
