"""Dotted quads that are versions of a program rather than addresses, by the words around them."""

import re

_TELLING = frozenset(
    {"v", "ver", "version", "versions", "release", "releases", "build", "firmware"}
)
_TELLING |= {"before", "below", "prior", "fixed", "<=", ">=", "<"}
_PASSING = frozenset({"that", "are", "is", "affected", "supported", "include", "includes", "from"})
_PASSING |= {"including", "through", "between", "up", "to", "in", "earlier", "lower", "than"}
_PASSING |= {"and", "or", "of", "="}
_AFTER = re.compile(
    r",?\s(?:and|or)\s(?:earlier|prior|below|lower|older|later|newer|above|higher)\b"
    r"|,?\s(?:through|before|prior\sto)\s(?:version\s)?[0-9]",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"(?:,|-|/|&|\s|and|or|to|through){1,9}", re.IGNORECASE)
_OTHER_VERSION = re.compile(r"n/a|[0-9]+(?:\.[0-9x]+){1,2}|[0-9]+(?:\.[0-9x]+){4,8}")
_REACH_CHARACTERS = 80
_MOST_PASSED = 6


class VersionTalk:
    """Tells addresses from versions along one text, from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._last_end = -1

    def at(self, start: int, end: int) -> bool:
        """Tell whether the quad in this span is a version; one more in a list of them is, too."""
        found = self._continues(start) or self._led_up_to(start) or self._followed(end)
        if found:
            self._last_end = end
        return found

    def _continues(self, start: int) -> bool:
        if not 0 <= self._last_end < start <= self._last_end + 12:
            return False
        return _BETWEEN.fullmatch(self._text, self._last_end, start) is not None

    def _led_up_to(self, start: int) -> bool:
        """Walk back over words that may stand between a telling one and its number."""
        words = self._text[max(0, start - _REACH_CHARACTERS) : start].lower().split()
        for word in reversed(words[-_MOST_PASSED:]):
            word = word.strip("(:.,;")
            if word in _TELLING or word.endswith(("<=", ">=")) or _OTHER_VERSION.fullmatch(word):
                return True
            if word not in _PASSING:
                return False
        return False

    def _followed(self, end: int) -> bool:
        return _AFTER.match(self._text, end, end + _REACH_CHARACTERS) is not None
