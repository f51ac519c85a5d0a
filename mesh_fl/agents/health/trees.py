"""Gradient boosting of trees that are drawn in public, all of them a little in every round.

Which leaf a record falls into is public knowledge but for the record; its row holds the gradient of
its loss once a tree, and the sum of rows is a histogram of gradients over all leaves (Chen and
Guestrin 2016, arXiv 1603.02754, without the second order). Splits chosen by such histograms cost a
release a level, which was dearer than what they gained at every epsilon tried.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mesh_fl.agent import Rows, State, Total
from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents.health.attribution import attribute
from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.forest import Splits, leaf_sums
from mesh_fl.agents.health.leaf_fit import fit_leaves
from mesh_fl.agents.health.lightgbm_text import forest_roots, lightgbm_text, prior_roots
from mesh_fl.agents.health.own_trees import OwnTrees, grow
from mesh_fl.agents.health.prior import prior_log_odds, snap
from mesh_fl.agents.health.random_trees import random_splits
from mesh_fl.layout import Layout

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

NOISE_A_ROUND = 0.05
"""Log odds that the noise of one round may move a record by, about: the step gives way to it."""

OWN_BLOCKS = ("own_axis", "own_cut", "own_values")


@dataclass(frozen=True, kw_only=True)
class TreesHead:
    """What is learned: the leaves' values of trees drawn in public.

    Parameters
    ----------
    axes : tuple of Axis
        The encoded columns but for the bias.
    prior : tuple of float
        Public weights that learning starts from, one for each axis and the bias.
    records : float
        Public order of magnitude of all members' records.
    trees, depth : int
    learning_rate : float
        Largest step size on the mean gradient.
    momentum : float
        Share of the last step that is kept.
    prior_precision, own_precision : float
        How firmly a member's own fit of the leaves holds to a trained model, and to the prior.
    seed : int
        Public, of the trees.
    """

    axes: tuple[Axis, ...]
    prior: tuple[float, ...]
    records: float
    trees: int = 50
    depth: int = 4
    learning_rate: float = 64.0
    momentum: float = 0.8
    prior_precision: float = 1.0
    own_precision: float = 0.3
    seed: int = 0

    @property
    def splits(self) -> Splits:
        """The trees, the same at every member."""
        return random_splits(self.axes, self.trees, self.depth, self.seed)

    def init(self) -> State:
        """Return leaves that add nothing to the prior."""
        zeros = np.zeros((self.trees, 2**self.depth))
        return {
            "leaves": zeros,
            "velocity": zeros.copy(),
            "mean": zeros.copy(),
            "noise": np.array(0.0),
            "round": np.array(0.0),
        }

    def layout(self, state: State) -> Layout:
        """Name the blocks: the gradient by leaf, and cells that stay empty."""
        return {"gradient": state["leaves"].shape, "empty": (EMPTY,)}

    def contribute(self, state: State, x: Matrix, y: Vector) -> Rows:
        """Return each record's gradient of the log-loss, once a tree, at the leaf it falls into.

        Guarantee
        ---------
        Adding or removing a record changes the sum by its row, whose length is at most 1: the
        gradient is within [-1, 1] and stands in as many places as there are trees, divided by the
        square root of their number. A row that looked at other records would break it.
        """
        found = self.splits.find(x[:, :-1])
        log_odds = self._prior(x) + leaf_sums(found, state["leaves"])
        return self._rows(found, expit(log_odds) - y, EMPTY)

    def apply(self, state: State, total: Total) -> State:
        """Take a step with momentum, a smaller one the more noise the empty cells show."""
        rounds = np.asarray(state["round"] + 1)
        variance = np.mean(total["empty"] ** 2)
        noise = np.asarray(state["noise"] + (variance - state["noise"]) / rounds)
        step = self._step_size(float(noise)) * total["gradient"] / self.records
        velocity = self.momentum * state["velocity"] - step / math.sqrt(self.trees)
        leaves = state["leaves"] + velocity
        mean = state["mean"] + (leaves - state["mean"]) * 2 / (rounds + 1)
        blocks = {"leaves": leaves, "velocity": velocity, "mean": mean}
        return {**blocks, "noise": noise, "round": rounds}

    def log_odds(self, state: State, x: Matrix) -> Vector:
        """Return what the model says of each record, shape (n,).

        It serves from a mean that favours late rounds (Lacoste-Julien, Schmidt and Bach 2012).
        """
        found = self._prior(x) + self.splits.sum_values(x[:, :-1], state["mean"])
        own = own_trees(state)
        return found if own is None else found + own.log_odds(x[:, :-1])

    def adapt(self, state: State, x: Matrix, y: Vector) -> State:
        """Go on with a member's own records, by own trees that are added to the model.

        Without LightGBM, or with few records, they are the public trees once more, their leaves
        fitted around what the model says.
        """
        begun = {name: block for name, block in state.items() if name not in OWN_BLOCKS}
        margin = self.log_odds(begun, x)
        own = grow(x[:, :-1], y, margin) or self._refit(begun, x, y, margin)
        axis = own.splits.axis.astype(np.float64)
        return {**begun, "own_axis": axis, "own_cut": own.splits.cut, "own_values": own.values}

    def contributions(self, state: State, x: Matrix) -> Matrix:
        """Return each column's part in the log odds, shape (n, d), adding up to them.

        The last column is what a record of neutral values gets; see `attribute`.
        """
        neutral = np.zeros(len(self.axes))
        values, weights = x[:, :-1], np.array(self.prior)
        parts = snap(values) * weights[:-1]
        parts += attribute(self.splits, state["mean"], values, neutral)
        own = own_trees(state)
        if own is not None:
            parts += attribute(own.splits, own.values, values, neutral)
        bias = self.log_odds(state, np.append(neutral, 1.0)[None])
        return np.column_stack([parts, np.repeat(bias, len(x))])

    def lightgbm(self, state: State) -> str:
        """Return the model as the text of a LightGBM model; see `lightgbm_text`."""
        roots = [*prior_roots(np.array(self.prior)), *forest_roots(self.splits, state["mean"])]
        own = own_trees(state)
        if own is not None:
            roots += forest_roots(own.splits, own.values)
        return lightgbm_text(self.axes, roots)

    def _refit(self, state: State, x: Matrix, y: Vector, margin: Vector) -> OwnTrees:
        precision = self.prior_precision if state["round"] > 0 else self.own_precision
        rows = self._rows(self.splits.find(x[:, :-1]), np.ones(len(x)), 0)
        change = fit_leaves(rows, y, margin, precision).reshape(state["mean"].shape)
        return OwnTrees(self.splits, change / math.sqrt(self.trees))

    def _prior(self, x: Matrix) -> Vector:
        return prior_log_odds(np.array(self.prior), x)

    def _step_size(self, variance: float) -> float:
        if variance == 0.0:
            return self.learning_rate
        return min(self.learning_rate, NOISE_A_ROUND * self.records / math.sqrt(variance))

    def _rows(
        self, found: NDArray[np.int64], entries: Vector, empty: int
    ) -> "csr_array[np.float64]":
        from scipy.sparse import csr_array

        places = found + 2**self.depth * np.arange(self.trees)
        each = np.repeat(entries / math.sqrt(self.trees), self.trees)
        starts = np.arange(len(found) + 1) * self.trees
        shape = (len(found), self.trees * 2**self.depth + empty)
        return csr_array((each, places.ravel(), starts), shape=shape)


def own_trees(state: State) -> OwnTrees | None:
    """Return the trees that a member's own records added, where there are any."""
    if "own_values" not in state:
        return None
    splits = Splits(state["own_axis"].astype(np.int64), state["own_cut"])
    return OwnTrees(splits, state["own_values"])
