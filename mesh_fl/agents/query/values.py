"""Values that occur in the data, by the words that name them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mesh_fl.agents.query.database import Database, text_values
from mesh_fl.agents.query.spans import UNITS
from mesh_fl.agents.query.times import MONTHS, NUMBERS, read_time
from mesh_fl.agents.query.vocabulary import Meaning, Stems, vocabulary
from mesh_fl.agents.query.wording import stems
from mesh_fl.msp_tables import TABLES

NAMED = (
    "clients.name",
    "clients.industry",
    "clients.status",
    "agreements.type",
    "agreements.currency",
    "invoices.currency",
    "invoices.kind",
    "tickets.category",
    "technicians.name",
    "technicians.skills",
    "technicians.level",
    "technicians.timezone",
    "devices.class",
    "devices.os",
    "events.source",
    "events.kind",
    "events.attack_ids",
    "metrics.series_id",
    "evidence.control_ref",
    "evidence.system",
    "evidence.status",
)
"""Columns whose values a question may name."""

LISTS = frozenset({"technicians.skills", "events.attack_ids"})
"""Columns that hold several values, separated by ; or ,."""

FAMILIES = frozenset({"devices.os", "events.attack_ids"})
"""Where the beginning of a name means all that begin so: Windows 11 Home and Pro."""

NAMES = frozenset({"clients.name", "technicians.name"})
"""Columns of names, which may be made of ordinary words: March, Last Month Ltd, April."""

MOST_VALUES = 50_000
"""Different values of a column that are kept by name."""


@dataclass(frozen=True)
class Values:
    """What the data names.

    Parameters
    ----------
    whole : mapping
        Meanings by the stems of a whole value.
    part : mapping
        Meanings by the stems that a value begins with, or a part of a person's name.
    disguised : mapping
        Meanings by the stems of names that read as something else, such as March or Total.
    keys : mapping
        Meanings by a row's id in lower case.
    near : mapping
        Every word that has a meaning somewhere, by its first letter.
    heard : frozenset of str
        These, and words that mean nothing: none of them is a slip.
    longest : int
        Words of the longest value.
    """

    whole: Mapping[Stems, tuple[Meaning, ...]] = field(repr=False)
    part: Mapping[Stems, tuple[Meaning, ...]] = field(repr=False)
    disguised: Mapping[Stems, tuple[Meaning, ...]] = field(repr=False)
    keys: Mapping[str, Meaning] = field(repr=False)
    near: Mapping[str, set[str]] = field(repr=False)
    heard: frozenset[str] = field(repr=False)
    longest: int = 1

    def named(self, words: Sequence[str], at: int) -> tuple[tuple[Meaning, ...], int]:
        """Return what the longest run of words from here names, and its length (0 for none)."""
        for size in range(min(self.longest, len(words) - at), 0, -1):
            phrase = tuple(words[at : at + size])
            whole = self.whole.get(phrase, ())
            told = {meaning.table for meaning in whole}
            part = self.part.get(phrase, ())
            found = (*whole, *(meaning for meaning in part if meaning.table not in told))
            if found:
                return found, size
        return (), 0

    def quoted(self, phrase: Stems) -> tuple[Meaning, ...]:
        """Return what a quotation names: a client before anything else."""
        told = (self.whole, self.disguised, self.part)
        found = next((one[phrase] for one in told if phrase in one), ())
        everywhere = [m for one in (self.whole, self.disguised) for m in one.get(phrase, ())]
        clients = tuple(m for m in everywhere if (m.table, m.name) == ("clients", "name"))
        return clients or found

    def names_from(self, words: Sequence[str], at: int) -> int:
        """Return of how many words, two or more, the longest name is that stands here in full."""
        for size in range(min(self.longest, len(words) - at), 1, -1):
            found = self.whole.get(tuple(words[at : at + size]), ())
            if any(f"{m.table}.{m.name}" in NAMES for m in found):
                return size
        return 0


def is_ordinary(word: str) -> bool:
    """Say whether a word has a meaning of its own, whatever the data names."""
    if word.isdigit() or word in UNITS or (word,) in vocabulary().phrases:
        return True
    return word in _ORDINARY


def _is_disguised(phrase: Stems) -> bool:
    """Say whether a name reads as something else: March, Open Tickets, Last 30 Days."""
    if not all(map(is_ordinary, phrase)):
        return False
    time = read_time(phrase, 0, datetime(2026, 1, 1, tzinfo=UTC))
    return len(phrase) < 3 or (time is not None and time[1] == len(phrase))


def values_of(database: Database) -> Values:
    """Gather the values of every table that was read."""
    whole: dict[Stems, dict[Meaning, None]] = {}
    part: dict[Stems, dict[Meaning, None]] = {}
    disguised: dict[Stems, dict[Meaning, None]] = {}
    for name in NAMED:
        table, _, column = name.partition(".")
        loaded = database.loaded.get(table)
        if loaded is None or column not in loaded.filled:
            continue
        for value in _singles(name, text_values(database, table, column, MOST_VALUES)):
            phrase = stems(value)
            meaning = Meaning("value", table, column, value)
            if name in NAMES and _is_disguised(phrase):
                disguised.setdefault(phrase, {})[meaning] = None
                continue
            for spelling in _spellings(phrase, name == "evidence.status"):
                whole.setdefault(spelling, {})[meaning] = None
            for piece in _pieces(name, phrase):
                plain = name in NAMES and all(map(is_ordinary, piece))
                kept = part if not plain else disguised if name == "technicians.name" else {}
                kept.setdefault(piece, {})[meaning] = None
    known = vocabulary().phrases
    near = _known_words(whole, _meaningful())
    return Values(
        whole={key: tuple(found) for key, found in whole.items()},
        part={key: tuple(found) for key, found in part.items() if key not in known},
        disguised={key: tuple(found) for key, found in disguised.items() if key},
        keys=_keys(database),
        near=near,
        heard=frozenset(word for phrase in known for word in phrase).union(*near.values()),
        longest=max(map(len, (*whole, ())), default=1),
    )


def _singles(name: str, values: Iterable[str]) -> Iterator[str]:
    if name not in LISTS:
        yield from values
        return
    items = {item.strip() for value in values for item in value.replace(",", ";").split(";")}
    yield from sorted(item for item in items if item)


def _spellings(phrase: Stems, verb: bool = False) -> Iterator[Stems]:
    """Give a value of two words also the other way round: a failed backup, backup_failed."""
    if verb and len(phrase) == 1:
        yield from ((f"{phrase[0]}ed",), (f"{phrase[0]}ing",))
    if phrase:
        yield phrase
    if len(phrase) == 2:
        yield phrase[::-1]


def _pieces(name: str, phrase: Stems) -> Iterator[Stems]:
    """Give the beginnings of a value, and any word of a person's name."""
    if name in {"clients.name", "metrics.series_id", "events.kind"} or name in FAMILIES:
        yield from (phrase[:size] for size in range(1, len(phrase)))
    if name == "technicians.name":
        yield from ((word,) for word in phrase)


def _keys(database: Database) -> Mapping[str, Meaning]:
    found: dict[str, Meaning] = {}
    for name, loaded in database.loaded.items():
        key = TABLES[name].key
        if name in {"metrics", "time_entries"} or key not in loaded.filled:
            continue
        for value in text_values(database, name, key, 1_000_000):
            found[value.lower()] = Meaning("value", name, key, value)
    return found


def _meaningful() -> list[Stems]:
    """Return the phrases that mean something: no slip is taken for a word without a meaning."""
    phrases = vocabulary().phrases.items()
    return [key for key, meanings in phrases if any(m.kind != "filler" for m in meanings)]


def _known_words(whole: Iterable[Stems], known: Iterable[Stems]) -> Mapping[str, set[str]]:
    """Return every word that has a meaning somewhere, by its first letter."""
    found: dict[str, set[str]] = {}
    phrases: list[Stems] = [*known, *whole, tuple(MONTHS), tuple(NUMBERS), _TIMES]
    for phrase in phrases:
        for word in phrase:
            found.setdefault(word[:1], set()).add(word)
    return found


_TIMES = (
    "today", "yesterday", "tomorrow", "this", "last", "past", "previous", "next", "coming",
    "since", "before", "after", "until", "between", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday", "sunday", "ago", "daily", "weekly", "monthly",
    "quarterly", "yearly", "annually", "minute", "hour", "day", "week", "month", "quarter",
    "year", "first", "second", "third", "fourth",
)  # fmt: skip

_ORDINARY = frozenset((*_TIMES, *MONTHS, *(name[:3] for name in MONTHS), *NUMBERS))
