"""Words in a text: found as wholes, and whether they are denied."""

import re
from functools import cache

DENIAL_REACH_CHARACTERS = 24
"""How far before a word a denial may stand, as in "not very helpful"."""

_DENIALS = re.compile(
    r"\b(?:no|not(?! only)|never|without|hardly|nor|neither|nobody|cannot|can't|isn't|wasn't|"
    r"aren't|weren't|didn't|doesn't|don't|won't)\b[^.,;:!?]*$",
    re.IGNORECASE,
)
_STRESSED = re.compile(r"\bnever\b[^.,;:!?]*\b(?:so|such|this|that|more)\b", re.IGNORECASE)
_NEVER = re.compile(r"\bnever\b[^.,;:!?]*$", re.IGNORECASE)
_COMPARATIVE = re.compile(r"better|worse|[a-z]{2,}[^aeiou]er\b|[a-z]+ier\b", re.IGNORECASE)


@cache
def pattern_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern that finds any of some phrases, whatever their case.

    They are found as whole words; * at the end of a word stands for its rest. Finding takes time
    linear in the text.
    """
    forms = "|".join(re.escape(phrase).replace(r"\*", r"\w*+") for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{forms})(?!\w)", re.IGNORECASE)


def is_denied(text: str, start: int) -> bool:
    """Tell whether a denial stands shortly before a place, in the same part of the sentence.

    "Never so bad" and "never been better" stress a word and do not deny it.
    """
    before = text[max(0, start - DENIAL_REACH_CHARACTERS) : start]
    is_compared = _NEVER.search(before) is not None and _COMPARATIVE.match(text, start) is not None
    is_stressed = _STRESSED.search(before) is not None or is_compared
    return _DENIALS.search(before) is not None and not is_stressed
