"""A question as chunks: each the longest run of words that means something."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from mesh_fl.agents.query.slips import corrected
from mesh_fl.agents.query.spans import UNITS, Span, moved
from mesh_fl.agents.query.times import NUMBERS, number_of, read_time
from mesh_fl.agents.query.values import Values
from mesh_fl.agents.query.vocabulary import Meaning, Vocabulary
from mesh_fl.agents.query.wording import Word

_UNITS = frozenset({*UNITS, "percent", "usd", "eur", "gbp"})
_OR_MORE = dict.fromkeys(("more", "higher", "greater", "above", "over", "longer"), ">=")
_OR_LESS = dict.fromkeys(("less", "fewer", "lower", "below", "under", "shorter"), "<=")
_BUCKETS = {"daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter"}
_YEARLY = {"yearly": "year", "annually": "year"}


@dataclass(frozen=True)
class Chunk:
    """Some words and what they may mean.

    Parameters
    ----------
    at, size : int
        Which words.
    meanings : tuple of Meaning
        More than one where the rest of the question has to decide.
    text : str
        As written.
    span : Span, optional
        Of a time.
    number, upper : float, optional
        Of a number or a comparison; `upper` ends a range.
    unit : str
        What a number counts, or by what unit of time is grouped.
    exact : bool
        Whether all its words were found as written.
    after_comma : bool
        Whether it begins after a comma.
    """

    at: int
    size: int
    meanings: tuple[Meaning, ...]
    text: str
    span: Span | None = None
    number: float | None = None
    upper: float | None = None
    unit: str = ""
    exact: bool = True
    after_comma: bool = False

    def of(self, kind: str) -> tuple[Meaning, ...]:
        """Return the meanings of one kind."""
        return tuple(m for m in self.meanings if m.kind == kind)

    def only(self, *meanings: Meaning) -> "Chunk":
        """Return it with these meanings only."""
        return replace(self, meanings=meanings)


@dataclass(frozen=True)
class Scan:
    """A question in chunks.

    Parameters
    ----------
    chunks : tuple of Chunk
        In order; function words without a meaning of their own are among them.
    unknown : tuple of str
        Words that nothing accounts for.
    """

    chunks: tuple[Chunk, ...]
    unknown: tuple[str, ...]


def scan(words: Sequence[Word], now: datetime, values: Values, known: Vocabulary) -> Scan:
    """Part a question into chunks, the longest first from the left."""
    return _Scanner(corrected(words, values), now, values, known).scan()


class _Scanner:
    def __init__(
        self, words: Sequence[Word], now: datetime, values: Values, known: Vocabulary
    ) -> None:
        self._words = words
        self._stems = [word.stem for word in words]
        self._now = now
        self._values = values
        self._known = known
        self._longest = max(map(len, known.phrases))
        self._names = list(self._beginnings_of_names())
        self._pairs = any(s in _CHANGES for s in self._stems)
        self._readers: tuple[Callable[[int], Chunk | None], ...] = (
            self._key,
            self._bucket,
            self._comparison,
            self._time,
            self._lasting,
            self._priority,
            self._phrase,
            self._number,
        )

    def scan(self) -> Scan:
        chunks: list[Chunk] = []
        unknown: list[str] = []
        at = 0
        while at < len(self._words):
            longest = self._longest_at(at)
            if longest is None:
                quoted = self._quotation(at)
                unknown.append(" ".join(word.written for word in self._words[at : at + quoted]))
                at += quoted
                continue
            chunks.append(longest)
            at += longest.size
        return Scan(tuple(chunks), tuple(unknown))

    def _beginnings_of_names(self) -> Iterator[int]:
        """Yield where names of several words and quotations begin."""
        at = 0
        while at < len(self._words):
            quoted = self._words[at].quotation
            size = self._quotation(at) if quoted else self._values.names_from(self._stems, at)
            if size:
                yield at
            at += max(size, 1)

    def _longest_at(self, at: int) -> Chunk | None:
        """Return the longest chunk from here that ends before the next name begins."""
        if self._words[at].quotation:
            return self._quoted(at)
        most = next((i for i in self._names if i > at), len(self._words)) - at
        found = [c for read in self._readers if (c := read(at)) is not None and c.size <= most]
        return max(found, key=lambda c: c.size, default=None)

    def _quotation(self, at: int) -> int:
        """Return how many words stand in one quotation from here; 1 outside of any."""
        number = self._words[at].quotation
        same = (word.quotation == number for word in self._words[at:])
        return max(sum(1 for _ in takewhile(bool, same)), 1) if number else 1

    def _quoted(self, at: int) -> Chunk | None:
        """Read a name or another value that stands in quotes, and never anything else."""
        size = self._quotation(at)
        meanings = self._values.quoted(tuple(self._stems[at : at + size]))
        if meanings:
            return self._chunk(at, size, *meanings)
        key = self._key(at)
        return key if key is not None and key.size == size else None

    def _chunk(self, at: int, size: int, *meanings: Meaning, **more: object) -> Chunk:
        words = self._words[at : at + size]
        chunk = Chunk(
            at,
            size,
            meanings,
            " ".join(word.written for word in words),
            exact=all(word.exact for word in words),
            after_comma=words[0].after_comma,
        )
        return replace(chunk, **more)  # type: ignore[arg-type]

    def _word(self, at: int) -> str:
        return self._stems[at] if 0 <= at < len(self._stems) else ""

    def _key(self, at: int) -> Chunk | None:
        """Read an id of the data, such as INV-1042."""
        for size in (4, 3, 2, 1):
            words = self._words[at : at + size]
            for glue in ("-", "", "_", "."):
                text = glue.join(word.written for word in words).lower()
                if len(words) == size and any(c.isdigit() for c in text) and not text.isdigit():
                    meaning = self._values.keys.get(text)
                    if meaning:
                        return self._chunk(at, size, meaning)
        return None

    def _bucket(self, at: int) -> Chunk | None:
        word, after = self._word(at), self._word(at + 1)
        if word in _BUCKETS or word in _YEARLY:
            unit = _BUCKETS.get(word) or _YEARLY[word]
            return self._chunk(at, 1, Meaning("bucket", name=unit), unit=unit)
        if word in UNITS[2:] and after == "by" and self._word(at + 2) == word:
            return self._chunk(at, 3, Meaning("bucket", name=word), unit=word)
        if word in UNITS[2:] and self._word(at - 1) in {"busiest", "quietest", "best", "worst"}:
            return self._chunk(at, 1, Meaning("asked_bucket", name=word), unit=word)
        if word in {"per", "by", "each", "every", "which", "what"}:
            skip = 1 if after in {"calendar", "single"} else 0
            unit = self._word(at + 1 + skip)
            if unit in UNITS[2:] and self._word(at + 2 + skip) not in {"of"}:
                kind = "asked_bucket" if word in {"which", "what"} else "bucket"
                return self._chunk(at, 2 + skip, Meaning(kind, name=unit), unit=unit)
        return None

    def _comparison(self, at: int) -> Chunk | None:
        if self._word(at) == "between":
            return self._range(at)
        for size in range(4, 0, -1):
            phrase = tuple(self._stems[at : at + size])
            for meaning in self._known.phrases.get(phrase, ()):
                if meaning.kind == "comparison" and len(phrase) == size:
                    return self._compared(at, at + size, meaning)
        if self._word(at) in {"within", "in"} and self._word(at + 2) in {"minute", "hour"}:
            return self._compared(at, at + 1, Meaning("comparison", name="<="))
        return self._or_more(at)

    def _range(self, at: int) -> Chunk | None:
        low, high = self._float(at + 1), self._float(at + 3)
        if low is None or high is None or self._word(at + 2) not in {"and", "to"}:
            return None
        chunk = self._chunk(at, 4, Meaning("compare", name=">="), number=low, upper=high)
        return self._with_unit(chunk)

    def _or_more(self, at: int) -> Chunk | None:
        number, way = self._float(at), self._word(at + 2)
        operator = _OR_MORE.get(way) or _OR_LESS.get(way)
        if number is None or self._word(at + 1) != "or" or operator is None:
            return None
        return self._with_unit(self._chunk(at, 3, Meaning("compare", name=operator), number=number))

    def _compared(self, start: int, at: int, meaning: Meaning) -> Chunk | None:
        skip = 1 if self._word(at) in {"a", "an", "the"} and self._float(at + 1) is not None else 0
        number = self._float(at + skip)
        if number is None and self._word(at) in {"a", "an"} and self._word(at + 1) in UNITS:
            number = 1.0
        if number is None:
            return None
        size = at + skip + 1 - start
        return self._with_unit(
            self._chunk(start, size, Meaning("compare", name=meaning.name), number=number)
        )

    def _with_unit(self, chunk: Chunk) -> Chunk:
        after = self._word(chunk.at + chunk.size)
        if after not in _UNITS:
            return chunk
        return self._chunk(
            chunk.at,
            chunk.size + 1,
            *chunk.meanings,
            number=chunk.number,
            upper=chunk.upper,
            unit=after,
        )

    def _float(self, at: int) -> float | None:
        word = self._word(at)
        if found := re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)(k|m)?", word):
            return float(found[1]) * {"k": 1e3, "m": 1e6}.get(found[2] or "", 1.0)
        return None if word not in NUMBERS else float(NUMBERS[word])

    def _time(self, at: int) -> Chunk | None:
        if self._words[at].written.lower() in _WEEKLY:
            return None
        found = read_time(self._stems, at, self._now, pairs=self._pairs)
        return None if found is None else self._chunk(at, found[1], Meaning("time"), span=found[0])

    def _lasting(self, at: int) -> Chunk | None:
        """For 30 days, in 30 days, in more than a year: counted back from now."""
        count, unit = number_of(self._word(at + 1)), self._word(at + 2)
        if self._word(at) not in {"for", "in"} or count is None or unit not in UNITS[1:]:
            return None
        if self._word(at + 3) == "ago":
            return None
        start = moved(self._now, unit, -count)
        span = Span(start, self._now, f"the last {count} {unit}s", rolling=True)
        return self._chunk(at, 3, Meaning("time", name="lasting"), span=span)

    def _priority(self, at: int) -> Chunk | None:
        found = re.fullmatch(r"(?:p|prio)([1-4])", self._word(at))
        if found is None:
            return None
        return self._chunk(at, 1, Meaning("value", "tickets", "priority", found[1]))

    def _phrase(self, at: int) -> Chunk | None:
        named, size = self._values.named(self._stems, at)
        for length in range(min(self._longest, len(self._stems) - at), 0, -1):
            if length < size:
                break
            found = self._known.phrases.get(tuple(self._stems[at : at + length]))
            if found:
                other = tuple(m for m in found if m.kind != "filler")
                if other and len(other) < len(found):
                    other = found
                if length == 1 and self._word(at) == "open":
                    other = self._opened_or_open(at, other)
                both = (*named, *other) if length == size else other
                return self._chunk(at, length, *(both or found))
        return self._chunk(at, size, *named) if size else None

    def _opened_or_open(self, at: int, found: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
        """Did we open tickets, but: do we have open tickets, are tickets open."""
        kind = "state"
        for word in self._stems[:at]:
            kind = "event" if word in _DID else "state" if word in _BEING else kind
        return tuple(m for m in found if m.kind == kind)

    def _number(self, at: int) -> Chunk | None:
        number = self._float(at)
        if number is None:
            return None
        return self._chunk(at, 1, Meaning("number"), number=number)


_WEEKLY = frozenset((
    "mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays",
))  # fmt: skip
"""On Mondays is every Monday, not the last one."""
_DID = frozenset({"did", "doe", "do", "does"})
_BEING = frozenset((
    "is", "are", "was", "wa", "were", "have", "has", "ha", "had", "be", "been", "still",
    "remain", "stay",
))  # fmt: skip
_CHANGES = frozenset((
    "go", "went", "gone", "grow", "grew", "growth", "change", "changed", "increase",
    "increased", "decrease", "decreased", "drop", "dropped", "fall", "fell", "rise", "rose",
    "develop", "shrink", "decline", "declined",
))  # fmt: skip
"""With these, from A to B names two times that are compared."""
