"""Which clip suits an agent, from the lengths of its rows.

The clip is the one at which `KEPT_WHOLE` of all that is left of the rows' lengths belongs to rows
that are left whole: rows that teach next to nothing count for next to nothing, and how long the
longest are does not matter. The rule was chosen among quantiles, moments, shares of all length and
estimates of bias and noise, by the quality that they lead to on public data and by how little the
noise moves them.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._histogram import REACH, Band, Histogram
from mesh_fl.agents.federation.norms import FIRST, Grid
from mesh_fl.errors import AgentError

Vector = NDArray[np.float64]

KEPT_WHOLE = 0.5

EVIDENCE = 3.0
"""Squared standard deviations that a cell must stand out of the noise to be taken in."""


def exact_clip(norms: Vector) -> float:
    """Return the clip by the rule, of lengths that are known; NaN where all are zero.

    Parameters
    ----------
    norms : ndarray, shape (n,)
        NaN counts for nothing.
    """
    rising = np.sort(norms[np.isfinite(norms) & (norms > 0)])
    if not len(rising):
        return float("nan")
    scaled = rising / rising[-1]
    whole, longer = np.cumsum(scaled), np.arange(len(rising) - 1, -1, -1)
    # Next to a huge row, tiny ones come to nothing.
    left = np.maximum(whole + scaled * longer, np.finfo(np.float64).tiny)
    kept = np.maximum.accumulate(whole / left)
    return float(rising[np.searchsorted(kept, KEPT_WHOLE)])


@dataclass(frozen=True)
class Lengths:
    """The lengths of a network's rows, as far as they were released.

    Parameters
    ----------
    grid : Grid
    histogram : Histogram
        Of all its cells.
    """

    grid: Grid
    histogram: Histogram

    @cached_property
    def is_seen(self) -> bool:
        """Whether rows stand well out of the noise; without, there is no clip to choose."""
        return len(self._seen.counts) > 0 and self._seen.is_seen

    @property
    def records(self) -> Band:
        """How many rows teach something, as far as they are seen."""
        return self._seen.records if self.is_seen else Band(0.0, 0.0, 0.0)

    @property
    def idle(self) -> Band:
        """Share of rows of zeros or below the grid: records that teach next to nothing at first."""
        cells = np.concatenate([self.histogram.counts[:FIRST], self._seen.counts])
        weights = np.concatenate([np.ones(FIRST), np.zeros(len(self._seen.counts))])
        return Histogram(cells, self.histogram.noise_sd).share(weights)

    def clip(self) -> Band:
        """Return the clip by the rule.

        Raises
        ------
        AgentError
            If nothing is seen.
        """
        self._refuse_unseen()
        first, last = self._span
        edges = self.grid.edges
        lengths = self.grid.centres[FIRST - 1 :][first:last]
        clips = np.append(edges, edges[-1])[first : last + 1]
        below = _before(self._seen.shares * lengths)
        left = below + clips * (1 - _before(self._seen.shares))
        middle = np.maximum.accumulate(below / left)
        is_below = np.tri(len(clips), len(lengths), -1)
        moves = is_below * lengths * (1 - middle)[:, None]
        moves -= (1 - is_below) * (clips * middle)[:, None]
        return self._crossing(middle, moves / left[:, None], KEPT_WHOLE)

    def quantile(self, share: float) -> Band:
        """Return the length that a share of the rows that teach something does not exceed.

        Raises
        ------
        AgentError
            If nothing is seen.
        """
        self._refuse_unseen()
        middle = _before(self._seen.shares)
        moves = np.tri(len(middle), len(middle) - 1, -1) - middle[:, None]
        return self._crossing(middle, moves, share)

    @property
    def _counts(self) -> Vector:
        return self.histogram.counts[FIRST:]

    @cached_property
    def _span(self) -> tuple[int, int]:
        return stretch(self._counts / max(self.histogram.noise_sd, 1e-9))

    @cached_property
    def _seen(self) -> Histogram:
        return Histogram(self._counts[slice(*self._span)], self.histogram.noise_sd)

    def _refuse_unseen(self) -> None:
        if not self.is_seen:
            raise AgentError(
                "federation: expected lengths that stand out of the noise, found none: train with "
                "more records"
            )

    def _crossing(self, middle: Vector, moves: NDArray[np.float64], share: float) -> Band:
        """Return where a rising curve reaches a share, with its band (delta method).

        Parameters
        ----------
        middle : ndarray, shape (edges,)
            The curve at the edges of the cells seen.
        moves : ndarray, shape (edges, cells)
            What a larger share of the rows in each cell adds to it.
        share : float
        """
        size = float(self._seen.counts.sum())
        reach = REACH * self._seen.noise_sd * np.linalg.norm(moves, axis=1) / size
        reach[[0, -1]] = 0.0
        found = [
            _where(np.maximum.accumulate(np.clip(curve, 0, 1)), share)
            for curve in (middle, middle + reach, middle - reach)
        ]
        # Rows may lie anywhere inside of a cell, so the band ends at edges of cells.
        places = found[0], math.floor(found[1]), math.ceil(found[2])
        return Band(*(self._length(place) for place in places))

    def _length(self, place: float) -> float:
        """Return the length at a place among the edges of the cells seen."""
        edges = self.grid.edges
        # What lies outside of the grid is taken to stand at its edge.
        return float(np.exp(np.interp(place + self._span[0], range(len(edges)), np.log(edges))))


def stretch(deviations: Vector) -> tuple[int, int]:
    """Return the one stretch of cells that hold records: its start and its end.

    Lengths do not scatter at random over eleven octaves, but noise does, and in a high cell it
    would weigh more than all records. Each cell is for its stretch by its squared deviation less
    `EVIDENCE`, against it where below zero; the best stretch is found in one pass (Kadane; Bentley
    1984, Programming Pearls, column 8).

    Parameters
    ----------
    deviations : ndarray, shape (cells,)
        Counts in standard deviations of their noise.

    Returns
    -------
    tuple of int
        Both 0 where nothing stands out.
    """
    bounded = np.clip(deviations, -1e6, 1e6)
    gains = np.sign(bounded) * bounded**2 - EVIDENCE
    best, found = 0.0, (0, 0)
    running, start = 0.0, 0
    for place, gain in enumerate(gains.tolist()):
        if running <= 0:
            running, start = 0.0, place
        running += gain
        if running > best:
            best, found = running, (start, place + 1)
    return found


def _before(parts: Vector) -> Vector:
    """Return what lies before each edge."""
    return np.concatenate([[0.0], np.cumsum(parts)])


def _where(curve: Vector, share: float) -> float:
    """Return the place where a rising curve reaches a share, between two edges where need be."""
    after = int(np.clip(np.searchsorted(curve, share), 1, len(curve) - 1))
    low, high = curve[after - 1], curve[after]
    inside = (share - low) / (high - low) if high > low else 0.0
    return after - 1 + float(np.clip(inside, 0.0, 1.0))
