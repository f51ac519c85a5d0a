"""How likely an introduction is accepted: seven declared numbers, weights that people set.

A federation may move the weights. They answer only where the network's records are seen to be
enough for them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FEATURES = (
    "similarity",
    "skills covered",
    "certifications met",
    "same region",
    "capacity",
    "skills added",
    "bias",
)

PUBLIC_WEIGHTS = np.array([1.5, 1.5, 0.8, 0.6, 0.6, 0.4, -0.5])
"""By hand, in log-odds: what was asked for counts most. Nobody's acceptances were at hand."""

MIDDLE_COSINE, COSINE_REACH = 0.35, 0.35
"""Requirements and profiles that have little in common lie near 0, near copies at .7 and more."""

TALLY_WEIGHT = 0.3
GRADIENT_WEIGHT = math.sqrt((1 - TALLY_WEIGHT**2) / len(FEATURES))
"""With every feature between -1 and 1, a record's tally and gradient are no longer than 1."""


@dataclass(frozen=True)
class Fit:
    """How a profile fits what was asked for; None for what is not known.

    Parameters
    ----------
    cosine : float or None
        Of requirements and profile.
    covered : float or None
        Share of the skills needed that the profile has.
    certified : float or None
        Share of the certifications asked for.
    same_region : bool or None
    capacity : float or None
        Hours that are free over hours needed.
    added : float or None
        Share of the profile's skills that whoever asks lacks.
    """

    cosine: float | None = None
    covered: float | None = None
    certified: float | None = None
    same_region: bool | None = None
    capacity: float | None = None
    added: float | None = None

    def encoded(self) -> Vector:
        """Return the features, shape (7,), each from -1 to 1; 0 for what is not known."""
        return np.array(
            [
                _centred(self.cosine, MIDDLE_COSINE, COSINE_REACH),
                _centred(self.covered),
                _centred(self.certified),
                _centred(None if self.same_region is None else float(self.same_region)),
                _centred(self.capacity),
                _centred(self.added),
                1.0,
            ]
        )


def chance(weights: Vector, x: Matrix) -> Vector:
    """Return how likely each introduction is accepted, shape (n,)."""
    likely: Vector = expit(x @ weights)
    return likely


def _centred(value: float | None, middle: float = 0.5, reach: float = 0.5) -> float:
    if value is None or math.isnan(value):
        return 0.0
    return min(1.0, max(-1.0, (value - middle) / reach))
