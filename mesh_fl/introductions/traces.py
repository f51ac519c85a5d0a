"""What in a profile's text could tell whose it is."""

import re
import unicodedata
from collections.abc import Iterator

from mesh_fl.profile import Offering

SHORTEST = 4
"""Letters from which a name is looked for inside other words, and a word of a contact at all."""

TELLING_DIGITS = 6
"""The last digits of a telephone number, which all ways to write it share."""

_MAIL = re.compile(r"[^\s,;<>()|/\"']+@[^\s,;<>()|/\"']+")
_DOMAIN = re.compile(r"(?:[\w-]+\.)+\w{2,}")
_NUMBER = re.compile(r"\d(?:[\s()./-]*\d){5,}")
_PARTS = re.compile(r"[,;|/<>()\n]+")
_WORDS = re.compile(r"[^\W\d_]+")
_OF_NOBODY = frozenset(
    (
        *("call", "contact", "email", "help", "https", "info", "mail", "mailto", "mobile"),
        *("office", "phone", "sales", "service", "support", "team", "telephone", "write"),
    )
)


def traces(offering: Offering, name: str, contact: str) -> tuple[str, ...]:
    """Return what of our name and contact the text of a profile holds, however it is spelt.

    Parameters
    ----------
    offering : Offering
        The profile.
    name : str
        Ours on the roster.
    contact : str
        How to reach us: looked for as a whole and by its parts, mail addresses, domains, the ends
        of telephone numbers and words of at least four letters.

    Notes
    -----
    Letters are compared without case, accents, width and what cannot be seen; names, addresses and
    numbers also without all that is neither letter nor digit. Letters of another script that look
    alike, nicknames and paraphrases are not noticed.
    """
    text = _Text(offering.offered)
    names = [part for part in (name, *_names(_folded(contact))) if text.holds(part)]
    words = [word for word in _words(_folded(contact)) if text.holds_word(word)]
    return tuple(dict.fromkeys((*names, *words)))


class _Text:
    """A text in which parts are looked for."""

    def __init__(self, text: str) -> None:
        self._squeezed = _squeezed(text)
        self._words = frozenset(_WORDS.findall(_folded(text)))

    def holds(self, part: str) -> bool:
        squeezed = _squeezed(part)
        return squeezed in (self._squeezed if len(squeezed) >= SHORTEST else self._words)

    def holds_word(self, word: str) -> bool:
        return word in self._words


def _names(contact: str) -> Iterator[str]:
    """Yield whatever names somebody by itself, the longest first."""
    parts = (part.strip() for part in (contact, *_PARTS.split(contact)))
    yield from (part for part in parts if part and part not in _OF_NOBODY)
    yield from _MAIL.findall(contact)
    for domain in _DOMAIN.findall(contact):
        yield domain
        yield from (label for label in domain.split(".")[:-1] if len(label) >= SHORTEST)
    for number in _NUMBER.findall(contact):
        yield _squeezed(number)[-TELLING_DIGITS:]


def _words(contact: str) -> Iterator[str]:
    """Yield the words that are no part of a domain and may be a person's or a firm's."""
    for word in _WORDS.findall(_DOMAIN.sub(" ", contact)):
        if len(word) >= SHORTEST and word not in _OF_NOBODY:
            yield word


def _folded(text: str) -> str:
    """Return text in small letters, without accents, width and characters that cannot be seen."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(one for one in plain if unicodedata.category(one) not in ("Cf", "Mn"))


def _squeezed(text: str) -> str:
    """Return its letters and digits alone."""
    return "".join(filter(str.isalnum, _folded(text)))
