"""How right a model is: of sentiment and of the figures' distributions, exact and from sums."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._histogram import Histogram, total_variation
from mesh_fl.agents.market.sentiment import SIGNS

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Places = NDArray[np.int64]

EIGHTHS = 8
"""Parts of a distribution that a measure counts records in: as many in each, if it is right."""


def confusion_rows(chances: Matrix, level: Vector) -> Matrix:
    """Return a one-hot row for each labelled text: what was told, and what is likeliest.

    Parameters
    ----------
    chances : ndarray, shape (n, 3)
    level : ndarray, shape (n,)
        NaN gives a row of zeros.

    Returns
    -------
    ndarray, shape (n, 9)
    """
    rows = np.zeros((len(level), len(SIGNS), len(SIGNS)))
    known = np.flatnonzero(np.isfinite(level))
    rows[known, level[known].astype(np.int64), chances[known].argmax(axis=1)] = 1.0
    return rows.reshape(len(level), len(SIGNS) ** 2)


def accuracy(counts: Matrix) -> float:
    """Return the share that was found as told; NaN where nothing was."""
    told = float(counts.sum())
    return float(np.trace(counts)) / told if told > 0 else math.nan


def macro_f1(counts: Matrix) -> float:
    """Return the mean over what was told of twice the hits over found plus told."""
    told, found = counts.sum(axis=1), counts.sum(axis=0)
    shares = [2 * counts[k, k] / (told[k] + found[k]) for k in range(len(counts)) if told[k] > 0]
    return float(np.mean(shares)) if shares else math.nan


def eighth_rows(released: Sequence[Histogram], places: Places) -> Matrix:
    """Return which eighth of each figure's distribution a record falls into, by the model.

    A record whose cell lies in several eighths is divided between them, so that the sums are equal
    where the distribution is right. All figures together are no longer than one.

    Parameters
    ----------
    released : sequence of Histogram
    places : ndarray, shape (n, figures)
        -1 where a figure is not told.

    Returns
    -------
    ndarray, shape (n, figures * EIGHTHS)
    """
    rows = np.zeros((len(places), len(released), EIGHTHS))
    for number, one in enumerate(released):
        known = np.flatnonzero(places[:, number] >= 0)
        rows[known, number] = _overlaps(one.shares)[places[known, number]]
    rows /= math.sqrt(len(released))
    return rows.reshape(len(places), len(released) * EIGHTHS)


def uneven(sums: Matrix) -> float:
    """Return how far the eighths are from equal, the mean over figures; NaN where none is told.

    Parameters
    ----------
    sums : ndarray, shape (figures, EIGHTHS)
    """
    counts = np.maximum(sums, 0.0)
    even = np.full(EIGHTHS, 1 / EIGHTHS)
    apart = [total_variation(one / one.sum(), even) for one in counts if one.sum() > 0]
    return float(np.mean(apart)) if apart else math.nan


def figures_apart(released: Sequence[Histogram], places: Places) -> float:
    """Return the total variation between released and true shares, the mean over figures told."""
    apart = [
        total_variation(one.shares, _shares(column, len(one.counts)))
        for one, column in zip(released, places.T, strict=True)
        if (column >= 0).any()
    ]
    return float(np.mean(apart)) if apart else math.nan


def _overlaps(shares: Vector) -> Matrix:
    """Return how much of each cell lies in each eighth of the distribution; rows sum to one."""
    ends = np.minimum(np.cumsum(shares), 1.0)
    starts = np.concatenate([[0.0], ends[:-1]])
    cuts = np.arange(EIGHTHS + 1) / EIGHTHS
    inside = np.minimum(ends[:, None], cuts[1:]) - np.maximum(starts[:, None], cuts[:-1])
    overlaps: Matrix = np.maximum(inside, 0.0)
    # A cell that nobody is expected in stands where the distribution has come to.
    empty = np.flatnonzero(overlaps.sum(axis=1) <= 0)
    overlaps[empty, np.minimum((starts[empty] * EIGHTHS).astype(np.int64), EIGHTHS - 1)] = 1.0
    overlaps /= overlaps.sum(axis=1, keepdims=True)
    return overlaps


def _shares(places: Places, cells: int) -> Vector:
    counts = np.bincount(places[places >= 0], minlength=cells)
    shares: Vector = counts / counts.sum()
    return shares
