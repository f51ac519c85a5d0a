"""Where a value stands among a network's, read off a released histogram.

A band holds with probability `LEVEL` at least: it allows for the noise of the release, and for
anything that records may do within a bin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._histogram import REACH, WELL_ABOVE, Band, Histogram
from mesh_fl.agents.market.figures import Figure

Vector = NDArray[np.float64]

WIDEST = 0.3
"""A percentile whose band spans more of the scale tells too little to act on."""


@dataclass(frozen=True)
class Distribution:
    """A figure over the network, or over one of its segments.

    Parameters
    ----------
    figure : Figure
    histogram : Histogram
        Of one or several groups of the figure's bins, one group after the other.
    groups : sequence of int
        Which of them are meant.
    """

    figure: Figure
    histogram: Histogram
    groups: Sequence[int]

    @cached_property
    def records(self) -> Band:
        """How many records told the figure."""
        return self._meant.records

    @property
    def is_seen(self) -> bool:
        """Whether the noise lets a percentile be told: the median's band is narrow enough."""
        if not self._meant.is_seen:
            return False
        half = self._up_to(np.searchsorted(self._curve("value"), 0.5))
        return half.high - half.low <= WIDEST

    @property
    def needed(self) -> float:
        """How many records it takes until the noise lets a percentile be told."""
        return records_needed(self._meant.noise_sd, len(self._meant.counts))

    def percentile(self, value: float) -> Band:
        """Return the share of records below a value, 0 to 1, as if spread evenly in its bin."""
        place = int(self.figure.places(np.array([value]))[0])
        below, up_to = self._up_to(place), self._up_to(place + 1)
        inside = self.figure.within(value)
        middle = self._share(_ramp(place, self.figure.bins, inside)).value
        low, high = min(below.low, middle), max(up_to.high, middle)
        return Band(middle, low, high)

    def quantile(self, share: float) -> Band:
        """Return the value that a share of the records lies below; the band ends at bin edges."""
        bins, edges = self.figure.bins, self.figure.edges
        middle = _crossing(self._curve("value"), share)
        # The most that may lie below an edge is the upper curve: it crosses first.
        first = int(np.searchsorted(self._curve("high"), share, side="left")) - 1
        last = int(np.searchsorted(self._curve("low"), share, side="left"))
        low, high = edges[max(first, 0)], edges[min(last, bins)]
        value = self.figure.between(middle)
        return Band(value, min(float(low), value), max(float(high), value))

    @cached_property
    def _meant(self) -> Histogram:
        """Only the cells that are meant: the others would bring their noise."""
        width = self.figure.bins
        parts = [self.histogram.cells(one * width, (one + 1) * width) for one in self.groups]
        return Histogram(np.concatenate([part.counts for part in parts]), self.histogram.noise_sd)

    @cached_property
    def _shares_up_to(self) -> list[Band]:
        return [self._share(_ramp(edge, self.figure.bins, 0.0)) for edge in range(self._ends)]

    @property
    def _ends(self) -> int:
        return self.figure.bins + 1

    def _up_to(self, edge: int | np.integer) -> Band:
        """Return the share of records in the bins before an edge."""
        return self._shares_up_to[min(int(edge), self.figure.bins)]

    def _curve(self, part: str) -> Vector:
        """Return the value, low or high of the shares below each edge, made to rise."""
        curve = [getattr(one, part) for one in self._shares_up_to]
        curve[0], curve[-1] = 0.0, 1.0
        rising: Vector = np.maximum.accumulate(np.array(curve))
        return rising

    def _share(self, cells: Vector) -> Band:
        return self._meant.share(np.tile(cells, len(self.groups)))


def records_needed(noise_sd: float, cells: int) -> float:
    """Return how many records cells must hold until a median can be told of them.

    The records must be `WELL_ABOVE` bands away from 0, and the band of half of them no wider than
    `WIDEST`: half of the cells count a half and the others minus a half.

    Parameters
    ----------
    noise_sd : float
        Standard deviation of the noise of a cell, in records.
    cells : int
    """
    return REACH * noise_sd * math.sqrt(cells) * max(WELL_ABOVE, 1 / WIDEST)


def _ramp(place: int, bins: int, inside: float) -> Vector:
    """Return how much of each bin lies below a point in one of them."""
    cells = np.zeros(bins)
    cells[:place] = 1.0
    if place < bins:
        cells[place] = inside
    return cells


def _crossing(curve: Vector, share: float) -> float:
    """Return where a rising curve over the edges reaches a share, as a position among them."""
    after = max(1, int(np.searchsorted(curve, share, side="left")))
    below, above = float(curve[after - 1]), float(curve[after])
    step = above - below
    return after - 1 + ((share - below) / step if step > 0 else 0.5)
