"""Words one after the other, looked for in lists of short texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mesh_fl.agents.collaboration.skills import signed_words_of


@dataclass(frozen=True)
class Phrases:
    """What some short texts say.

    Parameters
    ----------
    words : str
        All their words, with a space on either side and a bar between two texts.
    """

    words: str

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Phrases":
        """Read the words of texts; signs as in C++, C# and .NET belong to them."""
        return cls(f" {' | '.join(' '.join(signed_words_of(one)) for one in texts)} ")

    def __contains__(self, phrase: str) -> bool:
        """Tell whether one text holds all words of a phrase, one after the other."""
        words = _spaced(phrase)
        return bool(words) and words in self.words


@lru_cache(maxsize=4096)
def _spaced(phrase: str) -> str:
    """Return words with a space on either side; one phrase is looked for in every profile."""
    words = signed_words_of(phrase)
    return f" {' '.join(words)} " if words else ""
