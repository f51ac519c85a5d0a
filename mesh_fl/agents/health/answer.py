"""What client health answers: a risk, how sure it is, what drives it and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit, ndtr

from mesh_fl.agent import State
from mesh_fl.agents.health.head import Head
from mesh_fl.agents.health.inputs import Inputs
from mesh_fl.agents.health.logistic_head import log_odds_spread
from mesh_fl.agents.health.wording import in_words
from mesh_fl.schema import Table

RiskLevel = Literal["low", "medium", "high", "critical"]
LEVELS: tuple[RiskLevel, ...] = ("low", "medium", "high", "critical")
INTERVAL = 0.9
INTERVAL_SDS = 1.6448536269514722  # the normal quantile that leaves 5 % on either side

NO_COVARIANCE = (
    "the shared model has no uncertainty of its own: fit it to your own labelled records first"
)
NO_WEIGHTS = "no feature declares a weight, so there is no rule score"
NO_DATES = "the label says whether a client leaves, not when"


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """What one feature adds to the log-odds of leaving, against its neutral value.

    Attributes
    ----------
    typical : float or None
        The neutral value of a number, which adds nothing.
    words : str
        All of it in a sentence.
    """

    feature: str
    value: float | str | None
    contribution: float
    typical: float | None = None
    words: str = ""


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
    rule_score : float or None
        The same by the declared weights alone, as a scorecard would have it.
    model_used : str
        What the risk comes from.
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
    rule_score: float | None
    model_used: str
    unavailable: dict[str, str]


@dataclass(frozen=True)
class Model:
    """What answers: declared inputs, a head, and its state, global or adapted.

    Parameters
    ----------
    inputs : Inputs
    thresholds : tuple of three floats
        Risk from which a client is at medium, high and critical risk.
    head : Head
    state : State
    """

    inputs: Inputs
    thresholds: tuple[float, float, float]
    head: Head
    state: State

    @property
    def used(self) -> str:
        """What the answer comes from, in words."""
        name = type(self.head).__name__.removesuffix("Head").lower()
        if self.state.get("alone", 0.0):
            return f"{name}, own records alone: they are told better so than with the training"
        if self.state["round"] > 0:
            return name
        is_own = "covariance" in self.state or "own_values" in self.state
        return f"{name}, own records alone" if is_own else "rule score"


def compose(model: Model, table: Table, x: NDArray[np.float64]) -> list[ClientHealthAnswer]:
    """Answer for each client of a table, whose inputs are encoded as x."""
    log_odds = model.head.log_odds(model.state, x)
    parts = model.head.contributions(model.state, x)
    spreads = log_odds_spread(model.state, x)
    rules = expit(x @ model.inputs.scorecard) if model.inputs.has_scorecard else None
    told = [_told(table[one.name].tolist()) for one in model.inputs.alone]
    return [
        _answer(
            model,
            [*(column[place] for column in told), *(None for _ in model.inputs.interactions)],
            parts[place, :-1].tolist(),
            float(log_odds[place]),
            None if spreads is None else float(spreads[place]),
            None if rules is None else float(rules[place]),
        )
        for place in range(len(x))
    ]


def _answer(
    model: Model,
    told: list[float | str | None],
    parts: list[float],
    log_odds: float,
    spread: float | None,
    rule: float | None,
) -> ClientHealthAnswer:
    risk = float(expit(log_odds))
    rank = int(np.searchsorted(model.thresholds, risk, side="right"))
    reasons = tuple(
        Reason(
            feature=name,
            value=value,
            contribution=part,
            typical=typical,
            words=in_words(about, value, typical, part),
        )
        for name, about, typical, value, part in zip(
            model.inputs.names,
            model.inputs.abouts,
            model.inputs.typical,
            told,
            parts,
            strict=True,
        )
    )
    lower, upper = _bounds(log_odds, spread)
    return ClientHealthAnswer(
        health_score=100 * (1 - risk),
        churn_risk=risk,
        risk_level=LEVELS[rank],
        priority=4 - rank,
        confidence=_confidence(log_odds, spread, model.thresholds, rank),
        predictions=ChurnPrediction(churn_probability=risk, lower_bound=lower, upper_bound=upper),
        reasons=tuple(sorted(reasons, key=lambda reason: -abs(reason.contribution))),
        recommendations=_recommend(model.inputs, reasons, log_odds),
        rule_score=None if rule is None else 100 * (1 - rule),
        model_used=model.used,
        unavailable=_unavailable(spread, rule),
    )


def _told(values: Sequence[float | str]) -> list[float | str | None]:
    """Return what was told of an input, None where nothing was."""
    return [None if value == "" or value != value else value for value in values]


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
    inputs: Inputs, reasons: tuple[Reason, ...], log_odds: float
) -> tuple[Recommendation, ...]:
    raising = [
        Recommendation(
            feature=reason.feature,
            action=action,
            contribution=reason.contribution,
            risk_if_neutral=float(expit(log_odds - reason.contribution)),
        )
        for action, reason in zip(inputs.actions, reasons, strict=True)
        if reason.contribution > 0
    ]
    return tuple(sorted(raising, key=lambda advice: -advice.contribution))


def _unavailable(spread: float | None, rule: float | None) -> dict[str, str]:
    missing = {"predictions.days_to_churn": NO_DATES}
    if rule is None:
        missing["rule_score"] = NO_WEIGHTS
    if spread is None:
        names = ("confidence", "predictions.lower_bound", "predictions.upper_bound")
        missing |= dict.fromkeys(names, NO_COVARIANCE)
    return missing
