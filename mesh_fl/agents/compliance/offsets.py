"""How much likelier a control is meant than its words say: one offset of the log-odds for each.

Offsets start from public log-odds, which never move, and take one step of Newton's method with a
normal prior, from the summed residuals of judged pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESIDUAL_WEIGHT, INFORMATION_WEIGHT = 0.95, 0.3
"""Of a judged pair's two blocks: its row is never longer than one."""

SPREAD = 1.0
"""Prior standard deviation of an offset around their mean, in log-odds."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Sums over judged pairs.

    Parameters
    ----------
    residuals : ndarray, shape (controls,)
        Sum of outcome minus public probability, by control.
    information : ndarray, shape (controls,)
        Sum of p (1 - p), by control.
    variance : float
        Of a residual sum, by noise.
    """

    residuals: Vector
    information: Vector
    variance: float = 0.0


@dataclass(frozen=True)
class Offsets:
    """What is believed of each control's offset.

    Parameters
    ----------
    mean, precision : ndarray, shape (controls,)
    """

    mean: Vector
    precision: Vector

    @classmethod
    def of(cls, judged: Judged) -> "Offsets":
        """Estimate offsets around their common mean."""
        information, variance = judged.information, judged.variance
        total = float(information.sum())
        doubt = variance * len(information) / max(total, 1.0)
        common = float(judged.residuals.sum()) / (total + doubt + 1)
        apart = judged.residuals - common * information
        told = information**2 / (variance + np.maximum(information, 1e-9))
        precision = 1 / SPREAD**2 + told
        step = information * apart / (variance + np.maximum(information, 1e-9))
        return cls(common + step / precision, precision)

    def with_own(self, own: Judged) -> "Offsets":
        """Take a member's own exact sums into account."""
        precision = self.precision + own.information
        left = own.residuals - own.information * self.mean
        return Offsets(self.mean + left / precision, precision)


def even(total: float, controls: int) -> Vector:
    """Spread information evenly: only its sum is told by the federation."""
    return np.full(controls, max(total, 0.0) / controls)
