"""Trees of a member's own that go on from the global model; they never leave it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.forest import NO_CUT, Splits

if TYPE_CHECKING:
    from lightgbm import Dataset

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

DEPTH = 3
MOST_TREES = 96
FEWEST_RECORDS = 100
FEWEST_OF_A_CLASS = 15
FOLDS = 5
LEARNING_RATE = 0.05
SMALLEST_LEAF = 10
PATIENCE = 15

SETTINGS = {
    "objective": "binary",
    "learning_rate": LEARNING_RATE,
    "max_depth": DEPTH,
    "num_leaves": 2**DEPTH,
    "min_data_in_leaf": SMALLEST_LEAF,
    "feature_pre_filter": False,
    "boost_from_average": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
    "seed": 0,
}


class Node(TypedDict, total=False):
    """A node as LightGBM dumps it: a leaf has a value, and a split the rest."""

    leaf_value: float
    split_feature: int
    threshold: float
    left_child: "Node"
    right_child: "Node"


@dataclass(frozen=True)
class OwnTrees:
    """Boosted trees as arrays.

    Parameters
    ----------
    splits : Splits
    values : ndarray, shape (trees, leaves)
        Log odds.
    """

    splits: Splits
    values: Matrix

    def log_odds(self, x: Matrix) -> Vector:
        """Return what they add, shape (n,)."""
        return self.splits.sum_values(x, self.values)


def grow(x: Matrix, y: Vector, margin: Vector) -> OwnTrees | None:
    """Boost own trees from a model's log odds, as many as cross-validation finds useful.

    Parameters
    ----------
    x : ndarray, shape (n, columns)
        Encoded.
    y : ndarray, shape (n,)
        0 or 1.
    margin : ndarray, shape (n,)
        Log odds of the model gone on from.

    Returns
    -------
    OwnTrees or None
        None where there are too few records, none help, or LightGBM is not installed.
    """
    fewest = min(y.sum(), len(y) - y.sum())
    if len(y) < FEWEST_RECORDS or fewest < FEWEST_OF_A_CLASS:
        return None
    try:
        import lightgbm
    except ImportError:
        return None
    records = lightgbm.Dataset(x, y, init_score=margin, free_raw_data=False)
    trees = _useful_trees(records, y, _loss(margin, y))
    if trees == 0:
        return None
    grown = lightgbm.train(SETTINGS, records, trees)
    return _as_arrays([tree["tree_structure"] for tree in grown.dump_model()["tree_info"]])


def _useful_trees(records: "Dataset", y: Vector, before: float) -> int:
    """Return after how many trees the loss on records left out is least, 0 where none lowers it."""
    import lightgbm

    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    found = lightgbm.cv(SETTINGS, records, MOST_TREES, folds=_folds(y), callbacks=[stop])
    losses = np.array(found["valid binary_logloss-mean"])
    return int(losses.argmin()) + 1 if losses.min() < before else 0


def _folds(y: Vector) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Deal each class out in turn: every fold has both, and nothing is drawn."""
    fold = np.empty(len(y), dtype=np.int64)
    for label in (0.0, 1.0):
        fold[y == label] = np.arange(int((y == label).sum())) % FOLDS
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]


def _loss(margin: Vector, y: Vector) -> float:
    return float(np.mean(np.logaddexp(0.0, margin) - y * margin))


def _as_arrays(roots: list[Node]) -> OwnTrees:
    """Complete each tree, a leaf that comes early standing in all places below it."""
    nodes = 2**DEPTH - 1
    axis = np.zeros((MOST_TREES, nodes), dtype=np.int64)
    cut = np.full((MOST_TREES, nodes), NO_CUT)
    values = np.zeros((MOST_TREES, nodes + 1))
    for tree, root in enumerate(roots):
        level = [root]
        for depth in range(DEPTH):
            below: list[Node] = []
            for place, node in enumerate(level, start=2**depth - 1):
                if "leaf_value" in node:
                    below += [node, node]
                    continue
                axis[tree, place], cut[tree, place] = node["split_feature"], node["threshold"]
                below += [node["left_child"], node["right_child"]]
            level = below
        values[tree] = [node["leaf_value"] for node in level]
    return OwnTrees(Splits(axis, cut), values)
