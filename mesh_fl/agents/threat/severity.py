"""What makes a threat grave: declared words and kinds become numbers in [0, 1].

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

from mesh_fl.agents.threat.kinds import KindName, Kinds
from mesh_fl.text.encoder import Encoder, Vectors, cut

DECLARED = Path(__file__).with_name("severity.toml")

LEVELS = ("low", "medium", "high", "critical")


class Words(BaseModel):
    """Words that a text may hold.

    Parameters
    ----------
    name : str
        What they say, for people.
    phrases : tuple of str
        Found as whole words whatever their case; * at the end of a word stands for its rest.
    weight : float
        What they add to the log-odds of a higher level before any training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    phrases: tuple[str, ...] = Field(min_length=1)
    weight: float


class KindWeight(BaseModel):
    """A kind of threat that a text may be about.

    Parameters
    ----------
    kind : str
        A name of kinds.toml.
    weight : float
        What it adds to the log-odds of a higher level before any training, where the text is about
        nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: KindName
    weight: float


class Declared(BaseModel):
    """All of severity.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[Words, ...]
    kinds: tuple[KindWeight, ...]


@cache
def declared() -> Declared:
    """Return the words and kinds that ship with the package."""
    return Declared.model_validate(tomllib.loads(DECLARED.read_text("utf-8")))


@cache
def kinds_of(encoder: Encoder) -> Kinds:
    """Return the catalogue of kinds, its sentences encoded once."""
    return Kinds(encoder)


def features(
    words: Sequence[Words],
    kinds: Sequence[KindWeight],
    texts: Sequence[str],
    vectors: Vectors,
    catalogue: Kinds,
) -> NDArray[np.float64]:
    """Turn texts into numbers in [0, 1]: which words they hold, and how far each kind is meant.

    Parameters
    ----------
    words, kinds : sequences
    texts : sequence of str
        As much of each as `mesh_fl.text.encoder.cut` leaves is read.
    vectors : ndarray, shape (n, dimension)
        Of the texts.
    catalogue : Kinds

    Returns
    -------
    ndarray, shape (n, len(words) + len(kinds))
        A row depends on its own text alone; zeros for an empty text.
    """
    lowered = [cut(text).lower() for text in texts]
    patterns = [pattern_of(one.phrases) for one in words]
    held = [[bool(pattern.search(text)) for pattern in patterns] for text in lowered]
    names = [one.name for one in catalogue.kinds]
    places = [names.index(one.kind) for one in kinds]
    shares = catalogue.shares(vectors, texts)[:, places]
    shares[[not text for text in lowered]] = 0.0
    return np.hstack([np.array(held, dtype=np.float64).reshape(len(texts), len(words)), shares])


@cache
def pattern_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern that finds any of some phrases; it takes time linear in the text."""
    forms = "|".join(re.escape(phrase.lower()).replace(r"\*", r"\w*+") for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{forms})(?!\w)")
