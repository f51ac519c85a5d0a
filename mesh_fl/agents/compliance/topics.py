"""Where a technique stands among public topics; so members can say what it is about."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mesh_fl.agents.compliance.techniques import technique_names
from mesh_fl.text.encoder import Vectors, load_encoder

TOPICS = Path(__file__).with_name("topics.toml")

SHARPNESS = 10.0
"""Of the softmax over cosines: most techniques stand between two or three topics."""

SAMPLED_EVERY = 8
"""Of the shipped names, so many are skipped to learn how techniques spread over the topics."""

Matrix = NDArray[np.float64]


@cache
def topic_names() -> tuple[str, ...]:
    """Return the names of the topics."""
    return tuple(_sentences())


@dataclass(frozen=True)
class Topics:
    """Public topics as vectors.

    Parameters
    ----------
    anchors : ndarray, shape (topics, dimension)
    centre : ndarray, shape (topics,)
        Where techniques stand on average.
    spread : ndarray, shape (topics, topics)
        Their covariance.
    """

    anchors: Matrix
    centre: NDArray[np.float64]
    spread: Matrix

    def place(self, vectors: Vectors) -> Matrix:
        """Return where techniques stand: shape (n, topics), rows shorter than one.

        A technique without any words stands at zero.
        """
        return _placed(self.anchors, vectors)


@cache
def load_topics(encoder: str) -> Topics:
    """Encode the topics and a sample of the shipped names, once."""
    encode = load_encoder(encoder).encode
    anchors = encode(list(_sentences().values())).astype(np.float64)
    sample = _placed(anchors, encode(list(technique_names().values())[::SAMPLED_EVERY]))
    return Topics(anchors, sample.mean(axis=0), np.cov(sample.T, bias=True))


def _placed(anchors: Matrix, vectors: Vectors) -> Matrix:
    nearness: Matrix = softmax(SHARPNESS * (vectors.astype(np.float64) @ anchors.T), axis=1)
    return nearness - 1 / len(anchors)


def _sentences() -> dict[str, str]:
    return tomllib.loads(TOPICS.read_text("utf-8"))
