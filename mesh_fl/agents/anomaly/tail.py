"""How rarely a score is reached among one's own records: a chance that keeps what it promises.

A new record among n others like it reaches the chance p or less with probability p at most
(conformal p-values: Vovk, Gammerman and Shafer 2005). None is below 1 / (n + 1): so few records
cannot show that something is rarer.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

KEPT = 2048
"""Highest scores that are kept one by one, and ranks among the others."""


@dataclass(frozen=True)
class Tail:
    """Scores of records that are taken for usual.

    Parameters
    ----------
    scores : ndarray, shape (m,)
        Rising.
    reached : ndarray, shape (m,)
        How many records reached each of them.
    records : int
    """

    scores: Vector
    reached: Vector
    records: int

    @classmethod
    def of(cls, scores: Vector) -> "Tail":
        """Keep the scores of n records; where they are many, not each of the low ones."""
        rising = np.sort(scores)
        count = len(rising)
        ranks = np.arange(count)
        if count > 2 * KEPT:
            low = np.unique(np.linspace(0, count - KEPT - 1, KEPT).astype(np.int64))
            ranks = np.concatenate([low, np.arange(count - KEPT, count)])
        return cls(rising[ranks], (count - ranks).astype(np.float64), count)

    def chances(self, scores: Vector) -> Vector:
        """Return how probable a usual record reaches each score; never too low."""
        place = np.searchsorted(self.scores, scores, side="left")
        exact = np.append(self.reached, 0.0)[place]
        # Of scores between two that were kept, as many as reached the lower one may have done so.
        most = np.concatenate([[float(self.records)], self.reached])[place]
        reached = np.where(place >= self._whole_from, exact, most)
        chances: Vector = (1 + reached) / (self.records + 1)
        return chances

    @property
    def _whole_from(self) -> int:
        """The place from which on every record was kept."""
        return 0 if len(self.scores) == self.records else len(self.scores) - KEPT

    @property
    def smallest(self) -> float:
        """The smallest chance that so many records can show."""
        return 1 / (self.records + 1)

    def score_at(self, chance: float) -> float:
        """Return the score from which on the chance is at most so much; infinite if none is."""
        most = math.floor(chance * (self.records + 1)) - 1
        if most < 0:
            return math.inf
        above = self.scores[self.reached <= most]
        return float(np.nextafter(above[0], -np.inf)) if len(above) else math.inf

    def block(self) -> NDArray[np.float64]:
        """Return it as an array of shape (2, m)."""
        return np.stack([self.scores, self.reached])

    @classmethod
    def read(cls, block: NDArray[np.float64]) -> "Tail":
        """Return it from such an array."""
        return cls(block[0], block[1], int(block[1, 0]) if block.shape[1] else 0)
