"""Figures that a text compares, as in "profit was 13.1 million, compared with 8.7 before"."""

import re

from mesh_fl.agents.market.burdens import BURDENS
from mesh_fl.agents.market.wording import pattern_of

MOST_COMPARED = 4
"""Comparisons of one text that are read."""

_NUMBER = r"(\d[\d,. ]{0,14}\d|\d)"
_GAP = r"[^\d]{0,40}?"
_NOW_THEN = re.compile(
    rf"{_NUMBER}{_GAP}\b(?:compared (?:to|with)|from|against|versus|vs\.?|up from|down from|"
    rf"(?:in|for) the (?:corresponding|same|comparable))\b{_GAP}{_NUMBER}",
    re.IGNORECASE,
)
_THEN_NOW = re.compile(rf"\bfrom{_GAP}{_NUMBER}{_GAP}\bto\b{_GAP}{_NUMBER}", re.IGNORECASE)

_TURN = pattern_of(("loss", "losses", "deficit"))
_GAIN = pattern_of(("profit", "profits", "gain"))


def change_told(text: str) -> float:
    """Return 1 where a text's figures got better, -1 where worse, 0 where it compares none.

    More is taken for better, unless the text is about a loss, costs or the like. A year is no
    figure. A loss set against a profit is worse whatever the numbers.
    """
    found = [_direction(now, then, text, at) for now, then, at in _compared(text)]
    return float((sum(found) > 0) - (sum(found) < 0))


def _compared(text: str) -> list[tuple[float, float, int]]:
    """Return pairs of what is and what was, and where each stands."""
    pairs = [
        (_number(one[2]), _number(one[1]), one.start()) for one in _THEN_NOW.finditer(text)
    ] or [(_number(one[1]), _number(one[2]), one.start()) for one in _NOW_THEN.finditer(text)]
    return [
        (now, then, at)
        for now, then, at in pairs[:MOST_COMPARED]
        if now is not None and then is not None
    ]


def _direction(now: float, then: float, text: str, at: int) -> int:
    before, after = text[max(0, at - 120) : at], text[at : at + 160]
    was_loss, is_loss = _TURN.search(after) is not None, _TURN.search(before) is not None
    if was_loss and not is_loss and _GAIN.search(before):
        return 1
    if is_loss and not was_loss and _GAIN.search(after):
        return -1
    sign = -1 if BURDENS.search(before) else 1
    return sign * ((now > then) - (now < then))


def _number(written: str) -> float | None:
    """Read a number as people write it; None for a year and for what is none."""
    digits = written.replace(" ", "").strip(",.")
    if re.fullmatch(r"(?:19|20)\d\d", digits):
        return None
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", digits):
        digits = digits.replace(",", "")
    try:
        return float(digits.replace(",", "."))
    except ValueError:
        return None
