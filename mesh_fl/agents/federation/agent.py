"""Federated learning: chooses the clip of another agent, and tells what trainings came to.

A first, cheap training counts how long the other agent's rows are (a histogram, `norms`); the clip
follows from it (`clip`). What to train next follows from forecasts, budgets and the members at hand
(`steering`).
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._histogram import EMPTY, Histogram, average, one_hot, total_variation
from mesh_fl.agents.federation.answer import FederatedAnswer
from mesh_fl.agents.federation.clip import Lengths, exact_clip
from mesh_fl.agents.federation.desk import Desk
from mesh_fl.agents.federation.norms import Grid
from mesh_fl.agents.federation.target import Target, plain, target_agent
from mesh_fl.agents.market.quality import EIGHTHS, eighth_rows, uneven
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.layout import Layout
from mesh_fl.registry import agent_names, config_of
from mesh_fl.schema import Field, Table
from mesh_fl.site import Gathered, OwnTable, Site
from mesh_fl.training_facts import TrainingFacts

__all__ = ["FederatedAnswer", "FederatedLearning"]

ASKED = Field(
    name="agent",
    kind="text",
    optional=True,
    description="Whose training is asked about; the latest one's by default.",
)

MOST_CELLS = 2000

MADE_UP_SPREAD = 0.5
"""Standard deviation of the logarithm of made-up lengths."""


@dataclass(frozen=True, kw_only=True)
class FederatedLearning(Agent):
    """Counts how long another agent's rows are, and chooses its clip.

    The record is a record of that agent.

    Parameters
    ----------
    target : str
        Registered name of the other agent.
    target_config : mapping
        Its configuration, as it would be trained.
    octaves_below, octaves_above : int
        How far the grid of lengths reaches around the clip that it is configured with.
    cells_per_octave : int
    records : float
        Public order of magnitude of all members' records; handed on to the other agent.
    clip : float
        L2 bound of a row of this agent: a one in one cell, times the clip.
    """

    endpoint: ClassVar[str] = "/federated"
    answers_untrained: ClassVar[bool] = True

    target: str = "health"
    target_config: Mapping[str, object] = field(default_factory=dict)
    octaves_below: int = 6
    octaves_above: int = 5
    cells_per_octave: int = 2
    records: float = 1000.0
    clip: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        object.__setattr__(self, "target_config", plain(self.target_config))
        for name, sound, expected in self._rules():
            if not sound:
                found = repr(getattr(self, name))[:80]
                raise ConfigError(f"federation, {name}: expected {expected}, found {found}")
        if self.target_config:
            self._adopt(self._target.agent)
        elif target := self._target_or_none:
            self._adopt(target.agent)

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        yield "target", self.target in agent_names(), f"one of {', '.join(agent_names())}"
        for name in ("octaves_below", "octaves_above", "cells_per_octave"):
            yield name, 1 <= getattr(self, name) <= 64, "a whole number from 1 to 64"
        yield "cells_per_octave", self._grid(1.0).cells <= MOST_CELLS, f"{MOST_CELLS} cells at most"
        for name in ("records", "clip"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"

    def _adopt(self, target: Agent) -> None:
        if ASKED.name in {one.name for one in target.schema}:
            raise ConfigError(
                f"federation, target {self.target}: expected no field called {ASKED.name}, which "
                "names an agent here"
            )
        # Which tables there are is the other agent's matter, so it differs by configuration.
        object.__setattr__(self, "reads", target.reads)

    @property
    def borrows(self) -> str:
        """The other agent: its records are read, and charged."""
        return self.target

    @property
    def schema(self) -> tuple[Field, ...]:
        """What is asked about; and the other agent's fields, where it can be built."""
        target = self._target_or_none
        return (ASKED, *(target.schema if target else ()))

    def gather(self, tables: Mapping[str, OwnTable]) -> Gathered:
        """Make the records that the other agent makes."""
        found = self._target.agent.gather(tables)
        unasked = np.full(len(found.ids), "", dtype=np.object_)
        return Gathered(found.ids, {**found.table, ASKED.name: unasked})

    def at_home(self, today: date) -> "FederatedLearning":
        """Return the agent with the other agent as that is at home."""
        if (target := self._target_or_none) is None:
            return self
        config = json.loads(config_of(target.agent.at_home(today)))
        return replace(self, target_config=config)

    def prepare(self, table: Table) -> Data:
        """Return "norm", shape (n,): the length of each record's row, NaN where there is none."""
        known = {name: column for name, column in table.items() if name != ASKED.name}
        return {"norm": self._target.norms(known)}

    def lengths_of(self, data: Data) -> Data:
        """Return the lengths of the rows of records that the other agent has prepared."""
        return {"norm": self._target.norms_of(data)}

    def init(self) -> State:
        """Return no counts at all."""
        return {"lengths": np.zeros(self._grid(1.0).cells + EMPTY), "round": np.array(0.0)}

    def layout(self, state: State) -> Layout:
        """Return the one block that is summed.

        Raises
        ------
        ConfigError
            If the other agent cannot be built: then there is nothing to train.
        """
        return {"lengths": (self._target_grid.cells + EMPTY,)}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each record's cell.

        Guarantee
        ---------
        A row depends on its own record and the configuration, and is no longer than `clip`. Adding
        or removing a record moves the sum by at most that.
        """
        return one_hot(self._places(data), self._target_grid.cells) * self.clip

    def apply(self, state: State, total: Total) -> State:
        """Average the histogram over rounds."""
        rounds = float(state["round"])
        lengths = average(state["lengths"], total["lengths"] / self.clip, rounds)
        return {**state, "lengths": lengths, "round": np.asarray(state["round"] + 1)}

    def lengths(self, state: State) -> Lengths:
        """Return how long rows are, as far as the state tells."""
        name = "lengths" if state["round"] > 0 or "own_lengths" not in state else "own_lengths"
        return Lengths(self._target_grid, Histogram.of(state[name]))

    def chosen(self, state: State) -> float:
        """Return the clip to train the other agent with; the configured one until lengths tell."""
        lengths = self.lengths(state)
        return lengths.clip().value if lengths.is_seen else float(self._target.agent.clip)

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return what is left of each record's row with the clip chosen, 0 to 1."""
        norms = np.maximum(np.nan_to_num(_norms(data)), 1e-300)
        return np.minimum(1.0, self.chosen(state) / norms)

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: records by eighth of the histogram."""
        return {"eighths": (1, EIGHTHS)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return which eighth of the histogram each record falls into, by the model."""
        released = (self.lengths(state).histogram,)
        return eighth_rows(released, self._places(data)[:, None]) * self.measure_clip

    def score(self, total: Total) -> Mapping[str, float]:
        """Return the "total_variation" of the eighths, which would be alike; NaN without records.

        It compares eighths and not cells, so it is smaller than that of `evaluate`.
        """
        return {"total_variation": uneven(total["eighths"])}

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return the histogram's "total_variation", and "clip_error" of what is chosen from it.

        The latter is the logarithm of the clip chosen over the one that these very records would
        choose, taken positive: .1 is about 10 %. Both are NaN without records.
        """
        norms, places = _norms(data), self._places(data)
        known = places[places >= 0]
        if not len(known):
            return {"total_variation": math.nan, "clip_error": math.nan}
        shares = np.bincount(known, minlength=self._target_grid.cells) / len(known)
        return {
            "total_variation": total_variation(self.lengths(state).histogram.shares, shares),
            "clip_error": abs(math.log(self.chosen(state) / exact_clip(norms))),
        }

    def adapt(self, state: State, data: Data) -> State:
        """Keep one's own histogram beside; without a training it takes the network's place."""
        own = one_hot(self._places(data), self._target_grid.cells).sum(axis=0)
        return {**state, "own_lengths": own}

    def simulated(self, records: int, seed: int) -> Data:
        """Return the lengths of rows of records that the other agent makes up."""
        return self.lengths_of(self._target.agent.simulated(records, seed))

    @staticmethod
    def example() -> Data:
        """Return made-up lengths for a trial of the contract."""
        random = np.random.default_rng(0)
        return {"norm": random.lognormal(0.0, MADE_UP_SPREAD, 2000)}

    def answer(self, state: State, table: Table) -> Sequence[FederatedAnswer]:
        """Answer without any training known: the clip, and why there is nothing else."""
        return self._desk(tuple).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with the trainings at hand that this member took part in.

        Raises
        ------
        ConfigError
            If there are reference files: none is known.
        """
        super().answering(site)
        return self._desk(site.trainings).answer

    def _desk(self, trainings: Callable[[], Sequence[TrainingFacts]]) -> Desk:
        can_choose = self._target_or_none is not None
        return Desk(
            trainings=trainings,
            target=self.target,
            configured=float(self._target.agent.clip) if can_choose else None,
            lengths=self.lengths if can_choose else None,
        )

    def _grid(self, unit: float) -> Grid:
        return Grid(unit, self.octaves_below, self.octaves_above, self.cells_per_octave)

    @property
    def _target(self) -> Target:
        return Target(target_agent(self.target, self.target_config, self.records))

    @property
    def _target_or_none(self) -> Target | None:
        """The other agent; None where it needs a configuration that nobody gave."""
        try:
            return self._target
        except ConfigError:
            return None

    @property
    def _target_grid(self) -> Grid:
        return self._grid(float(self._target.agent.clip))

    def _places(self, data: Data) -> NDArray[np.int64]:
        return self._target_grid.places(_norms(data))


def _norms(data: Data) -> NDArray[np.float64]:
    if "norm" not in data:
        raise DataError(f"federation: expected prepared lengths, found {', '.join(data) or 'none'}")
    return data["norm"].astype(np.float64, copy=False)
