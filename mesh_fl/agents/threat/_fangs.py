"""Defanged writing: hxxp:// and [.] keep a reader from clicking by mistake.

There is no standard; the forms read here are those that analysts' reports use.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field

# A run of brackets is taken whole and only from its start: linear time, and nothing that is left
# over can form a new mark.
_OPEN, _CLOSE = r"(?<![\[({])[\[({]++", r"[\])}]++"
_MARK = re.compile(
    rf"""
    (?<![^\W_])(?P<http>h(?:xx|\*\*)p)(?=s?[\[({{]{{0,4}}:)
    | {_OPEN}(?P<sign>\.|@|:(?://)?|//?){_CLOSE}
    | [ ]?+{_OPEN}(?P<word>dot|at){_CLOSE}[ ]?+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WORDS = {"dot": ".", "at": "@"}


@dataclass(frozen=True)
class Refanged:
    """Text as it was before it was defanged.

    Parameters
    ----------
    text : str
        With every mark replaced.
    marks : list of int
        Where in `text` a mark was, rising.
    """

    text: str
    marks: list[int] = field(repr=False)

    def deliberate(self, start: int, end: int) -> bool:
        """Tell whether somebody took the trouble to defang this span: then it is no file name."""
        first = bisect_left(self.marks, start)
        return first < len(self.marks) and self.marks[first] < end


def refang(text: str) -> Refanged:
    """Undo defanging, in time linear in the text."""
    pieces: list[str] = []
    marks: list[int] = []
    copied = length = 0
    for match in _MARK.finditer(text):
        meant = _meaning(match)
        pieces += (text[copied : match.start()], meant)
        length += match.start() - copied
        marks.append(length)
        length += len(meant)
        copied = match.end()
    return Refanged("".join((*pieces, text[copied:])), marks)


def defang(value: str) -> str:
    """Write an address, a name, a link or a mailbox so that no reader's program makes a link of it.

    The path of a link stays as it is.
    """
    scheme, found, rest = value.partition("://")
    if not found:
        return value.replace("@", "[@]").replace(".", "[.]").replace(":", "[:]")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    host = rest[:end].replace(".", "[.]").replace("@", "[@]")
    if scheme in ("http", "https"):
        return f"hxxp{scheme[4:]}://{host}{rest[end:]}"
    return f"{scheme}[:]//{host}{rest[end:]}"


def _meaning(match: re.Match[str]) -> str:
    if match["http"]:
        return "http"
    return match["sign"] or _WORDS[match["word"].lower()]
