"""Complete binary trees as arrays: which leaf a record falls into, and what that says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

NO_CUT = 1.0
"""Encoded values end here, so that everything goes left."""


@dataclass(frozen=True)
class Splits:
    """The inner nodes of complete trees, level by level: node i has children 2i + 1 and 2i + 2.

    A value up to the cut goes left.

    Parameters
    ----------
    axis : ndarray of int, shape (trees, nodes)
        Column that a node looks at.
    cut : ndarray, shape (trees, nodes)
    """

    axis: Integers
    cut: Matrix

    @property
    def trees(self) -> int:
        """How many there are."""
        return len(self.axis)

    @property
    def depth(self) -> int:
        """Splits from the root to a leaf."""
        return self.leaves.bit_length() - 1

    @property
    def leaves(self) -> int:
        """Of each tree."""
        return int(self.axis.shape[1]) + 1

    def find(self, x: Matrix) -> Integers:
        """Return the leaf of each record in each tree, shape (n, trees), from 0 at the left."""
        values, records = x.ravel(), x.shape[1] * np.arange(len(x))
        axis, cut = self.axis.ravel(), self.cut.ravel()
        root = (self.leaves - 1) * np.arange(self.trees)[:, None]
        node = np.zeros((self.trees, len(x)), dtype=np.int64)
        for _ in range(self.depth):
            place = root + node
            # Flat, and tree by tree: twice as fast as two indices at once.
            right = values.take(axis.take(place) + records) > cut.take(place)
            node = 2 * node + 1 + right
        return (node - (self.leaves - 1)).T

    def sum_values(self, x: Matrix, values: Matrix) -> NDArray[np.float64]:
        """Return what the leaves of each record add up to, shape (n,).

        Parameters
        ----------
        x : ndarray, shape (n, columns)
        values : ndarray, shape (trees, leaves)
        """
        return leaf_sums(self.find(x), values)

    def paths(self) -> tuple[Integers, NDArray[np.bool_]]:
        """Return the nodes on the way to each leaf, shape (leaves, depth), and which turn right."""
        node = np.arange(self.leaves) + self.leaves - 1
        nodes, turns = [], []
        for _ in range(self.depth):
            turns.append(node % 2 == 0)
            node = (node - 1) // 2
            nodes.append(node)
        return np.stack(nodes[::-1], axis=1), np.stack(turns[::-1], axis=1)


def leaf_sums(found: Integers, values: Matrix) -> NDArray[np.float64]:
    """Return what leaves add up to, record by record.

    Parameters
    ----------
    found : ndarray of int, shape (n, trees)
        As `Splits.find` gives them.
    values : ndarray, shape (trees, leaves)
    """
    places = found + values.shape[1] * np.arange(len(values))
    total: NDArray[np.float64] = values.ravel().take(places).sum(axis=1)
    return total
