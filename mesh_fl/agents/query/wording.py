"""A question as words: one written form, so that a phrase is found however it is spelt."""

import re
import unicodedata
from dataclasses import dataclass

MOST_CHARACTERS = 600
"""A longer text is no question."""

_TOKEN = re.compile(
    r"\d{4}-\d{2}-\d{2}"  # a day
    r"|\d{4}-\d{2}(?!\d)"  # a month
    r"|\d+(?:,\d{3})+(?:\.\d+)?|\d+\.\d+(?!\w)"
    r"|\w+(?:'\w+)?|[%€$£]",
    re.UNICODE,
)
_SIGNS = {"%": "percent", "€": "eur", "$": "usd", "£": "gbp"}
_POSSESSIVE = re.compile(r"'s?$")
_QUOTED = re.compile(
    r"\"[^\"]+\"|\u201c[^\u201d]+\u201d|\u00ab[^\u00bb]+\u00bb|(?<!\w)'[^']+'(?!\w)"
)


@dataclass(frozen=True)
class Word:
    """One word of a question.

    Parameters
    ----------
    stem : str
        What is compared: lower case, singular.
    written : str
        As it stands in the question.
    exact : bool
        Whether it was found as written, not corrected.
    after_comma : bool
        Whether a comma, a colon or the like stands before it.
    quotation : int
        Which quotation it stands in, counted from 1; 0 is none.
    """

    stem: str
    written: str
    exact: bool = True
    after_comma: bool = False
    quotation: int = 0


def plain(text: str) -> str:
    """Return text in one Unicode form, without control, bidirectional or invisible characters."""
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    return "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c
        for c in folded
        if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"}
    )


def words_of(text: str) -> tuple[Word, ...]:
    """Split text into words; an underscore, a hyphen or a dot inside one parts it."""
    text, words, end = plain(text).replace("_", " "), [], 0
    quotations = [found.span() for found in _QUOTED.finditer(text)]
    for found in _TOKEN.finditer(text):
        gap = text[end : found.start()]
        end = found.end()
        comma = any(c in ",:;.!?" for c in gap)
        quotation = _quotation(quotations, found.start())
        words.append(Word(stem(found.group()), found.group(), True, comma, quotation))
    return tuple(words)


def _quotation(quotations: list[tuple[int, int]], at: int) -> int:
    inside = (i for i, (start, end) in enumerate(quotations, 1) if start < at < end)
    return next(inside, 0)


def stems(text: str) -> tuple[str, ...]:
    """Return the stems of a phrase or of a value."""
    return tuple(word.stem for word in words_of(text))


def stem(word: str) -> str:
    """Return a word in lower case without a plural or possessive ending."""
    low = _POSSESSIVE.sub("", word.lower())
    low = _SIGNS.get(low, low)
    if low[:1].isdigit():
        return low.replace(",", "") if re.fullmatch(r"[\d,]+(\.\d+)?", low) else low
    if len(low) > 4 and low.endswith("ies"):
        return low[:-3] + "y"
    if len(low) > 4 and low.endswith(("sses", "xes", "ches", "shes")):
        return low[:-2]
    if len(low) > 2 and low.endswith("s") and not low.endswith(("ss", "us", "is")):
        return low[:-1]
    return low


def is_near(left: str, right: str) -> bool:
    """Say whether two words differ by one slip of the keyboard, or two if they are long."""
    if left[:1] != right[:1] or min(len(left), len(right)) < 5 or left[:1].isdigit():
        return False
    # A changed digit names another thing, it is no slip.
    if any(c.isdigit() for c in left + right):
        return False
    return distance(left, right, 2) <= (2 if min(len(left), len(right)) >= 9 else 1)


def distance(left: str, right: str, most: int) -> int:
    """Return how many slips part two words, or `most` + 1 if they are more.

    Insertions, deletions, replacements and swaps of neighbours count one each (the restricted
    Damerau-Levenshtein distance).
    """
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, above = above, row
    return above[-1]
