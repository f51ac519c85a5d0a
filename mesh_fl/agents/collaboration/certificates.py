"""Certificates by their words: "ISO/IEC 27001 Lead Auditor" is one for ISO 27001."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_WORDS = re.compile(r"[^\W\d_]+[+#]*|\d+")
_PASSED_OVER = frozenset({"iec", "and"})
"""IEC publishes some standards of ISO with it, and people name either; "and" joins numbers."""


@dataclass(frozen=True)
class Certificates:
    """What somebody is certified for.

    Parameters
    ----------
    held : tuple of frozenset of str
        The words of each certificate.
    """

    held: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Certificates":
        """Read certificates by their names."""
        return cls(tuple(_said(name) for name in names))

    def __contains__(self, asked: str) -> bool:
        """Tell whether all words of a name are in one certificate, in whatever order."""
        words = _said(asked)
        return bool(words) and any(words <= one for one in self.held)


@lru_cache(maxsize=4096)
def _said(name: str) -> frozenset[str]:
    return frozenset(_bound(_WORDS.findall(name.casefold())))


def _bound(words: Iterable[str]) -> Iterator[str]:
    """Add each number with the word that it belongs to: SOC 1 is no part of "SOC 2 type 1"."""
    series = ""
    for word in words:
        if word in _PASSED_OVER:
            continue
        yield word
        if word.isdigit():
            yield f"{series} {word}"
        else:
            series = word
