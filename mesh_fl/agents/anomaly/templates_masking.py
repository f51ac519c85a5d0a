"""Lines of a log with what varies from line to line masked.

A pure function of one line, so that a template is the same at every member. A line is read word by
word, every repetition in a pattern is bounded and so is the line: time is linear in its length.
"""

import re
from functools import lru_cache

LONGEST_LINE = 4000
"""Characters of a line that are looked at."""

LONGEST_KEPT_WORD = 64
MOST_KEPT_WORDS = 16384

_QUOTED = re.compile(r"""
      "[^"]{0,400}"
    | (?<!\w)'[^']{0,400}'(?!\w)
    """, re.VERBOSE)  # fmt: skip

_URL = r"""(?P<url>\b[a-z][a-z0-9+.-]{1,15}://[^\s"'<>]{1,300})"""
_MAIL = r"(?P<mail>\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b)"
_ID = r"(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
_MAC = r"(?P<mac>\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b)"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:z|[+-]\d\d:?\d\d)?"
_TIME = (
    rf"(?P<time>\b\d{{4}}-\d\d-\d\d(?:t{_CLOCK})?\b"
    r"|\b\d{1,2}/(?:[a-z]{3}|\d{1,2})/\d{4}(?::\d\d:\d\d:\d\d)?\b"
    rf"|\b{_CLOCK}\b)"
)
_IP = (
    r"(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d{1,5})?\b"
    r"|(?<![\w:])[0-9a-f]{0,4}(?:::?[0-9a-f]{1,4}){3,8}(?![\w:]))"
)
_PATH = r"(?P<path>(?<![\w/\\])(?:[a-z]:)?(?:[\\/][\w.$~%+-]{1,100}){2,30})"
_HEX = r"(?P<hex>\b0x[0-9a-f]{1,64}\b|\b(?=[a-f]{0,40}\d)[0-9a-f]{8,64}\b)"
_NUMBER = r"(?P<n>(?:(?<![\w)\]])[+-])?\d{1,40}(?:[.,]\d{1,20}){0,3})"

_NEEDS = (
    (_URL, ":"),
    (_MAIL, "@"),
    (_ID, "-"),
    (_MAC, ":-"),
    (_TIME, "-/:"),
    (_IP, ".:"),
    (_PATH, "/\\"),
    (_HEX, ""),
    (_NUMBER, ""),
)
"""Patterns, the first that fits being taken, with characters of which any match has one at least.

A word is searched for what it may hold only: most hold few of these characters.
"""

_TELLING = frozenset("".join(needed for _, needed in _NEEDS))

_SPLIT_TIME = re.compile(
    r"(?<!\S)(?:(?:mon|tue|wed|thu|fri|sat|sun),? )?(?:<n> )?"
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) <n>,? (?:<n> )?<time>"
    r"|<time>(?: (?:<time>|utc|gmt)){1,2}"
)


def masked(line: str) -> str:
    """Return the template of a line, in lower case and with single spaces.

    Numbers become <n>; times, IP addresses, MAC addresses, UUIDs, hexadecimal numbers, paths, URLs,
    mail addresses and quoted texts become <time>, <ip>, <mac>, <id>, <hex>, <path>, <url>, <mail>
    and <text>. Of a line that is a JSON object the words in quotes stay.
    """
    plain = line[:LONGEST_LINE].lower()
    is_json = plain.lstrip().startswith("{")
    if ('"' in plain or "'" in plain) and not is_json:
        plain = _QUOTED.sub("<text>", plain)
    template = " ".join([word if word.isalpha() else _masked_word(word) for word in plain.split()])
    is_split = "> <time>" in template or "<time> utc" in template or "<time> gmt" in template
    return _SPLIT_TIME.sub("<time>", template) if is_split else template


def _masked_word(word: str) -> str:
    if word.isdecimal():
        return "<n>"
    return _kept(word) if len(word) <= LONGEST_KEPT_WORD else _looked_up(word)


def _looked_up(word: str) -> str:
    core = word.rstrip(",:;")
    return _pattern(_TELLING.intersection(core)).sub(_name, core) + word[len(core) :]


@lru_cache
def _pattern(held: frozenset[str]) -> re.Pattern[str]:
    """Return what to look for in a word that holds these of the telling characters."""
    return re.compile("|".join(one for one, needed in _NEEDS if not needed or held & set(needed)))


def _name(found: re.Match[str]) -> str:
    return f"<{found.lastgroup}>"


# The same words come again and again; what is kept is bounded, in number and in length.
_kept = lru_cache(MOST_KEPT_WORDS)(_looked_up)
