"""Whether a series has moved to another level, and when: ranks of its parts (Pettitt 1979)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

PARTS = 40
"""Parts at most whose medians are compared: long ones, since neighbours are often alike."""

FEWEST_PARTS = 12

FALSE_RATE = 1e-3
"""Chance that a series that stays where it is is told to have moved."""

MOST_ALIKE = 0.99


@dataclass(frozen=True)
class LevelShift:
    """A change of level.

    Parameters
    ----------
    place : int
        About the first reading after it.
    before, after : float
        Medians.
    chance : float
        How probable so clear a change is without any, at most.
    """

    place: int
    before: float
    after: float
    chance: float


def level_shift(values: Vector) -> LevelShift | None:
    """Return the clearest change of a series without season, or None.

    Parts that are like their neighbours for other reasons, as in a random walk, count for fewer.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Readings less what the season explains; NaN where one is missing.
    """
    known = np.flatnonzero(np.isfinite(values))
    size = max(1, -(-len(known) // PARTS))
    count = len(known) // size
    if count < FEWEST_PARTS:
        return None
    # Whole parts up to the end: what happened last matters most.
    places = known[len(known) - count * size :].reshape(count, size)
    middles = np.median(values[places], axis=1)
    ranks = np.sign(middles[:, None] - middles[None, :]).sum(axis=1)
    sums = np.abs(np.cumsum(ranks))[:-1]
    cut = int(sums.argmax()) + 1
    clear = 6 * float(sums[cut - 1]) ** 2 / (count**3 + count**2)
    chance = min(1.0, 2 * math.exp(-clear * _independent(middles, cut)))
    if chance > FALSE_RATE:
        return None
    before, after = (float(np.median(values[part])) for part in (places[:cut], places[cut:]))
    return LevelShift(int(places[cut, 0]), before, after, chance)


def _independent(middles: Vector, cut: int) -> float:
    """Return which share of the parts counts as independent, by how alike neighbours are."""
    rest = np.concatenate([part - np.median(part) for part in (middles[:cut], middles[cut:])])
    power = float(rest @ rest)
    alike = float(rest[1:] @ rest[:-1]) / power if power > 0 else 0.0
    # In so short a series the estimate is too low by some 2 / n.
    alike = min(MOST_ALIKE, max(0.0, alike + 2 / len(rest)))
    return (1 - alike) / (1 + alike)
