"""How long rows are: the L2 norm of each, and the cell of a logarithmic grid that it falls into."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Rows

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

ZERO = 0
"""The cell of rows that teach nothing."""

FIRST = 2
"""The first cell of the grid: after those of zeros and of what lies below."""


def row_norms(rows: Rows) -> Vector:
    """Return the L2 norm of each row; 0 for one that is not finite, as the pipeline takes it.

    Parameters
    ----------
    rows : ndarray or csr_array, shape (n, dimension)

    Returns
    -------
    ndarray, shape (n,)
    """
    if isinstance(rows, np.ndarray):
        return _lengths(rows.astype(np.float64, copy=False))
    own = rows.tocsr(copy=True)
    own.sum_duplicates()
    counts = np.diff(own.indptr)
    peaks = np.zeros(own.shape[0])
    owners = np.repeat(np.arange(len(counts)), counts)
    with np.errstate(all="ignore"):
        np.maximum.at(peaks, owners, np.abs(own.data))
        scaled = own.data / _units(peaks)[owners]
        squares = np.bincount(owners, scaled * scaled, len(counts))
    return _finite(np.sqrt(squares) * _units(peaks), peaks)


def _lengths(rows: Vector) -> Vector:
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    with np.errstate(all="ignore"):
        scaled = rows / _units(peaks)[:, None]
        return _finite(np.sqrt(np.einsum("ij,ij->i", scaled, scaled)) * _units(peaks), peaks)


def _units(peaks: Vector) -> Vector:
    # Huge and tiny entries would overflow or vanish when squared.
    return np.where(np.isfinite(peaks) & (peaks > 0), peaks, 1.0)


def _finite(norms: Vector, peaks: Vector) -> Vector:
    return np.where(np.isfinite(peaks) & np.isfinite(norms), norms, 0.0)


@dataclass(frozen=True)
class Grid:
    """Cells: rows of zeros, what lies below, the grid from low to high, and what lies above.

    Parameters
    ----------
    unit : float
        The length that the octaves are counted from, such as a configured clip.
    below, above : int
        Octaves below and above it.
    per_octave : int
        Cells of the grid for each.
    """

    unit: float
    below: int = 6
    above: int = 5
    per_octave: int = 2

    @property
    def inner(self) -> int:
        """Cells between the lowest edge and the highest."""
        return (self.below + self.above) * self.per_octave

    @property
    def cells(self) -> int:
        """All cells: with those of zeros, below and above."""
        return self.inner + 3

    @property
    def edges(self) -> Vector:
        """Edges of the inner cells, shape (inner + 1,)."""
        octaves = np.arange(self.inner + 1) / self.per_octave - self.below
        return self.unit * np.exp2(octaves)

    @property
    def centres(self) -> Vector:
        """Typical length in each cell but that of zeros, shape (inner + 2,)."""
        edges = self.edges
        inner = np.sqrt(edges[1:] * edges[:-1])
        return np.concatenate([edges[:1], inner, edges[-1:]])

    def places(self, norms: Vector) -> Places:
        """Return the cell of each norm; -1 where it is NaN, which is no record."""
        inside = 1 + np.searchsorted(self.edges, np.nan_to_num(norms, posinf=np.inf), side="left")
        return np.where(np.isnan(norms), -1, np.where(norms > 0, inside, ZERO)).astype(np.int64)
