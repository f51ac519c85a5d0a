"""What makes a threat grave: declared words and sentences become numbers in [0, 1].

Everything here is public and set by people; nothing is fitted on data.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.text.encoder import Encoder, Vectors, cut

DECLARED = Path(__file__).with_name("severity.toml")

LEVELS = ("low", "medium", "high", "critical")

UNLIKE, ALIKE = 0.35, 0.75
"""Cosines at which a text begins to read like a sentence, and does so fully."""


class Words(BaseModel):
    """Words that a text may hold.

    Parameters
    ----------
    name : str
        What they say, for people.
    phrases : tuple of str
        Found as whole words whatever their case; * stands for the rest of a word.
    weight : float
        What they add to the log-odds of a higher level before any training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    phrases: tuple[str, ...] = Field(min_length=1)
    weight: float


class Sentence(BaseModel):
    """A sentence that a text may read like.

    Parameters
    ----------
    text : str
    weight : float
        What full likeness adds to the log-odds of a higher level before any training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    text: str = Field(min_length=1)
    weight: float


class Declared(BaseModel):
    """All of severity.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[Words, ...]
    sentences: tuple[Sentence, ...]


@cache
def declared() -> Declared:
    """Return the words and sentences that ship with the package."""
    return Declared.model_validate(tomllib.loads(DECLARED.read_text("utf-8")))


def features(
    words: Sequence[Words],
    sentences: Sequence[Sentence],
    texts: Sequence[str],
    encoder: Encoder,
    vectors: Vectors | None = None,
) -> NDArray[np.float64]:
    """Turn texts into numbers in [0, 1]: which words they hold, which sentences they read like.

    Parameters
    ----------
    words, sentences : sequences
    texts : sequence of str
        As much of each as `mesh_fl.text.encoder.cut` leaves is read.
    encoder : Encoder
    vectors : ndarray, shape (n, dimension), optional
        Of the texts, where they are known already.

    Returns
    -------
    ndarray, shape (n, len(words) + len(sentences))
        A row depends on its own text alone.
    """
    lowered = [cut(text).lower() for text in texts]
    patterns = [pattern_of(one.phrases) for one in words]
    held = [[bool(pattern.search(text)) for pattern in patterns] for text in lowered]
    vectors = encoder.encode(texts) if vectors is None else vectors
    return np.hstack(
        [
            np.array(held, dtype=np.float64).reshape(len(texts), len(words)),
            likeness(vectors, _encoded(encoder, tuple(one.text for one in sentences))),
        ]
    )


def likeness(vectors: Vectors, sentences: Vectors) -> NDArray[np.float64]:
    """Return how much texts read like sentences: 0 at a cosine of `UNLIKE`, 1 at `ALIKE`."""
    # A sum of one row at a time: a matrix product may round a row by what stands around it.
    cosines = np.array([sentences @ vector for vector in vectors], dtype=np.float64)
    cosines = cosines.reshape(len(vectors), len(sentences))
    return np.clip((cosines - UNLIKE) / (ALIKE - UNLIKE), 0.0, 1.0)


@cache
def pattern_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern that finds any of some phrases; it takes time linear in the text."""
    forms = "|".join(re.escape(phrase.lower()).replace(r"\*", r"\w*") for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{forms})(?!\w)")


@cache
def _encoded(encoder: Encoder, sentences: tuple[str, ...]) -> Vectors:
    return encoder.encode(sentences)
