"""What a record adds: a technician's skills, a need, or the outcome of an introduction."""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents._logistic import gradient_rows
from mesh_fl.agents.collaboration.acceptance import FEATURES, GRADIENT_WEIGHT, TALLY_WEIGHT
from mesh_fl.layout import Layout

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def blocks(cells: int) -> Layout:
    """Name the parts of a row; the last is one that no record fills."""
    return {
        "supply": (cells,),
        "demand": (cells,),
        "gradient": (len(FEATURES),),
        "tally": (1,),
        "empty": (EMPTY,),
    }


def rows_of(data: Data, weights: Vector, cells: int) -> Matrix:
    """Return each record's row.

    Parameters
    ----------
    data : Data
        As from `records.read`.
    weights : ndarray, shape (7,)
        Of acceptance.
    cells : int
        Skills, and one for all others.

    Returns
    -------
    ndarray, shape (n, dimension)

    Guarantee
    ---------
    A row depends on its own record and the weights, and is no longer than 1: a record has one role,
    and so one of these: shares of skills that add up to one, a single one, or a tally and a
    gradient at weights whose squares add up to one. Adding or removing a record moves the sum by at
    most 1. A person or ticket that stands under two record ids breaks this.
    """
    parts = (
        supply(data, cells),
        demand(data, cells),
        GRADIENT_WEIGHT * _gradients(data, weights),
        TALLY_WEIGHT * is_introduction(data)[:, None],
        np.zeros((len(data["need"]), EMPTY)),
    )
    return np.hstack(parts)


def supply(data: Data, cells: int) -> Matrix:
    """Return each technician's shares of skills, shape (n, cells); zeros for other records."""
    shares = np.nan_to_num(data["supply"].astype(np.float64), nan=0.0).clip(0.0, 1.0)
    sums = shares.sum(axis=1, keepdims=True)
    normed: Matrix = shares.reshape(-1, cells) / np.maximum(sums, 1.0)
    return normed


def demand(data: Data, cells: int) -> Matrix:
    """Return a one at each need, shape (n, cells); zeros for other records."""
    places = data["need"].astype(np.int64)
    rows = np.zeros((len(places), cells))
    known = np.flatnonzero((places >= 0) & (places < cells))
    rows[known, places[known]] = 1.0
    return rows


def is_introduction(data: Data) -> NDArray[np.bool_]:
    """Tell which records say whether an introduction was accepted."""
    return np.isin(data["accepted"].astype(np.float64), (0.0, 1.0))


def introductions(data: Data) -> tuple[Matrix, Vector]:
    """Return the features of introductions with an outcome, and the outcomes."""
    told = is_introduction(data)
    return _features(data)[told], data["accepted"].astype(np.float64)[told]


def _gradients(data: Data, weights: Vector) -> Matrix:
    outcome = np.where(is_introduction(data), data["accepted"].astype(np.float64), 0.0)
    rows = gradient_rows(weights, _features(data), outcome)
    rows[~is_introduction(data)] = 0.0
    return rows


def _features(data: Data) -> Matrix:
    return np.nan_to_num(data["x"].astype(np.float64), nan=0.0).clip(-1.0, 1.0)
