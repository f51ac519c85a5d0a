"""How good scores are: whether anomalies stand out, and how surprising usual records are."""

import math

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._logistic import auc, exact_auc
from mesh_fl.agents.anomaly.tail import Tail

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LOWEST, HIGHEST = -2.5, 1.5
"""Scores, in nats a block, between which bins are equally wide; the outermost take the rest."""

USUAL, ANOMALY, NOT_TOLD = range(3)


def quality_rows(scores: Vector, y: Vector, bins: int) -> Matrix:
    """Return a one-hot row per record: its score's bin, and what it is known to be.

    Returns
    -------
    ndarray, shape (n, 3 bins)
        Of length 1.
    """
    edges = np.linspace(LOWEST, HIGHEST, bins + 1)
    place = np.searchsorted(edges[1:-1], scores, side="right")
    known_as = np.where(np.isnan(y), NOT_TOLD, np.where(y > 0.5, ANOMALY, USUAL))
    rows = np.zeros((len(scores), bins, 3))
    rows[np.arange(len(scores)), place, known_as] = 1.0
    return rows.reshape(len(scores), 3 * bins)


def measured(counts: Matrix) -> dict[str, float]:
    """Return "auc", "loss" and "records" of the summed rows, shape (bins, 3); noise may be in them.

    The loss is the mean surprise of records that are not known to be anomalies; NaN where nothing
    is told.
    """
    edges = np.linspace(LOWEST, HIGHEST, len(counts) + 1)
    others = np.maximum(counts[:, USUAL] + counts[:, NOT_TOLD], 0.0)
    size = float(others.sum())
    middles = (edges[1:] + edges[:-1]) / 2
    return {
        "auc": auc(counts[:, :NOT_TOLD]),
        "loss": float(others @ middles) / size if size > 0 else math.nan,
        "records": max(0.0, float(counts.sum())),
    }


def told_figures(scores: Vector, y: Vector, tail: Tail | None, rate: float) -> dict[str, float]:
    """Return "auc", "loss" and "false_alarm_rate" of records at hand, NaN for what is not told.

    Parameters
    ----------
    scores, y : ndarray, shape (n,)
    tail : Tail or None
        Of one's own records.
    rate : float
        The stated one.
    """
    others = ~(y > 0.5)
    alarms = None if tail is None else tail.chances(scores[others]) <= rate
    return {
        "auc": exact_auc(scores, y) if _is_labelled(y) else math.nan,
        "loss": float(scores[others].mean()) if others.any() else math.nan,
        "false_alarm_rate": math.nan if alarms is None or not len(alarms) else float(alarms.mean()),
    }


def _is_labelled(y: Vector) -> bool:
    return bool((y > 0.5).any() and (y <= 0.5).any() and not np.isnan(y).any())
