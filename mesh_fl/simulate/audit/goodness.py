"""How likely figures are under the law that they should have."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CELLS = 50


def cells_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Return the p-value of Pearson's chi-square over 50 equally likely cells of a Gaussian.

    Parameters
    ----------
    residuals : ndarray of int64
        Draws; sigma is so large that it does not matter that they are whole numbers.
    sigma : float
        Standard deviation that they should have.
    """
    cells = np.floor(CELLS * stats.norm.cdf(residuals, scale=sigma)).astype(np.int64)
    return _even(np.minimum(cells, CELLS - 1), CELLS)


def shape_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Return the p-value of the test of Kolmogorov and Smirnov against a Gaussian."""
    return float(stats.kstest(residuals / sigma, "norm").pvalue)


def spread_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Return the two-sided p-value of the sum of squares, chi-square under a Gaussian."""
    law, squares = stats.chi2(residuals.size), float(np.sum((residuals / sigma) ** 2))
    return 2 * min(float(law.cdf(squares)), float(law.sf(squares)))


def gaussian_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Return the smallest of the three; a right law falls below p with probability 3 p at most."""
    tests = (cells_p_value, shape_p_value, spread_p_value)
    return min(test(residuals, sigma) for test in tests)


def uniform_p_value(residues: NDArray[np.int64], modulus: int) -> float:
    """Return the p-value of Pearson's chi-square over 64 parts of all residues."""
    # A modulus of up to 55 bits leaves no room in int64 for 64 times a residue.
    parts = np.floor(residues / modulus * 64).astype(np.int64)
    return _even(np.minimum(parts, 63), 64)


def _even(cells: NDArray[np.int64], count: int) -> float:
    return float(stats.chisquare(np.bincount(cells, minlength=count)).pvalue)


def delta_of_gaussian(mu: float, epsilon: float) -> float:
    """Return delta of a Gaussian release; written apart from the accountant, to check on it.

    Balle and Wang 2018, "Improving the Gaussian Mechanism for Differential Privacy", theorem 8.
    """
    above, below = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
    return float(stats.norm.cdf(above)) - math.exp(epsilon) * float(stats.norm.cdf(below))
