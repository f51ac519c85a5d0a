"""Small words that turn a question round: where they are not understood, it is refused.

"All", "only", "not" and "or" change what is asked without naming anything. A parser that drops them
answers another question, and surely; so what it cannot follow for certain it refuses here.
"""

import re
from collections.abc import Sequence

from mesh_fl.agents.query.reading import UnclearError

ASKING = frozenset((
    "is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can",
))  # fmt: skip
"""First words of a question for yes or no."""

_EVENT = r"(?:opened|closed|created|resolved|answered|issued|paid|due|started|ended|cancelled)"
_NOT = (
    r"(?:not|never|without|except|excluding|other than"
    r"|(?:is|are|was|were|do|does|did|have|has)n't)"
)
_SHARE = r"(?:share|percentage|percent|%|proportion|fraction)"
_EDGE = r"(?:last|latest|newest|oldest|first|earliest|most recent)"
_UNIT = r"(?:days?|weeks?|months?|quarters?|years?|hours?)"
_GROUP = (
    r"(?:client|customer|technician|engineer|tech|category|priority|month|week|day|quarter|year|kind"
    r"|type|industry|status|class|os|source|severity|level|weekday|system|assignee|currency)"
)

DOUBTS: tuple[tuple[str, str], ...] = (
    (r"^and\b", "a question stands alone: say it whole"),
    (r"\b(?:neither|nor)\b", "say it without neither and nor"),
    (
        r"(?<!list)(?<!show)(?<!me)(?<!give)(?<!of)(?<!for)(?<!across)(?<!at)(?<!in)(?<!name)"
        r"(?<!get)(?<!are)(?<!what)(?<!with)(?<!and) (?:all|every|each and every)\b"
        r"(?! of them| together| time| in all| month| week| day| quarter| year)",
        "I cannot tell what holds for all: ask how many there are, and how many not",
    ),
    (r"\bwith all\b", "I cannot tell what holds for all: ask how many there are, and how many not"),
    (
        r"\b(?:have|has|had|with|only|just) (?:only|just)\b"
        r"|\bonly (?!open\b|those\b|the\b|in\b|for\b)",
        "I cannot tell what holds for nothing else: ask without only",
    ),
    (r"\b(?:have|has|had|with|just|exactly) (?:just |exactly )?one\b", "write the number: 1"),
    (r"\bbut (?:one|not)\b", "say it without but"),
    (r"\bthe same\b", "I cannot compare rows with each other"),
    (rf"\b{_NOT}\b.*\bwith (?!no\b)", "I cannot tell what the negation is about: ask for one"),
    (rf"\b{_NOT}\b.*\b{_NOT}\b", "I follow one negation: ask for one"),
    (r"\bwithout \w+ (?:and|or) ", "I follow one negation: ask for one"),
    (
        r"\bnot (?!(?:yet )?(?:closed|resolved|solved|opened|raised|created|assigned) (?:to|by) )"
        r"(?:\w+ ){0,2}(?:to|by) (?!anybody\b|anyone\b|someone\b|somebody\b|any\b|a\b)",
        "I cannot tell whether the person or the event is denied",
    ),
    (
        rf"\b{_NOT} (?:yet )?(?:paid|settled|closed|resolved) (?:late|too late|on time|in time)\b",
        "I cannot tell whether the event or its time is denied: ask for late, on time, or not yet",
    ),
    (rf"\b{_EVENT} and {_EVENT}\b", "ask for one event: a time can be of one only"),
    (
        rf"\b{_EDGE} \w+ (?:of|for|by) (?:each|every|client|customer|tech)|\b{_EDGE} \w+ per\b",
        "I can tell one first or last, not one for each",
    ),
    (r"\bbusiest (?:day|week|month|quarter|year|hour)", "ask for tickets by month, or by week"),
    (
        r"\b(?:a|every|each) (?:mon|tues|wednes|thurs|fri|satur|sun)day\b|day(?:s) of the week\b"
        r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days\b",
        "I cannot pick days of the week out: ask for a time",
    ),
    (
        rf"\b{_SHARE}.*\b(?:clients?|customers?|technicians?)\b.*\b(?:have|has|had|with)\b",
        "I can tell shares of rows, not of those who have some: ask for the two numbers",
    ),
    (
        rf"\b{_SHARE}.*\b(?:{_EVENT}|logged|worked|handled) by (?!{_GROUP}|each\b)"
        rf"|\b{_SHARE}.*\bthat \w+ (?:logged|worked|closed|opened|handled)\b",
        "I cannot tell of which whole this is a share: ask for the two numbers",
    ),
    (
        r"\b(?:average|avg|mean|median)\b.*\bper (?:ticket|invoice|agreement|device|event)\b",
        "I cannot average over sums of groups",
    ),
)  # fmt: skip
"""Patterns of a question in lower case, and why it is refused."""

_DENIALS = re.compile(rf"\b{_NOT}\b|\bno\b|\bnone\b|\ball\b|\bevery\b|\beach\b|^\w+n't\b")
_MOMENT_AGO = re.compile(
    rf"\b(?:hours?|minutes?) ago\b|\b(?:as of|as at|by|till|up to) (?:\d+|\w+) {_UNIT} ago\b"
)
_OPEN_AGO = re.compile(rf"\b(?:since|before|after|until|from|than) (?:\d+|\w+) {_UNIT} ago\b")
_PATTERNS = tuple((re.compile(pattern), why) for pattern, why in DOUBTS)


def refuse_doubts(written: Sequence[str]) -> None:
    """Refuse a question whose small words cannot be followed.

    Parameters
    ----------
    written : sequence of str
        Its words, in order.

    Raises
    ------
    UnclearError
        With the reason.
    """
    text = " ".join(written).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    first = text.partition(" ")[0]
    if (first in ASKING or first.endswith("n't")) and _DENIALS.search(text):
        raise UnclearError("yes or no is told of whether there is any: ask for the number")
    if _MOMENT_AGO.search(text) and not _OPEN_AGO.search(text):
        raise UnclearError("that moment is no stretch of time: ask for a day, or since then")
    for pattern, why in _PATTERNS:
        found = pattern.search(text)
        if found:
            raise UnclearError(why, found[0].strip())
