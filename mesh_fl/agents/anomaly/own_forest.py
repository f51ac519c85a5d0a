"""An isolation forest on one's own records alone: scikit-learn's, fitted here and never stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.isolation_trees import IsolationTrees
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.errors import ConfigError
from mesh_fl.schema import Table

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.int64]

TREES = 100
FEWEST = 50
"""Records below which a forest tells nothing."""

EXTRA = "an isolation forest needs scikit-learn, not installed here: pip install 'mesh_fl[anomaly]'"


def positions(traits: Sequence[Trait], table: Table) -> Matrix:
    """Return where numbers and moments stand between their bounds, NaN for all else.

    Returns
    -------
    ndarray, shape (n, traits)
    """
    count = len(next(iter(table.values()), ()))
    nothing = np.full(count, np.nan)
    columns = [
        one.positions(table[one.column]) if one.column in table else nothing for one in traits
    ]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class OwnForest:
    """A forest over numbers as they stand, and over how rare a word is among one's own records.

    Parameters
    ----------
    logs : tuple of ndarray
        For each trait, the log of each cell's share of the records.
    inputs : ndarray, shape (n, traits)
        Of the records.
    seed : int
    """

    logs: tuple[Vector, ...]
    inputs: Matrix = field(repr=False)
    seed: int

    @classmethod
    def fit(cls, cells: Sequence[int], places: Places, at: Matrix, seed: int = 0) -> "OwnForest":
        """Take records for a forest (Liu, Ting and Zhou 2008), grown when it is first asked.

        Parameters
        ----------
        cells : sequence of int
            Of each trait.
        places : ndarray, shape (n, traits)
        at : ndarray, shape (n, traits)
            From `positions`.
        seed : int

        Raises
        ------
        ConfigError
            If scikit-learn is not installed.
        """
        if not _is_installed():
            raise ConfigError(EXTRA)
        pairs = zip(cells, places.T, strict=True)
        logs = tuple(_log_shares(column, count) for count, column in pairs)
        return cls(logs, _inputs(logs, places, at), seed)

    @cached_property
    def trees(self) -> IsolationTrees:
        """The forest as scikit-learn has it by default."""
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(n_estimators=TREES, random_state=self.seed)
        return IsolationTrees.of(forest.fit(self.inputs))

    def scores(self, places: Places, at: Matrix) -> Vector:
        """Return how easily each record is isolated: 0 to 1, the higher the more unusual."""
        return self.trees.scores(_inputs(self.logs, places, at))


def _is_installed() -> bool:
    """Tell whether scikit-learn is there, without the second that importing it takes."""
    try:
        return find_spec("sklearn.ensemble") is not None
    except ModuleNotFoundError:
        return False


def _log_shares(column: Places, cells: int) -> Vector:
    counts = np.bincount(column[column >= 0], minlength=cells)
    shares: Vector = np.log((counts + 1) / (counts.sum() + cells))
    return shares


def _inputs(logs: Sequence[Vector], places: Places, at: Matrix) -> Matrix:
    """Return numbers where they stand, else the log of the cell's share; 0 for what is not told."""
    pairs = zip(logs, places.T, strict=True)
    rare = np.stack([np.append(log, 0.0)[column] for log, column in pairs], axis=1)
    return np.where(np.isnan(at), rare, at)
