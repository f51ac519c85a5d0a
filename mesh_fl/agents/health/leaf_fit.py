"""A member's own fit of what leaves say, around what the crowd's model says."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

Vector = NDArray[np.float64]


def fit_leaves(
    leaves: "csr_array[np.float64]", y: Vector, margin: Vector, precision: float
) -> Vector:
    """Find the most probable change of the leaves' weights under a Gaussian prior.

    Parameters
    ----------
    leaves : csr_array, shape (n, leaves)
        Which leaves a record falls into, each row of length 1.
    y : ndarray, shape (n,)
        0 or 1.
    margin : ndarray, shape (n,)
        Log odds before the change.
    precision : float
        Inverse variance of each change, above 0.

    Returns
    -------
    ndarray, shape (leaves,)
    """

    def loss(change: Vector) -> tuple[float, Vector]:
        log_odds = margin + leaves @ change
        fit = np.logaddexp(0.0, log_odds).sum() - y @ log_odds
        slope = leaves.T @ (expit(log_odds) - y) + precision * change
        return float(fit + precision / 2 * (change @ change)), slope

    found = minimize(loss, np.zeros(leaves.shape[1]), jac=True, method="L-BFGS-B")
    change: Vector = np.asarray(found.x, dtype=np.float64)
    return change
