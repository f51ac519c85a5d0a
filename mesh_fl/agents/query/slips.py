"""Slips of the keyboard."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mesh_fl.agents.query.values import Values
from mesh_fl.agents.query.wording import Word, distance, is_near


def corrected(words: Sequence[Word], values: Values) -> list[Word]:
    """Correct a word that nothing knows where a single known word is near."""
    return [
        word if word.quotation or word.stem in values.heard else _correct(word, values.near)
        for word in words
    ]


def _correct(word: Word, near: Mapping[str, set[str]]) -> Word:
    if len(word.stem) < 5:
        return word
    # The ending may be part of the slip, so the word is also tried without its s alone.
    forms = {word.stem}
    if not word.stem.endswith("ss"):
        forms.add(word.written.lower().removesuffix("s"))
    slips = {
        w: min(distance(form, w, 2) for form in forms if is_near(form, w))
        for w in near.get(word.stem[0], ())
        if any(is_near(form, w) for form in forms)
    }
    if not slips:
        return word
    nearest = [w for w, slip in slips.items() if slip == min(slips.values())]
    return replace(word, stem=nearest[0], exact=False) if len(nearest) == 1 else word
