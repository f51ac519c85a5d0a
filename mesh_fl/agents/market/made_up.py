"""Made-up records: figures around a hidden middle, and texts as features at random."""

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents._ordinal import level_chances
from mesh_fl.agents.market.records import Reading
from mesh_fl.agents.market.sentiment import PUBLIC_CUTS, declared

SPREAD = 0.15
"""Of a made-up figure, as a share of its scale."""

SAID_SHARE = 0.3
"""How often a made-up text has a feature."""


def made_up(reading: Reading, trend_cells: int, records: int, seed: int) -> Data:
    """Return records whose middles, weights and topics depend on the seed alone.

    The weights lie as far from the public ones as those from zero, in a direction of the seed's, so
    that there is something to learn.
    """
    random = np.random.default_rng(seed)
    start = declared().public_model
    width = len(start) - len(PUBLIC_CUTS)
    shift = random.normal(size=width)
    weights = start[:width] + shift * np.linalg.norm(start[:width]) / np.linalg.norm(shift)
    middles = random.uniform(0.3, 0.7, len(reading.figures))
    liking = random.dirichlet(np.ones(trend_cells))
    positions = np.clip(random.normal(middles, SPREAD, (records, len(middles))), 0, 1)
    values = np.array(
        [
            [f.between(p * f.bins) for f, p in zip(reading.figures, row, strict=True)]
            for row in positions
        ]
    ).reshape(records, len(middles))
    group = random.integers(0, len(reading.segments) + 1, records)
    places = np.stack(
        [
            group * figure.bins + figure.places(column)
            for figure, column in zip(reading.figures, values.T, strict=True)
        ],
        axis=1,
    )
    z = (random.random((records, width)) < SAID_SHARE).astype(np.float64)
    least = level_chances(z @ weights, np.array(PUBLIC_CUTS))[:, ::-1].cumsum(axis=1)[:, ::-1]
    level = (random.random((records, 1)) < least[:, 1:]).sum(axis=1)
    return {
        "values": values,
        "places": places.astype(np.int64),
        "z": z,
        "level": level.astype(np.float64),
        "trend": random.choice(trend_cells, records, p=liking).astype(np.int64),
    }
