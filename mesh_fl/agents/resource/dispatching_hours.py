"""How long tickets of a simulation take, and what of that is predicted."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mesh_fl.agent import Agent, Data, State
from mesh_fl.agents.resource.spread import log_sd
from mesh_fl.errors import ConfigError

Vector = NDArray[np.float64]

USUAL_HOURS = 1.0
PREDICTED_LOG_SD, LOG_SD = 0.5, 1.0
"""Of predictions, and of hours around them: together an R2 of log hours of a fifth."""

LEAST_H, MOST_H = 0.05, 40.0

POINTS = 1000


@dataclass(frozen=True)
class HoursModel:
    """True hours are lognormal around predicted ones.

    Parameters
    ----------
    medians_h : ndarray, shape (n,)
        Predictions (P50) of some tickets, of which each ticket of a simulation has one at random.
    log_sd : float
        Standard deviation of the logarithm of true hours around it.
    least_h, most_h : float
        Between which true hours are.

    Raises
    ------
    ConfigError
        If there is no prediction, or a figure is not finite or out of bounds.
    """

    medians_h: Vector = field(repr=False)
    log_sd: float
    least_h: float = LEAST_H
    most_h: float = MOST_H

    def __post_init__(self) -> None:
        sound = len(self.medians_h) and (np.isfinite(self.medians_h) & (self.medians_h > 0)).all()
        if not sound or not 0 <= self.log_sd <= 10 or not 0 < self.least_h < self.most_h < np.inf:
            raise ConfigError(
                "hours: expected predictions above 0, a log_sd of 0 to 10 and rising bounds, found "
                f"{len(self.medians_h)} predictions, {self.log_sd!r}, {self.least_h!r} to "
                f"{self.most_h!r}"
            )

    @classmethod
    def usual(cls) -> "HoursModel":
        """Return hours that are predicted about as well as by a network's model."""
        levels = (np.arange(POINTS) + 0.5) / POINTS
        return cls(USUAL_HOURS * np.exp(PREDICTED_LOG_SD * ndtri(levels)), LOG_SD)

    @classmethod
    def of(cls, agent: Agent, state: State, data: Data) -> "HoursModel":
        """Return what a model of the agent `resource` says of some tickets.

        Parameters
        ----------
        agent : ResourceAllocation
        state : State
            Of a training, or `agent.init()`.
        data : Data
            As `agent.prepare` returns it; only what is known at opening is read.
        """
        spread = np.sort(np.asarray(state["spread"]))
        logs = np.asarray(agent.predict(state, data), dtype=np.float64) + spread[1]
        bounds = (getattr(agent, "least_hours", LEAST_H), getattr(agent, "most_hours", MOST_H))
        return cls(np.exp(np.clip(logs, *np.log(bounds))), log_sd(spread), *bounds)

    @cached_property
    def mean_h(self) -> float:
        """Mean of true hours."""
        levels = ndtri((np.arange(POINTS) + 0.5) / POINTS)
        some = np.quantile(self.medians_h, (np.arange(POINTS) + 0.5) / POINTS)
        hours = some[:, None] * np.exp(self.log_sd * levels)
        return float(np.clip(hours, self.least_h, self.most_h).mean())

    def draw(self, random: np.random.Generator, tickets: int) -> tuple[Vector, Vector]:
        """Return predicted and true hours of some tickets."""
        predicted = random.choice(self.medians_h, tickets)
        true = predicted * np.exp(self.log_sd * random.normal(size=tickets))
        return predicted, np.clip(true, self.least_h, self.most_h)
