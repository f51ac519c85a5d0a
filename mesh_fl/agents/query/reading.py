"""A question while it is being understood: its chunks, the tables it names, what is used up."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.plan import Condition
from mesh_fl.agents.query.relations import path_between
from mesh_fl.agents.query.result import Refused
from mesh_fl.agents.query.vocabulary import Meaning, Quantity, Vocabulary

FILTERS = ("value", "state", "event")


class UnclearError(Exception):
    """A question that is refused."""

    def __init__(self, reason: str, *words: str) -> None:
        super().__init__(reason)
        self.refused = Refused(reason, tuple(words))


class AbsentTableError(UnclearError):
    """A question about a table that is not here, or cannot be read."""

    def __init__(self, table: str) -> None:
        super().__init__(f"there is no table {table} here: name its file in client.toml")
        self.table = table


@dataclass
class Mention:
    """A table that the question names, and the part it plays there.

    Parameters
    ----------
    at : int
        Which chunk.
    table : str
        Its name.
    role : {"", "group", "having"}
        Whether rows are put together by it, or counted for a condition on the group.
    negated : bool
        Whether rows without one are asked for.
    """

    at: int
    table: str
    role: str = ""
    negated: bool = False


@dataclass
class Filter:
    """A condition on a row of a table, as if the table stood alone."""

    at: int
    table: str
    condition: Condition
    negated: bool = False


@dataclass
class Reading:
    """One question.

    Parameters
    ----------
    chunks : list of Chunk
        Without function words that add nothing.
    known : Vocabulary
        What is declared.
    filled : frozenset of str
        Columns, as table.column, that have a value.
    now : datetime
        The moment of asking.
    first : str
        The first word, which tells a question for yes or no.
    """

    chunks: list[Chunk]
    known: Vocabulary
    filled: frozenset[str]
    now: datetime
    first: str = ""
    mentions: list[Mention] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    fact: str = ""

    @property
    def tables(self) -> frozenset[str]:
        """Tables that were read."""
        return frozenset(name.partition(".")[0] for name in self.filled)

    def has(self, *kinds: str) -> bool:
        """Say whether a chunk can mean one of these kinds."""
        return any(c.of(kind) for c in self.chunks for kind in kinds)

    def all_of(self, *kinds: str) -> list[int]:
        """Return the chunks that can mean one of these kinds."""
        return [i for i in range(len(self.chunks)) if self.kind_at(i, *kinds)]

    def kind_at(self, i: int, *kinds: str) -> bool:
        """Say whether a chunk is there and can mean one of these kinds."""
        return 0 <= i < len(self.chunks) and any(self.chunks[i].of(kind) for kind in kinds)

    def take(self, *indices: int) -> None:
        """Note that chunks play a part."""
        self.used.update(indices)

    def take_all(self, *kinds: str) -> bool:
        """Note that all chunks of these kinds play a part; say whether there is one."""
        found = self.all_of(*kinds)
        self.take(*found)
        return bool(found)

    def is_filled(self, table: str, *columns: str) -> bool:
        """Say whether every one of the columns has values."""
        return all(f"{table}.{column}" in self.filled for column in columns)

    def mention_at(self, i: int) -> Mention | None:
        """Return the mention that a chunk makes."""
        return next((m for m in self.mentions if m.at == i), None)

    def quantity(self, meaning: Meaning) -> Quantity:
        """Return a declared quantity.

        Raises
        ------
        UnclearError
            If the columns it needs are empty here.
        """
        quantity = self.known.quantities[meaning.name]
        self.demand(quantity.table, *quantity.needs)
        return quantity

    def demand(self, table: str, *columns: str) -> None:
        """Refuse what the tables here cannot tell.

        Raises
        ------
        UnclearError
            If the table or one of the columns is not there.
        """
        if table not in self.tables:
            raise AbsentTableError(table)
        for column in columns:
            if not self.is_filled(table, column):
                raise UnclearError(f"{table} has no {column} here: map it in client.toml")

    def reaches(self, table: str, other: str) -> bool:
        """Say whether a row of `table` names one row of `other`, itself included."""
        return path_between(table, other) is not None


def moved_to(condition: Condition, path: tuple[str, ...]) -> Condition:
    """Return a condition on a table as one on the row that refers to it."""
    return replace(condition, path=(*path, *condition.path))
