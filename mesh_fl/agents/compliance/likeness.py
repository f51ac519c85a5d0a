"""How alike sentences and controls are, and when a likeness is strong enough to mean something.

A cosine alone says that two texts speak of the same field. A sentence is evidence for a control
only where no other control is nearer to it, and where they share words.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.compliance.wording import words_of

SHARED_WORDING = 0.4
"""Cosine of the words from which a sentence shares them even where none is of the title."""

Standing = Literal["strong", "nearest", "near"]

STANDINGS: tuple[Standing, ...] = ("near", "nearest", "strong")
"""The stronger the later."""

LONGEST_ROOT = 6
"""Letters; endings differ more in a title and a sentence than a list of endings knows."""

_DOUBLED = re.compile(r"([b-df-hj-np-tv-z])\1$")
_DOCUMENT = re.compile(r"\b(?:polic(?:y|ies)|procedures?)\b", re.IGNORECASE)

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class Likeness(NamedTuple):
    """Controls compared with sentences; each matrix has the shape (controls, sentences).

    Attributes
    ----------
    relevance : ndarray
        From 0 to 1: by meaning, by words, and by what a federation learned.
    cosine : ndarray
        Of the encoder's vectors; 0 where a sentence was compared by its words alone.
    shares : ndarray of bool
        Whether they share a word of the control's title, or much of the wording.
    """

    relevance: Matrix
    cosine: Matrix
    shares: NDArray[np.bool_]

    def standings(self, satisfies: float, alike: Vector) -> NDArray[np.int64]:
        """Return places in `STANDINGS`, shape (controls, sentences).

        A sentence is "nearest" to the control that both the relevance and the cosine put first
        among all, if its relevance reaches `satisfies`; and "strong" if its cosine reaches `alike`,
        shape (sentences,), and they share words, too.
        """
        nearest = _is_first(self.relevance) & _is_first(self.cosine) & (self.relevance >= satisfies)
        strong = nearest & (self.cosine >= alike) & self.shares
        return nearest.astype(np.int64) + strong


def _is_first(matrix: Matrix) -> NDArray[np.bool_]:
    first: NDArray[np.bool_] = matrix >= matrix.max(axis=0, initial=-1.0) - 1e-9
    return first


def shared_words(
    titles: Sequence[str], sentences: Sequence[str], by_wording: Matrix
) -> NDArray[np.bool_]:
    """Tell which sentences share words with which controls.

    A control that asks for a policy or procedures shares none with a sentence that names neither.

    Parameters
    ----------
    by_wording : ndarray, shape (controls, sentences)
        Cosines of their words.

    Returns
    -------
    ndarray of bool, shape (controls, sentences)
    """
    known = {root: place for place, root in enumerate({r for t in titles for r in _roots(t)})}

    def held(texts: Sequence[str]) -> NDArray[np.float32]:
        found = np.zeros((len(texts), len(known)), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            row[[known[root] for root in _roots(text) if root in known]] = 1
        return found

    shares = (held(titles) @ held(sentences).T > 0) | (by_wording >= SHARED_WORDING)
    asks, names = (
        np.array([bool(_DOCUMENT.search(one)) for one in texts], dtype=bool)
        for texts in (titles, sentences)
    )
    told: NDArray[np.bool_] = shares & (~asks[:, None] | names)
    return told


def _roots(text: str) -> set[str]:
    """Return words as "scan" for "scanning", "vulner" for "vulnerability" and "vulnerabilities"."""
    return {_DOUBLED.sub(r"\1", word)[:LONGEST_ROOT] for word in words_of(text)}
