"""Prepared records, each array checked for being there and typed."""

from collections.abc import Sequence
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
        return np.array([_median(column) for column in self.values.T])

    def segment_medians(self, bins: Sequence[int], segments: int) -> NDArray[np.float64]:
        """Return the same for each segment: shape (figures, segments, 2).

        Parameters
        ----------
        bins : sequence of int
            How many each figure has: the places of a segment follow one another.
        segments : int
            How many there are, those that are taken together counted as one.
        """
        return np.array(
            [
                [_median(values[places // width == one]) for one in range(segments)]
                for values, places, width in zip(self.values.T, self.places.T, bins, strict=True)
            ]
        )


def _median(values: NDArray[np.float64]) -> tuple[float, int]:
    known = values[np.isfinite(values)]
    return (float(np.median(known)) if len(known) else 0.0), len(known)
