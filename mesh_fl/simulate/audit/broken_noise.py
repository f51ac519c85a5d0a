"""Noise that is missing, too small, used twice, or no secret."""

import math
from collections.abc import Callable
from itertools import count
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_fl.privacy import plan
from mesh_fl.privacy.noise import Source, SystemSource
from mesh_fl.privacy.plan import Kind, Plan, Release
from mesh_fl.simulate.audit.canaries import NAMES
from mesh_fl.simulate.audit.swap import Function

Vector = NDArray[np.int64]


def no_noise(sigma: float, size: int, source: Source) -> Vector:
    """Draw zeros."""
    return np.zeros(size, dtype=np.int64)


def one_share_dropped(draw: Function) -> Function:
    """Draw zeros for one member of five."""
    calls = count()

    def drawn(*args: object) -> Vector:
        return cast("Vector", draw(*args)) * int(next(calls) % len(NAMES) > 0)

    return drawn


def drawn_once(draw: Function) -> Function:
    """Draw for each of the five once, and hand that out again and again."""
    calls, kept = count(), dict[int, object]()

    def drawn(*args: object) -> object:
        place = next(calls) % len(NAMES)
        kept[place] = kept[place] if place in kept else draw(*args)
        return kept[place]

    return drawn


def with_share(change: Callable[[Plan, Release], float]) -> Callable[[Function], Function]:
    """Change the share of noise that a plan gives each member."""

    def make(original: Function) -> Function:
        def released(self: Plan, kind: Kind) -> Release:
            release = cast("Release", original(self, kind))
            return release.model_copy(update={"share": change(self, release)})

        return released

    return make


def of_one_round(self: Plan, release: Release) -> float:
    """Spend the whole budget on every release."""
    return release.share * release.mu / math.sqrt(plan.budget_of(self.epsilon, self.delta))


def divided_without_root(self: Plan, release: Release) -> float:
    """Divide the standard deviation as if it were the variance."""
    return release.sigma / (self.survivors - self.colluders)


def among_everybody(self: Plan, release: Release) -> float:
    """Count on all members to come and none to collude."""
    return release.sigma / math.sqrt(len(self.caps))


def numpy_words(self: SystemSource, number: int) -> NDArray[np.uint64]:
    """Draw from a generator whose state its output gives away."""
    return np.random.default_rng().integers(0, 2**64, number, dtype=np.uint64)


def tenth_more(original: Function) -> Function:
    """Allow a mu that is a tenth too large."""
    return lambda *args: 1.1**2 * cast("float", original(*args))
