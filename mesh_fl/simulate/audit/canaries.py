"""Records that are easy to find in a sum: each has an axis of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.layout import Layout

NAMES = ("ash", "birch", "cedar", "elm", "fir")


@dataclass(frozen=True, kw_only=True)
class Canaries(Agent):
    """Adds up rows that lie along one axis each; the model is nothing but their sum."""

    unit: ClassVar = "record"
    width: int
    clip: float = 1.0

    def init(self) -> State:
        """Return zeros."""
        return {"sum": np.zeros(self.width)}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return a row a record: so far along such an axis."""
        axis, length = data["axis"].astype(np.int64), data["length"].astype(np.float64)
        starts = np.arange(len(axis) + 1)
        return csr_array((length, axis, starts), shape=(len(axis), self.width))

    def apply(self, state: State, total: Total) -> State:
        """Add it all up."""
        return {"sum": state["sum"] + total["sum"]}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        """Return what the model says along the axes of records."""
        along: NDArray[np.float64] = state["sum"][data["axis"].astype(np.int64)]
        return along

    def measure_layout(self) -> Layout:
        """Return the same block as for training."""
        return {"sum": (self.width,)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return the same rows as for training."""
        return self.contribute(state, data)

    def score(self, total: Total) -> Mapping[str, float]:
        """Score nothing."""
        return {}


def canaries(axes: NDArray[np.int64], length: float = 1.0) -> dict[str, Data]:
    """Deal out one record an axis; the length is in units of the clip."""
    return {
        name: {"axis": axes[k :: len(NAMES)], "length": np.full(len(axes[k :: len(NAMES)]), length)}
        for k, name in enumerate(NAMES)
    }
