"""Made-up records: a third each of technicians, needs and introductions."""

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.collaboration.acceptance import FEATURES, PUBLIC_WEIGHTS, chance

TRADES = 3
"""Skills of a made-up technician."""


def made_up(cells: int, records: int, seed: int) -> Data:
    """Return records in which skills are unevenly spread, and acceptance is unlike the guess.

    No introduction is like these: their features tell nothing of each other, and the weights that
    outcomes follow lie as far from the public ones as those from zero, in a direction of the
    seed's.
    """
    random = np.random.default_rng(seed)
    role = np.arange(records) % 3
    likely = random.dirichlet(np.full(cells, 0.3))
    x = np.column_stack([random.uniform(-1, 1, (records, len(FEATURES) - 1)), np.ones(records)])
    shift = random.normal(size=len(FEATURES))
    weights = PUBLIC_WEIGHTS + shift * np.linalg.norm(PUBLIC_WEIGHTS) / np.linalg.norm(shift)
    accepted = (random.random(records) < chance(weights, x)).astype(np.float64)
    is_introduction = role == 2
    held = random.multinomial(TRADES, likely[::-1], records) > 0
    shares = held / np.maximum(held.sum(axis=1, keepdims=True), 1)
    return {
        "supply": np.where((role == 0)[:, None], shares, 0.0),
        "need": np.where(role == 1, random.choice(cells, records, p=likely), -1),
        "x": np.where(is_introduction[:, None], x, 0.0),
        "accepted": np.where(is_introduction, accepted, np.nan),
        "cosine": np.full(records, np.nan),
        "likeness": np.full(records, np.nan),
    }
