"""A member's own records as exact sums, under names that no release has."""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data, State
from mesh_fl.agents.compliance.kin import MOST_TECHNIQUES, Kin
from mesh_fl.agents.compliance.offsets import Judged, mean_chance
from mesh_fl.agents.compliance.records import is_judged, is_mapping
from mesh_fl.agents.compliance.rows import public_chance


def own_sums(data: Data, controls: int) -> State:
    """Return counts by control, residuals of judgements, and mappings by technique.

    Parameters
    ----------
    data : Data
        As from `records.read`.
    controls : int
        How many are counted.
    """
    mapping, judged = is_mapping(data), is_judged(data)
    control = data["control"].astype(np.int64)
    chance = public_chance(data)
    residual = data["judged"].astype(np.float64) - chance

    def summed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(control[judged], weights[judged], controls).astype(np.float64)

    _, first, numbers = np.unique(data["query"][mapping], return_index=True, return_inverse=True)
    counts = np.zeros((len(first), controls))
    np.add.at(counts, (numbers, control[mapping]), 1.0)
    return {
        "own_residuals": summed(residual),
        "own_pairs": summed(np.ones(len(control))),
        "own_chances": summed(chance),
        "own_vectors": data["vector"].astype(np.float64)[mapping][first][:MOST_TECHNIQUES],
        "own_families": data["family"].astype(np.float64)[mapping][first][:MOST_TECHNIQUES],
        "own_counts": counts[:MOST_TECHNIQUES],
    }


def kin_of(state: State) -> Kin | None:
    """Return a member's own mappings, None where the model is not its own."""
    if "own_counts" not in state:
        return None
    return Kin(state["own_vectors"], state["own_families"], state["own_counts"])


def judged_of(state: State) -> Judged | None:
    """Return a member's own judgements, None where the model is not its own."""
    if "own_residuals" not in state:
        return None
    pairs, chances = state["own_pairs"], state["own_chances"]
    chance = mean_chance(float(pairs.sum()), float(chances.sum()))
    return Judged(state["own_residuals"], pairs, chance)
