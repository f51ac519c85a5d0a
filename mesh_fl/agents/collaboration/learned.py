"""What a state says: the skills of the network, and how much its introductions count."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State, Total
from mesh_fl.agents._histogram import EMPTY, REACH, Band, Histogram, average
from mesh_fl.agents.collaboration.acceptance import (
    FEATURES,
    GRADIENT_WEIGHT,
    PUBLIC_WEIGHTS,
    TALLY_WEIGHT,
)

Vector = NDArray[np.float64]

COUNTED = ("supply", "demand", "tally", "empty")
"""Blocks that every release tells anew, and whose mean is kept."""


@dataclass(frozen=True)
class Step:
    """How a release moves the weights.

    Parameters
    ----------
    learning_rate : float
        Step size on the mean gradient.
    momentum : float
        Share of the last step that is kept.
    enough : float
        Introductions that a mean is taken over at least.
    precision : float
        How firmly the weights are held to the public ones.
    """

    learning_rate: float
    momentum: float
    enough: float
    precision: float

    def apply(self, state: State, total: Total) -> State:
        """Average the counts; take one step with momentum; keep a mean of late iterates."""
        before = float(state["round"])
        counts = {name: average(state[name], total[name], before) for name in COUNTED}
        # Nobody knows how many introductions there are but by the tally, and it is noisy.
        size = max(float(counts["tally"][0]) / TALLY_WEIGHT, self.enough)
        pull = self.precision * (state["weights"] - PUBLIC_WEIGHTS)
        gradient = (total["gradient"] / GRADIENT_WEIGHT + pull) / size
        velocity = self.momentum * state["velocity"] - self.learning_rate * gradient
        weights = state["weights"] + velocity
        mean = state["mean"] + (weights - state["mean"]) * 2 / (before + 2)
        moved = {"weights": weights, "velocity": velocity, "mean": mean}
        return {**state, **counts, **moved, "round": np.array(before + 1)}


def public_state(cells: int) -> State:
    """Return no counts, and the weights that people set."""
    return {
        "supply": np.zeros(cells),
        "demand": np.zeros(cells),
        "tally": np.zeros(1),
        "empty": np.zeros(EMPTY),
        "weights": PUBLIC_WEIGHTS.copy(),
        "velocity": np.zeros(len(FEATURES)),
        "mean": PUBLIC_WEIGHTS.copy(),
        "round": np.array(0.0),
    }


@dataclass(frozen=True)
class Learned:
    """A state as answers use it.

    Parameters
    ----------
    state : State
        `public_state`, a trained one, or one with a member's own blocks.
    enough : float
        Introductions of the network from which its weights answer.
    """

    state: State
    enough: float

    @cached_property
    def supply(self) -> Histogram:
        """Technicians of the network by skill."""
        return Histogram.of(np.concatenate([self.state["supply"], self.state["empty"]]))

    @cached_property
    def demand(self) -> Histogram:
        """Needs of the network by skill."""
        return Histogram.of(np.concatenate([self.state["demand"], self.state["empty"]]))

    @cached_property
    def introductions(self) -> Band:
        """How many introductions with an outcome the network has."""
        found = float(self.state["tally"][0]) / TALLY_WEIGHT
        reach = REACH * self.supply.noise_sd / TALLY_WEIGHT
        return Band(max(0.0, found), max(0.0, found - reach), max(0.0, found + reach))

    @property
    def knows_acceptance(self) -> bool:
        """Whether the network has introductions enough to trust its weights."""
        return bool(self.state["round"] > 0) and self.introductions.low >= self.enough

    @property
    def network_weights(self) -> Vector:
        """The weights before a member's own records: learned where they can be trusted."""
        return self.state["mean"] if self.knows_acceptance else PUBLIC_WEIGHTS

    @property
    def weights(self) -> Vector:
        """The weights that answers are given with."""
        return self.state.get("own_weights", self.network_weights)

    @property
    def source(self) -> str:
        """Where the weights come from, in words."""
        network = "learned by the network" if self.knows_acceptance else "set by hand"
        return f"{network}, fitted to own introductions" if self.is_own else network

    @property
    def is_own(self) -> bool:
        """Whether the member's own introductions moved the weights."""
        return "own_weights" in self.state

    def shares(self, name: str) -> Vector:
        """Return the best guess of "supply" or "demand" by skill.

        The network's where the noise lets it be seen, else the member's own, else all alike.
        """
        histogram: Histogram = getattr(self, name)
        own = self.state.get(f"own_{name}")
        if not histogram.is_seen and own is not None and own.sum() > 0:
            return Histogram(own, 0.0).shares
        return histogram.shares
