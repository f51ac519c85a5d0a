"""Logistic regression by summed gradients, around a rule score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Rows, State, Total
from mesh_fl.agents._logistic import Posterior, fit_map, gradient_rows
from mesh_fl.agents._momentum import at_rest, moved
from mesh_fl.agents.health.recalibration import recalibrated, tells_better
from mesh_fl.layout import Layout

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LogisticHead:
    """Weights on the columns.

    Parameters
    ----------
    prior : tuple of float
        Weights that learning starts from, the bias last: the rule score, or zeros.
    records, learning_rate, momentum, prior_precision, own_precision : float
        See `ClientHealth`.
    """

    prior: tuple[float, ...]
    records: float
    learning_rate: float
    momentum: float
    prior_precision: float
    own_precision: float

    def init(self) -> State:
        """Return the rule score; all zeros, where there is none, are a risk of one half."""
        return at_rest(np.array(self.prior))

    def layout(self, state: State) -> Layout:
        """Return the one block that is summed, the gradient."""
        return {"gradient": state["weights"].shape}

    def contribute(self, state: State, x: Matrix, y: Vector) -> Rows:
        """Return each record's gradient of the log-loss."""
        return gradient_rows(state["weights"], x, y)

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum; the mean gives iterate t a weight proportional to t."""
        step = self.learning_rate * (total["gradient"] / self.records)
        return moved(state, step, self.momentum)

    def log_odds(self, state: State, x: Matrix) -> Vector:
        """Return the log odds by the mean of the iterates, or by the fitted weights."""
        found: Vector = x @ state["mean"]
        return found

    def adapt(self, state: State, x: Matrix, y: Vector) -> State:
        """Fit own records with the global mean as prior, and recalibrate; adds "covariance".

        With an untrained state this is a model trained alone, around the rule score. It is that
        too, and "alone" is 1, where own records, each left out in turn, are told clearly better so:
        a training of too small a crowd must not spoil what was known before.
        """
        alone = Posterior(x, y, np.array(self.prior), self.own_precision)
        fitted, is_alone = (alone, fit_map(alone)), False
        if state["round"] > 0:
            trained = Posterior(x, y, state["mean"], self.prior_precision)
            together = trained, fit_map(trained)
            is_alone = tells_better(fitted, together)
            fitted = fitted if is_alone else together
        mean, covariance = recalibrated(fitted[0], *fitted[1])
        return {**state, "mean": mean, "covariance": covariance, "alone": np.array(float(is_alone))}

    def contributions(self, state: State, x: Matrix) -> Matrix:
        """Return weight times value, the bias last."""
        found: Matrix = x * state["mean"]
        return found


def log_odds_spread(state: State, x: Matrix) -> Vector | None:
    """Return the standard deviation of the log odds under the local posterior, if there is one."""
    if "covariance" not in state:
        return None
    spread: Vector = np.sqrt(np.einsum("nd,de,ne->n", x, state["covariance"], x).clip(0.0))
    return spread
