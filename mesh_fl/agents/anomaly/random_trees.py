"""Trees that look at no data: traits and cuts at random, the same for everybody.

As in an isolation forest (Liu, Ting and Zhou 2008) splits are random; here they are public and cost
no privacy, and how many records fall into a leaf, beside its volume, is what is learned (Wu et al.
2014, RS-Forest).
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

Box = tuple[tuple[int, int], ...]
"""The cells of each trait that reach a node: from the first up to before the second."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Whole binary trees of equal depth.

    Parameters
    ----------
    trait, cut : ndarray, shape (trees, nodes)
        A node's left branch takes the records whose cell of the trait is below the cut.
    """

    trait: Places
    cut: Places

    @property
    def trees(self) -> int:
        """How many there are."""
        return len(self.trait)

    @property
    def leaves(self) -> int:
        """Of each tree."""
        return int(self.trait.shape[1]) + 1

    def leaves_of(self, places: Places) -> Places:
        """Return each record's leaf in each tree; shape (n, trees).

        Parameters
        ----------
        places : ndarray, shape (n, traits)
            -1, for a trait that is not told, is below every cut.
        """
        at = np.zeros((len(places), self.trees), dtype=np.int64)
        tree = np.arange(self.trees)
        record = np.arange(len(places))[:, None]
        for _ in range(self._depth):
            goes_right = places[record, self.trait[tree, at]] >= self.cut[tree, at]
            at = 2 * at + 1 + goes_right
        return at - (self.leaves - 1)

    def asked(self, places: Places) -> Places:
        """Return the traits that each tree asks of one record on its way; shape (trees, depth)."""
        at = np.zeros(self.trees, dtype=np.int64)
        tree = np.arange(self.trees)
        found = []
        for _ in range(self._depth):
            trait = self.trait[tree, at]
            found.append(trait)
            at = 2 * at + 1 + (places[trait] >= self.cut[tree, at])
        return np.stack(found, axis=1)

    def volumes(self, cells: tuple[int, ...]) -> Vector:
        """Return which share of all cells lies in each leaf; shape (trees * leaves,)."""
        whole = tuple((0, count) for count in cells)
        boxes = [[whole] for _ in range(self.trees)]
        for level in range(self._depth):
            first = 2**level - 1
            boxes = [
                [
                    half
                    for number, box in enumerate(tree)
                    for half in _halves(
                        box, int(self.trait[t, first + number]), int(self.cut[t, first + number])
                    )
                ]
                for t, tree in enumerate(boxes)
            ]
        return np.array([_volume(box, cells) for tree in boxes for box in tree])

    @property
    def _depth(self) -> int:
        return int(math.log2(self.leaves))


@lru_cache(maxsize=16)
def random_splits(cells: tuple[int, ...], trees: int, depth: int, seed: int) -> Splits:
    """Draw trees: a trait out of those that can still be split, and one of its cuts.

    The numbers come from SHAKE-256 (FIPS 202), so that members with different libraries get the
    same trees.

    Parameters
    ----------
    cells : tuple of int
        Of each trait.
    trees, depth : int
    seed : int
        Public.
    """
    nodes = 2**depth - 1
    numbers = _uniform(f"anomaly trees {seed}", 2 * trees * nodes)
    drawn = np.array([_tree(cells, depth, numbers) for _ in range(trees)], dtype=np.int64)
    return Splits(drawn[:, :, 0], drawn[:, :, 1])


def _tree(cells: tuple[int, ...], depth: int, numbers: Iterator[float]) -> list[tuple[int, int]]:
    """Return the splits of one tree, level by level."""
    splits: list[tuple[int, int]] = []
    level: list[Box] = [tuple((0, count) for count in cells)]
    for _ in range(depth):
        drawn = [_split(box, next(numbers), next(numbers)) for box in level]
        splits += drawn
        level = [half for box, one in zip(level, drawn, strict=True) for half in _halves(box, *one)]
    return splits


def _split(box: Box, which: float, where: float) -> tuple[int, int]:
    usable = [trait for trait, (first, end) in enumerate(box) if end - first > 1]
    if not usable:
        return 0, box[0][1]  # nothing is left to split: all go left
    trait = usable[int(which * len(usable))]
    first, end = box[trait]
    return trait, first + 1 + int(where * (end - first - 1))


def _halves(box: Box, trait: int, cut: int) -> tuple[Box, Box]:
    first, end = box[trait]
    below, above = (first, min(cut, end)), (min(cut, end), end)
    return (*box[:trait], below, *box[trait + 1 :]), (*box[:trait], above, *box[trait + 1 :])


def _volume(box: Box, cells: tuple[int, ...]) -> float:
    return math.prod((end - first) / count for (first, end), count in zip(box, cells, strict=True))


def _uniform(label: str, count: int) -> Iterator[float]:
    """Return numbers from 0 up to below 1."""
    digest = shake_256(label.encode()).digest(8 * count)
    return ((number >> 11) * 2.0**-53 for (number,) in struct.iter_unpack("<Q", digest))
