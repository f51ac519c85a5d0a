"""Which skills a text names: by words first, then by likeness."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.text.encoder import Encoder, Vectors

DECLARED = Path(__file__).with_name("skills.toml")

OTHER = "other"
"""The cell of what is none of the declared skills; none may have this name."""

LONGEST_READ = 20_000
"""Characters of a text in which words are looked for."""

MOST_LIKE = 3
"""Skills that a text which names none may be like."""

_WORDS = re.compile(r"[^\W_]+")
_SIGNED_WORDS = re.compile(r"(?:(?<![\w.])\.)?[^\W_]+(?:(?<=[^\W\d_])[+#]++(?!\w))?")
_SIGNS = ".+#"
_SEPARATORS = re.compile(r"[;,|\n]")


class Skill(BaseModel):
    """A skill that people may have or need.

    Parameters
    ----------
    name : str
    about : str
        What it is, in a few words.
    phrases : tuple of str
        Words that name it, beside its name: whole words, whatever their case.
    entries : tuple of str
        Words that name it only where they are all of a text, as in a list: in sentences they mean
        too much else. Its name may be one of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    about: str = Field(default="", max_length=500)
    phrases: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    skills: tuple[Skill, ...]


@cache
def declared() -> tuple[Skill, ...]:
    """Return the skills that ship with the package."""
    return _Declared.model_validate(tomllib.loads(DECLARED.read_text("utf-8"))).skills


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text in small letters."""
    return tuple(_WORDS.findall(text[:LONGEST_READ].casefold()))


def signed_words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text in small letters, with the signs that tell C++, C# and .NET."""
    return tuple(_SIGNED_WORDS.findall(text[:LONGEST_READ].casefold()))


def listed(text: str) -> tuple[str, ...]:
    """Return the entries of a list that is written as text, each once."""
    entries = (" ".join(entry.split()) for entry in _SEPARATORS.split(text[:LONGEST_READ]))
    return tuple(dict.fromkeys(filter(None, entries)))


@dataclass(frozen=True)
class Vocabulary:
    """Finds declared skills in texts.

    Parameters
    ----------
    skills : tuple of Skill
    """

    skills: tuple[Skill, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The cells of a histogram: the skills, then `OTHER`."""
        return (*(skill.name for skill in self.skills), OTHER)

    @property
    def other(self) -> int:
        """The place of `OTHER`."""
        return len(self.skills)

    @cached_property
    def _places(self) -> dict[tuple[str, ...], int]:
        """Return the skill of each phrase; the first skill that names it has it."""
        found: dict[tuple[str, ...], int] = {}
        for place, skill in enumerate(self.skills):
            for phrase in (skill.name, *skill.phrases):
                if phrase not in skill.entries:
                    found.setdefault(signed_words_of(phrase), place)
        found.pop((), None)
        return found

    @cached_property
    def _entries(self) -> dict[tuple[str, ...], int]:
        told = [(one, place) for place, skill in enumerate(self.skills) for one in skill.entries]
        return {signed_words_of(entry): place for entry, place in told}

    @cached_property
    def _signed(self) -> frozenset[str]:
        words = (word for phrase in (*self._places, *self._entries) for word in phrase)
        return frozenset(word for word in words if word != word.strip(_SIGNS))

    def _words(self, text: str) -> tuple[str, ...]:
        """Return words without signs, but where a declared phrase has them."""
        words = signed_words_of(text)
        return tuple(word if word in self._signed else word.strip(_SIGNS) for word in words)

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(sorted({len(phrase) for phrase in self._places}, reverse=True))

    def named(self, text: str) -> tuple[int, ...]:
        """Return the skills that a text names, the most often named first, else the earliest.

        A longer phrase hides the shorter ones in it: "Google Cloud migration" speaks of two
        skills, and "Windows server" of no windows.
        """
        words = self._words(text)
        if words in self._entries:
            return (self._entries[words],)
        counts = Counter(self._walk(words))
        return tuple(place for place, _ in counts.most_common())

    def _walk(self, words: Sequence[str]) -> Iterator[int]:
        start = 0
        while start < len(words):
            for length in self._lengths:
                place = self._places.get(tuple(words[start : start + length]))
                if place is not None and start + length <= len(words):
                    yield place
                    start += length
                    break
            else:
                start += 1

    def encode(self, encoder: Encoder) -> Vectors:
        """Return the vectors of the skills, shape (skills, dimension)."""
        return encoder.encode([f"{skill.name}: {skill.about}" for skill in self.skills])


@dataclass(frozen=True)
class Likeness:
    """Finds skills in texts that name none.

    Parameters
    ----------
    vectors : ndarray, shape (skills, dimension)
    least : float
        Cosine from which a skill is meant; 1 and more for never.
    """

    vectors: Vectors
    least: float

    def meant(self, vector: Vectors, most: int = MOST_LIKE) -> tuple[int, ...]:
        """Return the skills that a text is like, the likest first."""
        cosines = self.vectors @ vector
        best = np.argsort(-cosines, kind="stable")[:most]
        return tuple(int(place) for place in best if cosines[place] >= self.least)
