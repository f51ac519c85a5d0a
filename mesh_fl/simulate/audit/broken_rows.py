"""Row sums that are not clipped as they must be."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mesh_fl.agent import Rows

Vector = NDArray[np.int64]


@np.errstate(all="ignore")
def unclipped(rows: Rows, clip: float, scale: float, dimension: int) -> Vector:
    """Add rows up as long as they are."""
    units = csr_array(rows) * scale
    units.data = np.clip(np.nan_to_num(np.rint(units.data)), -(2.0**40), 2.0**40)
    return np.asarray(units.sum(axis=0), dtype=np.int64)


def clipped_after(rows: Rows, clip: float, scale: float, dimension: int) -> Vector:
    """Clip the sum, of which one record can turn the direction."""
    whole = unclipped(rows, clip, scale, dimension)
    longest = max(float(np.linalg.norm(whole)), clip * scale)
    shorter: Vector = np.rint(whole * (clip * scale / longest)).astype(np.int64)
    return shorter


def without_rounding(clip: float, scale: float, dimension: int) -> float:
    """Forget that rounding makes rows longer."""
    return scale * clip
