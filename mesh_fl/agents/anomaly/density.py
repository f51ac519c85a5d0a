"""How usual each cell is, and how surprising a record: the mean over its cells.

The histogram-based outlier score of Goldstein and Dengel 2012, each cell's share taken beside that
of records that are spread evenly. What either the network or one's own records know well is usual:
of both scores the lower one counts.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._histogram import Histogram
from mesh_fl.agents.anomaly.blocks import Blocks

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.int64]

DECIMALS = 9

SEEN = 50.0
"""Records that a network's shares must be worth before they call anything usual by themselves."""

FLOOR_SD = 1.0
"""A count is taken for no less than this many standard deviations of its noise, and than one."""


def network_shares(blocks: Blocks, released: Histogram) -> Vector:
    """Return each cell's share of its block over the network; shape (width,)."""
    least = max(1.0, FLOOR_SD * released.noise_sd)
    raised = np.maximum(released.counts, least)
    shares: Vector = raised / blocks.spread(blocks.sums(raised))
    return shares


def worth(blocks: Blocks, released: Histogram) -> float:
    """Return how many records without noise would tell a usual cell's share as well.

    A share's error is that of the records and that of the noise; both are compared at the mean
    share of a cell.
    """
    seen = float(np.median(blocks.sums(released.counts)))
    if seen <= 0:
        return 0.0
    usual = len(blocks.sizes) / blocks.width
    noise = released.noise_sd**2 / (usual * (1 - usual)) if usual < 1 else 0.0
    return seen**2 / (seen + noise)


@dataclass(frozen=True)
class Density:
    """What is usual, as the network has it and as one's own records do.

    Parameters
    ----------
    blocks : Blocks
    shares : ndarray, shape (width,)
        The network's.
    prior_records : float
        How many records of one's own the network's shares weigh as much as.
    own : ndarray, shape (width,)
        Counts of one's own records.
    trusts_network : bool
        Whether the network's shares by themselves can call a record usual.
    """

    blocks: Blocks
    shares: Vector
    prior_records: float
    own: Vector
    trusts_network: bool

    def surprises(self, cells: Places) -> Matrix:
        """Return how surprising each cell of each record is; 0 for what is not told.

        Parameters
        ----------
        cells : ndarray, shape (n, blocks)

        Returns
        -------
        ndarray, shape (n, blocks)
            In nats beside records that are spread evenly; below 0 for what is common.
        """
        return self._lower(cells, self._of_cells)

    def left_out(self, cells: Places) -> Matrix:
        """Return the same of one's own records, each judged by the others."""
        every = self.blocks.spread(self._sizes)
        others = np.maximum(self._raised - 1, 0.0) / np.maximum(every - 1, 1e-9)
        return self._lower(cells, _nats(others, self.blocks.even))

    def scores(self, cells: Places) -> Vector:
        """Return the mean of `surprises` over the blocks; shape (n,)."""
        means: Vector = self.surprises(cells).mean(axis=1)
        return means

    def _lower(self, cells: Places, blended: Vector) -> Matrix:
        """Return what the network or the blend says, whichever finds a record less surprising."""
        found: Matrix = np.append(blended, 0.0)[cells]
        if not self.trusts_network:
            return found
        network = np.append(_nats(self.shares, self.blocks.even), 0.0)[cells]
        is_lower = network.mean(axis=1) < found.mean(axis=1)
        return np.where(is_lower[:, None], network, found)

    @cached_property
    def usual(self) -> Vector:
        """How surprising a usual record's cell is in each block; shape (blocks,)."""
        shares = self._raised / self.blocks.spread(self._sizes)
        return self.blocks.sums(shares * self._of_cells)

    @cached_property
    def commonest(self) -> Places:
        """The commonest cell of each block, counted from its start; shape (blocks,)."""
        raised = self._raised / self.blocks.even
        parts = np.split(raised, self.blocks.starts[1:-1])
        return np.array([int(part.argmax()) for part in parts], dtype=np.int64)

    def share_of(self, cell: int) -> float:
        """Return how large a share of records falls into a cell."""
        block = int(np.searchsorted(self.blocks.starts, cell, side="right")) - 1
        return float(self._raised[cell] / self._sizes[block])

    @cached_property
    def _raised(self) -> Vector:
        """Own counts, with the network's shares as records that were seen before."""
        raised: Vector = self.own + self.prior_records * self.shares
        return raised

    @cached_property
    def _sizes(self) -> Vector:
        return self.blocks.sums(self._raised)

    @cached_property
    def _of_cells(self) -> Vector:
        return _nats(self._raised / self.blocks.spread(self._sizes), self.blocks.even)


def _nats(shares: Vector, even: Vector) -> Vector:
    """Return the log of even over found shares; where no record can be, both are nothing.

    Rounding errors are taken off: what is as usual as anything else must score the same.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = np.log(even) - np.log(np.maximum(shares, 1e-12))
    rounded: Vector = np.round(np.where(even > 0, nats, 0.0), DECIMALS).astype(np.float64)
    return rounded
