"""Words that share a cell, told apart among one's own records: these know the words themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

UNSEEN = -1


@dataclass(frozen=True)
class Words:
    """The words of some records.

    Parameters
    ----------
    numbers : mapping of str to int
        Each different word, counted from 0.
    of_records : ndarray, shape (n,)
        The number of each record's word.
    """

    numbers: Mapping[str, int] = field(repr=False)
    of_records: Places = field(repr=False)

    @classmethod
    def of(cls, tokens: NDArray[np.generic]) -> "Words":
        """Give each different word of some records a number."""
        numbers: dict[str, int] = {}
        found = [numbers.setdefault(one, len(numbers)) for one in tokens.tolist()]
        return cls(numbers, np.array(found, dtype=np.int64))

    def find(self, tokens: NDArray[np.generic]) -> Places:
        """Return the number of each word, `UNSEEN` for a new one."""
        found = [self.numbers.get(one, UNSEEN) for one in tokens.tolist()]
        return np.array(found, dtype=np.int64)


@dataclass(frozen=True)
class Within:
    """How a cell's records are divided among its words.

    Parameters
    ----------
    of_words : ndarray
        Records of each word.
    of_cells : ndarray
        Records of each cell.
    """

    of_words: Vector
    of_cells: Vector

    @classmethod
    def of(cls, words: Places, cells: Places, count: int, size: int) -> "Within":
        """Count some records.

        Parameters
        ----------
        words, cells : ndarray, shape (n,)
            -1 where nothing is told.
        count, size : int
            How many words and cells there are.
        """
        told = cells >= 0
        of_words = np.bincount(words[told], minlength=count).astype(np.float64)
        return cls(of_words, np.bincount(cells[told], minlength=size).astype(np.float64))

    def surprises(self, words: Places, cells: Places, left_out: float = 0.0) -> Vector:
        """Return how much more surprising each word is than its cell, in nats.

        A new word counts as one record more in its cell.

        Parameters
        ----------
        words, cells : ndarray, shape (n,)
        left_out : float
            1 where the records are among those that were counted: each is judged by the others.
        """
        beside = np.append(self.of_words, 0.0)[words] - left_out
        every = np.append(self.of_cells, 0.0)[cells] - left_out
        nats: Vector = np.log(np.maximum(every, 0.0) + 1) - np.log(np.maximum(beside, 1.0))
        return np.where(cells >= 0, nats, 0.0)
