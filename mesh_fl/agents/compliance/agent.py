"""Security compliance: which controls answer a technique or a text, learned together.

A federation counts: which controls people name for which techniques, and how often a control is
what a text answers although its words do not say so. Everything else comes from public knowledge:
the shipped list of controls, the sentence encoder, and the frameworks that a member points to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._reading import Stamp, stamped
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.compliance import records
from mesh_fl.agents.compliance.answer import ComplianceAnswer
from mesh_fl.agents.compliance.controls import public_controls
from mesh_fl.agents.compliance.desk import Desk
from mesh_fl.agents.compliance.learned import Learned
from mesh_fl.agents.compliance.library import Library, read_library
from mesh_fl.agents.compliance.made_up import made_up
from mesh_fl.agents.compliance.matching import Shelf
from mesh_fl.agents.compliance.own import own_sums
from mesh_fl.agents.compliance.places import PLACES, hits, hits_by_query, place_rows
from mesh_fl.agents.compliance.request import ASKED_FOR, LEARNED_FROM
from mesh_fl.agents.compliance.rows import sparse_rows
from mesh_fl.agents.compliance.topics import topic_names
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Files, Site
from mesh_fl.text.encoder import ENCODERS

__all__ = ["ComplianceAnswer", "SecurityCompliance"]

BLANKS = 64
"""Cells that no record touches: what noise puts there tells how strong it is everywhere."""


@dataclass(frozen=True, kw_only=True)
class SecurityCompliance(Agent):
    """Says which controls answer a technique or a text, and how a policy stands to a framework.

    The record is one line of evidence of a member: a control named for a technique, or a text
    that somebody judged to answer a control or not.

    Parameters
    ----------
    controls : tuple of str
        Ids of the controls that are counted, out of the shipped list.
    encoder : {"minilm-l6-int8", "minilm-l6"}
        Turns texts into vectors; see `mesh_fl.text.encoder.load_encoder`.
    clip : float
        L2 bound of a record's row; rows are never longer than one unless a record says both.
    similarity_weight : float
        What a cosine of one between technique and control is worth, as a share of mappings.
    """

    endpoint: ClassVar[str] = "/compliance"
    answers_untrained: ClassVar[bool] = True

    controls: tuple[str, ...] = field(default_factory=lambda: tuple(public_controls()))
    encoder: str = "minilm-l6-int8"
    clip: float = 1.0
    similarity_weight: float = 0.05

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "compliance", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        unknown = [name for name in self.controls if name not in public_controls()]
        yield "controls", len(self.controls) > 1, "at least two controls"
        yield "controls", not unknown, f"controls of the shipped list, and none like {unknown[:3]}"
        yield "controls", len(set(self.controls)) == len(self.controls), "each control once"
        yield "encoder", self.encoder in ENCODERS, f"one of {', '.join(ENCODERS)}"
        yield "clip", 0 < self.clip < np.inf, "a number above 0"
        yield "similarity_weight", 0 <= self.similarity_weight < np.inf, "a number from 0 on"

    @property
    def schema(self) -> tuple[Field, ...]:
        """A line of evidence, and what else may be asked for; all of it optional."""
        return (*LEARNED_FROM, *ASKED_FOR)

    def prepare(self, table: Table) -> Data:
        """Return arrays by record; see `records.read`."""
        return records.read(table, self.controls, self.encoder)

    def init(self) -> State:
        """Return no counts at all: public similarity decides alone."""
        count = len(self.controls)
        return {
            "controls": np.zeros(count),
            "topics": np.zeros((count, len(topic_names()))),
            "residuals": np.zeros(count),
            "tally": np.zeros(2),
            "blanks": np.zeros(BLANKS),
            "round": np.array(0.0),
        }

    def layout(self, state: State) -> Layout:
        """Return the blocks that are summed: all but the number of rounds."""
        return {name: value.shape for name, value in state.items() if name != "round"}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return a sparse row per record: a control by topics, or the residual of a judgement.

        Guarantee
        ---------
        A row depends on its own record and the configuration; not even on the state. Adding or
        removing a record moves the sum by at most `clip`.
        """
        return sparse_rows(data, len(self.controls), BLANKS)

    def apply(self, state: State, total: Total) -> State:
        """Add up; `Learned` reads the mean over rounds."""
        sums = {name: state[name] + block for name, block in total.items()}
        return {**state, **sums, "round": np.asarray(state["round"] + 1)}

    def scores(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return how well each control answers each question: shape (n, controls)."""
        return Learned.of(state, self.encoder).scores(data, self.similarity_weight)

    def predict(self, state: State, data: Data) -> NDArray[np.str_]:
        """Return the id of the control that answers each question best."""
        best: NDArray[np.str_] = np.array(self.controls)[self.scores(state, data).argmax(axis=1)]
        return best

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: records by the place of their control."""
        return {"places": (len(PLACES) + 1,)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return a one-hot row for each record that names a right control: where it is placed."""
        control = data["control"].astype(np.int64)
        return place_rows(self.scores(state, data), control, records.is_right(data))

    def score(self, total: Total) -> Mapping[str, float]:
        """Return shares of records whose control is placed first, among three, among five.

        A technique that several controls answer has several records, of which one can be first:
        so "hit_at_1" is far lower here than in `evaluate`.
        """
        return hits(total["places"])

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return shares of questions that a right control is placed first for; see `places`."""
        control, query = data["control"].astype(np.int64), data["query"].astype(np.int64)
        return hits_by_query(self.scores(state, data), query, control, records.is_right(data))

    def adapt(self, state: State, data: Data) -> State:
        """Add the member's own records, exact; the global sums stay as they are."""
        return {**state, **own_sums(data, len(self.controls))}

    def answer(self, state: State, table: Table) -> list[ComplianceAnswer]:
        """Assess a policy or evidence, and name controls, by what ships with the package.

        Parameters
        ----------
        state : State
            Any model: `init`, a trained one, or one from `adapt`.
        table : Table
            See `schema`.

        Raises
        ------
        DataError
            If a record asks nothing, or brings what cannot be read.
        """
        return _desk_without_files(self).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with frameworks and mappings of the member's own at hand.

        Files named "attack_mappings" (CTID) and "attack" (MITRE) are what their names say; any
        other name is that of a framework: an OSCAL catalog, Prowler's requirements, or a list.
        """
        return _desk(self, site.files).answer

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up mappings and judgements around a hidden liking for some controls."""
        return self.prepare(made_up(self.controls, records, seed))

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return SecurityCompliance().simulated(600, seed=0)


def _desk(agent: SecurityCompliance, files: Files) -> Desk:
    library, shelf = _shelved(stamped(files), agent.encoder)
    return Desk(agent.controls, agent.encoder, agent.similarity_weight, library, shelf)


# A training brings another configuration of the agent: the files stay what they are.
@lru_cache(maxsize=2)
def _shelved(stamps: tuple[Stamp, ...], encoder: str) -> tuple[Library, Shelf]:
    library = read_library({name: path for name, path, *_ in stamps})
    return library, Shelf(library.frameworks.values(), encoder)


@cache
def _desk_without_files(agent: SecurityCompliance) -> Desk:
    return _desk(agent, {})
