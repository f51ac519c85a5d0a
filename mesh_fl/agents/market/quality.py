"""How right a model is: of sentiment and of released histograms, exact and from sums."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Total
from mesh_fl.agents._histogram import Histogram, total_variation
from mesh_fl.agents.market.sentiment import SIGNS

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Places = NDArray[np.int64]

EIGHTHS = 8
"""Parts of a distribution that a measure counts records in: as many in each, if it is right."""


@dataclass(frozen=True)
class Quality:
    """What a model says of some records, beside what they tell; None for what is not learned.

    Parameters
    ----------
    released : sequence of Histogram
        What is learned of the figures and of the topics.
    places : ndarray, shape (n, histograms), or None
        The cell of each record in each of them, -1 for none.
    chances : ndarray, shape (n, 3), or None
        Of each sentiment.
    level : ndarray, shape (n,)
        The one that was told, NaN for none.
    """

    released: Sequence[Histogram]
    places: Places | None
    chances: Matrix | None
    level: Vector

    def rows(self) -> list[Matrix]:
        """Return the rows of a measure, part by part, none longer than one."""
        signs = [] if self.chances is None else [confusion_rows(self.chances, self.level)]
        eighths = [] if self.places is None else [eighth_rows(self.released, self.places)]
        return [*signs, *eighths]

    def exact(self) -> dict[str, float]:
        """Return "total_variation", "accuracy" and "macro_f1", as far as they are learned."""
        found: dict[str, float] = {}
        if self.places is not None:
            found["total_variation"] = mean_apart(self.released, self.places)
        if self.chances is not None:
            counts = confusion_rows(self.chances, self.level).sum(axis=0)
            found |= _hits(counts.reshape(len(SIGNS), len(SIGNS)))
        return found


def measured(total: Total) -> dict[str, float]:
    """Return the same of the sums of a measure, "signs" and "eighths"."""
    found: dict[str, float] = {}
    if "eighths" in total:
        found["total_variation"] = uneven(total["eighths"])
    if "signs" in total:
        found |= _hits(np.maximum(total["signs"], 0.0))
    return found


def _hits(counts: Matrix) -> dict[str, float]:
    return {"accuracy": accuracy(counts), "macro_f1": macro_f1(counts)}


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
    """Return which eighth of each histogram a record falls into, by the model.

    A record whose cell lies in several eighths is divided between them, so that the sums are equal
    where the distribution is right. All together are no longer than one.

    Parameters
    ----------
    released : sequence of Histogram
    places : ndarray, shape (n, histograms)
        -1 where a record falls into no cell.

    Returns
    -------
    ndarray, shape (n, histograms * EIGHTHS)
    """
    rows = np.zeros((len(places), len(released), EIGHTHS))
    for number, one in enumerate(released):
        known = np.flatnonzero(places[:, number] >= 0)
        rows[known, number] = _overlaps(one.shares)[places[known, number]]
    rows /= math.sqrt(len(released))
    return rows.reshape(len(places), len(released) * EIGHTHS)


def uneven(sums: Matrix) -> float:
    """Return how far the eighths are from equal, the mean over histograms; NaN without records.

    Parameters
    ----------
    sums : ndarray, shape (histograms, EIGHTHS)
    """
    counts = np.maximum(sums, 0.0)
    even = np.full(EIGHTHS, 1 / EIGHTHS)
    apart = [total_variation(one / one.sum(), even) for one in counts if one.sum() > 0]
    return float(np.mean(apart)) if apart else math.nan


def mean_apart(released: Sequence[Histogram], places: Places) -> float:
    """Return the total variation between released and true shares, the mean of those told."""
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
