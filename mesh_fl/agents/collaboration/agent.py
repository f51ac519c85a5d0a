"""Collaboration: partners for a task, and a private map of what a network has and needs.

A federation counts technicians by skill and needs by skill, and may learn which introductions are
accepted. What makes two texts alike is public and never trained.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._logistic import Posterior, auc, fit_map, one_hot_rows
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.collaboration.acceptance import chance
from mesh_fl.agents.collaboration.answer import CollaborationAnswer
from mesh_fl.agents.collaboration.desk import Desk
from mesh_fl.agents.collaboration.directory import Directory, Shelf
from mesh_fl.agents.collaboration.learned import Learned, Step, public_state
from mesh_fl.agents.collaboration.made_up import made_up
from mesh_fl.agents.collaboration.quality import figures
from mesh_fl.agents.collaboration.records import LEARNED_FROM, Reader
from mesh_fl.agents.collaboration.request import ASKED_FOR
from mesh_fl.agents.collaboration.rows import (
    blocks,
    demand,
    introductions,
    is_introduction,
    rows_of,
    supply,
)
from mesh_fl.agents.collaboration.skills import OTHER, Skill, Vocabulary, declared
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Site
from mesh_fl.text.encoder import ENCODERS

__all__ = ["CollaborationAnswer", "CollaborationMatching"]


@dataclass(frozen=True, kw_only=True)
class CollaborationMatching(Agent):
    """Finds partners for a task, says what each adds, and how to share what it earns.

    The record is one technician, one need (a ticket, a request) or one introduction of a member.

    Parameters
    ----------
    skills : tuple of Skill
        What is counted; public, the same at every member.
    encoder : {"minilm-l6-int8", "minilm-l6"}
        Turns texts into vectors; see `mesh_fl.text.encoder.load_encoder`.
    least_similarity : float
        Cosine from which a text that names no skill means one; from 1 on, words alone decide.
    clip : float
        L2 bound of a record's row; rows are never longer than one.
    introductions_needed : float
        Of the network, from which on its weights of acceptance answer.
    learning_rate : float
        Step size on the mean gradient; about 8 divided by the rounds planned.
    momentum : float
        Share of the last step that is kept.
    public_precision : float
        How firmly a training holds to the weights that people set: noise moves them the less.
    own_precision : float
        How firmly `adapt` holds to the weights that it starts from.
    measure_bins : int
        Bins of the chance of acceptance, that quality is read from.
    """

    endpoint: ClassVar[str] = "/collaboration"
    answers_untrained: ClassVar[bool] = True

    skills: tuple[Skill, ...] = field(default_factory=declared)
    encoder: str = "minilm-l6-int8"
    least_similarity: float = 0.35
    clip: float = 1.0
    introductions_needed: float = 2000.0
    learning_rate: float = 0.5
    momentum: float = 0.8
    public_precision: float = 300.0
    own_precision: float = 10.0
    measure_bins: int = 8

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "collaboration", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [skill.name.casefold() for skill in self.skills]
        yield "skills", len(names) > 0, "at least one skill"
        yield "skills", len(set(names)) == len(names), "a different name for each"
        yield "skills", OTHER not in names, f"no skill that is called {OTHER}"
        yield "encoder", self.encoder in ENCODERS, f"one of {', '.join(ENCODERS)}"
        for name in ("least_similarity", "clip", "introductions_needed", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("public_precision", "own_precision"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"
        yield "measure_bins", self.measure_bins >= 2, "at least 2 bins"

    @property
    def schema(self) -> tuple[Field, ...]:
        """What is asked for, and what records hold; all of it optional."""
        return (*ASKED_FOR, *LEARNED_FROM)

    @property
    def vocabulary(self) -> Vocabulary:
        """The declared skills, as texts are read by them."""
        return Vocabulary(self.skills)

    def prepare(self, table: Table) -> Data:
        """Return arrays by record; see `records.Reader.read`."""
        return self._reader.read(table)

    def init(self) -> State:
        """Return no counts, and the weights of acceptance that people set."""
        return public_state(self._cells)

    def layout(self, state: State) -> Layout:
        """Return the blocks that are summed; see `rows.blocks`."""
        return blocks(self._cells)

    def contribute(self, state: State, data: Data) -> Rows:
        """Return a row per record, no longer than 1; see `rows.rows_of` for what it promises."""
        return rows_of(data, state["weights"], self._cells)

    def apply(self, state: State, total: Total) -> State:
        """Average the counts over rounds, and take one step with momentum on acceptance."""
        step = Step(
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            enough=self.introductions_needed,
            precision=self.public_precision,
        )
        return step.apply(state, total)

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return how likely each record's introduction is accepted; NaN for other records."""
        x = np.nan_to_num(data["x"].astype(np.float64)).clip(-1.0, 1.0)
        likely = chance(self._learned(state).weights, x)
        return np.where(is_introduction(data), likely, np.nan)

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: introductions by bin of chance and outcome."""
        return {"counts": (self.measure_bins, 2)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return a one-hot row per introduction: its bin, and whether it was accepted."""
        told = is_introduction(data)
        likely = np.where(told, self.predict(state, data), 0.0)
        rows = one_hot_rows(likely, data["accepted"].astype(np.float64), self.measure_bins)
        rows[~told] = 0.0
        return rows

    def score(self, total: Total) -> Mapping[str, float]:
        """Return "auc" of acceptance, and the "introductions", as far as the noise lets it."""
        counts = total["counts"]
        return {"auc": auc(counts), "introductions": max(0.0, float(counts.sum()))}

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return how near the map is to these records, and how well matches are ranked.

        See `quality.figures`.
        """
        return figures(self._learned(state), data, self._cells)

    def adapt(self, state: State, data: Data) -> State:
        """Fit acceptance to the member's own introductions; keep its own counts beside the map."""
        x, outcome = introductions(data)
        own = {
            "own_supply": supply(data, self._cells).sum(axis=0),
            "own_demand": demand(data, self._cells).sum(axis=0),
        }
        if not len(outcome):
            return {**state, **own}
        start = self._learned(state).network_weights
        weights, _ = fit_map(Posterior(x, outcome, start, self.own_precision))
        return {**state, **own, "own_weights": weights}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up technicians, needs and introductions; see `made_up`."""
        return made_up(self._cells, records, seed)

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return CollaborationMatching().simulated(12_000, seed=0)

    def answer(self, state: State, table: Table) -> list[CollaborationAnswer]:
        """Answer without a directory: the map, and the sharing of what a deal earns.

        Parameters
        ----------
        state : State
            Any model: `init`, a trained one, or one from `adapt`.
        table : Table
            See `schema`.

        Raises
        ------
        DataError
            If a deal cannot be read, or does not add up.
        """
        return self._desk(Directory()).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with the profiles of others and one's own at hand.

        `site.files` may name "directory", the members' cards, and "profile", one's own
        profile.toml. They are read again when they changed.
        """
        shelf = Shelf(site.files, self._reader)

        def answer(state: State, table: Table) -> list[CollaborationAnswer]:
            return self._desk(shelf.directory).answer(state, table)

        return answer

    def _desk(self, directory: Directory) -> Desk:
        return Desk(self._reader, directory, self.introductions_needed)

    @property
    def _reader(self) -> Reader:
        return Reader(self.vocabulary, self.least_similarity, self.encoder)

    def _learned(self, state: State) -> Learned:
        return Learned(state, self.introductions_needed)

    @property
    def _cells(self) -> int:
        return len(self.vocabulary.names)
