"""Means with their errors over seeds, and when a difference counts as a gain."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean, stdev
from typing import Literal

from mesh_fl.errors import DataError

Verdict = Literal["gain", "no gain at this crowd", "too few seeds"]

FEWEST_SEEDS = 5
"""With fewer, a standard error is itself too uncertain to judge by."""

ERRORS = 2.0
"""Standard errors that a difference must exceed to be believed."""


@dataclass(frozen=True)
class Mean:
    """A mean over independent runs.

    Parameters
    ----------
    mean : float
    error : float
        Its standard error; NaN for a single run.
    """

    mean: float
    error: float

    @property
    def positive(self) -> bool:
        """Whether it lies above zero by more than two standard errors."""
        return self.mean > ERRORS * self.error

    def __str__(self) -> str:
        """Return it as it stands in a table."""
        told = f"{self.mean:.4f}"
        return f"{told} ± {self.error:.4f}" if isfinite(self.error) else told


def summarise(values: Sequence[float]) -> Mean:
    """Return the mean of a figure over seeds.

    Raises
    ------
    DataError
        If there is no value, or one is not finite: a mean over the others would flatter.
    """
    if not values or not all(isfinite(value) for value in values):
        found = "none" if not values else ", ".join(f"{value:g}" for value in values)
        raise DataError(
            f"expected a finite figure from every seed, found {found}: the records that models are "
            "compared on are too few, or all alike"
        )
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else nan
    return Mean(fmean(values), error)


def paired(a: Sequence[float], b: Sequence[float]) -> Mean:
    """Return the mean of a - b, seed by seed: what seeds have in common cancels out.

    Parameters
    ----------
    a, b : sequence of float
        Figures of the same seeds, in the same order.

    Raises
    ------
    DataError
        If they are not of the same number of seeds, or a value is not finite.
    """
    if len(a) != len(b):
        raise DataError(f"expected figures of the same seeds, found {len(a)} and {len(b)}")
    return summarise([one - other for one, other in zip(a, b, strict=True)])


def verdict(
    public: Sequence[float],
    alone: Sequence[float],
    federated: Sequence[float],
    adapted: Sequence[float],
    higher_is_better: bool,
) -> Verdict:
    """Say whether federated learning pays.

    It does only where one model, the federated or the adapted one, beats both what is public and
    what a member learns alone, each by more than two standard errors of the paired difference.

    Parameters
    ----------
    public, alone, federated, adapted : sequence of float
        Figures of the same seeds, in the same order.
    higher_is_better : bool
        Of the figure.
    """
    sign = 1.0 if higher_is_better else -1.0

    def beats(model: Sequence[float], rival: Sequence[float]) -> bool:
        gap = paired(model, rival)
        return Mean(sign * gap.mean, gap.error).positive

    gains = [
        all(beats(model, rival) for rival in (public, alone)) for model in (federated, adapted)
    ]
    if len(public) < FEWEST_SEEDS:
        return "too few seeds"
    return "gain" if any(gains) else "no gain at this crowd"
