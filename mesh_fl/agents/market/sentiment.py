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

from mesh_fl.agents.market.comparisons import change_told
from mesh_fl.agents.market.wording import is_denied, pattern_of
from mesh_fl.text.encoder import Vectors, cut, load_encoder

DECLARED = Path(__file__).with_name("sentiment.toml")

SIGNS = ("negative", "neutral", "positive")
PUBLIC_CUTS = (-1.2, 1.3)
"""Before any training: a text that says nothing either way is neutral."""

NEAREST = 3
TEMPERATURE = 0.06
"""Of the softmax over groups of sentences."""

COMPARISON = "figures compared"
"""The feature that reads "13.1 compared with 8.7"."""

COMPARISON_WEIGHT = 1.6

Matrix = NDArray[np.float64]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    weight: float


class Anchors(_Declared):
    """Sentences of one kind; the weight is for a text that is like no other kind."""

    sentences: tuple[str, ...] = Field(min_length=1)


class Words(_Declared):
    """Words of one kind; one that is denied counts as its opposite."""

    phrases: tuple[str, ...] = Field(min_length=1)


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
    said = [[_said(text, one) for one in patterns] + [change_told(text)] for text in shown]
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
        scores = [
            np.sort(vectors.astype(np.float64) @ group.T, axis=1)[:, -NEAREST:].mean(axis=1)
            for group in self.groups
        ]
        shares: Matrix = softmax(np.stack(scores, axis=1) / TEMPERATURE, axis=1)
        return shares


def _said(text: str, pattern: re.Pattern[str]) -> float:
    """Return how much a text says of some words: one is a half, a denied one less than none."""
    found = [-1 if is_denied(text, match.start()) else 1 for match in pattern.finditer(text)]
    return float(np.clip(sum(found), -2, 2)) / 2 if found else 0.0
