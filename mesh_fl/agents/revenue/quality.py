"""How good a model's forecasts and bands are, record by record."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data, State
from mesh_fl.agents.revenue.blend import misses
from mesh_fl.agents.revenue.conformal import LEVEL, factors

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

WORST = 4.0
"""Mean absolute scaled error that a summed one is cut at; of 5,000 public series 2 % have more."""

STRETCHES = ((0, 3), (3, 12), (12, None))
"""Months ahead whose coverage is told by itself."""


@dataclass(frozen=True)
class Quality:
    """Figures of each record that something was held out of; shape (n,) each.

    Parameters
    ----------
    mase : ndarray
        Mean absolute scaled error: 1 is a naive forecast's.
    smape : ndarray
        Symmetric mean absolute percentage error, 0 to 200.
    interval_score : ndarray
        Mean scaled interval score (Gneiting and Raftery 2007): width and what lies outside.
    coverage : ndarray
        Share of months inside of their band.
    coverage_1_3, coverage_4_12, coverage_13_on : ndarray
        The same of some months ahead.
    """

    mase: Vector
    smape: Vector
    interval_score: Vector
    coverage: Vector
    coverage_1_3: Vector
    coverage_4_12: Vector
    coverage_13_on: Vector

    @classmethod
    def of(cls, state: State, data: Data) -> "Quality":
        """Judge a model; NaN for records that nothing was held out of."""
        missed, apart, actual, reach = (
            data[name].astype(np.float64) for name in ("missed", "apart", "actual", "reach")
        )
        miss = misses(missed, apart, state["blend"])
        size = np.abs(actual) + np.abs(actual - miss)
        wide = factors(state["bands"], miss.shape[1]) * reach
        beyond = np.maximum(np.abs(miss) - wide, 0.0)
        inside = np.where(np.isfinite(miss), beyond == 0, np.nan)
        percent = 200 * np.abs(miss) / np.where(size > 0, size, 1.0)
        score = 2 * wide + 2 / (1 - LEVEL) * beyond
        stretches = (inside[:, start:stop] for start, stop in STRETCHES)
        return cls(*map(_row_means, (np.abs(miss), percent, score, inside, *stretches)))

    @property
    def means(self) -> dict[str, float]:
        """The figures over all records, and by how far the coverage of all months is off."""
        found = {name: _mean(column) for name, column in vars(self).items()}
        return found | {"coverage_error": abs(found["coverage"] - LEVEL)}

    def rows(self) -> Matrix:
        """Return what is summed: 1, the scaled error and the coverage; zeros without any."""
        known = np.isfinite(self.mase)
        columns = (known, np.minimum(self.mase, WORST) / WORST, self.coverage)
        rows: Matrix = np.stack([np.where(known, one, 0.0) for one in columns], axis=1)
        return rows


def _row_means(values: Matrix) -> Vector:
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=1)
    counts = known.sum(axis=1)
    means: Vector = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _mean(values: Vector) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
