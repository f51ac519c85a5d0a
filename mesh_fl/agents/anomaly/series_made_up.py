"""Series of which it is known that nothing in them is unusual."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
Make = Callable[[np.random.Generator, int], Series]


def _daily(random: np.random.Generator, count: int) -> Series:
    wave: Series = 10 * np.sin(2 * np.pi * np.arange(count) / 24)
    return wave + random.normal(size=count)


def _weekly(random: np.random.Generator, count: int) -> Series:
    hours = np.arange(count)
    works = (hours % 168 < 120) & (hours % 24 > 8)
    return np.where(works, 10.0, 0.0) + random.normal(size=count)


def _autocorrelated(random: np.random.Generator, count: int) -> Series:
    from scipy.signal import lfilter

    series: Series = lfilter([1], [1, -0.9], random.normal(size=count))
    return series


USUAL: dict[str, Make] = {
    "flat": lambda random, n: np.full(n, 7.0),
    "flat, rounded": lambda random, n: np.round(5 + 0.2 * random.normal(size=n)),
    "normal": lambda random, n: random.normal(size=n),
    "Student t3": lambda random, n: random.standard_t(3, n),
    "Laplace": lambda random, n: random.laplace(size=n),
    "lognormal": lambda random, n: random.lognormal(size=n),
    "Poisson 3": lambda random, n: random.poisson(3, n).astype(float),
    "Poisson 0.1": lambda random, n: random.poisson(0.1, n).astype(float),
    "binary": lambda random, n: (random.random(n) < 0.3).astype(float),
    "season of 24": _daily,
    "season of 168": _weekly,
    "trend": lambda random, n: 0.05 * np.arange(n) + random.normal(size=n),
    "random walk": lambda random, n: np.cumsum(random.normal(size=n)),
    "AR(1) 0.9": _autocorrelated,
    "gaps": lambda random, n: np.where(random.random(n) < 0.2, np.nan, random.normal(size=n)),
}
