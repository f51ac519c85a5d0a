"""Times in words: last month, Q2 2026, the past 30 days, since March; all in UTC."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mesh_fl.agents.query.spans import UNITS, Span, moved, start_of

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH = (
    {name[:3]: i + 1 for i, name in enumerate(MONTHS)}
    | {name: i + 1 for i, name in enumerate(MONTHS)}
    | {"sept": 9}
)
_DAYS = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip
_LARGE = {"fifteen": 15, "twenty": 20, "thirty": 30, "sixty": 60, "ninety": 90, "hundred": 100}
NUMBERS = {word: i for i, word in enumerate(_SMALL)} | _LARGE
_BEFORE = {"before", "until", "till"}
_ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "1st": 1,
    "2nd": 2,
    "3rd": 3,
    "4th": 4,
}
_PAST = {"last", "past", "previou", "previous", "recent", "preceding"}
_NEXT = {"next", "coming", "upcoming", "following"}
_SKIP = {"the", "in", "on", "during", "of", "over", "within", "for", "at", "this", "to", "from"}


def _whole(moment: datetime, unit: str, offset: int, text: str) -> Span:
    first = moved(start_of(moment, unit), unit, offset)
    return Span(first, moved(first, unit, 1), text)


def number_of(word: str) -> int | None:
    """Return a whole number written in digits or in letters."""
    if re.fullmatch(r"\d{1,6}", word):
        return int(word)
    return NUMBERS.get(word)


def read_time(
    stems: Sequence[str], at: int, now: datetime, pairs: bool = False
) -> tuple[Span, int] | None:
    """Read the time that begins at a word.

    Parameters
    ----------
    stems : sequence of str
        The question.
    at : int
        The word.
    now : datetime
        The moment of asking.
    pairs : bool
        Whether "from A to B" names two times rather than all from A to B.

    Returns
    -------
    tuple of Span and int, optional
        And how many words it takes.
    """
    return _Reader(stems, now, pairs).time(at)


class _Reader:
    """Reads one time out of stems."""

    def __init__(self, stems: Sequence[str], now: datetime, pairs: bool) -> None:
        self._stems = stems
        self._pairs = pairs
        self._now = now

    def time(self, at: int) -> tuple[Span, int] | None:
        for read in (
            self._between,
            self._open,
            self._rolling,
            self._unit_ago,
            self._calendar,
            self._to_date,
        ):
            found = read(at)
            if found:
                return found
        return None

    def _word(self, at: int) -> str:
        return self._stems[at] if at < len(self._stems) else ""

    def _after_article(self, at: int) -> int:
        while self._word(at) in _SKIP:
            at += 1
        return at

    def _between(self, at: int) -> tuple[Span, int] | None:
        opener = self._word(at)
        if opener not in {"between", "from"} or self._pairs:
            return None
        first = self._point(at + 1)
        if first is None:
            return None
        joint = at + 1 + first[1]
        if self._word(joint) not in {"and", "to", "until", "till", "through"}:
            return None
        second = self._point(joint + 1)
        if second is None or first[0].start is None or second[0].end is None:
            return None
        begin, end = self._same_year(first, at + 1, second)
        if begin is None or end is None or begin >= end:
            return None
        size = joint + 1 + second[1] - at
        return Span(begin, end, " ".join(self._stems[at : at + size])), size

    def _same_year(
        self, first: tuple[Span, int], at: int, second: tuple[Span, int]
    ) -> tuple[datetime | None, datetime | None]:
        """Give a month without a year the year of the other: from March to May 2025."""
        begin, end = first[0].start, second[0].end
        named = any(re.match(r"\d{4}", w) for w in self._stems[at : at + first[1]])
        if begin and second[0].start and not named and begin > second[0].start:
            begin = moved(begin, "year", -1)
        if begin and second[0].start and not named and second[1] > 1:
            year = second[0].start.year
            if moved(begin, "year", year - begin.year) <= second[0].start:
                begin = moved(begin, "year", year - begin.year)
        return begin, end

    def _point(self, at: int) -> tuple[Span, int] | None:
        skipped = self._after_article(at)
        found = self._ago(skipped) or self._calendar(skipped)
        return (found[0], found[1] + skipped - at) if found else None

    def _open(self, at: int) -> tuple[Span, int] | None:
        """Since March, before 2026, after 1 October, as of."""
        opener = self._word(at)
        if opener not in {"since", "after", "before", "until", "till", "from"}:
            return None
        found = self._point(at + 1)
        if found is None:
            return None
        span, size = found
        text = " ".join(self._stems[at : at + 1 + size])
        if opener == "from":
            onward = self._word(at + 1 + size) in {"on", "onward", "onwards"}
            return (Span(span.start, None, text), size + 2) if onward else None
        if opener == "since":
            return Span(span.start, None, text), size + 1
        if opener == "after":
            return Span(span.end, None, text), size + 1
        return Span(None, span.start if opener in _BEFORE else span.end, text), size + 1

    def _rolling(self, at: int) -> tuple[Span, int] | None:
        """Last 30 days, the next two weeks, within the past month counted in days."""
        way = self._word(at)
        if way not in _PAST | _NEXT:
            return None
        count = number_of(self._word(at + 1))
        unit = self._word(at + 2)
        if count is None or unit not in UNITS or unit == "minute":
            return None
        return self._span_of(way in _NEXT, count, unit, at, 3), 3

    def _span_of(self, ahead: bool, count: int, unit: str, at: int, size: int) -> Span:
        text = " ".join(self._stems[at : at + size])
        if ahead:
            return Span(self._now, moved(self._now, unit, count), text, rolling=True)
        if unit in {"month", "quarter", "year"}:
            return Span(moved(self._now, unit, -count), _after(self._now), text, rolling=True)
        return Span(moved(self._now, unit, -count), _after(self._now), text, rolling=True)

    def _ago(self, at: int) -> tuple[Span, int] | None:
        count, unit = number_of(self._word(at)), self._word(at + 1)
        count = 1 if self._word(at) in {"a", "an"} else count
        if count is None or unit not in UNITS or self._word(at + 2) != "ago":
            return None
        moment = moved(self._now, unit, -count)
        return Span(moment, moment, " ".join(self._stems[at : at + 3]), rolling=True), 3

    def _unit_ago(self, at: int) -> tuple[Span, int] | None:
        """Three months ago: the calendar month that it lies in."""
        found = self._ago(at)
        unit = self._word(at + 1)
        if found is None or found[0].start is None or unit not in UNITS[2:]:
            return found
        first = start_of(found[0].start, unit)
        return Span(first, moved(first, unit, 1), found[0].text), 3

    def _to_date(self, at: int) -> tuple[Span, int] | None:
        if self._stems[at : at + 3] in (["year", "to", "date"], ("year", "to", "date")):
            return Span(start_of(self._now, "year"), _after(self._now), "year to date"), 3
        if self._word(at) == "ytd":
            return Span(start_of(self._now, "year"), _after(self._now), "year to date"), 1
        return None

    def _calendar(self, at: int) -> tuple[Span, int] | None:
        for read in (
            self._near,
            self._iso,
            self._quarter,
            self._month_day,
            self._month,
            self._year,
        ):
            found = read(at)
            if found:
                return found
        return None

    def _near(self, at: int) -> tuple[Span, int] | None:
        word, after = self._word(at), self._word(at + 1)
        single = {"today": 0, "yesterday": -1, "tomorrow": 1}
        if word in single:
            return _whole(self._now, "day", single[word], word), 1
        if word == "past" and after in UNITS[1:]:
            return self._span_of(False, 1, after, at, 2), 2
        offsets = {"this": 0, "current": 0} | dict.fromkeys(_PAST, -1) | dict.fromkeys(_NEXT, 1)
        if word in offsets and after in UNITS[2:] and word != "recent":
            return _whole(self._now, after, offsets[word], f"{word} {after}"), 2
        if word in offsets and offsets[word] <= 0 and after in _MONTH and after != "may":
            return self._last_month_named(after, word, at), 2
        if word in offsets and offsets[word] <= 0 and after in _DAYS:
            return self._last_day_named(after), 2
        if word in _DAYS and self._word(at - 1) not in {"per", "by", "each", "every"} and at:
            return self._last_day_named(word), 1
        return None

    def _last_month_named(self, name: str, word: str, at: int) -> Span:
        month = _MONTH[name]
        year = self._now.year - (month >= self._now.month and word != "this")
        return self._month_span(year, month, f"{word} {name}")

    def _last_day_named(self, name: str) -> Span:
        back = (self._now.weekday() - _DAYS.index(name)) % 7 or 7
        return _whole(self._now, "day", -back, name)

    def _iso(self, at: int) -> tuple[Span, int] | None:
        word = self._word(at)
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", word):
                return _whole(datetime.fromisoformat(word).replace(tzinfo=UTC), "day", 0, word), 1
            if re.fullmatch(r"\d{4}-\d{2}", word):
                return self._month_span(int(word[:4]), int(word[5:]), word), 1
        except ValueError:
            return None
        return None

    def _quarter(self, at: int) -> tuple[Span, int] | None:
        size, quarter = 1, 0
        if found := re.fullmatch(r"q([1-4])", self._word(at)):
            quarter = int(found[1])
        elif self._word(at) in _ORDINALS and self._word(at + 1) == "quarter":
            quarter, size = _ORDINALS[self._word(at)], 2
        elif self._word(at) == "quarter" and self._word(at + 1) in {"1", "2", "3", "4"}:
            quarter, size = int(self._word(at + 1)), 2
        if found := re.fullmatch(r"(\d{4})q([1-4])", self._word(at)):
            return self._quarter_span(int(found[1]), int(found[2])), 1
        if not quarter:
            return self._year_then_quarter(at)
        year, more = self._year_after(at + size)
        if year is None:
            year = self._now.year - (quarter * 3 - 2 > self._now.month)
        return self._quarter_span(year, quarter), size + more

    def _year_then_quarter(self, at: int) -> tuple[Span, int] | None:
        found = re.fullmatch(r"q([1-4])", self._word(at + 1))
        if found and re.fullmatch(r"(19|20)\d\d", self._word(at)):
            return self._quarter_span(int(self._word(at)), int(found[1])), 2
        return None

    def _quarter_span(self, year: int, quarter: int) -> Span:
        first = datetime(year, quarter * 3 - 2, 1, tzinfo=UTC)
        return Span(first, moved(first, "quarter", 1), f"Q{quarter} {year}")

    def _year_after(self, at: int) -> tuple[int | None, int]:
        """Read the year after a month or a quarter: 2026, of 2026, this year, last year."""
        skip = 1 if self._word(at) in {"of", "in"} else 0
        word, after = self._word(at + skip), self._word(at + skip + 1)
        if re.fullmatch(r"(19|20)\d\d", word):
            return int(word), skip + 1
        if word in {"this", "last", "previous", "previou"} and after == "year":
            return self._now.year - (word != "this"), skip + 2
        if skip and word == "the" and after in {"last", "previous"}:
            return None, 0
        return None, 0

    def _month_day(self, at: int) -> tuple[Span, int] | None:
        """20 November, November 20th, the 20th of November 2026."""
        day, size = _day_number(self._word(at)), 1
        if day and self._word(at + 1) == "of":
            size = 2
        if day and self._word(at + size) in _MONTH:
            return self._dated(day, self._word(at + size), at, size + 1)
        after = _day_number(self._word(at + 1))
        if self._word(at) in _MONTH and after:
            return self._dated(after, self._word(at), at, 2)
        return None

    def _dated(self, day: int, month: str, at: int, size: int) -> tuple[Span, int] | None:
        year, more = self._year_after(at + size)
        try:
            moment = datetime(year or self._now.year, _MONTH[month], day, tzinfo=UTC)
        except ValueError:
            return None
        if year is None and moment > self._now and not self._ahead(at):
            moment = moved(moment, "year", -1)
        return _whole(moment, "day", 0, f"{moment:%Y-%m-%d}"), size + more

    def _ahead(self, at: int) -> bool:
        """Whether what is asked lies ahead, as with what ends or is due."""
        return self._word(at - 1) in {"until", "till"}

    def _month(self, at: int) -> tuple[Span, int] | None:
        name = self._word(at)
        if name not in _MONTH:
            return None
        year, size = self._year_after(at + 1)
        if name in {"may", "mar", "dec", "sep", "jan", "oct"} and year is None and name == "may":
            before = self._word(at - 1) if at else ""
            if before not in _SKIP | {
                "since",
                "before",
                "after",
                "until",
                "and",
                "than",
                "between",
            }:
                return None
        month = _MONTH[name]
        if year is None:
            year = self._now.year - (month > self._now.month)
        return self._month_span(year, month, f"{MONTHS[month - 1]} {year}"), 1 + size

    def _month_span(self, year: int, month: int, text: str) -> Span:
        first = datetime(year, month, 1, tzinfo=UTC)
        return Span(first, moved(first, "month", 1), text)

    def _year(self, at: int) -> tuple[Span, int] | None:
        if re.fullmatch(r"(19|20)\d\d", self._word(at)):
            return _whole(
                datetime(int(self._word(at)), 1, 1, tzinfo=UTC), "year", 0, self._word(at)
            ), 1
        return None


def _after(moment: datetime) -> datetime:
    """Spans end before their end; what happens at the moment of asking still counts."""
    return moment + timedelta(microseconds=1)


def _day_number(word: str) -> int | None:
    found = re.fullmatch(r"(\d{1,2})(st|nd|rd|th)?", word)
    return int(found[1]) if found and 1 <= int(found[1]) <= 31 else None
