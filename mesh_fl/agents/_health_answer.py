"""What client health answers: a risk, how sure it is, what drives it and what to do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit, ndtr

from mesh_fl.agent import State
from mesh_fl.agents._features import Feature

RiskLevel = Literal["low", "medium", "high", "critical"]
LEVELS: tuple[RiskLevel, ...] = ("low", "medium", "high", "critical")
INTERVAL = 0.9
INTERVAL_SDS = 1.6448536269514722  # the normal quantile that leaves 5 % on either side

NO_COVARIANCE = (
    "the shared model has no uncertainty of its own: fit it to your own labelled records first"
)
NO_DATES = "the label says whether a client leaves, not when"


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """What one feature adds to the log-odds of leaving, against its neutral value."""

    feature: str
    value: float | str | None
    contribution: float


class Recommendation(Answer):
    """What to do about a feature that raises the risk, and the risk were it neutral."""

    feature: str
    action: str
    contribution: float
    risk_if_neutral: float


class ChurnPrediction(Answer):
    """The risk with the bounds of its central interval of probability `interval`."""

    churn_probability: float
    lower_bound: float | None
    upper_bound: float | None
    interval: float = INTERVAL
    days_to_churn: float | None = None


class ClientHealthAnswer(Answer):
    """The health of one client.

    Attributes
    ----------
    health_score : float
        100 (sound) down to 0 (certain to leave): 100 times one minus the risk.
    priority : int
        1 (act first) to 4, from the risk level.
    confidence : float or None
        Probability, under the local posterior, that the true risk lies in `risk_level`.
    reasons : tuple of Reason
        Every feature, the largest contribution (of either sign) first.
    unavailable : dict of str to str
        Why each field that is None could not be computed.
    """

    health_score: float
    churn_risk: float
    risk_level: RiskLevel
    priority: int
    confidence: float | None
    predictions: ChurnPrediction
    reasons: tuple[Reason, ...]
    recommendations: tuple[Recommendation, ...]
    unavailable: dict[str, str]


@dataclass(frozen=True)
class Client:
    """One client as the model sees it: values as they were told, and encoded with the bias."""

    values: tuple[float | str | None, ...]
    encoded: NDArray[np.float64]


def compose(
    features: tuple[Feature, ...],
    thresholds: tuple[float, float, float],
    state: State,
    client: Client,
) -> ClientHealthAnswer:
    """Answer for one client with the model in `state`, global or adapted."""
    contributions = (state["mean"] * client.encoded).tolist()
    log_odds = float(state["mean"] @ client.encoded)
    risk = float(expit(log_odds))
    rank = int(np.searchsorted(thresholds, risk, side="right"))
    spread = _spread(state, client.encoded)
    reasons = tuple(
        Reason(feature=feature.name, value=value, contribution=contribution)
        for feature, value, contribution in zip(
            features, client.values, contributions[:-1], strict=True
        )
    )
    lower, upper = _bounds(log_odds, spread)
    return ClientHealthAnswer(
        health_score=100 * (1 - risk),
        churn_risk=risk,
        risk_level=LEVELS[rank],
        priority=4 - rank,
        confidence=_confidence(log_odds, spread, thresholds, rank),
        predictions=ChurnPrediction(churn_probability=risk, lower_bound=lower, upper_bound=upper),
        reasons=tuple(sorted(reasons, key=lambda reason: -abs(reason.contribution))),
        recommendations=_recommend(features, reasons, log_odds),
        unavailable=_unavailable(spread),
    )


def _spread(state: State, encoded: NDArray[np.float64]) -> float | None:
    if "covariance" not in state:
        return None
    return float(np.sqrt(encoded @ state["covariance"] @ encoded))


def _bounds(log_odds: float, spread: float | None) -> tuple[float | None, float | None]:
    if spread is None:
        return None, None
    reach = INTERVAL_SDS * spread
    return float(expit(log_odds - reach)), float(expit(log_odds + reach))


def _confidence(
    log_odds: float, spread: float | None, thresholds: tuple[float, float, float], rank: int
) -> float | None:
    if spread is None:
        return None
    edges = [-np.inf, *(float(logit(threshold)) for threshold in thresholds), np.inf]
    below, above = ((edge - log_odds) / spread for edge in edges[rank : rank + 2])
    return float(ndtr(above) - ndtr(below))


def _recommend(
    features: tuple[Feature, ...], reasons: tuple[Reason, ...], log_odds: float
) -> tuple[Recommendation, ...]:
    raising = [
        Recommendation(
            feature=feature.name,
            action=feature.action or f"Look into {feature.description or feature.name}.",
            contribution=reason.contribution,
            risk_if_neutral=float(expit(log_odds - reason.contribution)),
        )
        for feature, reason in zip(features, reasons, strict=True)
        if reason.contribution > 0
    ]
    return tuple(sorted(raising, key=lambda advice: -advice.contribution))


def _unavailable(spread: float | None) -> dict[str, str]:
    missing = {"predictions.days_to_churn": NO_DATES}
    if spread is None:
        names = ("confidence", "predictions.lower_bound", "predictions.upper_bound")
        missing |= dict.fromkeys(names, NO_COVARIANCE)
    return missing
