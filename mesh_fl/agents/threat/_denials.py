"""Texts that speak of threats to deny them, or to ask."""

from collections.abc import Iterator, Sequence

_DENYING = (
    "no not never without nor neither nobody none isn't wasn't aren't weren't hasn't haven't "
    "didn't doesn't don't"
)
_TURNING = (
    "but although however the this these our his her their its warning permission consent , . ; : "
    "! ?"
)
_ASKING = (
    "is are was were do does did has have can could should would will what which who where when "
    "why how"
)
DENIALS = frozenset(_DENYING.split())
DENIAL_REACH = 4
"""Words after a denial that it may deny, as in "no sign of ransomware"."""
TURNS = frozenset(_TURNING.split())
"""They end a denial: neither "did not stop the malware" nor "without warning" denies malware."""
ASKING = frozenset(_ASKING.split())
"""A text of one sentence that begins with one of them and ends with "?" asks, and tells nothing."""


def denies(words: str) -> bool:
    """Tell whether words deny something themselves, as "no mfa" does."""
    return not DENIALS.isdisjoint(words.split())


def affirmed(words: Sequence[str]) -> Iterator[str]:
    """Leave out each denial and the words that it may reach."""
    reached = 0
    for word in words:
        denied = word in DENIALS
        reached = DENIAL_REACH if denied else -1 if word in TURNS else reached - 1
        if reached < 0:
            yield word


def asks(words: Sequence[str]) -> bool:
    """Tell whether a text is one question."""
    return bool(words) and words[0] in ASKING and words[-1] == "?" and words.count(".") == 0
