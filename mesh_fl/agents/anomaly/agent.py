"""Anomaly detection: what is unusual, how unusual, and what makes it so.

A record falls into one cell of each declared trait; how full the cells are over the network is
released with noise, and a record's score is how surprising its cells are together (histogram-based
outlier score: Goldstein and Dengel 2012), or the leaves of public random trees. How severe a score
is comes from its own quantile among a member's own records, so that false alarms stay at the stated
rates whatever the scores are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._histogram import EMPTY, Histogram, average
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.anomaly.answer import AnomalyAnswer
from mesh_fl.agents.anomaly.blocks import Blocks, trait_blocks, tree_blocks
from mesh_fl.agents.anomaly.density import SEEN, Density, network_shares, worth
from mesh_fl.agents.anomaly.desk import Desk
from mesh_fl.agents.anomaly.gathering import gather_events, is_day
from mesh_fl.agents.anomaly.made_up import made_up
from mesh_fl.agents.anomaly.quality import measured, quality_rows, told_figures
from mesh_fl.agents.anomaly.request import RESERVED, fields
from mesh_fl.agents.anomaly.severity import Rates
from mesh_fl.agents.anomaly.tail import Tail
from mesh_fl.agents.anomaly.traits import EVENT_TRAITS, Trait
from mesh_fl.errors import DataError
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Gathered, OwnTable, Site

__all__ = ["AnomalyAnswer", "AnomalyDetection", "Trait"]

MOST_CELLS = 65_536


@dataclass(frozen=True, kw_only=True)
class AnomalyDetection(Agent):
    """Finds what is unusual among events, records and readings.

    The record is one event of a member, or one row of any table with the declared traits.

    Parameters
    ----------
    traits : tuple of Trait
        What is looked at in a record; public, the same at every member.
    model : {"histogram", "trees"}
        Whether a cell is a trait's own, or a leaf of trees that are drawn in public.
    trees, depth : int
        Of the trees.
    seed : int
        Public; of the trees.
    label : str
        Flag column: 1 for a record that is known to be an anomaly. Such records are never learned.
    as_of : str
        Date before which events are learned; all of them are when left out.
    false_alarm_rates : tuple of four floats
        Share of usual records that may be called at least low, medium, high and critical.
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a record's row.
    prior_records : float
        How many records of one's own a trained network's histogram weighs as much as, at most.
    own_precision : float
        How many records a spread-out start weighs as much as, before any training.
    measure_bins : int
        Bins of score that quality is read from.
    """

    endpoint: ClassVar[str] = "/anomaly"
    answers_untrained: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("events",)

    traits: tuple[Trait, ...] = EVENT_TRAITS
    model: Literal["histogram", "trees"] = "histogram"
    trees: int = 32
    depth: int = 6
    seed: int = 0
    label: str = "anomaly"
    as_of: str = ""
    false_alarm_rates: tuple[float, float, float, float] = (0.01, 0.005, 0.001, 0.0001)
    records: float = 1000.0
    clip: float = 1.0
    prior_records: float = 2000.0
    own_precision: float = 10.0
    measure_bins: int = 12

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "anomaly", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [one.name for one in self.traits]
        columns = {one.column for one in self.traits}
        yield "traits", len(names) > 0, "at least one trait"
        yield "traits", len(set(names)) == len(names), "a different name for each trait"
        yield "traits", RESERVED.isdisjoint(columns), "fields that no request has"
        alike = all(
            one.told_as.kind == other.told_as.kind
            for one in self.traits
            for other in self.traits
            if one.column == other.column
        )
        yield "traits", alike, "traits of one field to be of one kind"
        yield "traits", sum(one.cells for one in self.traits) <= MOST_CELLS, f"{MOST_CELLS} cells"
        yield "trees", 1 <= self.trees <= 1000, "a number from 1 to 1000"
        yield "depth", 1 <= self.depth <= 10, "a number from 1 to 10"
        yield "trees", self.trees * 2**self.depth <= MOST_CELLS, f"at most {MOST_CELLS} leaves"
        yield "label", self.label not in columns | RESERVED | {""}, "a name of its own"
        yield "as_of", is_day(self.as_of), "a date such as 2026-03-31, or nothing"
        falling = _falling(self.false_alarm_rates)
        yield "false_alarm_rates", falling, "four falling numbers above 0, 0.5 at most"
        for name in ("records", "prior_records", "own_precision"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        yield "clip", 1e-6 <= self.clip <= 1e6, "a number from 1e-6 to 1e6"
        yield "measure_bins", 2 <= self.measure_bins <= 1000, "a number from 2 to 1000"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The traits' fields, what else may be asked, and the label; all of it optional."""
        known_as = Field(
            name=self.label, kind="flag", optional=True, description="Known to be an anomaly."
        )
        return (*fields(self.traits), known_as)

    def gather(self, tables: Mapping[str, OwnTable]) -> Gathered:
        """Make a record of each event; see `gather_events`."""
        return gather_events(tables, self.schema, self.as_of)

    def prepare(self, table: Table) -> Data:
        """Return "places", shape (n, traits), and the label as "y", NaN where it is not told.

        Raises
        ------
        DataError
            If a column is of another kind than its traits.
        """
        count = len(next(iter(table.values()), ()))
        columns = [_placed(one, table, count) for one in self.traits]
        y = table[self.label].astype(np.float64) if self.label in table else np.full(count, np.nan)
        return {"places": np.stack(columns, axis=1), "y": y}

    def init(self) -> State:
        """Return no counts at all: every cell is as usual as any other."""
        return {"cells": np.zeros(self.blocks.width + EMPTY), "round": np.array(0.0)}

    def layout(self, state: State) -> Layout:
        """Return the cells, and those that no record can fill."""
        return {"cells": (self.blocks.width + EMPTY,)}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return a one for each cell that a record falls into; nothing of known anomalies.

        Guarantee
        ---------
        A row depends on its own record and the configuration only; no row is longer than `clip`.
        Adding or removing a record moves the sum by at most that.
        """
        cells = self.blocks.find(_places(data))
        usual = ~(_labels(data) > 0.5)
        return self.blocks.rows(np.where(usual[:, None], cells, -1), self.clip)

    def apply(self, state: State, total: Total) -> State:
        """Average the releases."""
        counts = total["cells"] / self.blocks.weight(self.clip)
        rounds = float(state["round"])
        return {
            **state,
            "cells": average(state["cells"], counts, rounds),
            "round": np.asarray(state["round"] + 1),
        }

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return how surprising each record is, in nats a block."""
        return self.density(state).scores(self.blocks.find(_places(data)))

    def density(self, state: State) -> Density:
        """Return what a model holds for usual: the network's cells, and one's own from `adapt`."""
        return self.blended(state, state.get("own_cells", np.zeros(self.blocks.width)))

    def blended(self, state: State, own: NDArray[np.float64]) -> Density:
        """Return the network's cells with some counts of one's own records, shape (width,)."""
        if state["round"] == 0:
            return Density(self.blocks, self.blocks.even, self.own_precision, own, False)
        released = Histogram.of(state["cells"])
        shares, found = network_shares(self.blocks, released), worth(self.blocks, released)
        prior = float(np.clip(found, self.own_precision, self.prior_records))
        return Density(self.blocks, shares, prior, own, found >= SEEN)

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: records by score and label."""
        return {"counts": (self.measure_bins, 3)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return a one-hot row per record: its score's bin, and usual, anomaly or not told."""
        return quality_rows(self.predict(state, data), _labels(data), self.measure_bins)

    def score(self, total: Total) -> Mapping[str, float]:
        """Return "auc" where records are labelled, and "loss", the mean surprise."""
        return measured(total["counts"])

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "auc" where records are labelled, "loss" and "false_alarm_rate".

        The last is the share of usual records that a model from `adapt` calls at least low; NaN
        with any other.
        """
        scores = self.predict(state, data)
        return told_figures(scores, _labels(data), self.tail(state), self.false_alarm_rates[0])

    def tail(self, state: State) -> Tail | None:
        """Return the scores of one's own records; None where the model comes not from `adapt`."""
        return Tail.read(state["own_tail"]) if "own_tail" in state else None

    def adapt(self, state: State, data: Data) -> State:
        """Count one's own records beside the network's, and keep the tail of their scores.

        Adds "own_cells", exact counts, and "own_tail", for which each record is scored by the
        others.
        """
        usual = ~(_labels(data) > 0.5)
        cells = self.blocks.find(_places(data)[usual])
        with_own = {**state, "own_cells": self.blocks.counts(cells)}
        scores = self.density(with_own).left_out(cells).mean(axis=1)
        return {**with_own, "own_tail": Tail.of(scores).block()}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up records, some of them anomalies; see `made_up`."""
        return made_up(tuple(one.cells for one in self.traits), records, seed)

    def answering(self, site: Site) -> Answering:
        """Return `answer`, with the member's own events and readings."""
        if site.files:
            return super().answering(site)
        return Desk(self, site.tables).answer

    def answer(self, state: State, table: Table) -> Sequence[AnomalyAnswer]:
        """Say of each request what is unusual; see `request.fields`.

        Raises
        ------
        DataError
            If values or lines cannot be read, or nothing is told and there are no tables.
        """
        return Desk(self, {}).answer(state, table)

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return AnomalyDetection().simulated(600, seed=0)

    @property
    def rates(self) -> Rates:
        """The stated false-alarm rates by severity."""
        return Rates(self.false_alarm_rates)

    @property
    def blocks(self) -> Blocks:
        """The cells that records fall into."""
        cells = tuple(one.cells for one in self.traits)
        if self.model == "histogram":
            return trait_blocks(cells)
        return tree_blocks(cells, self.trees, self.depth, self.seed)


def _falling(rates: tuple[float, ...]) -> bool:
    falls = all(one > other for one, other in pairwise(rates))
    return falls and rates[0] <= 0.5 and rates[-1] > 0


def _placed(trait: Trait, table: Table, count: int) -> NDArray[np.int64]:
    if trait.column not in table:
        return np.full(count, -1, dtype=np.int64)
    try:
        return trait.places(table[trait.column])
    except (TypeError, ValueError):
        expected = trait.told_as.expects()
        raise DataError(f"{trait.column}: expected {expected}, found something else") from None


def _places(data: Data) -> NDArray[np.int64]:
    return data["places"].astype(np.int64, copy=False)


def _labels(data: Data) -> NDArray[np.float64]:
    if "y" not in data:
        return np.full(len(data["places"]), np.nan)
    return data["y"].astype(np.float64, copy=False)
