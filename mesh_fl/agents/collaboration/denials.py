"""What a text says that nobody needs, or that nobody offers.

A rule of words, for English. It looks for a denied need or offer and not for any negation: "the VPN
does not work" asks for somebody who knows VPNs, and "we have no VPN" as well, but not as an offer.
"""

import re

from mesh_fl.text.sentences import sentences_of

_HINT = re.compile(
    r"\b(?:no|not|never|neither|cannot|except|excluding|instead|rather|apart|other than|"
    r"out of scope)\b|n['’]t\b",  # noqa: RUF001  # as word processors write it
    re.IGNORECASE,
)
"""Texts without one of them deny nothing."""

_SPEAKS_ANEW = (
    r"(?:we|i|they|it|you|he|she|our|back|please|then|so|do|does|need|want|require|offer|provide|"
    r"run|have|has|use|would|look|must|should|can|will|build|manage|support|sell)"
)
_TURN = re.compile(
    r"[;!?.](?=\s|$)|\s[-\N{EN DASH}\N{EM DASH}]\s"
    rf"|[,:]\s+(?={_SPEAKS_ANEW}\b)|\band\s+(?={_SPEAKS_ANEW}\b)"
    r"|\b(?:but|however|although|though|whereas|while|because|since|only|just|merely|simply)\b"
    r"|\b(?:instead(?! of)|rather(?! than))\b",
    re.IGNORECASE,
)
"""They end what a denial reaches; after "not only" there is nothing left to deny."""

_NOT = (
    r"(?:\b(?:we|i|they|it|you)\s+)?"
    r"(?:\b(?:(?:do|does|did|would|will|can|could|should|may)\s+)?not\b|\b\w+n['’]t\b"  # noqa: RUF001
    r"|\bcannot\b|\bnever\b|\bno longer\b)"
    r"(?:\s+(?:currently|yet|ever|really|actually|now|also|any longer|even|necessarily|ourselves))*"
)
_FEW = (
    r"(?:\s*(?!\b(?:we|i|they|and|for|in|on|by|at|from|to|with|is|are|has|have|can|must)\b)"
    r"[^\s,;:()]+){1,4}"
)
"""The four words at most that a short denial reaches, as in "no penetration testing"."""

_SHORT = (
    r"(?:(?:^|[,(]|\band)\s*not\s+(?!\w+(?:ing|ed)\b)"
    rf"|\b(?:except(?: for)?|excluding|instead of|rather than|apart from|other than)\b){_FEW}"
)

_NO_NEED = re.compile(
    rf"{_NOT}\s+(?:(?:needs?|require[sd]?|ask(?:ing)? for|look(?:ing)? for|seek(?:ing)?)\b"
    r"|want\b(?:\s+to (?:use|have|buy|keep|go to|move to|stay (?:in|on|with))\b"
    r"|(?!\s+(?:to|our|my)\b))).*"
    r"|\b(?:needs?|wants?|requires?) (?:no\b(?! longer| downtime)|neither\b|nothing of\b).*"
    r"|\bno (?:need|interest) (?:for|of|in|to)\b.*"
    r"|^.*\b(?:(?:is|are) (?:not|no longer)|(?:is|are)n['’]t)\s+(?:\w+ )?"  # noqa: RUF001
    r"(?:needed|required|wanted|necessary|in scope|part of)\b|^.*\bout of scope\b"
    rf"|{_SHORT}",
    re.IGNORECASE,
)

_NO_OFFER = re.compile(
    rf"{_NOT}\s+(?:offer|provide|do|have|support|sell|resell|perform|deliver|handle|cover|take on|"
    r"carry out|work (?:with|on)|specialise in|specialize in|manage|run|accept|undertake|maintain)"
    r"\b(?!.*\b(?:without|unless)\b).*"
    r"|\bneither\b.*"
    r"|^.*\b(?:(?:is|are) (?:not|no longer)|(?:is|are)n['’]t)\s+(?:\w+ )?"  # noqa: RUF001
    r"(?:offered|provided|supported|available|included|covered|part of|among|our)\b"
    rf"|{_SHORT}|\bno\b(?! (?:one|longer|matter)\b){_FEW}",
    re.IGNORECASE,
)


def needed(text: str) -> str:
    """Leave out what a text says is not needed, as in "we do not need Azure"."""
    return _without(_NO_NEED, text)


def offered(text: str) -> str:
    """Leave out what a text says is not offered, as in "we do not offer penetration tests"."""
    return _without(_NO_OFFER, text)


def _without(denial: re.Pattern[str], text: str) -> str:
    if not _HINT.search(text):
        return text
    clauses = [
        clause.strip()
        for sentence in sentences_of(text)
        for clause in _TURN.split(sentence.reading)
    ]
    if not any(map(denial.search, clauses)):
        return text
    left = (denial.sub("", clause).strip(" ,.") for clause in clauses)
    return ". ".join(filter(None, left))
