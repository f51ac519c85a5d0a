"""Trees that look at no data: columns and cuts at random, the same for everybody.

Extremely randomised trees (Geurts, Ernst and Wehenkel 2006) whose splits cost no privacy, since
they are public; only what their leaves say is learned (Bojarski et al. 2014, arXiv 1411.0622).
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import shake_256

import numpy as np

from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.forest import NO_CUT, Splits

DRAWS = 4
"""A node takes one number for its column and three for its cut."""

Interval = tuple[float, float]


@lru_cache(maxsize=16)
def random_splits(axes: tuple[Axis, ...], trees: int, depth: int, seed: int) -> Splits:
    """Draw trees: a column out of those that can still be split, and a cut near its middle.

    The numbers come from SHAKE-256 (FIPS 202), so that members with different libraries get the
    same trees.

    Parameters
    ----------
    axes : tuple of Axis
    trees, depth : int
    seed : int
        Public.
    """
    nodes = 2**depth - 1
    numbers = _uniform(f"health trees {seed}", trees * nodes * DRAWS)
    drawn = [_tree(axes, depth, numbers) for _ in range(trees)]
    axis = np.array([[split[0] for split in tree] for tree in drawn], dtype=np.int64)
    cut = np.array([[split[1] for split in tree] for tree in drawn], dtype=np.float64)
    return Splits(axis.reshape(trees, nodes), cut.reshape(trees, nodes))


def _tree(axes: Sequence[Axis], depth: int, numbers: Iterator[float]) -> list[tuple[int, float]]:
    """Return the splits of one tree, level by level."""
    splits: list[tuple[int, float]] = []
    level = [dict.fromkeys(range(len(axes)), (-1.0, 1.0))]
    for _ in range(depth):
        below = []
        for box in level:
            draws = [next(numbers) for _ in range(DRAWS)]
            axis, cut = _split(axes, box, draws)
            low, high = box[axis]
            splits.append((axis, cut))
            below += [box | {axis: (low, min(cut, high))}, box | {axis: (cut, high)}]
        level = below
    return splits


def _split(
    axes: Sequence[Axis], box: dict[int, Interval], draws: Sequence[float]
) -> tuple[int, float]:
    usable = [number for number, axis in enumerate(axes) if axis.can_split(*box[number])]
    if not usable:
        return 0, NO_CUT
    chosen = usable[int(draws[0] * len(usable))]
    low, high = box[chosen]
    if axes[chosen].places:
        cuts = axes[chosen].cuts_between(low, high)
        return chosen, cuts[int(draws[1] * len(cuts))]
    # The mean of three draws: most values lie near the middle of what is declared.
    return chosen, low + (high - low) * sum(draws[1:]) / (DRAWS - 1)


def _uniform(label: str, count: int) -> Iterator[float]:
    """Return numbers from 0 up to below 1."""
    digest = shake_256(label.encode()).digest(8 * count)
    return ((number >> 11) * 2.0**-53 for (number,) in struct.iter_unpack("<Q", digest))
