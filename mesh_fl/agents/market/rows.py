"""The row of each record: its bins, its gradient and its topic, side by side.

Guarantee
---------
A row depends on its own record and the public state only. Each part is no longer than one and gets
a constant weight, so that the whole row is no longer than the clip, and adding or removing a record
moves the sum by at most that.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._histogram import EMPTY, one_hot
from mesh_fl.agents._ordinal import gradient_rows
from mesh_fl.agents.market.likeness import scored

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Places = NDArray[np.int64]


def weight(clip: float, parts: int) -> float:
    """Return what each of several parts of a row is multiplied by."""
    return clip / math.sqrt(parts)


def figure_rows(places: Places, cells: tuple[int, ...], width: int) -> Matrix:
    """Return a histogram row for each figure, side by side: together no longer than one.

    Parameters
    ----------
    places : ndarray, shape (n, figures)
        -1 where a figure is not told.
    cells : tuple of int
        How many each figure has.
    width : int
        Of each figure's part: the figures with fewer cells leave some free.
    """
    rows = np.zeros((len(places), len(cells), width))
    for number, count in enumerate(cells):
        found = one_hot(places[:, number], count)
        rows[:, number, : found.shape[1]] = found
    rows *= weight(1.0, len(cells))
    return rows.reshape(len(places), len(cells) * width)


def sentiment_rows(model: Vector, z: Matrix, level: Vector, clip: float) -> Matrix:
    """Return each labelled record's gradient, shortened to the clip and divided by it."""
    rows = _gradients(model, z, level)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    shortened: Matrix = rows / np.maximum(lengths, clip)
    return shortened


def _gradients(model: Vector, z: Matrix, level: Vector) -> Matrix:
    """Return the rows of `gradient_rows`, each the same to the bit whatever rows are beside it.

    Its matrix product then only ever adds a score times one to a one times zero.
    """
    width = z.shape[1]
    scores = np.stack([scored(z, model[:width]), np.ones(len(z))], axis=1)
    rows = gradient_rows(np.concatenate([[1.0, 0.0], model[width:]]), scores, level)
    return np.hstack([rows[:, 1:2] * z, rows[:, 2:]])


def released_figures(block: Matrix, cells: tuple[int, ...]) -> Iterator[Vector]:
    """Yield each figure's cells and empty cells of a block, the free ones left out."""
    for row, count in zip(block, cells, strict=True):
        yield row[: count + EMPTY]
