"""That the noise of an opened sum is large enough, fresh, and the operating system's."""

import math
import os
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mesh_fl.privacy import noise
from mesh_fl.privacy.noise import discrete_gaussian
from mesh_fl.privacy.plan import DISCRETE_SLACK, Kind, Plan
from mesh_fl.simulate.audit.canaries import NAMES, Canaries, canaries
from mesh_fl.simulate.audit.finding import LEVEL, Check, Finding, Setting
from mesh_fl.simulate.audit.goodness import delta_of_gaussian, gaussian_p_value, spread_p_value
from mesh_fl.simulate.audit.subject import (
    COLLUDERS,
    SURVIVORS,
    Subject,
    Terms,
    plan_of,
    two_attempts,
)

WRONG = (0.95, 2 / 3, 3 / 2)
PLANS = (Terms(), Terms(rounds=16, measures=16, measure_share=0.25, spares=2))
OPENED = (1, 2)
"""Releases of each plan that are looked at: every kind that it has."""


def expected_sigma(plan: Plan, kind: Kind) -> float:
    """Return the standard deviation that an opened sum of all five must have, in integer units.

    Derived from epsilon and delta alone, and not by the accountant that the plan was made with.
    """
    epsilon = DISCRETE_SLACK * plan.epsilon
    budget = brentq(lambda mu: delta_of_gaussian(mu, epsilon) - plan.delta, 1e-3, 1.0) ** 2
    share = plan.measure_share if kind == "measure" else 1 - plan.measure_share
    releases = plan.measures if kind == "measure" else plan.rounds + plan.spares
    left = plan.release(kind).sensitivity / math.sqrt(budget * share / releases)
    return left * math.sqrt(len(NAMES) / (SURVIVORS - COLLUDERS))


def residuals(setting: Setting) -> Iterator[tuple[Plan, Kind, NDArray[np.int64]]]:
    """Yield the noise of opened sums: rows are known, and whole numbers of units."""
    agent = Canaries(width=setting.width)
    axes = np.flatnonzero(setting.random("residuals").random(setting.width) < 100 / setting.width)
    for terms, opened in zip(PLANS, OPENED, strict=True):
        plan = plan_of(agent, terms)
        subject = Subject(agent, plan, canaries(axes)).run(opened=opened)
        exact = np.bincount(axes, minlength=setting.width)
        for kind, total in zip(plan.schedule, subject.totals, strict=False):
            yield plan, kind, total - exact * round(plan.release(kind).scale)


def check_residuals(setting: Setting) -> Finding:
    """Compare the noise of decrypted sums with the law that the promise asks for."""
    fits, rejected, ratios = list[float](), list[float](), list[float]()
    for plan, kind, noise_found in residuals(setting):
        sigma = expected_sigma(plan, kind)
        fits.append(gaussian_p_value(noise_found, sigma))
        rejected += [spread_p_value(noise_found, factor * sigma) for factor in WRONG]
        ratios.append(float(noise_found.std()) / sigma)
    if len(fits) < sum(OPENED):
        return Finding(False, f"{sum(OPENED)} sums are opened", f"{len(fits)} were")
    told = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    return Finding(
        passed=min(fits) > LEVEL and max(rejected) < LEVEL,
        expected=f"{sum(OPENED)} sums with sigma, p > {LEVEL:g}; .95, 2/3, 3/2 sigma rejected",
        found=f"{told} sigma, p {min(fits):.2g}, rejected at {max(rejected):.2g}",
        # Three tests a sum; the least wrong factor lies 5 standard deviations beyond its threshold.
        false_alarm=sum(OPENED) * (3 * LEVEL + 1e-7),
    )


def check_fresh_noise(setting: Setting) -> Finding:
    """Compare two attempts at one step: their noise must have nothing in common."""
    subject = two_attempts(setting.width)
    difference = subject.open(1) - subject.open(2)
    sigma = expected_sigma(subject.plan, "train") * math.sqrt(2)
    p = gaussian_p_value(difference, sigma)
    return Finding(
        passed=p > LEVEL,
        expected=f"a difference with 1.414 sigma, p > {LEVEL:g}",
        found=f"{math.sqrt(2) * difference.std() / sigma:.3f} sigma, p {p:.2g}",
        false_alarm=3 * LEVEL,
    )


class _Recorder:
    """Stands in for `os` where the noise comes from, and keeps what was handed out."""

    def __init__(self) -> None:
        self.handed: list[bytes] = []

    def urandom(self, size: int) -> bytes:
        """Ask the operating system."""
        self.handed.append(os.urandom(size))
        return self.handed[-1]


class _Replay:
    """Hands out the same words once more."""

    def __init__(self, handed: Sequence[bytes]) -> None:
        self._handed = iter(handed)

    def words(self, count: int) -> NDArray[np.uint64]:
        words = np.frombuffer(next(self._handed, b""), dtype="<u8").astype(np.uint64)
        return words if words.size == count else np.zeros(count, dtype=np.uint64)


def check_source(setting: Setting) -> Finding:
    """Make the noise once more from the bytes that the operating system handed out."""
    agent, recorder = Canaries(width=setting.width), _Recorder()
    with patch.object(noise, "os", recorder):
        subject = Subject(agent, plan_of(agent), canaries(np.arange(50))).run()
    rows = np.bincount(np.arange(50), minlength=setting.width) * round(subject.release.scale)
    bytes_found = sum(map(len, recorder.handed))
    same = bool(bytes_found) and _replayed(subject, recorder, subject.totals[0] - rows)
    return Finding(
        passed=same,
        expected="all noise follows from bytes of the operating system",
        found=f"{bytes_found} bytes asked for; the same noise: {'yes' if same else 'no'}",
    )


def _replayed(subject: Subject, recorder: _Recorder, found: NDArray[np.int64]) -> bool:
    replay, release = _Replay(recorder.handed), subject.release
    shares = [discrete_gaussian(release.share, release.dimension, replay) for _ in NAMES]
    return np.array_equal(np.sum(shares, axis=0), found)


CHECKS = (
    Check(
        "residuals", "an opened sum has the noise of its plan, over all releases", check_residuals
    ),
    Check("fresh-noise", "a second attempt at a step has noise of its own", check_fresh_noise),
    Check("source", "noise is the operating system's", check_source),
)
