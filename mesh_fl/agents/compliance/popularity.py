"""Which controls answer which technique: noisy counts, read as far as the noise allows.

Shares and their tilt by topic are posterior means under normal priors of declared width (Efron and
Morris 1973): what the noise drowns shrinks to zero, where public similarity decides alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.compliance.topics import Topics

COUNT_WEIGHT = 0.85
TOPIC_WEIGHT = float(np.sqrt(1 - COUNT_WEIGHT**2))
"""Of a mapping's two blocks: its row is never longer than one."""

SHARE_SPREAD, TILT_SPREAD = 0.02, 0.03
"""Prior standard deviations, in shares of all mappings."""

TYPICAL_SHARE = 1 / 60
"""Of a control that is named at all."""

OWN_DOUBT = 5.0
"""Mappings that a member's own counts must outweigh."""

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Sums over mappings, and how noisy they are.

    Parameters
    ----------
    controls : ndarray, shape (controls,)
        Mappings that name each control.
    topics : ndarray, shape (controls, topics)
        Sum of the places of their techniques.
    noise : float
        Standard deviation of a count, before it is divided by its block's weight.
    """

    controls: Vector
    topics: Matrix
    noise: float

    @property
    def variance(self) -> float:
        """Return the variance of a control's count by noise."""
        return (self.noise / COUNT_WEIGHT) ** 2

    @property
    def mappings(self) -> float:
        """Return how many there are, but never fewer than twice what noise alone can feign."""
        feigned = float(np.sqrt(self.variance * len(self.controls)))
        return max(float(self.controls.sum()), 2 * feigned, 1.0)


@dataclass(frozen=True)
class Popularity:
    """Shares of controls among mappings.

    Parameters
    ----------
    shares : ndarray, shape (controls,)
    tilt : ndarray, shape (controls, topics)
        How a technique's topics change them.
    worth : float
        Exact mappings that would tell as much as the noisy ones do.
    """

    shares: Vector
    tilt: Matrix
    worth: float

    @classmethod
    def of(cls, counts: Counts, topics: Topics) -> "Popularity":
        """Estimate shares from counts."""
        mappings = counts.mappings
        sampling = mappings * TYPICAL_SHARE
        signal = (mappings * SHARE_SPREAD) ** 2
        kept = signal / (signal + counts.variance + sampling)
        shares = kept * counts.controls / mappings
        worth = max(float(counts.controls.sum()), 0.0) / (1 + counts.variance / sampling)
        return cls(shares, _tilt(counts, topics, mappings), worth)

    def with_own(self, own: Vector) -> "Popularity":
        """Add a member's own exact counts, shape (controls,)."""
        shares = (self.worth * self.shares + own) / (self.worth + own.sum() + OWN_DOUBT)
        return Popularity(shares, self.tilt, self.worth + float(own.sum()))

    def scores(self, placed: Matrix, centre: Vector) -> Matrix:
        """Return the shares for techniques by their places: shape (n, controls)."""
        return self.shares + (placed - centre) @ self.tilt.T


def _tilt(counts: Counts, topics: Topics, mappings: float) -> Matrix:
    """Regress on topics with a normal prior; errors are noise and sampling."""
    spread, dimension = topics.spread, len(topics.centre)
    apart = counts.topics - np.outer(counts.controls, topics.centre)
    by_noise = (counts.noise / TOPIC_WEIGHT) ** 2
    by_sampling = mappings * TYPICAL_SHARE * float(np.trace(spread)) / dimension
    error = by_noise + by_sampling
    design = mappings * spread
    precision = design @ design / error + np.eye(dimension) / TILT_SPREAD**2
    return np.asarray(np.linalg.solve(precision, design @ apart.T / error).T, dtype=np.float64)
