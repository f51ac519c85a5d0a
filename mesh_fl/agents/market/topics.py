"""What a text is about: one of a few public topics, by its words, else by its likeness."""

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.agents.market.likeness import likeness
from mesh_fl.agents.market.wording import pattern_of
from mesh_fl.text.encoder import Vectors, cut, load_encoder

DECLARED = Path(__file__).with_name("topics.toml")

FLOOR = 0.35
"""Cosine to the nearest sentence below which a text without telling words is about no topic."""

NO_TOPIC = -1


class Topic(BaseModel):
    """One topic: the words and sentences that show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    words: tuple[str, ...] = Field(min_length=1)
    sentences: tuple[str, ...] = Field(min_length=1)


@cache
def topics() -> tuple[Topic, ...]:
    """Return the topics that ship with the package."""
    tables = tomllib.loads(DECLARED.read_text("utf-8"))["topic"]
    return tuple(Topic.model_validate(one) for one in tables)


def named_in(text: str) -> NDArray[np.int64]:
    """Return how many words of each topic a text holds, shape (topics,)."""
    shown = cut(text)
    counts = [len(pattern_of(one.words).findall(shown)) for one in topics()]
    return np.array(counts, dtype=np.int64)


def find_topics(texts: Sequence[str], vectors: Vectors, encoder: str) -> NDArray[np.int64]:
    """Return the place of each text's topic, `NO_TOPIC` where there is none.

    Parameters
    ----------
    texts : sequence of str
    vectors : ndarray, shape (n, dimension)
        Of the texts.
    encoder : str
        Which one they come from.
    """
    if not len(texts):
        return np.zeros(0, dtype=np.int64)
    held = np.array([named_in(text) for text in texts])
    nearest = np.array(
        [[likeness(row, one).max() for one in _sentences(encoder)] for row in vectors]
    )
    # Likeness decides between topics with as many words.
    by_words = np.argmax(held + np.clip(nearest, 0, 0.99), axis=1)
    is_known = (held.max(axis=1) > 0) | (nearest.max(axis=1) >= FLOOR)
    is_text = np.linalg.norm(vectors, axis=1) > 0
    return np.where(is_known & is_text, by_words, NO_TOPIC).astype(np.int64)


@cache
def _sentences(encoder: str) -> tuple[Vectors, ...]:
    encode = load_encoder(encoder).encode
    return tuple(encode(one.sentences) for one in topics())
