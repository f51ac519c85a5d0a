"""Made-up records: misses that a hidden blend would not make, and bands that are too narrow."""

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.revenue.conformal import PUBLIC_FACTOR, grown

MOVED = 0.6
"""How far the hidden blend is from the public one."""

NOISE = 0.3
"""Mean size of a miss of the hidden blend one month ahead, in naive ones."""


def made_up(records: int, horizon: int, moves: int, seed: int) -> Data:
    """Return records whose best blend depends on the seed alone."""
    random = np.random.default_rng(seed)
    direction = random.normal(size=moves)
    moved = MOVED * direction / np.linalg.norm(direction)
    apart = random.normal(0, 0.6, (records, 1, moves)) * grown(horizon)[:, None]
    miss = random.laplace(0, NOISE, (records, horizon)) * grown(horizon)
    missed = (apart * moved).sum(axis=2) + miss
    level = random.uniform(5, 20, (records, 1))
    reach = np.broadcast_to(NOISE / PUBLIC_FACTOR * grown(horizon), missed.shape)
    return {"actual": level + missed, "missed": missed, "reach": reach.copy(), "apart": apart}
