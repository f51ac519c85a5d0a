"""Made-up questions, as likenesses, with something to learn beyond the phrases."""

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.query.head import Places

DIMENSION = 32
NOISE, NEAR, MISLED = 0.12, 0.25, 0.3


def made_up(owners: Places, records: int, seed: int) -> Data:
    """Return questions that are like their own intent, and like one of another that misleads.

    Parameters
    ----------
    owners : ndarray, shape (phrases,)
        See `intents.owners`.
    records : int
    seed : int
        Decides also which intent is misled by which phrase.
    """
    random = np.random.default_rng(seed)
    count = int(owners.max()) + 1
    intent = random.integers(count, size=records)
    likeness = random.normal(0.2, NOISE, (records, len(owners)))
    likeness += NEAR * (owners == intent[:, None])
    misleading = random.integers(len(owners), size=count)[intent]
    likeness[np.arange(records), misleading] += MISLED
    centres = random.normal(size=(count, DIMENSION))
    vector = centres[intent] + 2 * random.normal(size=(records, DIMENSION))
    return {
        "likeness": likeness.clip(-1, 1),
        "vector": vector / np.linalg.norm(vector, axis=1, keepdims=True),
        "intent": intent.astype(np.float64),
    }
