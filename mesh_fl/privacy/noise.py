"""Discrete Gaussian noise from a cryptographic source."""

import hashlib
import math
import os
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from mesh_fl.errors import PlanError

SMALLEST_SIGMA = 4.0
LARGEST_SIGMA = 2.0**50

_BATCH = 1 << 15
_WORDS_EACH = 3
_FARTHEST = 12


class Source(Protocol):
    """Where random bits come from."""

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return `count` independent uniform 64-bit words."""


class SystemSource:
    """The operating system's cryptographic generator: the only source for real noise."""

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return `count` words that nobody can predict or repeat."""
        return _as_words(os.urandom(8 * count))


class SeededSource:
    """A reproducible ChaCha20 key stream, for simulation and tests only.

    Whoever knows the seed can subtract the noise, so nothing drawn from it is private.

    Parameters
    ----------
    seed : int
        Equal seeds give equal streams, however the stream is cut into calls.
    """

    def __init__(self, seed: int) -> None:
        key = hashlib.sha256(f"mesh_fl simulation {seed}".encode()).digest()
        self._stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return the next `count` words of the stream."""
        return _as_words(self._stream.update(bytes(8 * count)))


def discrete_gaussian(sigma: float, size: int, source: Source) -> NDArray[np.int64]:
    """Draw integers x with probability proportional to exp(-x^2 / (2 sigma^2)).

    Parameters
    ----------
    sigma : float
        Scale in integer units, from 4 to 2^50. Below 4 the sum of several shares is no longer
        a discrete Gaussian (it differs by about exp(-pi^2 sigma^2)).
    size : int
        How many independent integers to draw.
    source : Source
        `SystemSource` wherever real data is protected.

    Returns
    -------
    ndarray of int64, shape (size,)
        Every |x| is below 13 sigma + 13, hence below 2^54.

    Raises
    ------
    PlanError
        If sigma or size is out of range.

    Notes
    -----
    The rejection sampler of Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for
    Differential Privacy", algorithms 2 and 3, with t = floor(sigma) + 1: |x| = u + t v, u uniform
    below t, v geometric with ratio 1/e. Its two acceptance steps are independent, so they are
    merged into one of probability p = exp(-u/t - (|x| - sigma^2/t)^2 / (2 sigma^2)).

    u and the sign are exact. With h = 2^-53, float64 rounding moves the law of v by less than
    4 h in all, and p by less than p h (6 y^2 + 5 y + 5) <= 10 h for y = |(|x| - sigma^2/t)| /
    sigma; comparing with 64-bit words adds at most 2^-63 each. At least 0.46 of all candidates
    are accepted, so a sample's total variation distance to the exact law is at most 14 h / 0.46
    < 2^-48; a platform whose `exp` errs by four units in the last place stays below 2^-47. The
    law keeps its shape up to 10 sigma, where p reaches 2^-64; a mass of 2e-23 lies beyond, and
    nothing is cut off before 12 sigma.

    Guarantee
    ---------
    Added to an integer sum whose L2 sensitivity is S for one record added or removed, one such
    vector gives mu = S / sigma within the discrete Gaussian's own slack; over d coordinates the
    rounding costs at most d 2^-47 (1 + e^epsilon) more in delta. It breaks if the source can be
    predicted, if noise is used twice, or if the sum is not made of integers.
    """
    _check(sigma, size)
    noise = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        missing = size - filled
        accepted = _candidates(sigma, min(_BATCH, 32 + 5 * missing // 2), source)[:missing]
        noise[filled : filled + accepted.size] = accepted
        filled += accepted.size
    return noise


def _candidates(sigma: float, count: int, source: Source) -> NDArray[np.int64]:
    """Propose `count` integers and return those that are accepted."""
    step = math.floor(sigma) + 1
    first, second, third = source.words(_WORDS_EACH * count).reshape(_WORDS_EACH, count)
    offset, whole = _uniform_below(step, first)
    steps = _geometric(second >> np.uint64(1))
    negative = (second & np.uint64(1)).astype(np.bool_)
    magnitude = offset + step * steps
    kept = third < 2.0**64 * _acceptance(sigma, step, offset, steps)
    kept &= whole
    # Zero has no sign: without this rule it would be drawn twice as often.
    kept &= ~(negative & (magnitude == 0))
    signed: NDArray[np.int64] = np.where(negative, -magnitude, magnitude)
    return signed[kept]


def _uniform_below(
    bound: int, words: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return words modulo `bound`, and which of them fell into whole multiples of it."""
    last = np.uint64(2**64 - 2**64 % bound - 1)
    divisor = np.uint64(bound)
    # numpy vectorises division by a scalar, but not the remainder.
    remainder = words - words // divisor * divisor
    return remainder.astype(np.int64), words <= last


def _geometric(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count, for uniform 63-bit words, the powers of 1/e that lie above them.

    The count stops at 12, where p is below exp(-60): one candidate in 2^80 gets that far.
    """
    uniform = words.astype(np.float64)
    return _FARTHEST - np.searchsorted(_POWERS, uniform, side="right").astype(np.int64)


_POWERS: NDArray[np.float64] = 2.0**63 * np.exp(-np.arange(_FARTHEST, 0, -1, dtype=np.float64))


def _acceptance(
    sigma: float, step: int, offset: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the merged acceptance probability, computed in units of sigma."""
    fraction = offset / step
    distance = (fraction + steps) * (step / sigma) - sigma / step
    probability: NDArray[np.float64] = np.exp(-(fraction + distance * distance / 2))
    return probability


def _as_words(raw: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(raw, dtype="<u8").astype(np.uint64, copy=False)


def _check(sigma: float, size: int) -> None:
    if not SMALLEST_SIGMA <= sigma <= LARGEST_SIGMA:
        raise PlanError(
            f"expected a noise scale from {SMALLEST_SIGMA:g} to 2^50 integer units, "
            f"found {sigma:g}: choose another fixed-point scale"
        )
    if size < 0:
        raise PlanError(f"expected a non-negative number of noise values, found {size}")
