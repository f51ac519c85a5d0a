"""The trees of a fitted isolation forest as arrays, so that a few records are scored at once.

Scikit-learn takes some 10 ms a call whatever the number of records.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Nodes = NDArray[np.int64]


@dataclass(frozen=True)
class IsolationTrees:
    """Trees side by side; those with fewer nodes leave some free.

    Parameters
    ----------
    column, below, above : ndarray, shape (trees, nodes)
        What a node asks, and its branches; a leaf's lead to itself.
    cut : ndarray, shape (trees, nodes)
        A value up to this goes below.
    length : ndarray, shape (trees, nodes)
        Of the path to a leaf, with what its records would still take.
    usual_length : float
        Of a path among so many records.
    depth : int
    """

    column: Nodes
    below: Nodes
    above: Nodes
    cut: Matrix
    length: Matrix
    usual_length: float
    depth: int

    @classmethod
    def of(cls, forest: "IsolationForest") -> "IsolationTrees":
        """Copy the trees of a fitted forest."""
        trees = [one.tree_ for one in forest.estimators_]
        shape = (len(trees), max(tree.node_count for tree in trees))
        column, below, above = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        cut, length = np.zeros(shape), np.zeros(shape)
        for number, tree in enumerate(trees):
            nodes = np.arange(tree.node_count)
            is_leaf = tree.children_left < 0
            known = (number, slice(tree.node_count))
            column[known] = np.where(is_leaf, 0, tree.feature)
            below[known] = np.where(is_leaf, nodes, tree.children_left)
            above[known] = np.where(is_leaf, nodes, tree.children_right)
            cut[known] = tree.threshold
            length[known] = _depths(tree.children_left, tree.children_right) + usual_path(
                tree.n_node_samples.astype(np.float64)
            )
        size = np.array([float(forest.max_samples_)])
        depth = max(int(tree.max_depth) for tree in trees)
        return cls(column, below, above, cut, length, float(usual_path(size)[0]), depth)

    def scores(self, x: Matrix) -> Vector:
        """Return the anomaly scores of Liu, Ting and Zhou 2008: 0 to 1, high for anomalies.

        Parameters
        ----------
        x : ndarray, shape (n, d)
        """
        values = x.astype(np.float32)  # as the trees were grown
        tree = np.arange(len(self.column))
        record = np.arange(len(x))[:, None]
        at = np.zeros((len(x), len(tree)), dtype=np.int64)
        for _ in range(self.depth):
            goes_below = values[record, self.column[tree, at]] <= self.cut[tree, at]
            at = np.where(goes_below, self.below[tree, at], self.above[tree, at])
        lengths = self.length[tree, at].mean(axis=1)
        found: Vector = 2.0 ** (-lengths / self.usual_length) if self.usual_length else lengths * 0
        return found


def usual_path(records: Vector) -> Vector:
    """Return the mean length of an unsuccessful search among so many records (their eq. 1)."""
    more = np.maximum(records, 3.0)
    long = 2 * (np.log(more - 1) + np.euler_gamma) - 2 * (more - 1) / more
    return np.where(records <= 1, 0.0, np.where(records <= 2, 1.0, long))


def _depths(left: Nodes, right: Nodes) -> Vector:
    """Return how deep each node lies; a parent comes before its children."""
    depths = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0).tolist():
        depths[left[node]] = depths[right[node]] = depths[node] + 1
    return depths
