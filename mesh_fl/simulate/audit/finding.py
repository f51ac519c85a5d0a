"""What a check is asked to do, and what it answers."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEVEL = 1e-6
"""Probability at which one statistical test refuses code that is right."""


@dataclass(frozen=True)
class Setting:
    """How large an audit is.

    Parameters
    ----------
    seed : int
        Of data and splits; noise, keys and masks are never seeded.
    width : int
        Coordinates of a sum whose noise or masks are looked at.
    canaries : int
        Records of a one-run audit, each there with probability one half.
    runs : int
        One-run audits, each with canaries of its own.
    quick : bool
        Whether what cannot be run here may be left out.
    """

    seed: int = 0
    width: int = 40_000
    canaries: int = 30_000
    runs: int = 5
    quick: bool = False

    def random(self, label: str) -> np.random.Generator:
        """Return a generator for one purpose."""
        return np.random.default_rng([self.seed, zlib.crc32(label.encode())])


THOROUGH = Setting()
QUICK = Setting(width=20_000, canaries=20_000, runs=1, quick=True)


@dataclass(frozen=True)
class Finding:
    """The evidence of one check.

    Parameters
    ----------
    passed : bool or None
        None where the check could not be run.
    expected, found : str
        With figures.
    false_alarm : float
        Upper bound on the probability that code that is right fails.
    """

    passed: bool | None
    expected: str
    found: str
    false_alarm: float = 0.0


@dataclass(frozen=True)
class Check:
    """An attack on one sentence of the claim.

    Parameters
    ----------
    name : str
        What bugs and `--only` refer to.
    law : str
        What must hold.
    run : callable
        Tries to break it, on whatever code is in place.
    """

    name: str
    law: str
    run: Callable[[Setting], Finding]
