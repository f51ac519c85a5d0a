"""The duration model: hours as a product of one factor for each cell that a ticket falls into.

Weights on the cells follow the summed gradient of a Huber loss of the logarithm of hours (Huber
1964) with momentum (Polyak 1964). A mean that favours late iterates is served (Lacoste-Julien,
Schmidt and Bach 2012, arXiv 1212.2002).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State, Total
from mesh_fl.agents.resource.inputs import NOWHERE, Cells, Inputs
from mesh_fl.agents.resource.spread import LONGEST, WEIGHT, excesses, own_spread, public_spread
from mesh_fl.layout import Layout

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Vector = NDArray[np.float64]

FEWEST_RECORDS = 8
"""That two models are compared on."""

FARTHEST = 1e3
"""Of a weight or a quantile; noise alone must not lead to infinite ones."""


@dataclass(frozen=True, kw_only=True)
class Durations:
    """Learns and predicts logarithms of hours.

    Parameters
    ----------
    inputs : Inputs
    bounds : tuple of two floats
        Fewest and most hours.
    records, clip, learning_rate, momentum, spread_rate, prior_records, prior_precision,
    own_precision, spread_records : float
        See `ResourceAllocation`.
    """

    inputs: Inputs
    bounds: tuple[float, float]
    records: float
    clip: float
    learning_rate: float
    momentum: float
    spread_rate: float
    prior_records: float
    prior_precision: float
    own_precision: float
    spread_records: float

    def init(self) -> State:
        """Return public knowledge."""
        weights, spread = self.inputs.prior, public_spread()
        return {
            "weights": weights,
            "spread": spread,
            "latest_weights": weights.copy(),
            "latest_spread": spread.copy(),
            "velocity": np.zeros_like(weights),
            "round": np.array(0.0),
        }

    def layout(self) -> Layout:
        """Return what is summed: the pull on the weights, and how many misses are too far up."""
        return {"pull": (self.inputs.size,), "excess": (len(public_spread()),)}

    def rows(self, state: State, cells: Cells, logs: Vector) -> "csr_array[np.float64]":
        """Return each record's pull and excess, of length `clip` at most."""
        from scipy.sparse import csr_array

        missed = logs - self._means(cells, state["latest_weights"])
        pull = np.clip(missed, -self._longest_pull, self._longest_pull)
        known = cells != NOWHERE
        excess = excesses(missed, state["latest_spread"])
        places = np.arange(self.inputs.size, self.inputs.size + excess.shape[1])
        kept = np.hstack([known, np.ones(excess.shape, dtype=np.bool_)])
        values = np.hstack([pull[:, None] * self.inputs.strengths, excess])
        columns = np.hstack([cells, np.broadcast_to(places, excess.shape)])
        starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        shape = (len(cells), self.inputs.size + excess.shape[1])
        return csr_array((values[kept], columns[kept], starts), shape=shape)

    def apply(self, state: State, total: Total) -> State:
        """Take one step; the mean gives iterate t a weight proportional to t."""
        size = self.records + self.prior_records
        pull = total["pull"] / size
        velocity = self.momentum * state["velocity"] + self.learning_rate * pull
        steps = {
            "weights": velocity,
            "spread": self.spread_rate * total["excess"] / WEIGHT / size,
        }
        after = {"velocity": velocity, "round": np.asarray(state["round"] + 1)}
        for name, step in steps.items():
            latest = np.clip(state[f"latest_{name}"] + step, -FARTHEST, FARTHEST)
            after[f"latest_{name}"] = latest
            after[name] = state[name] + (latest - state[name]) * 2 / (state["round"] + 2)
        return {name: after[name] for name in state}

    def logs(self, state: State, cells: Cells) -> Vector:
        """Return the logarithms of the hours that a model says, within the bounds."""
        low, high = map(math.log, self.bounds)
        found: Vector = np.clip(self._means(cells, state["weights"]), low, high)
        return found

    def hours(self, state: State, cells: Cells, quantile: float) -> Vector:
        """Return the hours that lie a quantile of misses above what a model says, in bounds."""
        logs = self._means(cells, state["weights"]) + quantile
        low, high = map(math.log, self.bounds)
        found: Vector = np.exp(np.clip(logs, low, high))
        return found

    def adapt(self, state: State, cells: Cells, logs: Vector) -> State:
        """Fit own records by ridge regression around the given weights, and their spread.

        With an untrained state this is a model trained alone, around public knowledge. It is that
        too, and "alone" is 1, where own records, each left out in turn, are told clearly better so:
        a training of too small a crowd must not spoil what was known before.
        """
        alone = self._fitted(self.init()["weights"], self.own_precision, cells, logs)
        weights, missed = alone
        is_alone = False
        if state["round"] > 0:
            together = self._fitted(state["weights"], self.prior_precision, cells, logs)
            is_alone = _tells_better(alone[1], together[1])
            weights, missed = alone if is_alone else together
        start = public_spread() if is_alone else state["spread"]
        return {
            **state,
            "weights": weights,
            "spread": own_spread(missed, start, self.spread_records),
            "own_records": np.array(float(len(logs))),
            "alone": np.array(float(is_alone)),
        }

    def _fitted(
        self, start: Vector, precision: float, cells: Cells, logs: Vector
    ) -> tuple[Vector, Vector]:
        """Return the weights, and what each record is missed by if it is left out."""
        every = self.inputs.rows(cells)
        # Ridge regression leaves the cells alone that no record falls into.
        used = np.flatnonzero(every.any(axis=0))
        x = every[:, used]
        inverse = np.linalg.inv(x.T @ x + precision * np.eye(len(used)))
        weights = start.copy()
        weights[used] += inverse @ (x.T @ (logs - every @ start))
        leverage = np.einsum("nd,de,ne->n", x, inverse, x)
        return weights, (logs - every @ weights) / np.maximum(1 - leverage, 1e-3)

    def _means(self, cells: Cells, weights: Vector) -> Vector:
        found: Vector = self.inputs.factors(cells, weights).sum(axis=1)
        return found

    @property
    def _longest_pull(self) -> float:
        return math.sqrt(max(self.clip**2 - LONGEST**2, 0.0))


def _tells_better(missed: Vector, others: Vector) -> bool:
    """Tell whether squared misses are smaller than others', by more than chance would have it."""
    if len(missed) < FEWEST_RECORDS:
        return False
    gain = others**2 - missed**2
    return bool(gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain)))
