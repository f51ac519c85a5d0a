"""Seasons by medians: the median of each phase, and which period there is if none is told."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

USUAL = (7, 12, 24, 30, 48, 60, 96, 144, 168, 288, 336, 672, 1440)
"""Readings in a season that are tried where none is told, beside those that the series suggests."""

SEASONS_SEEN = 3
"""Times that a season must have come before it is expected again."""

LEAST_GAIN = 0.3
"""Part of the spread that a season must take away to be believed."""

MUCH_BETTER = 0.95
"""A longer season must leave so much less than a shorter one."""

MOST_LOOKED_AT = 20_000
"""The latest readings in which a season is searched."""

FAR_BETTER = 0.8
"""The same of one that is several shorter ones."""

SUGGESTED = 3

MOST_DEVIATIONS = 8
"""Median absolute deviations beyond which a reading counts as a spike."""


def usable(period: int | None, count: int) -> int | None:
    """Return a period that came often enough in so many readings, else None."""
    return period if period and period >= 2 and SEASONS_SEEN * period <= count else None


def phases(values: Vector, period: int | None) -> Vector:
    """Return the season at every reading: the median of its phase, zero where there is none."""
    if period is None:
        return np.zeros(len(values))
    rest = values - level(values, period)
    padded = np.full(-(-len(values) // period) * period, np.nan)
    padded[: len(values)] = rest
    medians = np.nanmedian(padded.reshape(-1, period), axis=0)
    return np.resize(medians - np.median(medians), len(values))


def level(values: Vector, period: int) -> Vector:
    """Return the mean of the season around each reading, of values without their spikes."""
    if len(values) < SEASONS_SEEN * period:
        return np.full(len(values), float(np.median(values)))
    middle = np.median(values)
    reach = MOST_DEVIATIONS * np.median(np.abs(values - middle))
    even = np.clip(values, middle - reach, middle + reach)
    half = period // 2
    padded = np.concatenate([even[period - half : period], even, even[-period : half - period]])
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    means: Vector = (sums[period:] - sums[:-period])[: len(values)] / period
    return means


def found_period(values: Vector) -> int | None:
    """Return the season that takes away most of the spread, of the shortest ones alike."""
    looked_at = values[-MOST_LOOKED_AT:]
    best, least = None, 1 - LEAST_GAIN
    for period in sorted({*USUAL, *_suggested(looked_at)}):
        if usable(period, len(looked_at)) is None:
            break
        rest = (looked_at - level(looked_at, period))[len(looked_at) % period :]
        before = _spread(rest)
        # Phases fit noise, too: the fewer seasons, the more; judged by seasons left out.
        share = _spread(_left_out(rest, period)) / before if before > 0 else 1.0
        if share < (FAR_BETTER if best and period % best == 0 else MUCH_BETTER) * least:
            best, least = period, share
    return best


def _suggested(values: Vector) -> Iterator[int]:
    """Yield lags at which the series is most like itself, by ranks: spikes hardly count."""
    count = len(values)
    if count < 4 * SEASONS_SEEN:
        return
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable") - (count - 1) / 2
    power = np.abs(np.fft.rfft(ranks, 2 * count)) ** 2
    alike = np.fft.irfft(power)[: count // SEASONS_SEEN + 1]
    inner = alike[1:-1]
    peaks = np.flatnonzero((inner > alike[:-2]) & (inner >= alike[2:])) + 1
    for lag in peaks[np.argsort(-alike[peaks], kind="stable")][:SUGGESTED].tolist():
        if lag >= 2:
            yield int(lag)


def _left_out(values: Vector, period: int) -> Vector:
    """Return what is left when each season is foretold by the one before and the one after."""
    whole = values.reshape(-1, period)
    neighbours = (np.roll(whole, 1, axis=0) + np.roll(whole, -1, axis=0)) / 2
    # The mean of two has noise of its own: of pure noise this is sqrt(1.5) times the spread.
    left: Vector = (whole - neighbours).ravel() / np.sqrt(1.5)
    return left


def _spread(values: Vector) -> float:
    return float(np.mean(np.abs(values - np.median(values))))
