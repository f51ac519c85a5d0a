"""Plain questions: answered from a member's own tables, or by the agent that they are for.

What a question means for the tables is worked out by rules, and nothing of that is learned. A
federation learns what questions are about (`intents.toml`): by gradients of a residual softmax
regression around public likenesses, with momentum (Polyak 1964), served from a mean that favours
late iterates (arXiv 1212.2002). That decides what is suggested, and who is asked, where the tables
do not answer.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._logistic import exact_auc
from mesh_fl.agents._momentum import at_rest, moved
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.query.answer import QueryAnswer
from mesh_fl.agents.query.desk import OTHER, Desk, read_phraser
from mesh_fl.agents.query.engine import Engine
from mesh_fl.agents.query.head import directions, fit_residual, gradient_rows, offsets
from mesh_fl.agents.query.intents import Atlas, Intent, atlas_of, declared, owners
from mesh_fl.agents.query.kin import Kin
from mesh_fl.agents.query.likely import Likely
from mesh_fl.agents.query.made_up import made_up
from mesh_fl.errors import AgentError, DataError
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Site
from mesh_fl.text.encoder import ENCODERS, Vectors

__all__ = ["PlainQuestions", "QueryAnswer"]

OUTSIDE = -1.0
"""The code of `OTHER`, which is not learned from."""


@dataclass(frozen=True, kw_only=True)
class PlainQuestions(Agent):
    """Answers questions in plain English, with the SQL, the rows and a chart.

    The record is one question of a member with the intent that somebody chose for it.

    Parameters
    ----------
    intents : tuple of Intent
        What questions can be about; public, the same at every member.
    encoder : {"minilm-l6-int8", "minilm-l6"}
        Turns texts into vectors; see `mesh_fl.text.encoder.load_encoder`.
    least_likeness : float
        Cosine to the nearest phrase below which a question is out of scope.
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a record's gradient.
    learning_rate : float
        Step size on the mean gradient; about 160 divided by the rounds planned.
    momentum : float
        Share of the last step that is kept.
    prior_precision : float
        How firmly `adapt` holds to the model that it starts from.
    """

    endpoint: ClassVar[str] = "/nlp-query"
    answers_untrained: ClassVar[bool] = True

    intents: tuple[Intent, ...] = field(default_factory=declared)
    encoder: str = "minilm-l6-int8"
    least_likeness: float = 0.4
    records: float = 1000.0
    clip: float = 0.7
    learning_rate: float = 20.0
    momentum: float = 0.8
    prior_precision: float = 0.03

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "query", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [intent.name for intent in self.intents]
        yield "intents", len(names) > 1, "at least two intents"
        yield "intents", len(set(names)) == len(names), "a different name for each"
        yield "intents", all(name == name.strip() for name in names), "names without space around"
        yield "intents", OTHER not in names, f"none that is called {OTHER}"
        yield "encoder", self.encoder in ENCODERS, f"one of {', '.join(ENCODERS)}"
        yield "least_likeness", -1 <= self.least_likeness <= 1, "a cosine, from -1 to 1"
        for name in ("records", "clip", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        yield "prior_precision", 1e-3 <= self.prior_precision < math.inf, "a number from 0.001 on"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The question, when it is asked, and what it is about."""
        return (
            Field(name="query", kind="text", optional=True, description="A question in English."),
            Field(
                name="as_of",
                kind="time",
                optional=True,
                description="What now means, for words such as last month; by default it is now.",
            ),
            Field(
                name="intent",
                kind="category",
                levels=(*self._names, OTHER),
                optional=True,
                description="What somebody says it is about; it is learned from, and believed.",
            ),
        )

    def prepare(self, table: Table) -> Data:
        """Return "likeness" (n, phrases), "vector" (n, dimension) and "intent" (n,).

        An intent is its place in `intents`, -1 for "other" and NaN where none is told.
        """
        if "query" not in table:
            raise DataError(f"expected a column query, found {', '.join(table) or 'none'}")
        texts = [str(one) for one in table["query"].tolist()]
        vectors = self._atlas.encoder.encode(texts)
        return {
            "likeness": self._atlas.likeness(vectors),
            "vector": self._atlas.around(vectors),
            "intent": self._codes(table),
        }

    def init(self) -> State:
        """Return no weights: public likeness decides alone."""
        return at_rest(np.zeros((len(self.intents), len(owners(self.intents)))))

    def layout(self, state: State) -> Layout:
        """Return the one block that is summed, the gradient."""
        return {"gradient": state["weights"].shape}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each labelled record's gradient of the negative log-likelihood.

        Guarantee
        ---------
        A row depends on its own record and the public state. Adding or removing a record moves the
        sum by at most `clip`. Rows of other likenesses than those to the declared phrases break
        nothing but the learning.
        """
        z = self._features(data)
        scores = self._offsets(data) + z @ state["weights"].T
        return gradient_rows(scores, z, self._intent(data))

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum; the mean gives iterate t a weight proportional to t."""
        step = self.learning_rate * (total["gradient"] / self.records)
        return moved(state, step, self.momentum)

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the chance of each intent: shape (n, intents)."""
        scores = self._offsets(data) + self._features(data) @ state["mean"].T
        if "own" in state:
            vectors, kin = _vectors(data), Kin(state["own_vectors"], state["own_intents"])
            phrases = self._phrases
            scores = scores + vectors @ state["own"].T
            scores = scores + kin.scores(vectors, _likenesses(data), phrases)
        return np.asarray(softmax(scores, axis=1), dtype=np.float64)

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: questions that were put wrong, and right."""
        return {"hits": (2,)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return a one-hot row per labelled record: wrong or right."""
        intent = self._intent(data)
        right = self.predict(state, data).argmax(axis=1) == intent
        rows = np.zeros((len(intent), 2))
        known = np.flatnonzero(np.isfinite(intent))
        rows[known, right[known].astype(np.int64)] = 1.0
        return rows

    def score(self, total: Total) -> Mapping[str, float]:
        """Return "accuracy", as far as the noise lets see it; NaN where nothing was counted."""
        wrong, right = np.maximum(total["hits"], 0.0).tolist()
        told = wrong + right
        return {"accuracy": right / told if told > 0 else math.nan, "records": told}

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "accuracy", and how well questions of no intent are told from the others.

        "scope_auc" is of the likeness to the nearest phrase, which decides; "head_auc" is of the
        largest chance. NaN where there is nothing to compare.
        """
        intent, chances = self._intent(data), self.predict(state, data)
        known = np.isfinite(intent)
        told = known | (_column(data, "intent") == OUTSIDE)
        nearest, surest = _likenesses(data).max(axis=1), chances.max(axis=1)
        inside = known[told].astype(np.float64)
        right = chances[known].argmax(axis=1) == intent[known]
        return {
            "accuracy": float(np.mean(right)) if known.any() else math.nan,
            "scope_auc": exact_auc(nearest[told], inside),
            "head_auc": exact_auc(surest[told], inside),
        }

    def adapt(self, state: State, data: Data) -> State:
        """Fit the member's own labelled questions with the given model as prior.

        The whole vector counts here, not only likenesses, and own questions count as phrases
        (`Kin`): nothing of it leaves.
        """
        intent = self._intent(data)
        if not np.isfinite(intent).any():
            return state
        scores = self._offsets(data) + self._features(data) @ state["mean"].T
        vectors = _vectors(data)
        own = fit_residual(scores, vectors, intent, self.prior_precision)
        kin = Kin.of(vectors, intent)
        return {**state, "own": own, "own_vectors": kin.vectors, "own_intents": kin.intents}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up likenesses; see `made_up`."""
        return made_up(owners(self.intents), records, seed)

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return PlainQuestions().simulated(1000, seed=0)

    def answer(self, state: State, table: Table) -> list[QueryAnswer]:
        """Answer without tables and other agents: say what each question is about.

        Parameters
        ----------
        state : State
            Any model: `init`, a trained one, or one from `adapt`.
        table : Table
            See `schema`.

        Raises
        ------
        DataError
            If a question is empty.
        """
        return self._desk(Site()).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with the member's tables and other agents at hand.

        `site.files` may name "phraser", the folder of a FLAN-T5 that words answers.
        """
        return self._desk(site).answer

    def _desk(self, site: Site) -> Desk:
        return Desk(
            engine=Engine(site.tables),
            ask=site.ask,
            intents=self.intents,
            read=self._likely,
            least_likeness=self.least_likeness,
            encoder=self._atlas.encoder.name,
            phraser=read_phraser(site.files),
        )

    def _likely(self, state: State, query: str) -> Likely:
        """Say what a question is about; nothing of it is kept on disk."""
        vectors: Vectors = self._atlas.encoder.encode([query], kept=False)
        data: Data = {
            "likeness": self._atlas.likeness(vectors),
            "vector": self._atlas.around(vectors),
        }
        return Likely(
            chances=self.predict(state, data)[0],
            likeness=_likenesses(data)[0],
            phrases=self._atlas.phrases,
            owners=owners(self.intents),
        )

    def _codes(self, table: Table) -> NDArray[np.float64]:
        count = len(table["query"])
        if "intent" not in table:
            return np.full(count, math.nan)
        codes = {name: float(place) for place, name in enumerate(self._names)}
        codes |= {OTHER: OUTSIDE, "": math.nan}
        told = [str(one) for one in table["intent"].tolist()]
        unknown = set(told) - set(codes)
        if unknown:
            expected = ", ".join((*self._names, OTHER))
            raise DataError(f"intent: expected one of {expected}; found {min(unknown)[:80]!r}")
        return np.array([codes[one] for one in told], dtype=np.float64)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(intent.name for intent in self.intents)

    @property
    def _atlas(self) -> Atlas:
        return atlas_of(self.intents, self.encoder)

    @property
    def _phrases(self) -> NDArray[np.int64]:
        return owners(self.intents)

    def _features(self, data: Data) -> NDArray[np.float64]:
        return directions(_likenesses(data))

    def _offsets(self, data: Data) -> NDArray[np.float64]:
        return offsets(_likenesses(data), self._phrases)

    def _intent(self, data: Data) -> NDArray[np.float64]:
        """Return the place of each record's intent, NaN where it has none of them."""
        intent = _column(data, "intent")
        return np.where(np.isin(intent, range(len(self.intents))), intent, math.nan)


def _column(data: Data, name: str) -> NDArray[np.float64]:
    if name not in data:
        return np.full(len(_likenesses(data)), math.nan)
    return data[name].astype(np.float64, copy=False)


def _likenesses(data: Data) -> NDArray[np.float64]:
    if "likeness" not in data:
        raise AgentError(f"query: expected prepared questions, found {', '.join(data) or 'none'}")
    likeness = np.nan_to_num(data["likeness"].astype(np.float64), posinf=1.0, neginf=-1.0)
    return likeness.clip(-1.0, 1.0)


def _vectors(data: Data) -> NDArray[np.float64]:
    vectors = np.nan_to_num(data["vector"].astype(np.float64), posinf=1.0, neginf=-1.0)
    return vectors.clip(-1.0, 1.0)
