"""How a text sounds: declared sentences and words become numbers in [-1, 1].

Everything here is public and set by people; nothing is fitted on data.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import softmax

from mesh_fl.agents.market.burdens import Changed, changed
from mesh_fl.agents.market.comparisons import change_told
from mesh_fl.agents.market.likeness import likeness
from mesh_fl.agents.market.wording import is_denied, pattern_of
from mesh_fl.text.encoder import Vectors, cut, load_encoder

DECLARED = Path(__file__).with_name("sentiment.toml")

SIGNS = ("negative", "neutral", "positive")
PUBLIC_CUTS = (-1.2, 1.3)
"""Before any training: a text that says nothing either way is neutral."""

NEAREST = 3
TEMPERATURE = 0.06
"""Of the softmax over groups of sentences."""

COMPARISON = "figures compared, or a burden that changes"
"""The feature that reads "13.1 compared with 8.7", and "fewer tickets"."""

COMPARISON_WEIGHT = 1.6

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    weight: float


class Anchors(_Declared):
    """Sentences of one kind; the weight is for a text that is like no other kind."""

    sentences: tuple[str, ...] = Field(min_length=1)


class Words(_Declared):
    """Words of one kind; one that is denied counts as its opposite.

    With `of_change` so does one that tells the change of a burden; see `burdens`.
    """

    phrases: tuple[str, ...] = Field(min_length=1)
    of_change: bool = False


class Sentiment(BaseModel):
    """All of sentiment.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchors: tuple[Anchors, ...]
    words: tuple[Words, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature says, for people."""
        likeness = [f"sounds like: {one.name}" for one in self.anchors]
        return (*likeness, *(f"says: {one.name}" for one in self.words), COMPARISON)

    @property
    def public_model(self) -> NDArray[np.float64]:
        """Weights and cuts as people set them."""
        weights = [one.weight for one in (*self.anchors, *self.words)]
        return np.array([*weights, COMPARISON_WEIGHT, *PUBLIC_CUTS])


@cache
def declared() -> Sentiment:
    """Return what ships with the package."""
    return Sentiment.model_validate(tomllib.loads(DECLARED.read_text("utf-8")))


def features(texts: Sequence[str], vectors: Vectors, encoder: str) -> Matrix:
    """Turn texts into numbers in [-1, 1].

    Parameters
    ----------
    texts : sequence of str
    vectors : ndarray, shape (n, dimension)
        Of the texts.
    encoder : str
        Which one they come from.

    Returns
    -------
    ndarray, shape (n, len(declared().names))
        A row depends on its own text alone; zeros for an empty text.
    """
    shown = [cut(text) for text in texts]
    likeness = _Likeness.load(encoder).shares(vectors)
    patterns = [pattern_of(one.phrases) for one in declared().words]
    said = [_all_said(text, patterns) for text in shown]
    rows = np.hstack([likeness, np.array(said).reshape(len(texts), len(patterns) + 1)])
    rows[[not text for text in shown]] = 0.0
    return rows


@dataclass(frozen=True)
class _Likeness:
    """The declared sentences as vectors, group by group."""

    groups: tuple[Vectors, ...]

    @staticmethod
    @cache
    def load(encoder: str) -> "_Likeness":
        encode = load_encoder(encoder).encode
        return _Likeness(tuple(encode(one.sentences) for one in declared().anchors))

    def shares(self, vectors: Vectors) -> Matrix:
        """Return each group's share of the likeness, shape (n, groups)."""
        return np.array([self._shares(one) for one in vectors]).reshape(-1, len(self.groups))

    def _shares(self, vector: Vectors) -> Vector:
        nearest = [np.sort(likeness(vector, group))[-NEAREST:].mean() for group in self.groups]
        shares: Vector = softmax(np.array(nearest) / TEMPERATURE)
        return shares


def _all_said(text: str, patterns: Sequence[re.Pattern[str]]) -> list[float]:
    """Return what a text says of each kind of words, then how what it compares changed."""
    rises, falls = _rises_and_falls()
    up, down = changed(text, rises), changed(text, falls)
    of_burdens = Changed(up.burdens | down.burdens, up.changes | down.changes)
    eased = float(np.sign(len(down.changes) - len(up.changes)))
    said = [_said(text, one, of_burdens) for one in patterns]
    return [*said, change_told(text) or eased]


def _said(text: str, pattern: re.Pattern[str], of_burdens: Changed) -> float:
    """Return how much a text says of some words: one is a half, a denied one less than none.

    A change of a burden counts as the opposite, and the burden itself for nothing.
    """
    found = [
        -1 if is_denied(text, match.start()) != (match.start() in of_burdens.changes) else 1
        for match in pattern.finditer(text)
        if match.start() not in of_burdens.burdens
    ]
    return float(np.clip(sum(found), -2, 2)) / 2 if found else 0.0


@cache
def _rises_and_falls() -> tuple[re.Pattern[str], re.Pattern[str]]:
    told = [one for one in declared().words if one.of_change]
    rises = tuple(phrase for one in told if one.weight > 0 for phrase in one.phrases)
    falls = tuple(phrase for one in told if one.weight < 0 for phrase in one.phrases)
    return pattern_of(rises), pattern_of(falls)
