"""Client health: which clients are about to leave, and why.

Declared features and interactions, a rule score that public knowledge makes of them, and around it
either logistic regression, trained by summed clipped gradients with momentum (Polyak 1964), or
boosted trees (`trees`). Both serve a mean that favours late iterates (Lacoste-Julien, Schmidt and
Bach 2012, arXiv 1212.2002), so that no setting depends on where a training stops.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._features import Feature
from mesh_fl.agents._logistic import auc, brier, calibration_error, exact_auc, one_hot_rows
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.health.answer import ClientHealthAnswer, Model, compose
from mesh_fl.agents.health.desk import Desk
from mesh_fl.agents.health.gathering import Cutoff, gather_clients, is_day
from mesh_fl.agents.health.head import Head
from mesh_fl.agents.health.history import READS
from mesh_fl.agents.health.inputs import Inputs
from mesh_fl.agents.health.interactions import Interaction
from mesh_fl.agents.health.logistic_head import LogisticHead
from mesh_fl.agents.health.made_up import made_up_clients
from mesh_fl.agents.health.own_clients import OwnClients
from mesh_fl.agents.health.product_features import are_measured, product_features
from mesh_fl.agents.health.request import ASKED, NAMES
from mesh_fl.agents.health.trees import TreesHead
from mesh_fl.agents.health.windows import MEASURES
from mesh_fl.errors import AgentError, DataError
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Gathered, OwnTable, Site

__all__ = ["ClientHealth", "ClientHealthAnswer", "Feature"]


@dataclass(frozen=True, kw_only=True)
class ClientHealth(Agent):
    """Predicts which clients will leave.

    The record is one client of a member. With features that can be measured of an MSP's own tables,
    such as the declared ones, it also makes its records of them and answers by client id.

    Parameters
    ----------
    features : tuple of Feature
        What a member knows of a client, the same at every member.
    interactions : tuple of Interaction
        What several features say together.
    base_rate : float
        Share of clients that leave, as public knowledge has it; of the rule score.
    model : {"logistic", "trees"}
        What is learned around the rule score.
    label : str
        Flag column: 1 for a client that left.
    as_of : str
        Date that records made of tables end before; in all members' past by `label_days`.
    label_days : int
        Days from then in which a client of such a record stayed or left.
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
    answers_untrained: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = READS

    features: tuple[Feature, ...] = field(default_factory=product_features)
    interactions: tuple[Interaction, ...] = ()
    base_rate: float = 0.05
    model: Literal["logistic", "trees"] = "logistic"
    label: str = "churned"
    as_of: str = ""
    label_days: int = 90
    records: float = 1000.0
    clip: float = 1.0
    learning_rate: float = 2.0
    momentum: float = 0.8
    prior_precision: float = 10.0
    own_precision: float = 2.0
    measure_bins: int = 6
    thresholds: tuple[float, float, float] = (0.25, 0.5, 0.75)

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "client health", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [feature.name for feature in self.features]
        yield "features", len(names) > 0, "at least one feature"
        yield "features", len(set(names)) == len(names), "a different name for each feature"
        products = [one.name for one in self.interactions]
        unlike = len(set(products) | set(names)) == len(products) + len(names)
        yield "interactions", unlike, "a name for each that nothing else has"
        faults = [fault for one in self.interactions for fault in one.faults(self.features)]
        yield "interactions", not faults, "; ".join(faults)
        yield "features", bool(self._inputs.names), "at least one input"
        yield "base_rate", 0 < self.base_rate < 1, "a share between 0 and 1"
        yield "label", self.label != "" and self.label not in names, "a name that no feature has"
        yield "label", not self._is_measured or self.label not in NAMES, "a name of its own"
        yield "as_of", is_day(self.as_of), "a date such as 2026-03-31, or nothing"
        yield "label_days", 1 <= self.label_days <= 3650, "a number of days from 1 to 3650"
        for name in ("records", "clip", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("prior_precision", "own_precision"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"
        yield "measure_bins", self.measure_bins >= 2, "at least 2 bins"
        yield "thresholds", _rising(self.thresholds), "three rising numbers between 0 and 1"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The features, what requests may tell beside them, and the label."""
        asked = ASKED if self._is_measured else ()
        return (
            *self.features,
            *asked,
            Field(name=self.label, kind="flag", description="The client left."),
        )

    def gather(self, tables: Mapping[str, OwnTable]) -> Gathered:
        """Make a record of each client that there was at `as_of`; see `gather_clients`.

        Raises
        ------
        DataError
            If the features are others than can be measured, or the days from `as_of` are not over.
        """
        if not self._is_measured:
            names = ", ".join(one.name for one in self.features)
            raise DataError(
                f"client health, features: expected some of {', '.join(MEASURES)}, to make records "
                f'of tables, found {names}; name one table that has these columns: table = "..."'
            )
        cutoff = Cutoff(self.as_of, self.label_days)
        cutoff.require_past(time.time())
        return gather_clients(tables, self.features, self.label, cutoff)

    def at_home(self, today: date) -> "ClientHealth":
        """Return the agent with the latest day whose label days are over, where none is named."""
        latest = today - timedelta(days=self.label_days + 1)
        return self if self.as_of else replace(self, as_of=latest.isoformat())

    def prepare(self, table: Table) -> Data:
        """Encode features as "x", shape (n, d), and the label, where there is one, as "y"."""
        x = self._inputs.encode(table)
        if self.label not in table:
            return {"x": x}
        y = table[self.label].astype(np.float64)
        if y.shape != (len(x),) or not np.isin(y, (0.0, 1.0)).all():
            raise DataError(f"{self.label}: expected yes or no for each of {len(x)} records")
        return {"x": x, "y": y}

    def init(self) -> State:
        """Return the rule score; where no weight is declared, a risk of one half for everybody."""
        return self._head.init()

    def layout(self, state: State) -> Layout:
        """Name the blocks that are summed."""
        return self._head.layout(state)

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each record's gradient of the log-loss."""
        return self._head.contribute(state, *_labelled(data))

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum."""
        return self._head.apply(state, total)

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the churn risk of each record, in [0, 1]."""
        risk: NDArray[np.float64] = expit(self._head.log_odds(state, _floats(data, "x")))
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
        """Return "auc", "brier", "calibration_error" and "accuracy", of risks above one half."""
        _, y = _labelled(data)
        risk = self.predict(state, data)
        return {
            "auc": exact_auc(risk, y),
            "brier": float(np.mean((risk - y) ** 2)),
            "calibration_error": calibration_error(risk, y),
            "accuracy": float(np.mean((risk > 0.5) == y)),
        }

    def adapt(self, state: State, data: Data) -> State:
        """Fit the member's own records around the given model, in private; see the head's `adapt`.

        With an untrained state this is a model trained alone.
        """
        return self._head.adapt(state, *_labelled(data))

    def export(self, state: State) -> str:
        """Return the trees as a LightGBM model text, in the features' own units.

        Raises
        ------
        AgentError
            If the model is no trees.
        """
        head = self._head
        if not isinstance(head, TreesHead):
            raise AgentError(f'client health: expected model = "trees", found {self.model}')
        return head.lightgbm(state)

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up clients; see `made_up_clients`."""
        return made_up_clients(self._inputs, records, seed)

    def answering(self, site: Site) -> Answering:
        """Return `answer`, with the member's own tables where the features are measured of them."""
        if site.files or not self._is_measured:
            return super().answering(site)
        return Desk(self.features, self._compose, OwnClients(site.tables)).answer

    def answer(self, state: State, table: Table) -> Sequence[ClientHealthAnswer]:
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
            If a value is outside its declaration, or nothing is told of a client.
        """
        if not self._is_measured:
            return self._compose(state, table)
        return Desk(self.features, self._compose, OwnClients({})).answer(state, table)

    def _compose(self, state: State, table: Table) -> list[ClientHealthAnswer]:
        is_fitted = "covariance" in state or "own_values" in state
        if state["round"] == 0 and not is_fitted and not self._inputs.has_scorecard:
            raise AgentError(
                "client health: expected a trained model, found none; "
                "wait for a training or fit your own records"
            )
        x = self._inputs.encode(table)
        model = Model(self._inputs, self.thresholds, self._head, state)
        return compose(model, table, x)

    @property
    def _is_measured(self) -> bool:
        return are_measured(self.features)

    @property
    def _inputs(self) -> Inputs:
        return Inputs(self.features, self.interactions, self.base_rate)

    @property
    def _head(self) -> Head:
        inputs = self._inputs
        prior = inputs.scorecard if inputs.has_scorecard else 0.0 * inputs.scorecard
        known = tuple(prior.tolist())
        if self.model == "trees":
            return TreesHead(axes=inputs.axes, prior=known, records=self.records)
        return LogisticHead(
            prior=known,
            records=self.records,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            prior_precision=self.prior_precision,
            own_precision=self.own_precision,
        )


def _rising(thresholds: tuple[float, float, float]) -> bool:
    medium, high, critical = thresholds
    return 0 < medium < high < critical < 1


def _floats(data: Data, name: str) -> NDArray[np.float64]:
    return data[name].astype(np.float64, copy=False)


def _labelled(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if "y" not in data:
        raise AgentError(
            "client health: expected labelled records, found none; map the label column"
        )
    return _floats(data, "x"), _floats(data, "y")
