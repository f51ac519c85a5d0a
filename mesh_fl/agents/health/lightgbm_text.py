"""Trees as the text of a LightGBM model: anything that serves LightGBM serves them.

The format is that of `Booster.save_model` (version v4). It takes values in their own units, so that
nothing need be encoded: numbers as they are, flags as 0 and 1, a category's level as its number in
the order declared, from 0, and NaN where a value is missing. A column that encodes no single
feature, such as an interaction, is given encoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.forest import Splits
from mesh_fl.agents.health.prior import CUTS, STAIRS

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MISSING_IS_NAN = 8
LEFT_WHERE_MISSING = 2

Node: TypeAlias = "float | Split"
"""A leaf's value, or a split."""


@dataclass(frozen=True)
class Split:
    """An inner node: values up to the cut go left."""

    axis: int
    cut: float
    left: Node
    right: Node


def lightgbm_text(axes: Sequence[Axis], roots: Sequence[Node]) -> str:
    """Return a model for binary classification whose raw score is the sum of trees.

    Parameters
    ----------
    axes : sequence of Axis
    roots : sequence of Node
        Cuts encoded.
    """
    thresholds = _thresholds(axes, roots)
    trees = [_tree(number, root, thresholds) for number, root in enumerate(roots)]
    head = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={len(axes) - 1}",
        "objective=binary sigmoid:1",
        f"feature_names={' '.join(_word(axis.name) for axis in axes)}",
        f"feature_infos={' '.join(_range(axis) for axis in axes)}",
        f"tree_sizes={' '.join(str(len(tree.encode())) for tree in trees)}",
    ]
    return "\n".join(
        [*head, "", "".join(trees) + "end of trees", "", "parameters:", "end of parameters", ""]
    )


def forest_roots(splits: Splits, values: Matrix) -> Iterator[Node]:
    """Return arrays of trees as nested ones."""
    for axis, cut, leaves in zip(splits.axis, splits.cut, values, strict=True):
        level: list[Node] = leaves.tolist()
        while len(level) > 1:
            first = len(level) // 2 - 1
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [
                Split(int(axis[place]), float(cut[place]), left, right)
                for place, (left, right) in enumerate(pairs, start=first)
            ]
        yield level[0]


def prior_roots(weights: Vector) -> Iterator[Node]:
    """Return the prior as trees: a staircase for each weight, and the bias."""
    for axis, weight in enumerate(weights[:-1].tolist()):
        if weight:
            yield _staircase(axis, CUTS.tolist(), (weight * STAIRS).tolist())
    if weights[-1]:
        yield float(weights[-1])


def _staircase(axis: int, cuts: Sequence[float], values: Sequence[float]) -> Node:
    if not cuts:
        return values[0]
    middle = len(cuts) // 2
    left = _staircase(axis, cuts[:middle], values[: middle + 1])
    right = _staircase(axis, cuts[middle + 1 :], values[middle + 1 :])
    return Split(axis, cuts[middle], left, right)


@dataclass
class _Numbered:
    """A tree's nodes in LightGBM's order: a child is a split's number, or -1 less a leaf's."""

    splits: list[Split] = field(default_factory=list)
    children: list[list[int]] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)

    def add(self, node: Node) -> int:
        if not isinstance(node, Split):
            self.leaves.append(node)
            return -len(self.leaves)
        number = len(self.splits)
        self.splits.append(node)
        self.children.append([])
        self.children[number] = [self.add(node.left), self.add(node.right)]
        return number


def _tree(number: int, root: Node, thresholds: dict[tuple[int, float], float]) -> str:
    tree = _Numbered()
    tree.add(root)
    lines = [f"Tree={number}", f"num_leaves={len(tree.leaves)}", "num_cat=0"]
    if tree.splits:
        raw = [thresholds[split.axis, split.cut] for split in tree.splits]
        lines += [
            _line("split_feature", [split.axis for split in tree.splits]),
            _line("split_gain", [0] * len(tree.splits)),
            _line("threshold", raw),
            _line("decision_type", [_decision(split) for split in tree.splits]),
            _line("left_child", [left for left, _ in tree.children]),
            _line("right_child", [right for _, right in tree.children]),
        ]
    return "\n".join(
        [*lines, _line("leaf_value", tree.leaves), "is_linear=0", "shrinkage=1", "", "", ""]
    )


def _decision(split: Split) -> int:
    """Say where a missing value goes: it is encoded as 0."""
    return MISSING_IS_NAN + (LEFT_WHERE_MISSING if split.cut >= 0 else 0)


def _thresholds(axes: Sequence[Axis], roots: Sequence[Node]) -> dict[tuple[int, float], float]:
    """Return the raw threshold of every cut, found for an axis at once."""
    cuts: list[set[float]] = [set() for _ in axes]
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Split):
            cuts[node.axis].add(node.cut)
            waiting += [node.left, node.right]
    found: dict[tuple[int, float], float] = {}
    for number, (axis, encoded) in enumerate(zip(axes, cuts, strict=True)):
        rising = np.array(sorted(encoded))
        raw = axis.raw_thresholds(rising)
        found |= {(number, cut): at for cut, at in zip(rising.tolist(), raw.tolist(), strict=True)}
    return found


def _line(name: str, values: Sequence[float]) -> str:
    return f"{name}={' '.join(map(repr, values))}"


def _word(name: str) -> str:
    """LightGBM keeps names apart by spaces, and refuses what JSON would have to escape."""
    return "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in name)


def _range(axis: Axis) -> str:
    if axis.feature is None:
        return "[-1:1]"
    if axis.feature.kind == "number":
        return f"[{axis.feature.low!r}:{axis.feature.high!r}]"
    return f"[0:{max(1, len(axis.feature.levels) - 1)}]"
