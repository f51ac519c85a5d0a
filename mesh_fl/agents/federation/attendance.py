"""How many members a plan may count on."""

from collections.abc import Iterable

import numpy as np

SURE = 0.95
"""Probability that enough members are there when a round begins."""

USUAL = 0.9
"""How often a member is there of which nothing is known."""


def most_sure(attendance: Iterable[float]) -> int:
    """Return the most members that are there at once with probability `SURE` at least.

    The number of members there has a Poisson-binomial distribution, which is added up exactly.

    Parameters
    ----------
    attendance : iterable of float
        How often each member is there, 0 to 1.
    """
    chances = np.array([1.0])
    for share in attendance:
        here = min(1.0, max(0.0, share))
        chances = np.convolve(chances, [1 - here, here])
    at_least = np.cumsum(chances[::-1])[::-1]
    return int(np.flatnonzero(at_least >= SURE)[-1])
