"""The row of each record, sparse: what it adds to the counts, and nothing else."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mesh_fl.agent import Data
from mesh_fl.agents.compliance.offsets import RESIDUAL_WEIGHT, TALLY_WEIGHT
from mesh_fl.agents.compliance.popularity import COUNT_WEIGHT, TOPIC_WEIGHT
from mesh_fl.agents.compliance.records import is_judged, is_mapping

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Vector = NDArray[np.float64]


def sparse_rows(data: Data, controls: int, blanks: int) -> "csr_array[np.float64]":
    """Return rows of the blocks controls, topics, residuals, tally and blanks.

    Parameters
    ----------
    data : Data
        As from `records.read`.
    controls, blanks : int
        Sizes of the blocks.

    Returns
    -------
    csr_array, shape (n, dimension)
        No row is longer than one: a mapping fills the first two blocks, a judged pair the next two,
        and the last stays empty.
    """
    from scipy.sparse import csr_array

    topics = data["topics"].astype(np.float64)
    mapping, judged = np.flatnonzero(is_mapping(data)), np.flatnonzero(is_judged(data))
    control = data["control"].astype(np.int64)
    width = topics.shape[1]
    residuals_from = controls * (1 + width)
    of_topics = controls + control[mapping, None] * width + np.arange(width)
    chance = public_chance(data)[judged]
    residual = data["judged"].astype(np.float64)[judged] - chance
    tally = TALLY_WEIGHT * np.column_stack([np.ones(len(judged)), chance])
    of_tally = np.broadcast_to(residuals_from + controls + np.arange(2), tally.shape)
    entries = [
        (mapping, control[mapping], np.full(len(mapping), COUNT_WEIGHT)),
        (np.repeat(mapping, width), of_topics.ravel(), TOPIC_WEIGHT * topics[mapping].ravel()),
        (judged, residuals_from + control[judged], RESIDUAL_WEIGHT * residual),
        (np.repeat(judged, 2), of_tally.ravel(), tally.ravel()),
    ]
    rows, columns, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    shape = (len(control), residuals_from + controls + 2 + blanks)
    return csr_array((values, (rows, columns)), shape=shape)


def public_chance(data: Data) -> Vector:
    """Return how likely each text answers its control, as far as public knowledge tells."""
    place = np.maximum(data["control"].astype(np.int64), 0)[:, None]
    log_odds = np.take_along_axis(data["public"].astype(np.float64), place, axis=1)[:, 0]
    chance: Vector = expit(log_odds)
    return chance
