"""At which place of a list the right control stands: one bin a record, and what bins tell."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PLACES = (1, 3, 5, 10, 20)
"""Last place of each bin; a last bin holds the places beyond."""

Scores = NDArray[np.float64]


def place_rows(
    scores: Scores, controls: NDArray[np.int64], counted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return a one-hot row per record: the bin that its control's place falls in.

    Parameters
    ----------
    scores : ndarray, shape (n, controls)
    controls : ndarray, shape (n,)
        The right ones.
    counted : ndarray, shape (n,)
        Whether a record counts; else its row is zero.
    """
    rows = np.zeros((len(scores), len(PLACES) + 1))
    counted = counted & np.isfinite(scores).all(axis=1)
    right = scores[counted, controls[counted]]
    ahead = scores[counted] > right[:, None]
    # Of equals, the first in the list is named first, as in `hits_by_query`.
    earlier = np.arange(scores.shape[1]) < controls[counted][:, None]
    ahead |= (scores[counted] == right[:, None]) & earlier
    place = 1 + ahead.sum(axis=1)
    rows[np.flatnonzero(counted), np.searchsorted(PLACES, place)] = 1.0
    return rows


def hits(counts: NDArray[np.float64]) -> dict[str, float]:
    """Return shares of records whose control stands first, among three, among five."""
    counts = np.maximum(counts, 0.0)
    total = float(counts.sum())
    reached = np.cumsum(counts)
    names = ("hit_at_1", "hit_at_3", "hit_at_5")
    shares = {name: reached[k] / total if total > 0 else np.nan for k, name in enumerate(names)}
    return {**{name: float(share) for name, share in shares.items()}, "records": total}


def hits_by_query(
    scores: Scores,
    queries: NDArray[np.int64],
    controls: NDArray[np.int64],
    right: NDArray[np.bool_],
) -> Mapping[str, float]:
    """Return shares of queries that a right control stands first for, among three, among five.

    A query is told by any of its records; without a right control it does not count.

    Returns
    -------
    dict
        Also "first_answers", how many different controls stand first, and "queries".
    """
    _, first, numbers = np.unique(queries, return_index=True, return_inverse=True)
    relevant = np.zeros((len(first), scores.shape[1]), dtype=bool)
    relevant[numbers[right], controls[right]] = True
    asked = relevant.any(axis=1)
    if not asked.any():
        return {"hit_at_1": np.nan, "hit_at_3": np.nan, "hit_at_5": np.nan, "queries": 0.0}
    order = np.argsort(-scores[first[asked]], axis=1, kind="stable")
    found = np.take_along_axis(relevant[asked], order[:, :5], axis=1)
    reach = {f"hit_at_{k}": float(found[:, :k].any(axis=1).mean()) for k in (1, 3, 5)}
    firsts = float(len(np.unique(order[:, 0])))
    return {**reach, "first_answers": firsts, "queries": float(asked.sum())}
