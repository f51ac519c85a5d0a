"""Prepared records, each array checked for being there and typed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents.market.sentiment import SIGNS
from mesh_fl.errors import AgentError

NAMES = ("values", "places", "z", "level", "trend")


@dataclass(frozen=True)
class Arrays:
    """What `records.Reading` reads.

    Parameters
    ----------
    values : ndarray, shape (n, figures)
    places : ndarray, shape (n, figures)
    z : ndarray, shape (n, features)
    level : ndarray, shape (n,)
    trend : ndarray, shape (n,)
    """

    values: NDArray[np.float64]
    places: NDArray[np.int64]
    z: NDArray[np.float64]
    level: NDArray[np.float64]
    trend: NDArray[np.int64]

    @classmethod
    def of(cls, data: Data) -> "Arrays":
        """Take prepared records.

        Raises
        ------
        AgentError
            If an array is missing.
        """
        missing = [name for name in NAMES if name not in data]
        if missing:
            raise AgentError(
                f"market: expected prepared records, found none of {', '.join(missing)}: "
                "use `prepare`"
            )
        level = data["level"].astype(np.float64, copy=False)
        return cls(
            values=data["values"].astype(np.float64, copy=False),
            places=data["places"].astype(np.int64, copy=False),
            z=data["z"].astype(np.float64, copy=False),
            level=np.where(np.isin(level, range(len(SIGNS))), level, np.nan),
            trend=data["trend"].astype(np.int64, copy=False),
        )

    def medians(self) -> NDArray[np.float64]:
        """Return each figure's median and how many records told it: shape (figures, 2)."""
        known = [column[np.isfinite(column)] for column in self.values.T]
        return np.array([[float(np.median(one)) if len(one) else 0.0, len(one)] for one in known])
