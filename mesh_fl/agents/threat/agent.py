"""Threat intelligence: how grave a threat is, learned together, around what everybody knows.

The severity of a text comes from declared words and kinds of threats (`severity.toml`) by
proportional odds (McCullagh 1980), trained by summed clipped gradients with momentum (Polyak 1964)
from weights set by hand, and served from a mean that favours late iterates (arXiv 1212.2002).
Everything else in an answer comes from public knowledge: prototypes, catalogues and the files that
a member points to.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._logistic import auc, exact_auc
from mesh_fl.agents._momentum import at_rest, moved
from mesh_fl.agents._ordinal import Prior, fit_map, gradient_rows, in_order, level_chances
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.threat.answer import ThreatAnswer
from mesh_fl.agents.threat.desk import Desk
from mesh_fl.agents.threat.references import read_references
from mesh_fl.agents.threat.severity import LEVELS, KindWeight, Words, declared, features, kinds_of
from mesh_fl.errors import AgentError, DataError
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Files, Site
from mesh_fl.text.encoder import ENCODERS, load_encoder

__all__ = ["ThreatAnswer", "ThreatIntelligence"]

PUBLIC_CUTS = (-3.0, 0.3, 2.5)
"""Before any training: with nothing grave in a text, medium is the likeliest level."""

HIGH = LEVELS.index("high")

MADE_UP_SHARE = 0.05
"""How often a made-up text holds a word."""


@dataclass(frozen=True, kw_only=True)
class ThreatIntelligence(Agent):
    """Says how grave a threat is that a text tells of, what kind it is and what to do.

    The record is one event of a member: an alert, a ticket, an advisory.

    Parameters
    ----------
    words, kinds : tuples
        What makes a threat grave; public, the same at every member.
    encoder : {"minilm-l6-int8", "minilm-l6"}
        Turns texts into vectors; see `mesh_fl.text.encoder.load_encoder`.
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
        How firmly `adapt` holds to the public one, before any training.
    measure_bins : int
        Bins of the chance of high or critical, that quality is read from.
    """

    endpoint: ClassVar[str] = "/threat-intelligence"
    answers_untrained: ClassVar[bool] = True

    words: tuple[Words, ...] = field(default_factory=lambda: declared().words)
    kinds: tuple[KindWeight, ...] = field(default_factory=lambda: declared().kinds)
    encoder: str = "minilm-l6-int8"
    records: float = 1000.0
    clip: float = 1.0
    learning_rate: float = 2.0
    momentum: float = 0.8
    prior_precision: float = 100.0
    own_precision: float = 20.0
    measure_bins: int = 8

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "threat", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [one.name for one in self.words]
        yield "words", len(names) > 0, "words to look for"
        yield "words", len(set(names)) == len(names), "a different name for each"
        about = [one.kind for one in self.kinds]
        yield "kinds", len(set(about)) == len(about), "each kind once"
        yield "encoder", self.encoder in ENCODERS, f"one of {', '.join(ENCODERS)}"
        for name in ("records", "clip", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("prior_precision", "own_precision"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"
        yield "measure_bins", self.measure_bins >= 2, "at least 2 bins"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The text, what somebody already thinks of it, and STIX 2.1 in and out."""
        return (
            Field(name="text", kind="text", optional=True, description="What was seen or told."),
            Field(
                name="severity",
                kind="category",
                levels=LEVELS,
                optional=True,
                description="How grave somebody judged it; it is learned from, and compared with.",
            ),
            Field(
                name="threat_type",
                kind="text",
                optional=True,
                description="What kind of threat somebody took it for; it is compared with.",
            ),
            Field(
                name="stix",
                kind="document",
                optional=True,
                description="A STIX 2.1 bundle, instead of a text or beside it.",
            ),
            Field(
                name="as_stix",
                kind="flag",
                optional=True,
                description="Whether the answer should come as a STIX 2.1 bundle too.",
            ),
        )

    def prepare(self, table: Table) -> Data:
        """Return "z", shape (n, features), and "level", 0 for low to 3, NaN where none is told."""
        if "text" not in table:
            raise DataError(f"expected a column text, found {', '.join(table) or 'none'}")
        texts = [str(one) for one in table["text"].tolist()]
        encoder = load_encoder(self.encoder)
        vectors = encoder.encode(texts)
        z = features(self.words, self.kinds, texts, vectors, kinds_of(encoder))
        if "severity" not in table:
            return {"z": z, "level": np.full(len(z), np.nan)}
        codes = {level: float(code) for code, level in enumerate(LEVELS)}
        told = [str(one) for one in table["severity"].tolist()]
        unknown = set(told) - {*codes, ""}
        if unknown:
            raise DataError(f"severity: expected {', '.join(LEVELS)}, found {min(unknown)[:80]!r}")
        # A row without a text says nothing of what makes a threat grave.
        levels = [
            codes.get(level, math.nan) if text else math.nan
            for level, text in zip(told, texts, strict=True)
        ]
        return {"z": z, "level": np.array(levels, dtype=np.float64)}

    def init(self) -> State:
        """Return what people declared: the weights of words and kinds, and public cuts."""
        words = [one.weight for one in self.words]
        kinds = [one.weight for one in self.kinds]
        model = np.array([*words, *kinds, *PUBLIC_CUTS])
        return at_rest(model)

    def layout(self, state: State) -> Layout:
        """Return the one block that is summed, the gradient."""
        return {"gradient": state["weights"].shape}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each labelled record's gradient of the negative log-likelihood."""
        return gradient_rows(state["weights"], *_arrays(data))

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum; the mean gives iterate t a weight proportional to t."""
        step = self.learning_rate * (total["gradient"] / self.records)
        return moved(state, step, self.momentum)

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the chance of each level: shape (n, 4)."""
        z, _ = _arrays(data)
        weights, cuts = self.split(state)
        return level_chances(z @ weights, cuts)

    def split(self, state: State) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weights that answers are given with, and the cuts, in order."""
        width = len(self.words) + len(self.kinds)
        return state["mean"][:width], in_order(state["mean"][width:])

    def measure_layout(self) -> Layout:
        """Return the one block that is summed: records by bin of chance and whether it is high."""
        return {"counts": (self.measure_bins, 2)}

    def measure(self, state: State, data: Data) -> Rows:
        """Return a one-hot row per labelled record: its bin, and whether it is high or critical."""
        _, level = _arrays(data)
        chance = self.predict(state, data)[:, HIGH:].sum(axis=1)
        place = np.minimum((chance * self.measure_bins).astype(np.int64), self.measure_bins - 1)
        rows = np.zeros((len(level), self.measure_bins, 2))
        known = np.isfinite(level)
        rows[np.flatnonzero(known), place[known], (level[known] >= HIGH).astype(np.int64)] = 1.0
        return rows.reshape(len(level), 2 * self.measure_bins)

    def score(self, total: Total) -> Mapping[str, float]:
        """Return "auc" of high and critical against the rest, as far as the noise lets see it."""
        counts = total["counts"]
        return {"auc": auc(counts), "records": max(0.0, float(counts.sum()))}

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "auc" of high and critical against the rest, "accuracy" and "macro_f1" of levels.

        Records without a level count for nothing.
        """
        _, level = _arrays(data)
        known = np.isfinite(level)
        chances, level = self.predict(state, data)[known], level[known]
        likeliest = chances.argmax(axis=1)
        high = (level >= HIGH).astype(np.float64)
        return {
            "auc": exact_auc(chances[:, HIGH:].sum(axis=1), high),
            "accuracy": float(np.mean(likeliest == level)) if len(level) else math.nan,
            "macro_f1": _macro_f1(likeliest, level),
        }

    def adapt(self, state: State, data: Data) -> State:
        """Fit the member's own labelled records with the given model as prior."""
        z, level = _arrays(data)
        if not np.isfinite(level).any():
            return state
        precision = self.prior_precision if state["round"] > 0 else self.own_precision
        mean = fit_map(Prior(state["mean"], precision), z, level)
        return {**state, "mean": mean}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up texts as features at random, and levels by a model near the public one.

        Its weights lie as far from the public ones as those from zero, in a direction of the
        seed's, so that there is something to learn.
        """
        random = np.random.default_rng(seed)
        start = self.init()["mean"]
        width = len(start) - len(PUBLIC_CUTS)
        shift = random.normal(size=width)
        weights = start[:width] + shift * np.linalg.norm(start[:width]) / np.linalg.norm(shift)
        z = (random.random((records, width)) < MADE_UP_SHARE).astype(np.float64)
        least = level_chances(z @ weights, np.array(PUBLIC_CUTS))[:, ::-1].cumsum(axis=1)[:, ::-1]
        level = (random.random((records, 1)) < least[:, 1:]).sum(axis=1)
        return {"z": z, "level": level.astype(np.float64)}

    def answer(self, state: State, table: Table) -> list[ThreatAnswer]:
        """Say for each text what threat it tells of, from public knowledge that ships.

        Parameters
        ----------
        state : State
            Any model: `init`, a trained one, or one from `adapt`.
        table : Table
            See `schema`.

        Raises
        ------
        DataError
            If a record has neither a text nor a bundle.
        """
        return self._desk({}).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with reference files at hand; see `references.NAMES`."""
        return self._desk(site.files).answer

    def _desk(self, files: Files) -> Desk:
        return Desk(
            split=self.split,
            words=self.words,
            kinds=self.kinds,
            encoder=load_encoder(self.encoder),
            references=read_references(files, load_encoder(self.encoder)),
        )


def _arrays(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if "z" not in data:
        raise AgentError(f"threat: expected prepared texts, found {', '.join(data) or 'nothing'}")
    z = data["z"].astype(np.float64, copy=False)
    if "level" not in data:
        return z, np.full(len(z), np.nan)
    level = data["level"].astype(np.float64, copy=False)
    return z, np.where(np.isin(level, range(len(LEVELS))), level, np.nan)


def _macro_f1(found: NDArray[np.int64], level: NDArray[np.float64]) -> float:
    """Return the mean over the levels that occur of twice the hits over found plus true."""
    shares = [
        2
        * float(np.sum((found == code) & (level == code)))
        / float(np.sum(found == code) + np.sum(level == code))
        for code in range(len(LEVELS))
        if np.any(level == code)
    ]
    return float(np.mean(shares)) if shares else math.nan
