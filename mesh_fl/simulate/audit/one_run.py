"""A lower bound on epsilon from a single run with many records, each there by the toss of a coin.

Steinke, Nasr and Jagielski 2023, "Privacy Auditing with One (1) Training Run", arXiv 2305.08846.
"""

import math

import numpy as np
from scipy import stats

LARGEST_EPSILON = 40.0


def p_value(records: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return how likely so many right guesses are if the promise holds.

    Parameters
    ----------
    records : int
        Each was there with probability one half, independently.
    guesses : int
        Of those records; the others were passed over.
    right : int
        Guesses that were right.
    epsilon, delta : float
        The promise.

    Returns
    -------
    float
        Upper bound on P[so many right or more], theorem 5.2:
        P[W >= v] + 2 m delta max_i P[v > W >= v - i] / i for W ~ Binomial(r, 1 / (1 + e^-epsilon)).
    """
    law = stats.binom(guesses, 1 / (1 + math.exp(-epsilon)))
    if right == 0:
        return 1.0
    short = np.arange(1, right + 1)
    nearly = np.cumsum(law.pmf(right - short))
    return min(1.0, float(law.sf(right - 1)) + 2 * records * delta * float((nearly / short).max()))


def epsilon_bound(
    records: int, guesses: int, right: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the largest epsilon that is refuted with some confidence, 0 if none is.

    Parameters
    ----------
    records, guesses, right, delta
        As for `p_value`.
    confidence : float
        Probability with which the true epsilon is no smaller.
    """
    low, high = 0.0, LARGEST_EPSILON
    if p_value(records, guesses, right, low, delta) > 1 - confidence:
        return 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        refuted = p_value(records, guesses, right, middle, delta) <= 1 - confidence
        low, high = (middle, high) if refuted else (low, middle)
    return low
