"""Made-up clients, to try a configuration before anybody's records are at hand."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mesh_fl.agent import Data
from mesh_fl.agents._features import Feature
from mesh_fl.agents.health.inputs import Inputs

STRENGTH, BIAS = 1.7, -1.5
"""Of the model that labels them: as many leave as in Telco churn, as predictably."""

LEAST_SPREAD = 0.05
"""Of a column; an interaction that hardly ever holds would get any weight."""


def made_up_clients(inputs: Inputs, records: int, seed: int) -> Data:
    """Return features at random within their declarations, and labels by a logistic model.

    Its weights have a random direction, which depends on the seed alone, and its log odds a
    standard deviation of about `STRENGTH`. No real client is like these: their features tell
    nothing of each other.

    Returns
    -------
    dict
        "x", shape (records, d), and "y", shape (records,).
    """
    random = np.random.default_rng(seed)
    direction = random.normal(size=len(inputs.names))
    weights = STRENGTH * direction / np.linalg.norm(direction)
    x = inputs.encode({one.name: _values(one, records, random) for one in inputs.features})
    spreads = np.maximum(x[:, :-1].std(axis=0), LEAST_SPREAD)
    left = random.random(records) < expit(x[:, :-1] @ (weights / spreads) + BIAS)
    return {"x": x, "y": left.astype(np.float64)}


def _values(feature: Feature, records: int, random: np.random.Generator) -> NDArray[np.generic]:
    """Return values that are even over a number's scale, or over the levels."""
    if feature.kind == "number":
        return feature.decode(random.uniform(-1, 1, records))
    if feature.kind == "flag":
        return random.choice([0.0, 1.0], records)
    return random.choice(np.array(feature.levels), records)
