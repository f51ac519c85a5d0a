"""How relevant sentences are for the controls of a framework, with what the federation learned."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.controls import base_control
from mesh_fl.agents.compliance.likeness import Likeness, shared_words
from mesh_fl.agents.compliance.relevance import Candidates
from mesh_fl.text.encoder import Encoder, load_encoder

LONGEST_WORDING = 300
"""Characters of a control that are compared: its title and how its text begins."""

MOST_ENCODED = 8_000
"""Characters of a policy that are compared by meaning, those whose words are nearest to a control;
the rest is compared by its words alone. More would keep a caller waiting for seconds."""


class Shelf:
    """The controls of frameworks, encoded once.

    Parameters
    ----------
    frameworks : iterable of Framework
    encoder : str
    """

    def __init__(self, frameworks: Iterable[Framework], encoder: str) -> None:
        self._encoder: Encoder = load_encoder(encoder)
        self._frameworks = tuple(frameworks)
        self._candidates = {
            id(one.controls): Candidates([_wording(control) for control in one.controls], encoder)
            for one in self._frameworks
        }

    def matcher(self, offsets: Mapping[str, float]) -> "Matching":
        """Return a matcher with a model's offsets by NIST control."""
        return Matching(self._candidates, self._encoder, offsets)


class Matching:
    """A matcher as `assessment.assess` takes it; it tells how much was compared by words alone.

    Parameters
    ----------
    candidates : mapping
        By the identity of a framework's controls.
    encoder : Encoder
    offsets : mapping of str to float
        Log-odds by NIST control.
    """

    def __init__(
        self, candidates: Mapping[int, Candidates], encoder: Encoder, offsets: Mapping[str, float]
    ) -> None:
        self._candidates = candidates
        self._encoder = encoder
        self._offsets = offsets
        self.by_words = 0

    def __call__(self, controls: Sequence[Control], sentences: Sequence[str]) -> Likeness:
        """Compare each control with each sentence."""
        candidates = self._candidates[id(controls)]
        by_wording = candidates.by_wording(sentences)
        chosen = _affordable(sentences, by_wording.max(axis=1, initial=0.0))
        self.by_words = len(sentences) - len(chosen)
        vectors = np.zeros((len(sentences), self._encoder.dimension), dtype=np.float32)
        vectors[chosen] = self._encoder.encode([sentences[place] for place in chosen], kept=False)
        offsets = np.array([self._offsets.get(base_control(one.id), 0.0) for one in controls])
        log_odds = candidates.log_odds(vectors, by_wording) + offsets
        return Likeness(
            relevance=expit(log_odds).T,
            cosine=candidates.cosines(vectors).T,
            shares=shared_words([one.title for one in controls], sentences, by_wording.T),
        )


def _affordable(sentences: Sequence[str], nearest: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of the sentences to encode, those with the nearest words."""
    order = np.argsort(-nearest, kind="stable")
    lengths = np.cumsum([len(sentences[place]) for place in order])
    return np.sort(order[lengths <= MOST_ENCODED]).astype(np.int64)


def _wording(control: Control) -> str:
    title, told = control.title, control.text
    return (told if told.startswith(title) else f"{title}. {told}")[:LONGEST_WORDING]
