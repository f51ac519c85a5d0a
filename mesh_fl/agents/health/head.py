"""What a model of client health must be able to do, on encoded clients."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Rows, State, Total
from mesh_fl.layout import Layout

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Head(Protocol):
    """The learned part. Clients come as x, shape (n, d + 1), with a last column of ones."""

    def init(self) -> State:
        """Return the public model before any training."""

    def layout(self, state: State) -> Layout:
        """Name the blocks that are summed."""

    def contribute(self, state: State, x: Matrix, y: Vector) -> Rows:
        """Return a row per client."""

    def apply(self, state: State, total: Total) -> State:
        """Return the next model."""

    def log_odds(self, state: State, x: Matrix) -> Vector:
        """Return the log odds of leaving, shape (n,)."""

    def adapt(self, state: State, x: Matrix, y: Vector) -> State:
        """Return the model fitted to a member's own clients."""

    def contributions(self, state: State, x: Matrix) -> Matrix:
        """Return each column's part in the log odds, shape (n, d + 1), adding up to them."""
