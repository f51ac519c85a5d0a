"""Made-up tickets, to try a configuration before anybody's records are at hand."""

import math

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.resource.inputs import Inputs

SPREAD = 0.8
"""Standard deviation of what cells add to the logarithm of hours, and of what nobody knows."""


def made_up_tickets(inputs: Inputs, bounds: tuple[float, float], records: int, seed: int) -> Data:
    """Return tickets in cells at random, whose factors depend on the seed alone.

    Returns
    -------
    dict
        "cells", shape (records, groups + 1), and "hours", shape (records,).
    """
    random = np.random.default_rng(seed)
    weights = SPREAD * random.normal(size=inputs.size)
    starts = np.concatenate([[0], np.cumsum(inputs.widths)])[:-1]
    # As in real queues, a few categories are common and most are rare.
    shares = random.random((records, len(inputs.widths))) ** 2
    own = np.floor(shares * np.array(inputs.widths)).astype(np.int64)
    cells = np.concatenate([own + starts, np.full((records, 1), inputs.size - 1)], axis=1)
    logs = inputs.rows(cells) @ (weights + inputs.prior) + SPREAD * random.normal(size=records)
    low, high = map(math.log, bounds)
    return {"cells": cells, "hours": np.exp(np.clip(logs, low, high))}
