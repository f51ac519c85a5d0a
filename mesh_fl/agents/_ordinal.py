"""Ordered levels by proportional odds: one score, and a cut between each level and the next.

P(level >= k) = sigma(score - cut_k), McCullagh 1980. With the score linear in the features the
negative log-likelihood is convex in weights and cuts together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LEAST_GAP = 0.05
"""Between two cuts: noise may push them together, and a level must stay possible."""

LEAST_CHANCE = 1e-9


def level_chances(score: Vector, cuts: Vector) -> Matrix:
    """Return the probability of each level.

    Parameters
    ----------
    score : ndarray, shape (n,)
    cuts : ndarray, shape (levels - 1,)
        Rising.

    Returns
    -------
    ndarray, shape (n, levels)
        Rows sum to one.
    """
    least = _at_least(score, cuts)
    return least[:, :-1] - least[:, 1:]


def in_order(cuts: Vector) -> Vector:
    """Return cuts that rise by `LEAST_GAP` at least."""
    steps = np.arange(len(cuts)) * LEAST_GAP
    # Sorting and a running maximum move each cut as little as the order asks for.
    return np.asarray(np.maximum.accumulate(np.sort(cuts) - steps) + steps, dtype=np.float64)


def gradient_rows(model: Vector, x: Matrix, level: Vector) -> Matrix:
    """Return each record's gradient of the negative log-likelihood.

    Parameters
    ----------
    model : ndarray, shape (d + levels - 1,)
        Weights, then cuts in any order.
    x : ndarray, shape (n, d)
    level : ndarray, shape (n,)
        0 for the lowest; NaN gives a row of zeros.

    Returns
    -------
    ndarray, shape (n, d + levels - 1)
    """
    width = x.shape[1]
    known = np.isfinite(level)
    place = np.where(known, level, 0).astype(np.int64)
    least = _at_least(x @ model[:width], in_order(model[width:]))
    here = np.arange(len(x))
    lower, upper = least[here, place], least[here, place + 1]
    chance = np.maximum(lower - upper, LEAST_CHANCE)
    rows = np.zeros((len(x), len(model)))
    rows[:, :width] = (lower + upper - 1)[:, None] * x
    cuts = rows[:, width:]
    above, below = place > 0, place < cuts.shape[1]
    cuts[here[above], place[above] - 1] = (lower * (1 - lower) / chance)[above]
    cuts[here[below], place[below]] = -(upper * (1 - upper) / chance)[below]
    rows[~known] = 0.0
    return rows


@dataclass(frozen=True)
class Prior:
    """A Gaussian prior of weights and cuts.

    Parameters
    ----------
    mean : ndarray, shape (d + levels - 1,)
    precision : float
    """

    mean: Vector
    precision: float


def fit_map(prior: Prior, x: Matrix, level: Vector) -> Vector:
    """Return the most probable weights and cuts of labelled records, by L-BFGS-B.

    Records without a level count for nothing. The cuts are found as the first of them and the gaps
    to the next, which keeps the problem convex and the cuts in order.
    """
    from scipy.optimize import minimize

    known = np.isfinite(level)
    x, level = x[known], level[known]
    width, size = x.shape[1], len(prior.mean)
    steps = np.eye(size)
    steps[width:, width:] = np.tril(np.ones((size - width, size - width)))
    ordered = np.concatenate([prior.mean[:width], in_order(prior.mean[width:])])
    start: Vector = np.linalg.solve(steps, ordered).astype(np.float64)

    def loss(found: Vector) -> tuple[float, Vector]:
        model = steps @ found
        away = model - prior.mean
        value = _surprise(model, x, level) + prior.precision / 2 * float(away @ away)
        slope = gradient_rows(model, x, level).sum(axis=0) + prior.precision * away
        return value, slope @ steps

    bounds = [(None, None)] * (width + 1) + [(LEAST_GAP, None)] * (size - width - 1)
    best = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}
    )
    model: Vector = steps @ best.x
    return model


def _surprise(model: Vector, x: Matrix, level: Vector) -> float:
    """Return the negative log-likelihood of labelled records."""
    width = x.shape[1]
    least, here, place = _at_least(x @ model[:width], model[width:]), np.arange(len(x)), level
    chance = least[here, place.astype(np.int64)] - least[here, place.astype(np.int64) + 1]
    return -float(np.log(np.maximum(chance, LEAST_CHANCE)).sum())


def _at_least(score: Vector, cuts: Vector) -> Matrix:
    """Return the probability of each level or a higher one: from 1 down to 0."""
    chances = expit(score[:, None] - cuts)
    ones = np.ones((len(score), 1))
    return np.hstack([ones, chances, 0 * ones])
