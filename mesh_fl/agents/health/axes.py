"""What trees split: encoded columns, and where a cut lies in a feature's own units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._features import Feature

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """A column of encoded values from -1 to 1.

    Parameters
    ----------
    name : str
    places : tuple of float
        The values it can take, rising; empty where it can take any.
    feature : Feature, optional
        What it encodes; None where it encodes more than one, and has no units of its own.
    """

    name: str
    places: tuple[float, ...] = ()
    feature: Feature | None = None

    @classmethod
    def of(cls, feature: Feature) -> "Axis":
        """Return the axis of a feature; a missing value has a place of its own, or the middle."""
        if feature.kind == "number":
            return cls(feature.name, (), feature)
        levels = 2 if feature.kind == "flag" else len(feature.levels)
        places = set(np.linspace(-1, 1, levels).tolist())
        if feature.optional:
            places.add(0.0)
        return cls(feature.name, tuple(sorted(places)), feature)

    def cuts_between(self, low: float, high: float) -> tuple[float, ...]:
        """Return where it can be cut inside an open interval; only for an axis with places."""
        pairs = zip(self.places, self.places[1:], strict=False)
        middles = ((left + right) / 2 for left, right in pairs)
        return tuple(middle for middle in middles if low < middle < high)

    def can_split(self, low: float, high: float) -> bool:
        """Tell whether records of an interval can differ on it."""
        return bool(self.cuts_between(low, high)) if self.places else high > low

    def raw_thresholds(self, cuts: Vector) -> Vector:
        """Return for each cut the largest raw value that lies on its left.

        A flag is 0 or 1 and a category's level is its number in the order declared, from 0; for
        them the threshold is halfway to the next.

        Parameters
        ----------
        cuts : ndarray, shape (n,)
            Encoded.

        Returns
        -------
        ndarray, shape (n,)
            In the feature's units; the cuts themselves where there is no feature.
        """
        feature = self.feature
        if feature is None:
            return cuts
        if feature.kind == "number":
            return _last_left(feature, cuts)
        levels = np.linspace(-1, 1, 2 if feature.kind == "flag" else len(feature.levels))
        lefts = np.searchsorted(levels, cuts, side="right")
        return lefts.astype(np.float64) - 0.5


def _last_left(feature: Feature, cuts: Vector) -> Vector:
    """Bisect to the last floating-point number that encodes to no more than the cut."""
    low, high = float(feature.low or 0.0), float(feature.high or 0.0)
    left, right = np.full(cuts.shape, low), np.full(cuts.shape, high)
    # Nothing encodes to more than 1.
    left[cuts >= 1] = high
    while True:
        middle = left + (right - left) / 2
        between = (left < middle) & (middle < right)
        if not between.any():
            break
        goes_left = feature.encode(middle) <= cuts
        left = np.where(between & goes_left, middle, left)
        right = np.where(between & ~goes_left, middle, right)
    # A cut below everything has nothing on its left, not even the lowest value.
    left[cuts < -1] = np.nextafter(low, -np.inf)
    return left
