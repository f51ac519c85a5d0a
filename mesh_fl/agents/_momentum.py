"""Summed gradients with momentum (Polyak 1964), and a mean of the iterates that favours late ones.

Iterate t counts in proportion to t (Lacoste-Julien, Schmidt and Bach 2012, arXiv 1212.2002), so
that no setting depends on where a training stops.
"""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State


def at_rest(weights: NDArray[np.float64]) -> State:
    """Return the state before any step."""
    return {
        "weights": weights,
        "velocity": np.zeros_like(weights),
        "mean": weights.copy(),
        "round": np.array(0.0),
    }


def moved(state: State, step: NDArray[np.float64], momentum: float) -> State:
    """Return the state after a step downhill.

    Parameters
    ----------
    state : State
        As `at_rest` began it.
    step : ndarray
        The mean gradient times the learning rate; of the weights' shape.
    momentum : float
        Share of the last step that is kept.
    """
    velocity = momentum * state["velocity"] - step
    weights = state["weights"] + velocity
    rounds = np.asarray(state["round"] + 1)
    mean = state["mean"] + (weights - state["mean"]) * 2 / (rounds + 1)
    return {"weights": weights, "velocity": velocity, "mean": mean, "round": rounds}
