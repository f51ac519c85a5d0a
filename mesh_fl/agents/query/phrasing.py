"""Whether a language model's wording of an answer says what the answer says.

Such a model may say anything. Its words are taken only if they are the answer's own, with a few
that carry no meaning, if they tell every value of it in the same order, and if no word that turns
a meaning was lost or won.
"""

import re

_FREE = frozenset(["a", "an", "and", "are", "in", "is", "it", "of", "on", "our", "that", "the"])
_FREE |= frozenset(["there", "these", "this", "was", "we", "were", "which", "who"])

_TURNS = frozenset(["no", "not", "none", "never", "without", "nobody", "neither", "nor", "only"])
_TURNS |= frozenset(["more", "most", "less", "least", "fewer", "fewest", "over", "under", "than"])
_TURNS |= frozenset(["before", "after", "until", "since", "up", "down", "above", "below", "about"])
_TURNS |= frozenset(["by", "from", "to", "between", "except", "excluding", "half", "twice"])

_WORDS = re.compile(r"[^\W_]+(?:[.,:'/-][^\W_]+)*|[%€$£<>=+-]")


def says_the_same(phrase: str, sentence: str) -> bool:
    """Say whether a phrase tells the values of a sentence and nothing beyond it.

    Parameters
    ----------
    phrase : str
        What a model made of it.
    sentence : str
        The answer, every value of which was computed.
    """
    said, known = _WORDS.findall(phrase), _WORDS.findall(sentence)
    allowed = {word.casefold() for word in known} | _FREE
    kept = _kept(known)
    return (
        bool(said)
        and all(word.casefold() in allowed for word in said)
        and _of(said, kept) == _of(known, kept)
    )


def _kept(sentence: list[str]) -> frozenset[str]:
    """Return the words that must not be lost, won or moved: values, names, signs and turns.

    What holds a digit is a value, and what stands in capitals a name; the first word of a sentence
    stands in capitals whatever it is.
    """
    values = {word for word in sentence if any(letter.isdigit() for letter in word)}
    names = {word for word in sentence[1:] if word[0].isupper()}
    signs = {word for word in sentence if not word[0].isalnum()}
    return frozenset(word.casefold() for word in values | names | signs) | _TURNS


def _of(words: list[str], kept: frozenset[str]) -> list[str]:
    return [word.casefold() for word in words if word.casefold() in kept]
