"""Named blocks of a row, in order: how a flat vector gets its meaning back."""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

Layout = Mapping[str, tuple[int, ...]]
"""Shape of each named block; the order of the mapping is the order in the row."""


def size(layout: Layout) -> int:
    """Return the length of a row laid out as `layout`."""
    return sum(prod(shape) for shape in layout.values())


def unpack(layout: Layout, vector: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Cut a flat vector into its named blocks.

    Parameters
    ----------
    layout : Layout
        Shapes by name.
    vector : ndarray, shape (size(layout),)
        The flat vector.

    Returns
    -------
    dict of ndarray
        A copy of each block, in its shape.

    Raises
    ------
    ValueError
        If the vector has another length.
    """
    if vector.shape != (size(layout),):
        raise ValueError(f"expected a vector of length {size(layout)}, got shape {vector.shape}")
    blocks: dict[str, NDArray[np.float64]] = {}
    start = 0
    for name, shape in layout.items():
        stop = start + prod(shape)
        blocks[name] = vector[start:stop].reshape(shape).copy()
        start = stop
    return blocks


def pack(layout: Layout, blocks: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Concatenate named blocks into one flat vector: the inverse of `unpack`."""
    if list(blocks) != list(layout) or any(blocks[k].shape != tuple(layout[k]) for k in layout):
        found = {name: block.shape for name, block in blocks.items()}
        raise ValueError(f"expected blocks {dict(layout)}, got {found}")
    return np.concatenate([blocks[name].ravel() for name in layout] or [np.empty(0)])
