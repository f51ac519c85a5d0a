"""How much likelier a control is meant than its words say: one offset of the log-odds for each.

Public log-odds never move. What judged pairs add is how often each control is right beyond its
public chance, a difference of rates under a normal prior, read as log-odds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

RESIDUAL_WEIGHT, TALLY_WEIGHT = 0.95, 0.2
"""Of a judged pair's two blocks: its row is never longer than one."""

SPREAD = 1.0
"""Prior standard deviation of an offset, in log-odds."""

TYPICAL_CHANCE = 0.2
"""Public chance of a pair that people judge, where nothing tells it."""

SUREST = 0.99
"""No control is taken to be right more often."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Sums over judged pairs.

    Parameters
    ----------
    residuals : ndarray, shape (controls,)
        Outcome minus public chance.
    pairs : ndarray, shape (controls,)
    chance : float
        Mean public chance of a pair.
    variance : float
        Of a residual sum, by noise.
    """

    residuals: Vector
    pairs: Vector
    chance: float
    variance: float = 0.0

    @property
    def spread(self) -> float:
        """Return the variance of one outcome."""
        return self.chance * (1 - self.chance)

    @property
    def precision(self) -> Vector:
        """Return how precisely each control's rate is told, noise and sampling together."""
        told: Vector = self.pairs**2 / (self.variance + np.maximum(self.pairs, 1e-9) * self.spread)
        return told


@dataclass(frozen=True)
class Offsets:
    """What is believed of each control's rate, beyond its public chance.

    Parameters
    ----------
    beyond, precision : ndarray, shape (controls,)
    chance : float
        Mean public chance.
    """

    beyond: Vector
    precision: Vector
    chance: float

    @classmethod
    def of(cls, judged: Judged) -> "Offsets":
        """Start from the prior, and take sums into account."""
        zeros = np.zeros(len(judged.residuals))
        prior = np.full_like(zeros, 1 / (SPREAD * judged.spread) ** 2)
        return cls(zeros, prior, judged.chance).updated(judged)

    def updated(self, judged: Judged) -> "Offsets":
        """Take further sums into account."""
        precision = self.precision + judged.precision
        told = judged.precision * judged.residuals / np.maximum(judged.pairs, 1e-9)
        beyond = (self.precision * self.beyond + told) / precision
        return Offsets(beyond, precision, self.chance)

    @property
    def log_odds(self) -> Vector:
        """Return the offsets."""
        rates = np.clip(self.chance + self.beyond, 1 - SUREST, SUREST)
        offsets: Vector = logit(rates) - logit(self.chance)
        return offsets


def mean_chance(pairs: float, chances: float, doubt: float = 1.0) -> float:
    """Return the mean public chance of judged pairs; `doubt` pairs have the typical one."""
    mean = (max(chances, 0.0) + doubt * TYPICAL_CHANCE) / (max(pairs, 0.0) + doubt)
    return min(max(mean, 1 - SUREST), SUREST)
