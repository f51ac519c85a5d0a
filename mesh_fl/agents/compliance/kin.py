"""A member's own mappings of techniques akin to the one that is asked about."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POWER = 4
"""Of the cosine: so alike must techniques be to count."""

FAMILY = 0.3
"""What it adds to be a sub-technique of the same technique."""

PRIOR_MAPPINGS = 27.0
"""What everybody's shares weigh, in mappings of the very technique."""

MOST_TECHNIQUES = 2000

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Kin:
    """A member's own mappings, gathered by technique.

    Parameters
    ----------
    vectors : ndarray, shape (techniques, dimension)
    families : ndarray, shape (techniques,)
        See `techniques.family_of`.
    counts : ndarray, shape (techniques, controls)
    """

    vectors: Matrix
    families: NDArray[np.float64]
    counts: Matrix

    def refine(self, shares: Matrix, vectors: Matrix, families: NDArray[np.float64]) -> Matrix:
        """Return the shares, shape (n, controls), moved towards those of akin techniques."""
        alike = np.maximum(vectors @ self.vectors.T, 0.0) ** POWER
        same = (families[:, None] == self.families) & (families[:, None] > 0)
        weights = alike + FAMILY * same
        mappings = weights @ self.counts.sum(axis=1)
        moved = weights @ self.counts + PRIOR_MAPPINGS * shares
        refined: Matrix = moved / (mappings + PRIOR_MAPPINGS)[:, None]
        return refined
