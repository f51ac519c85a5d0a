"""What is better the less there is of it: a change of it means the opposite."""

import re
from dataclasses import dataclass

from mesh_fl.agents.market.wording import pattern_of

_NAMES = (
    "loss", "losses", "deficit", "debt*", "cost", "costs", "expenses", "unemployment", "gearing",
    "bill", "bills", "fee", "fees", "hourly rate*", "rate per seat", "price per seat",
    "price per user", "your price*", "our price*", "new price*", "the price", "your rate*",
    "our rate*", "complaint*", "ticket*", "outage*", "downtime", "delay*", "error*", "incident*",
    "response time*", "resolution time*", "waiting time*", "wait time*",
)  # fmt: skip
BURDENS = pattern_of(_NAMES)

_PRICES = re.compile(
    r"(?<!share )(?<!shares )(?<!stock )(?<!selling )(?<!sales )(?<!market )(?<!target )"
    r"\bprices?\b",
    re.IGNORECASE,
)
"""Prices that somebody pays: those of shares and of one's own goods are better when higher."""

_BREAK = r"(?!(?:and|but|while|as|when|because|due|after|despite|with|so|though|although)\b)"
_SUBJECT = re.compile(rf"^(?:\s+{_BREAK}[\w'-]+){{0,6}}\s+$", re.IGNORECASE)
_TO_OBJECT = re.compile(
    r"^\s+(?:(?:the|our|your|its|their|my|in|of|number|amount|monthly|operating|total)\s+){0,4}$",
    re.IGNORECASE,
)
_REACH_CHARACTERS = 60


@dataclass(frozen=True)
class Changed:
    """Where a text tells that a burden changes: starts of the burdens, and of the changes."""

    burdens: frozenset[int]
    changes: frozenset[int]


def changed(text: str, change: re.Pattern[str]) -> Changed:
    """Find burdens that a change is told of, as in "complaints fell" or "lower fees".

    Parameters
    ----------
    text : str
    change : re.Pattern
        Finds the words of change.
    """
    spans = [match.span() for names in (BURDENS, _PRICES) for match in names.finditer(text)]
    pairs = [
        (start, match.start())
        for match in change.finditer(text)
        for start, end in spans
        if _is_of(text, (start, end), match.span())
    ]
    return Changed(frozenset(one for one, _ in pairs), frozenset(other for _, other in pairs))


def _is_of(text: str, burden: tuple[int, int], change: tuple[int, int]) -> bool:
    """Tell whether the change is the burden's, which stands before it or right after."""
    if 0 < change[0] - burden[1] <= _REACH_CHARACTERS:
        return _SUBJECT.match(text[burden[1] : change[0]]) is not None
    if 0 < burden[0] - change[1] <= _REACH_CHARACTERS:
        return _TO_OBJECT.match(text[change[1] : burden[0]]) is not None
    return False
