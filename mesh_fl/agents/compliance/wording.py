"""How much two texts share of their words, weighted by how rare the words are (TF-IDF)."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mesh_fl.text.encoder import LONGEST_TEXT

ENDINGS = (
    "ations",
    "ation",
    "ments",
    "ment",
    "ings",
    "ing",
    "ies",
    "ied",
    "ers",
    "er",
    "ed",
    "es",
    "ly",
    "s",
)
SHORTEST_STEM = 4
COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at all any be been before by each every for from has have in into is it "
        "its may must no not of on or other others shall should so such that the their them they "
        "this to under use used was when where which who with without",
    )
)

_WORD = re.compile(r"[a-z][a-z0-9]+")


class Wording:
    """Documents by their words: cosines of TF-IDF vectors (Salton and Buckley 1988).

    Everything is fitted on the documents, which are public.

    Parameters
    ----------
    documents : sequence of str
    """

    def __init__(self, documents: Sequence[str]) -> None:
        words = [Counter(words_of(document)) for document in documents]
        found = Counter(word for counted in words for word in counted)
        self._places = {word: place for place, word in enumerate(found)}
        rarity = [math.log((1 + len(words)) / (1 + held)) + 1 for held in found.values()]
        self._rarity = np.array(rarity)
        self._documents = np.zeros((len(found), len(words)))
        for document, counted in enumerate(words):
            places, weights = self._weighted(counted)
            self._documents[places, document] = weights

    def cosines(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Compare texts with the documents: shape (n, documents), from 0 to 1."""
        rows = np.zeros((len(texts), self._documents.shape[1]))
        for row, text in zip(rows, texts, strict=True):
            places, weights = self._weighted(Counter(words_of(text)))
            row[:] = weights @ self._documents[places]
        return rows

    def _weighted(self, counted: Counter[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the places of known words and their weights, together of length one."""
        known = [
            (self._places[word], times) for word, times in counted.items() if word in self._places
        ]
        places = np.array([place for place, _ in known], dtype=np.int64)
        weights = self._rarity[places] * [1 + math.log(times) for _, times in known]
        length = float(np.linalg.norm(weights))
        return places, weights / length if length > 0 else weights


def words_of(text: str) -> list[str]:
    """Return the stems of a text's words, without the most common ones."""
    words = _WORD.findall(text[:LONGEST_TEXT].lower())
    return [_stem(word) for word in words if word not in COMMON]


@lru_cache(maxsize=2**14)
def _stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)]
    return word
