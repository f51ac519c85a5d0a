"""Client health: which clients are about to leave, and why.

Logistic regression on a handful of declared features, trained by summed clipped gradients with
momentum (Polyak 1964) and served from a mean that favours late iterates (Lacoste-Julien, Schmidt
and Bach 2012, arXiv 1212.2002), so that no setting depends on where a training stops.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.agents._features import Feature, encode
from mesh_fl.agents._health_answer import Client, ClientHealthAnswer, compose
from mesh_fl.agents._logistic import (
    Posterior,
    auc,
    brier,
    exact_auc,
    fit_map,
    gradient_rows,
    one_hot_rows,
)
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table

__all__ = ["ClientHealth", "ClientHealthAnswer", "Feature"]

MADE_UP_STRENGTH, MADE_UP_BIAS = 1.7, -1.5
"""Of the model that labels made-up clients: as many leave as in Telco churn, as predictably."""


@dataclass(frozen=True, kw_only=True)
class ClientHealth(Agent):
    """Predicts which clients will leave.

    The record is one client of a member.

    Parameters
    ----------
    features : tuple of Feature
        What a member knows of a client, the same at every member.
    label : str
        Flag column: 1 for a client that left.
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a record's gradient.
    learning_rate : float
        Step size on the mean gradient; about 32 divided by the rounds planned.
    momentum : float
        Share of the last step that is kept.
    prior_precision : float
        How firmly `adapt` holds to a trained global model.
    own_precision : float
        How firmly `adapt` holds to an untrained one, all zeros: an ordinary ridge.
    measure_bins : int
        Bins of risk that quality is read from, narrower where the risk is low.
    thresholds : tuple of three floats
        Churn risk from which a client is at medium, high and critical risk.
    """

    endpoint: ClassVar[str] = "/client-health"

    features: tuple[Feature, ...]
    label: str = "churned"
    records: float
    clip: float = 1.0
    learning_rate: float = 2.0
    momentum: float = 0.8
    prior_precision: float = 10.0
    own_precision: float = 2.0
    measure_bins: int = 6
    thresholds: tuple[float, float, float] = (0.25, 0.5, 0.75)

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        for name, sound, expected in self._rules():
            if not sound:
                found = getattr(self, name)
                raise ConfigError(f"client health, {name}: expected {expected}, found {found!r}")

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [feature.name for feature in self.features]
        yield "features", len(names) > 0, "at least one feature"
        yield "features", len(set(names)) == len(names), "a different name for each feature"
        yield "label", self.label != "" and self.label not in names, "a name that no feature has"
        for name in ("records", "clip", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("prior_precision", "own_precision"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"
        yield "measure_bins", self.measure_bins >= 2, "at least 2 bins"
        yield "thresholds", _rising(self.thresholds), "three rising numbers between 0 and 1"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The features and the label."""
        return (*self.features, Field(name=self.label, kind="flag", description="The client left."))

    def prepare(self, table: Table) -> Data:
        """Encode features as "x", shape (n, d), and the label, where there is one, as "y"."""
        x = encode(self.features, table)
        if self.label not in table:
            return {"x": x}
        y = table[self.label].astype(np.float64)
        if y.shape != (len(x),) or not np.isin(y, (0.0, 1.0)).all():
            raise DataError(f"{self.label}: expected yes or no for each of {len(x)} records")
        return {"x": x, "y": y}

    def init(self) -> State:
        """Return all zeros: a risk of one half for everybody."""
        zeros = np.zeros(len(self.features) + 1)
        return {
            "weights": zeros,
            "velocity": zeros.copy(),
            "mean": zeros.copy(),
            "round": np.array(0.0),
        }

    def layout(self, state: State) -> Layout:
        """Return the one block that is summed, the gradient."""
        return {"gradient": state["weights"].shape}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each record's gradient of the log-loss."""
        x, y = _labelled(data)
        return gradient_rows(state["weights"], x, y)

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum; the mean gives iterate t a weight proportional to t."""
        step = total["gradient"] / self.records
        velocity = self.momentum * state["velocity"] - self.learning_rate * step
        weights = state["weights"] + velocity
        rounds = np.asarray(state["round"] + 1)
        mean = state["mean"] + (weights - state["mean"]) * 2 / (rounds + 1)
        return {"weights": weights, "velocity": velocity, "mean": mean, "round": rounds}

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the churn risk of each record, in [0, 1]."""
        risk: NDArray[np.float64] = expit(_floats(data, "x") @ state["mean"])
        return risk

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: records by score bin and label."""
        return {"counts": (self.measure_bins, 2)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return a one-hot row per record: its score bin and its label."""
        _, y = _labelled(data)
        return one_hot_rows(self.predict(state, data), y, self.measure_bins)

    def score(self, total: Total) -> Mapping[str, float]:
        """Return "auc", "brier" and the number of "records", as far as the noise lets see them."""
        counts = total["counts"]
        return {
            "auc": auc(counts),
            "brier": brier(counts),
            "records": max(0.0, float(counts.sum())),
        }

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "auc", "brier" and, taking a risk above one half for leaving, "accuracy"."""
        _, y = _labelled(data)
        risk = self.predict(state, data)
        return {
            "auc": exact_auc(risk, y),
            "brier": float(np.mean((risk - y) ** 2)),
            "accuracy": float(np.mean((risk > 0.5) == y)),
        }

    def adapt(self, state: State, data: Data) -> State:
        """Fit the member's own records with the global mean as prior; adds "covariance".

        With an untrained state this is a model trained alone.
        """
        x, y = _labelled(data)
        precision = self.prior_precision if state["round"] > 0 else self.own_precision
        mean, covariance = fit_map(Posterior(x, y, state["mean"], precision))
        return {**state, "mean": mean, "covariance": covariance}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up clients: features at random within their declarations, labels by a model.

        The model is a logistic one with weights of random direction, which depends on the seed
        alone; its log-odds have a standard deviation of `MADE_UP_STRENGTH`. No real client is like
        these: their features tell nothing of each other.
        """
        random = np.random.default_rng(seed)
        direction = random.normal(size=len(self.features))
        weights = MADE_UP_STRENGTH * direction / np.linalg.norm(direction)
        places = [_made_up(feature, records, random) for feature in self.features]
        columns, spreads = zip(*places, strict=True)
        x = np.column_stack([*columns, np.ones(records)])
        left = random.random(records) < expit(x[:, :-1] @ (weights / spreads) + MADE_UP_BIAS)
        return {"x": x, "y": left.astype(np.float64)}

    def answer(self, state: State, table: Table) -> list[ClientHealthAnswer]:
        """Say for each client how healthy it is, why, and what to do.

        Parameters
        ----------
        state : State
            The global model, or a local one from `adapt`, which can also tell its confidence.
        table : Table
            The features; the label is not needed.

        Raises
        ------
        AgentError
            If the model was neither trained nor fitted: it would call everybody's risk one half.
        DataError
            If a value is outside its declaration.
        """
        if state["round"] == 0 and "covariance" not in state:
            raise AgentError(
                "client health: expected a trained model, found none; "
                "wait for a training or fit your own records"
            )
        x = encode(self.features, table)
        columns = [table[feature.name].tolist() for feature in self.features]
        return [
            compose(self.features, self.thresholds, state, Client(_told(values), encoded))
            for values, encoded in zip(zip(*columns, strict=True), x, strict=True)
        ]


def _made_up(
    feature: Feature, records: int, random: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Return encoded values, even over a number's scale or over the levels, and how they spread."""
    if feature.kind == "number":
        return random.uniform(-1, 1, records), 1 / math.sqrt(3)
    levels = np.linspace(-1, 1, 2 if feature.kind == "flag" else len(feature.levels))
    return random.choice(levels, records), float(np.std(levels))


def _rising(thresholds: tuple[float, float, float]) -> bool:
    medium, high, critical = thresholds
    return 0 < medium < high < critical < 1


def _told(values: tuple[float | str, ...]) -> tuple[float | str | None, ...]:
    return tuple(None if value == "" or value != value else value for value in values)


def _floats(data: Data, name: str) -> NDArray[np.float64]:
    return data[name].astype(np.float64, copy=False)


def _labelled(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if "y" not in data:
        raise AgentError(
            "client health: expected labelled records, found none; map the label column"
        )
    return _floats(data, "x"), _floats(data, "y")
