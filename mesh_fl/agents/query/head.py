"""The learned part: a linear head on likenesses, around what the phrases say by themselves.

Public: the log-odds of an intent are the log-sum-exp of the likenesses to its phrases. Learned: a
softmax regression on the residual. Its features are the likenesses too, each seen from their mean
and at length one, so that no member needs anything but the declared phrases to make the same ones.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Places = NDArray[np.int64]

SHARPNESS = 20.0
"""Of the log-sum-exp: it gave the lowest log-loss without training, of 5, 10, 15, 20 and 30."""

MOST_STEPS = 300


def offsets(likeness: Matrix, owners: Places) -> Matrix:
    """Return the public log-odds of each intent, shape (n, intents)."""
    count = int(owners.max()) + 1
    found = np.empty((len(likeness), count))
    for place in range(count):
        found[:, place] = logsumexp(SHARPNESS * likeness[:, owners == place], axis=1)
    return found


def directions(likeness: Matrix) -> Matrix:
    """Return the features: likenesses from their mean, at length one; zeros where all are alike."""
    away = likeness - likeness.mean(axis=1, keepdims=True)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    features: Matrix = away / np.where(length > 1e-9, length, np.inf)
    return features


def gradient_rows(scores: Matrix, features: Matrix, intent: Vector) -> Matrix:
    """Return each record's gradient of the negative log-likelihood.

    Parameters
    ----------
    scores : ndarray, shape (n, intents)
        Log-odds, up to a constant.
    features : ndarray, shape (n, d)
        Rows of length one at most.
    intent : ndarray, shape (n,)
        Place of the intent; NaN gives a row of zeros.

    Returns
    -------
    ndarray, shape (n, intents * d)
        Rows of length sqrt(2) at most.
    """
    residual = residuals(scores, intent)
    rows: Matrix = (residual[:, :, None] * features[:, None, :]).reshape(
        len(scores), scores.shape[1] * features.shape[1]
    )
    return rows


def residuals(scores: Matrix, intent: Vector) -> Matrix:
    """Return chances less truth, shape (n, intents); zeros where no intent is known."""
    chances: Matrix = softmax(scores, axis=1)
    known = np.isfinite(intent)
    chances[np.flatnonzero(known), intent[known].astype(np.int64)] -= 1.0
    chances[~known] = 0.0
    return chances


def fit_residual(scores: Matrix, features: Matrix, intent: Vector, precision: float) -> Matrix:
    """Return the most probable weights of known records around given scores, by L-BFGS.

    The prior is a Gaussian around zero, so the problem is strictly convex.

    Returns
    -------
    ndarray, shape (intents, d)
    """
    from scipy.optimize import minimize

    known = np.isfinite(intent)
    scores, features, intent = scores[known], features[known], intent[known]
    shape = scores.shape[1], features.shape[1]
    here = np.arange(len(scores)), intent.astype(np.int64)

    def loss(found: Vector) -> tuple[float, Vector]:
        weights = found.reshape(shape)
        told = scores + features @ weights.T
        surprise = float(np.sum(logsumexp(told, axis=1) - told[here]))
        slope = residuals(told, intent).T @ features + precision * weights
        return surprise + precision / 2 * float(found @ found), slope.ravel()

    best = minimize(
        loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B",
        options={"maxiter": MOST_STEPS},
    )  # fmt: skip
    weights: Matrix = best.x.reshape(shape)
    return weights
