"""What questions can be about: declared intents, and how like a question is to their phrases."""

import tomllib
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.text.encoder import Encoder, Vectors, load_encoder

Matrix = NDArray[np.float64]

DECLARED = Path(__file__).with_name("intents.toml")


class Intent(BaseModel):
    """Something that questions are about.

    Parameters
    ----------
    name : str
    phrases : tuple of str
        Questions and words that show it; public, the same at every member.
    agent : str
        Who answers what the own tables cannot; "" for nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    phrases: tuple[str, ...] = Field(min_length=1)
    agent: str = ""


class _Declared(BaseModel):
    """All of intents.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intents: tuple[Intent, ...]


@cache
def declared() -> tuple[Intent, ...]:
    """Return the intents that ship."""
    return _Declared.model_validate(tomllib.loads(DECLARED.read_text("utf-8"))).intents


class Atlas:
    """The phrases of all intents, one after the other, as vectors.

    An intent's name is its first phrase.

    Parameters
    ----------
    intents : tuple of Intent
    encoder : Encoder
    """

    def __init__(self, intents: tuple[Intent, ...], encoder: Encoder) -> None:
        self.encoder = encoder
        self.owners = owners(intents)
        self._intents = intents

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Every phrase, in the order of the columns of `likeness`."""
        return tuple(
            phrase for intent in self._intents for phrase in (intent.name, *intent.phrases)
        )

    @cached_property
    def _vectors(self) -> Matrix:
        plain = [phrase.replace("_", " ") for phrase in self.phrases]
        return self.encoder.encode(plain).astype(np.float64)

    def likeness(self, vectors: Vectors) -> Matrix:
        """Return the cosine of each text to each phrase, shape (n, phrases)."""
        found: Matrix = vectors.astype(np.float64) @ self._vectors.T
        return found

    def around(self, vectors: Vectors) -> Matrix:
        """Return the vectors seen from the mean of all phrases, at length one: shape (n, d)."""
        there = np.any(vectors, axis=1, keepdims=True)
        away = np.where(there, vectors.astype(np.float64) - self._vectors.mean(axis=0), 0.0)
        length = np.linalg.norm(away, axis=1, keepdims=True)
        return away / np.where(length > 0, length, 1.0)


def owners(intents: tuple[Intent, ...]) -> NDArray[np.int64]:
    """Return the place of the intent that each phrase belongs to, shape (phrases,)."""
    sizes = [1 + len(intent.phrases) for intent in intents]
    return np.repeat(np.arange(len(intents)), sizes)


@cache
def atlas_of(intents: tuple[Intent, ...], encoder: str) -> Atlas:
    """Return the atlas of some intents, its phrases encoded once."""
    return Atlas(intents, load_encoder(encoder))
