"""Figures of a model on records at hand."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents._histogram import total_variation
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.agents.collaboration.acceptance import chance
from mesh_fl.agents.collaboration.learned import Learned
from mesh_fl.agents.collaboration.rows import demand, introductions, supply

Vector = NDArray[np.float64]


def figures(learned: Learned, data: Data, cells: int) -> Mapping[str, float]:
    """Return how near the map is to these records, and how well matches are ranked.

    "total_variation" is that of the needs, "supply_total_variation" that of the skills, "auc" that
    of acceptance, "spearman" that of the cosine on judged pairs; NaN where there are no records.
    """
    x, outcome = introductions(data)
    return {
        "total_variation": _away(learned, "demand", demand(data, cells).sum(axis=0)),
        "supply_total_variation": _away(learned, "supply", supply(data, cells).sum(axis=0)),
        "auc": exact_auc(chance(learned.weights, x), outcome),
        "spearman": _spearman(data),
    }


def _away(learned: Learned, name: str, counts: Vector) -> float:
    size = float(counts.sum())
    return total_variation(learned.shares(name), counts / size) if size > 0 else math.nan


def _spearman(data: Data) -> float:
    """Return the rank correlation of cosine and judgement (Spearman 1904)."""
    cosine, likeness = (data[name].astype(np.float64) for name in ("cosine", "likeness"))
    judged = np.isfinite(cosine) & np.isfinite(likeness)
    return rank_correlation(cosine[judged], likeness[judged])


def rank_correlation(one: Vector, other: Vector) -> float:
    """Return Spearman's rank correlation; NaN where a side is constant or there are too few."""
    # Not at the top: it takes a second, and only judged pairs need it.
    from scipy.stats import spearmanr

    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(spearmanr(one, other).statistic)
