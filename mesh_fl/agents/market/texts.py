"""The texts of requests: cut to what can be judged in time, those in English judged together."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents._ordinal import level_chances
from mesh_fl.agents.market.documents import Document
from mesh_fl.agents.market.likeness import scored
from mesh_fl.agents.market.request import MOST_CHARACTERS, Request
from mesh_fl.agents.market.sentiment import declared, features
from mesh_fl.agents.market.topics import find_topics
from mesh_fl.agents.market.trends import Judged
from mesh_fl.text.encoder import LONGEST_TEXT, cut, load_encoder
from mesh_fl.text.language import unreadable

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

NO_TEXT = "no text was given to judge: give text, documents, or a feedback as query (no question)"


@dataclass(frozen=True)
class Reading:
    """What of one request's texts is read.

    Parameters
    ----------
    request : Request
    longest : int
        Characters of each that are looked at.
    """

    request: Request
    longest: int

    @cached_property
    def shown(self) -> tuple[Document, ...]:
        """All texts, cut."""
        return tuple(Document(cut(one.text)[: self.longest], one.at) for one in self.request.texts)

    @cached_property
    def refusals(self) -> tuple[str | None, ...]:
        """Why each cannot be judged; None where it can."""
        return tuple(unreadable(one.text) for one in self.shown)

    @property
    def readable(self) -> tuple[Document, ...]:
        """Those that can be judged."""
        return tuple(one for one, why in zip(self.shown, self.refusals, strict=True) if not why)

    @property
    def told(self) -> str | None:
        """What was read, in words; None where no text was given."""
        if not self.shown:
            return None
        parts = [f"{len(self.readable)} of {len(self.shown)} texts were judged"]
        refused = Counter(why for why in self.refusals if why)
        parts += [f"{count} left out: {why}" for why, count in refused.items()]
        if any(len(cut(one.text)) > self.longest for one in self.request.texts):
            parts.append(
                f"the first {self.longest:,} characters of each were read, {MOST_CHARACTERS:,} "
                "in all"
            )
        return "; ".join(parts)


@dataclass(frozen=True)
class Texts:
    """The texts of one request, judged.

    Parameters
    ----------
    reading : Reading
    judged : Judged
    chances : ndarray, shape (n, 3)
    contributions : ndarray, shape (n, features)
        What moved the model, in log-odds.
    """

    reading: Reading
    judged: Judged
    chances: Matrix
    contributions: Matrix

    @property
    def source(self) -> str | None:
        """The request's field that the sentiment is of."""
        _, field = self.reading.request.judged
        if field:
            return None if self.reading.refusals[0] else field
        return "documents" if len(self.chances) else None

    @property
    def scored(self) -> int:
        """How many of the first ones the sentiment is of."""
        if self.source is None:
            return 0
        return len(self.chances) if self.source == "documents" else 1

    @property
    def documents(self) -> Judged:
        """Those that are documents."""
        is_led = self.source is not None and self.source != "documents"
        return self.judged.part(1 if is_led else 0)

    @property
    def why_none(self) -> str:
        """Why there is no sentiment."""
        return next((why for why in self.reading.refusals if why), NO_TEXT)


def judge(
    requests: Sequence[Request], encoder: str, weights: Vector, cuts: Vector
) -> Iterator[Texts]:
    """Judge the texts of all requests: they are encoded together.

    Parameters
    ----------
    requests : sequence of Request
    encoder : str
        As `load_encoder` knows it.
    weights, cuts : ndarray
        Of the model.
    """
    lengths = [len(cut(one.text)) for request in requests for one in request.texts]
    readings = [Reading(request, longest(lengths, MOST_CHARACTERS)) for request in requests]
    flat = [one.text for reading in readings for one in reading.readable]
    z, topic = _features(flat, encoder)
    chances = level_chances(scored(z, weights), cuts)
    end = 0
    for reading in readings:
        part = slice(end, end := end + len(reading.readable))
        judged = Judged(
            at=np.array([one.at for one in reading.readable], dtype=np.float64),
            score=chances[part, -1] - chances[part, 0],
            sign=chances[part].argmax(axis=1),
            topic=topic[part],
        )
        yield Texts(reading, judged, chances[part], z[part] * weights)


def longest(lengths: Sequence[int], most: int) -> int:
    """Return what texts must be cut to so that all of them together are no longer than `most`."""
    left = most
    for done, length in enumerate(sorted(lengths)):
        waiting = len(lengths) - done
        if length * waiting > left:
            return left // waiting
        left -= length
    return LONGEST_TEXT


def _features(texts: Sequence[str], encoder: str) -> tuple[Matrix, NDArray[np.int64]]:
    if not texts:
        return np.zeros((0, len(declared().names))), np.zeros(0, dtype=np.int64)
    vectors = load_encoder(encoder).encode(texts, kept=False)
    return features(texts, vectors, encoder), find_topics(texts, vectors, encoder)


def mean_and_error(scores: Vector) -> tuple[float | None, float | None]:
    """Return the mean, and its standard error from two scores on."""
    if not len(scores):
        return None, None
    error = float(scores.std(ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else None
    return float(scores.mean()), error
