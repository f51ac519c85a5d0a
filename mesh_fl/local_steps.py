"""In which order clients go through their records: minibatches of many clients, step by step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Steps:
    """What each client does at each of its local steps.

    Clients are sorted by their number of steps, most first, so that those that still have work at
    step s are always the first `active[s]`.

    Parameters
    ----------
    clients : ndarray of int, shape (k,)
        Places of the clients, as they were given, in sorted order.
    active : tuple of int
        By step.
    records : ndarray of int, shape (steps, k, batch)
        Which of all clients' records, laid end to end in the order given; where there is none, the
        client's own first.
    weights : ndarray of float32, shape (steps, k, batch)
        One over the records of the minibatch, 0 where there is none.
    """

    clients: NDArray[np.int64]
    active: tuple[int, ...]
    records: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __iter__(self) -> Iterator[int]:
        """Go through the steps."""
        return iter(range(len(self.active)))


def steps_of(sizes: Sequence[int], batch: int, epochs: int, seed: tuple[int, ...]) -> Steps:
    """Lay out the minibatches of some clients.

    Parameters
    ----------
    sizes : sequence of int
        Records of each client.
    batch : int
        Records of a minibatch; the last of an epoch may have fewer.
    epochs : int
        How often a client goes through its records.
    seed : tuple of int
        Of the order, which is the same for clients of the same size, whoever else takes part.
    """
    counts = np.asarray(sizes, dtype=np.int64)
    steps = epochs * -(-counts // batch)
    clients = np.argsort(-steps, kind="stable")
    most = int(steps.max(initial=0))
    shape = (most, len(counts), batch)
    weights = np.zeros(shape, np.float32)
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    # Never another client's: no weight takes a NaN away.
    own_first = np.minimum(offsets[clients], max(int(counts.sum()) - 1, 0))
    records = np.broadcast_to(own_first[:, None], shape).copy()
    for size in np.unique(counts[counts > 0]).tolist():
        own = np.flatnonzero(counts[clients] == size)
        place, weight = _minibatches(size, batch, epochs, seed)
        records[: len(place), own] = place[:, None] + offsets[clients[own]][:, None]
        weights[: len(place), own] = weight[:, None]
    active = tuple((steps[:, None] > np.arange(most)).sum(axis=0).tolist())
    return Steps(clients, active, records, weights)


# For the sizes of one round; those of the last are not asked for again.
@lru_cache(maxsize=16)
def _minibatches(
    size: int, batch: int, epochs: int, seed: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return places and weights of one client's minibatches, both of shape (steps, batch)."""
    generator = np.random.default_rng((*seed, size))
    each = -(-size // batch)
    places, weights = np.zeros((2, epochs, each * batch))
    for epoch in range(epochs):
        places[epoch, :size] = generator.permutation(size)
        weights[epoch, :size] = 1.0
    weights = weights.reshape(epochs * each, batch)
    weights /= weights.sum(axis=1, keepdims=True)
    shape = (epochs * each, batch)
    return places.reshape(shape).astype(np.int64), weights.astype(np.float32)
