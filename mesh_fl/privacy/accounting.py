"""What Gaussian releases cost together, exactly.

Every record takes part in every release, neighbours differ by one record added or removed, and
the noise is Gaussian. A release of L2 sensitivity S and standard deviation sigma is then
mu-Gaussian differentially private with mu = S / sigma, and nothing is lost by composing
(Dong, Roth and Su 2019, "Gaussian Differential Privacy", corollary 3.3).
"""

import math
from collections.abc import Callable, Iterable

from mesh_fl.errors import PlanError


def compose(mus: Iterable[float]) -> float:
    """Return the mu of several releases taken together, sqrt(sum of mu^2).

    Parameters
    ----------
    mus : iterable of float
        One sensitivity / sigma per release; none at all cost 0.

    Raises
    ------
    PlanError
        If an entry is negative or not finite.

    Guarantee
    ---------
    Holds for one record added or removed, also when later releases are chosen after seeing
    earlier ones. It breaks if two releases share noise, or if a sensitivity is understated.
    """
    return math.hypot(*(_non_negative("mu", mu) for mu in mus))


def delta_of(mu: float, epsilon: float) -> float:
    """Return the smallest delta at which mu-Gaussian privacy is (epsilon, delta)-private.

    Parameters
    ----------
    mu : float
        Sensitivity / sigma of the (composed) release, at least 0.
    epsilon : float
        At least 0.

    Returns
    -------
    float
        Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu), with relative error below
        1e-9 for epsilon in [0.001, 20] and delta in [1e-12, 0.5].

    Raises
    ------
    PlanError
        If an argument is negative or not finite.

    References
    ----------
    Balle and Wang 2018, "Improving the Gaussian Mechanism for Differential Privacy", theorem 8.
    """
    _non_negative("mu", mu)
    _non_negative("epsilon", epsilon)
    if mu == 0.0:
        return 0.0
    # Not at the top: it takes a fifth of a second, which simulations without noise would pay too.
    from scipy.special import log_ndtr, ndtr

    # Inside one exponential e^epsilon cannot overflow: the product is below 1.
    lost = math.exp(epsilon + float(log_ndtr(-epsilon / mu - mu / 2)))
    return max(0.0, float(ndtr(mu / 2 - epsilon / mu)) - lost)


def epsilon_of(mu: float, delta: float) -> float:
    """Return the smallest epsilon at which mu-Gaussian privacy is (epsilon, delta)-private.

    Parameters
    ----------
    mu : float
        Sensitivity / sigma of the (composed) release, at least 0.
    delta : float
        Strictly between 0 and 1.

    Raises
    ------
    PlanError
        If an argument is out of range.

    Guarantee
    ---------
    One record added or removed; the bisection ends on the upper side of the root. It breaks if
    mu leaves out a release that touched the record.
    """
    _non_negative("mu", mu)
    _probability(delta)
    if delta_of(mu, 0.0) <= delta:
        return 0.0
    from scipy.special import ndtri

    # Dropping the negative term of delta_of leaves a formula with a closed inverse.
    enough = mu * (mu / 2 - float(ndtri(delta)))
    return _edge(lambda epsilon: delta_of(mu, epsilon) <= delta, good=enough, bad=0.0)


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu that is (epsilon, delta)-private.

    One release then needs sigma = sensitivity / mu, and each of k equal releases needs
    sigma = sensitivity * sqrt(k) / mu.

    Parameters
    ----------
    epsilon : float
        At least 0.
    delta : float
        Strictly between 0 and 1.

    Raises
    ------
    PlanError
        If an argument is out of range.

    Guarantee
    ---------
    One record added or removed; the bisection ends on the lower side of the root. It breaks if
    the mu that is spent, as `compose` returns it, exceeds this one.
    """
    _non_negative("epsilon", epsilon)
    _probability(delta)
    excessive = 1.0
    while delta_of(excessive, epsilon) <= delta:
        excessive *= 2
    return _edge(lambda mu: delta_of(mu, epsilon) <= delta, good=0.0, bad=excessive)


def _edge(holds: Callable[[float], bool], *, good: float, bad: float) -> float:
    """Bisect down to neighbouring floats and return the one where the condition holds."""
    while True:
        middle = (good + bad) / 2
        if middle in (good, bad):
            return good
        if holds(middle):
            good = middle
        else:
            bad = middle


def _non_negative(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise PlanError(
            f"expected {name} to be a finite number of at least 0, found {value}: correct the plan"
        )
    return value


def _probability(delta: float) -> None:
    if not 0 < delta < 1:
        raise PlanError(
            f"expected delta strictly between 0 and 1, found {delta}: "
            "choose at most 1e-5 and well below one over the number of records"
        )
