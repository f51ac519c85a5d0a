"""Blocks of cells that every record falls into once each: a trait's own, or the leaves of a tree.

Guarantee
---------
A record's cells depend on its own places and the public configuration only. Its row holds a one for
each block, weighted so that the whole row is no longer than the clip.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents.anomaly.random_trees import Splits, random_splits

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Where records fall into.

    Parameters
    ----------
    cells : tuple of int
        Of each trait.
    splits : Splits, optional
        Trees over the traits' cells; each trait is a block of its own when left out.
    """

    cells: tuple[int, ...]
    splits: Splits | None = None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many cells each block has."""
        if self.splits is None:
            return self.cells
        return (self.splits.leaves,) * self.splits.trees

    @cached_property
    def starts(self) -> Places:
        """Where each block begins, and where the last one ends; shape (blocks + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    @property
    def width(self) -> int:
        """How many cells there are in all."""
        return int(self.starts[-1])

    @cached_property
    def even(self) -> Vector:
        """Each cell's share of its block where records are spread evenly; shape (width,)."""
        if self.splits is None:
            return np.concatenate([np.full(size, 1 / size) for size in self.sizes])
        return self.splits.volumes(self.cells)

    def find(self, places: Places) -> Places:
        """Return the cell of each record in each block, -1 for none; shape (n, blocks).

        Parameters
        ----------
        places : ndarray, shape (n, traits)
        """
        known = (places >= 0) & (places < np.array(self.cells))
        told = np.where(known, places, -1)
        found = told if self.splits is None else self.splits.leaves_of(told)
        return np.where(found >= 0, found + self.starts[:-1], -1)

    def counts(self, cells: Places) -> Vector:
        """Return how many records fall into each cell; shape (width,)."""
        counted = np.bincount(cells[cells >= 0], minlength=self.width)
        return counted.astype(np.float64)

    def sums(self, of_cells: Vector) -> Vector:
        """Return the sum over each block's cells; shape (blocks,)."""
        sums: Vector = np.add.reduceat(of_cells, self.starts[:-1])
        return sums

    def spread(self, of_blocks: Vector) -> Vector:
        """Return each block's value at each of its cells; shape (width,)."""
        return np.repeat(of_blocks, self.sizes)

    def weight(self, clip: float) -> float:
        """Return what a one is multiplied by."""
        return clip / math.sqrt(len(self.sizes))

    def rows(self, cells: Places, clip: float) -> "csr_array[np.float64]":
        """Return a sparse row per record; cells that none can fill come last.

        Parameters
        ----------
        cells : ndarray, shape (n, blocks)
            From `find`; a record of which nothing is told has a row of zeros.

        Returns
        -------
        csr_array, shape (n, width + EMPTY)
        """
        from scipy.sparse import csr_array

        told = cells >= 0
        ends = np.concatenate([[0], np.cumsum(told.sum(axis=1))])
        ones = np.full(int(ends[-1]), self.weight(clip))
        return csr_array((ones, cells[told], ends), shape=(len(cells), self.width + EMPTY))


@lru_cache(maxsize=32)
def trait_blocks(cells: tuple[int, ...]) -> Blocks:
    """Return a block for each trait."""
    return Blocks(cells)


@lru_cache(maxsize=32)
def tree_blocks(cells: tuple[int, ...], trees: int, depth: int, seed: int) -> Blocks:
    """Return a block for each of some trees that are drawn in public."""
    return Blocks(cells, random_splits(cells, trees, depth, seed))
