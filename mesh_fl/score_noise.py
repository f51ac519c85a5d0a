"""How far the noise in a sum may have moved the quality figures that are read from it."""

from collections.abc import Mapping
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent
from mesh_fl.layout import unpack

DRAWS = 64
SEED = 64_001
"""The same draws for all: they hide nothing, and only say how wide noise is."""


def spreads(agent: Agent, total: NDArray[np.float64], sd: float) -> dict[str, float]:
    """Return about one standard deviation of each figure: half the width of the middle 68 %.

    More noise of the same kind is added to the noisy sum again and again (parametric bootstrap:
    Efron and Tibshirani 1993, 6.5). That reads what was released, so it costs no privacy.

    Parameters
    ----------
    total : ndarray, shape (d,)
        Summed rows of `measure`, noise included.
    sd : float
        Standard deviation of that noise, in units of a row.

    Returns
    -------
    dict
        Figures that noise leaves undefined more often than not are missing.
    """
    random = np.random.default_rng(SEED)
    layout = agent.measure_layout()
    drawn: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        noisy = total + random.normal(0, sd, len(total))
        for name, value in agent.score(unpack(layout, noisy)).items():
            drawn.setdefault(name, []).append(value)
    return {
        name: _half_width(values)
        for name, values in drawn.items()
        if sum(map(isfinite, values)) > DRAWS / 2
    }


def in_words(scores: Mapping[str, float], noise: Mapping[str, float]) -> str:
    """Write figures with their noise beside them."""
    return ", ".join(_in_words(name, value, noise.get(name)) for name, value in scores.items())


def _in_words(name: str, value: float, noise: float | None) -> str:
    if not isfinite(value):
        return f"{name} not told by the noise"
    return f"{name} {value:.3f} ± {'?' if noise is None else f'{noise:.3f}'}"


def _half_width(values: list[float]) -> float:
    finite = [one for one in values if isfinite(one)]
    low, high = np.quantile(finite, (0.16, 0.84))
    return float(high - low) / 2
