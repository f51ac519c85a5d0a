"""Sentences of a plain or Markdown text, each with its place, in time linear in the text."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

LONGEST_SENTENCE = 1_000
"""Characters; what runs on without an end is cut at a space before it gets longer."""

MOST_SENTENCES = 20_000

Kind = Literal["sentence", "heading", "item", "row"]

_BREAK = re.compile(r"\r\n?")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\ufeff\ud800-\udfff]"
)
# The lookbehind lets a run of marks be tried once only: without it a megabyte of dots would take
# quadratic time.
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’)\]*_]{0,4}+(?=\s)|[。！？]"  # noqa: RUF001  # full-width marks
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|cf|vs|viz|approx|incl|no|nos|art|sec|para|fig|ref|vol|pp|"
    r"ed|dept|mr|mrs|ms|dr|prof|st|inc|ltd|corp|co|u\.s|u\.k|a\.m|p\.m|max|min|resp)\.$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = 12
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s++|$)(.*)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+) *")
_RULE = re.compile(r" {0,3}([-*_])(?: *\1){2,} *")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_BULLETS = "-*+•‣◦·\N{EN DASH}\N{EM DASH}"
_ITEM = re.compile(
    rf"[ \t]*(?:[{_BULLETS}]|\(?[0-9]{{1,3}}[.)]|\(?[A-Za-z][.)]|\([ivx]{{1,5}}\))[ \t]++(?=\S)"
)
_CLAUSE = re.compile(r"[ \t]*(?:§ ?|[A-Z]\.)?[0-9]{1,3}(?:\.[0-9]{1,3}){1,6}\.?[ \t:)]++(?=\S)")
_DIVIDER = re.compile(r"[\s|:+=-]+")
_QUOTE = re.compile(r"[ \t]*(?:> ?)++")


@dataclass(frozen=True)
class Sentence:
    """A piece of a text that says one thing.

    Attributes
    ----------
    text : str
        Verbatim, on one line, without list marks and clause numbers.
    line : int
        Line of the text that it starts on, from 1.
    number : int
        Its place among all pieces, from 1.
    kind : {"sentence", "heading", "item", "row"}
        A row is one of a table, its cells joined by "; ".
    lead : str
        For an item, the line with a colon that introduces the list.
    """

    text: str
    line: int
    number: int
    kind: Kind = "sentence"
    lead: str = ""

    @property
    def reading(self) -> str:
        """The text as it is meant: an item after what introduces it."""
        return f"{self.lead} {self.text}" if self.lead else self.text


@dataclass(frozen=True)
class _Block:
    """Lines that belong together: a heading, an item, a row or a paragraph."""

    kind: Kind
    line: int
    parts: tuple[str, ...]


def sentences_of(text: str, most: int = MOST_SENTENCES) -> tuple[Sentence, ...]:
    """Split a text into sentences.

    Parameters
    ----------
    text : str
        Plain text or Markdown: headings, lists, tables, numbered clauses, wrapped paragraphs.
    most : int
        Of a text with more sentences, only so many are returned, the first.
    """
    return tuple(islice(_numbered(_blocks(_lines(text))), most))


def _lines(text: str) -> list[str]:
    return _UNSEEN.sub(" ", _BREAK.sub("\n", text)).split("\n")


def _numbered(blocks: Iterator[_Block]) -> Iterator[Sentence]:
    number = 0
    lead = ""
    for block in blocks:
        introduced = lead if block.kind == "item" else ""
        for line, piece in _pieces(block):
            number += 1
            yield Sentence(piece, line, number, block.kind, introduced)
            if block.kind == "sentence":
                lead = piece if piece.endswith(":") else ""
        if block.kind in ("heading", "row"):
            lead = ""


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """Group lines into blocks."""
    open_kind: Kind = "sentence"
    start, parts = 0, list[str]()
    for number, line in enumerate(lines, start=1):
        kind, content = _read(line)
        if kind is None and content and parts:
            parts.append(content)
            continue
        if parts:
            is_title = content == "" and len(parts) == 1 and bool(_UNDERLINE.fullmatch(line))
            yield _Block("heading" if is_title else open_kind, start, tuple(parts))
        open_kind, start = kind or "sentence", number
        parts = [content] if content else []
        if kind in ("heading", "row") and parts:
            is_header = kind == "row" and _is_divider(lines, number)
            yield _Block("heading" if is_header else kind, number, tuple(parts))
            parts = []
    if parts:
        yield _Block(open_kind, start, tuple(parts))


def _read(line: str) -> tuple[Kind | None, str]:
    """Tell what a line opens, None for one that goes on; and what it says."""
    line = line[_after_quote(line) :]
    if (
        not line.strip()
        or _FENCE.match(line)
        or _RULE.fullmatch(line)
        or _UNDERLINE.fullmatch(line)
    ):
        return None, ""
    if heading := _HEADING.match(line):
        return "heading", heading[1].rstrip("# \t")
    stripped = line.strip()
    if stripped.startswith("|") or stripped.count("|") > 1:
        return "row", "" if _DIVIDER.fullmatch(line) else _cells(stripped)
    if (mark := _CLAUSE.match(line)) or (mark := _ITEM.match(line)):
        return _marked(line[mark.end() :].strip(), is_clause=mark.re is _CLAUSE)
    return None, stripped


def _marked(content: str, is_clause: bool) -> tuple[Kind, str]:
    """Tell a numbered clause from a numbered heading, which is short and has no end."""
    if not is_clause:
        return "item", content
    is_title = len(content.split()) <= 6 and content[-1] not in ".;:,!?"
    return "heading" if is_title else "sentence", content


def _after_quote(line: str) -> int:
    quote = _QUOTE.match(line)
    return quote.end() if quote else 0


def _cells(row: str) -> str:
    return "; ".join(cell for cell in (part.strip() for part in row.split("|")) if cell)


def _is_divider(lines: list[str], following: int) -> bool:
    line = lines[following] if following < len(lines) else ""
    return "-" in line and bool(_DIVIDER.fullmatch(line))


def _pieces(block: _Block) -> Iterator[tuple[int, str]]:
    """Split a block into sentences with the lines that they start on."""
    if block.kind in ("heading", "row"):
        yield block.line, block.parts[0][:LONGEST_SENTENCE]
        return
    starts = [0]
    for part in block.parts:
        starts.append(starts[-1] + len(part) + 1)
    text = " ".join(block.parts)
    for start, end in _spans(text):
        for place in _cuts(text, start, end):
            piece = text[slice(*place)].strip()
            if piece:
                yield block.line + bisect_right(starts, place[0]) - 1, piece


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _END.finditer(text):
        if _ends_here(text, start, found.end()):
            yield start, found.end()
            start = found.end()
            while start < len(text) and text[start] == " ":
                start += 1
    yield start, len(text)


def _ends_here(text: str, start: int, end: int) -> bool:
    if text[end : end + 3].lstrip()[:1].islower():
        return False
    return not _ABBREVIATION.search(text[max(start, end - _LONGEST_ABBREVIATION) : end])


def _cuts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST_SENTENCE:
        space = text.rfind(" ", start + 1, start + LONGEST_SENTENCE)
        stop = space if space > 0 else start + LONGEST_SENTENCE
        yield start, stop
        start = stop + (space > 0)
    yield start, end
