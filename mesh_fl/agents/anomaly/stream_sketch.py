"""The sizes of errors in constant memory: counts in buckets that grow by a fixed part.

As in DDSketch (Masson, Rim and Lee 2019): every size is known to 5 %. Old ones are forgotten by
halves, so that what is usual may change.
"""

import math
import sys
from array import array
from dataclasses import astuple
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from mesh_fl.agents.anomaly.alarm_tail import QUANTILES, RANKS_SHARE, ParetoTail
from mesh_fl.agents.anomaly.stream_state import StreamState

GROWTH = math.log(1.05)
LARGEST_LOG = math.log(sys.float_info.max)
BUCKETS = 1024
MIDDLE = BUCKETS // 2

MOST_REMEMBERED = 32768
"""Sizes after which all counts are halved."""

TO_SD = 1.4826
"""Of a normal distribution: standard deviation over median absolute deviation."""

LEAST_OF_FAR = 0.05
"""A standard deviation is at least so much of the 99 % quantile."""

FEWEST_DIFFERENT = 12
"""Buckets of the tail that must hold something: of counts, ranks alone tell."""


Positive = Annotated[float, Field(gt=0)]


class SketchState(StreamState):
    """A sketch as JSON can hold it."""

    unit: float = Field(gt=0)
    count: float = Field(ge=0)
    buckets: list[Annotated[int, Field(ge=0, lt=BUCKETS)]] = Field(max_length=BUCKETS)
    counts: list[Annotated[float, Field(ge=0)]] = Field(max_length=BUCKETS)
    quantiles: tuple[float, float, float]
    tail: tuple[float, Positive, Positive, float, Positive] | None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.buckets) != len(self.counts):
            raise ValueError("as many counts as buckets")
        return self


class Sketch:
    """Counts of sizes.

    Parameters
    ----------
    unit : float
        A size around which precision is wanted: 1e-10 to 1e10 times as much.
    """

    __slots__ = ("_counts", "_log_unit", "_unit", "_view", "count", "far", "median", "sd", "tail")

    def __init__(self, unit: float) -> None:
        self._unit = unit
        self._log_unit = math.log(unit)
        self._counts = array("d", bytes(8 * BUCKETS))
        self._view = np.frombuffer(self._counts)
        self.count = 0.0
        self.median = 0.0
        self.far = 0.0
        """The 95 % quantile; like all of these from the last `refresh`."""
        self.sd = 0.0
        self.tail: ParetoTail | None = None

    def add(self, size: float) -> None:
        """Count a size."""
        self._counts[self._bucket(size)] += 1.0
        self.count += 1.0

    def p_value(self, size: float) -> float:
        """Return how probable a size at least as large is, at most (a conformal p-value)."""
        reached = float(self._view[self._bucket(size) :].sum())
        by_rank = (1 + reached) / (1 + self.count)
        if self.tail is None:
            return by_rank
        by_rank = min(by_rank / RANKS_SHARE, 1.0)
        return min(by_rank, self.tail.p_value(size)) if size > self.far else by_rank

    def refresh(self) -> None:
        """Compute the quantiles anew, and forget half where there is much."""
        if self.count >= MOST_REMEMBERED:
            self._view *= 0.5
            self.count *= 0.5
        first, second, third = (self._quantile(one) for one in QUANTILES)
        self.median, self.far = self._quantile(0.5), third
        # Of counts the median may be next to nothing while others are not rare.
        self.sd = max(TO_SD * self.median, LEAST_OF_FAR * self._quantile(0.99))
        beyond = self._view[self._bucket(first) :]
        is_fine = np.count_nonzero(beyond) >= FEWEST_DIFFERENT
        self.tail = ParetoTail.of((first, second, third), self.count) if is_fine else None

    def state(self) -> SketchState:
        """Return everything as JSON can hold it."""
        held = np.flatnonzero(self._view)
        tail = self.tail
        return SketchState(
            unit=self._unit,
            count=self.count,
            buckets=held.tolist(),
            counts=self._view[held].tolist(),
            quantiles=(self.median, self.far, self.sd),
            tail=None if tail is None else astuple(tail),
        )

    @classmethod
    def read(cls, state: SketchState) -> "Sketch":
        """Return it from such a state."""
        sketch = cls(state.unit)
        sketch.count = state.count
        sketch._view[state.buckets] = state.counts
        sketch.median, sketch.far, sketch.sd = state.quantiles
        sketch.tail = None if state.tail is None else ParetoTail(*state.tail)
        return sketch

    def _bucket(self, size: float) -> int:
        if size <= 0:
            return 0
        place = MIDDLE + (math.log(size) - self._log_unit) / GROWTH
        return max(1, min(int(place), BUCKETS - 1))

    def _quantile(self, share: float) -> float:
        """Return a quantile, as if sizes were spread evenly in their bucket."""
        rising = np.cumsum(self._view)
        place = int(np.searchsorted(rising, share * self.count))
        if place == 0 or place >= BUCKETS:
            return 0.0
        held = self._view[place]
        part = (share * self.count - (rising[place] - held)) / held if held else 0.0
        return math.exp(min(self._log_unit + (place - MIDDLE + part) * GROWTH, LARGEST_LOG))
