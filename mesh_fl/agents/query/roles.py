"""The parts that words play: what is counted, what it is grouped by, what is the most."""

from dataclasses import dataclass, field
from typing import get_args

from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.plan import Aggregate, Unit
from mesh_fl.agents.query.reading import FILTERS, Mention, Reading, UnclearError
from mesh_fl.agents.query.relations import REFERENCES
from mesh_fl.agents.query.vocabulary import Meaning, Quantity

SUPERLATIVES = ("most", "least", "newest", "oldest", "longest", "shortest", "frequent")
UP = {"most": True, "least": False, "newest": True, "oldest": False, "longest": True}
UP |= {"shortest": False, "frequent": True}


@dataclass
class Roles:
    """Who plays what.

    Parameters
    ----------
    group_tables, group_dimensions : list of int
        Chunks that rows are put together by.
    bucket : str
        The unit of time that rows are put together by.
    superlative : str
        Its kind; empty if there is none.
    limit : int, optional
        How many of the most.
    quantity : Quantity, optional
        What is put together of each row.
    quantity_at : int
        Its chunk.
    superlative_at : int
        Its chunk.
    aggregate : str, optional
        Named by the question.
    counts : bool
        Whether rows are to be counted.
    ranked_by : bool
        Whether the question says by what results are ranked.
    """

    group_tables: list[int] = field(default_factory=list)
    group_dimensions: list[int] = field(default_factory=list)
    bucket: Unit | None = None
    superlative: str = ""
    superlative_at: int = -1
    limit: int | None = None
    quantity: Quantity | None = None
    quantity_at: int = -1
    aggregate: Aggregate | None = None
    counts: bool = False
    ranked_by: bool = False

    @property
    def grouped(self) -> bool:
        """Whether the question says what rows are put together by."""
        return bool(self.group_tables or self.group_dimensions or self.bucket)


def roles_of(reading: Reading) -> Roles:
    """Find the parts that the words of a question play."""
    _find_mentions(reading)
    roles = Roles()
    _find_groups(reading, roles)
    _find_versus(reading, roles)
    _find_superlative(reading, roles)
    _find_quantity(reading, roles)
    _find_aggregate(reading, roles)
    roles.counts |= reading.has("count")
    reading.take_all(
        "count", "how_much", "how_long", "go_on", "list", "which", "and", "or", "but", "both"
    )
    reading.take_all("descending", "ascending")
    return roles


def _find_mentions(reading: Reading) -> None:
    for i, chunk in enumerate(reading.chunks):
        tables = [m.table for m in chunk.of("table")]
        if tables:
            reading.mentions.append(Mention(i, tables[0]))
            reading.take(i)
    named = {m.table for m in reading.mentions}
    for i, chunk in enumerate(reading.chunks):
        meant = [m for m in chunk.of("value") if (m.table, m.name) == ("devices", "class")]
        others = {m.table for m in chunk.meanings} - {"devices"}
        after = reading.mention_at(i + 1)
        if meant and not others & named and (after is None or after.table not in others):
            reading.chunks[i] = chunk.only(*meant)
            if after is None or after.table != "devices":
                reading.mentions.append(Mention(i, "devices"))
    reading.mentions.sort(key=lambda m: m.at)


def _find_groups(reading: Reading, roles: Roles) -> None:
    for i in reading.all_of("bucket"):
        _set_bucket(reading, roles, i)
    for i in reading.all_of("by"):
        _group_after(reading, roles, i)
    for i in reading.all_of("weekday"):
        roles.bucket = "weekday"
        reading.take(i)


def _set_bucket(reading: Reading, roles: Roles, i: int) -> None:
    unit = reading.chunks[i].unit
    if roles.bucket not in {None, unit} or unit not in get_args(Unit):
        raise UnclearError("I can put rows together by one unit of time only")
    roles.bucket = unit  # type: ignore[assignment]
    reading.take(i)


def _group_after(reading: Reading, roles: Roles, i: int) -> None:
    reading.take(i)
    j = i + 1
    while reading.kind_at(j, "most", "count", "list", "aggregate") and reading.kind_at(j, "count"):
        roles.counts = roles.ranked_by = True
        reading.take(j)
        return
    # Of each healthcare client: the adjective bears on the client, which is what is meant.
    noun = j
    while reading.kind_at(noun, "value", "state") and not reading.mention_at(noun):
        noun += 1
    if noun > j and _is_ranking(reading, i) and reading.kind_at(noun, "table"):
        return  # closed by senior technicians: these are who did it
    if reading.kind_at(noun, "table") and _is_ranking(reading, i) and _ranks_above(reading, noun):
        roles.counts = roles.ranked_by = True
        return
    if reading.mention_at(noun) and reading.kind_at(noun, "table"):
        _group_table(reading, roles, noun)
        j = noun
    elif reading.kind_at(j, "dimension"):
        roles.group_dimensions.append(j)
        reading.take(j)
    elif reading.kind_at(j, "weekday", "value", "quantity", "aggregate", "state"):
        roles.ranked_by |= reading.kind_at(j, "quantity", "aggregate") and _is_ranking(reading, i)
        return
    else:
        word = reading.chunks[i].text
        raise UnclearError(f"I do not know what {word!r} is to put together by", word)
    if reading.kind_at(j + 1, "and") and reading.kind_at(j + 2, "table", "dimension"):
        _group_after(reading, roles, j + 1)


def _ranks_above(reading: Reading, noun: int) -> bool:
    """Whether the top clients by tickets are asked for, not tickets of each client."""
    mention = reading.mention_at(noun)
    top = [i for i in reading.all_of("most", "least") if i < noun]
    before = [m for m in reading.mentions if top and top[0] < m.at < noun]
    return mention is not None and any(
        m.table != mention.table and reading.reaches(mention.table, m.table) for m in before
    )


def _is_ranking(reading: Reading, i: int) -> bool:
    return reading.chunks[i].text.lower() in {"by", "in by"}


def _group_table(reading: Reading, roles: Roles, i: int) -> None:
    mention = reading.mention_at(i)
    if mention is not None:
        mention.role = "group"
        roles.group_tables.append(i)


def _find_versus(reading: Reading, roles: Roles) -> None:
    """Read which clients have more P1 than P2 tickets: each client's two numbers are compared."""
    ways = reading.all_of("more", "fewer")
    than = reading.all_of("than")
    whose = [m for m in reading.mentions if ways and m.at < ways[0]]
    if roles.grouped or len(ways) != 1 or len(than) != 1 or len(whose) != 1:
        return
    head = whose[0]
    what = [m.table for m in reading.mentions if m.at > ways[0]]
    numbers = [
        m.table for i in reading.all_of("quantity") for m in reading.chunks[i].of("quantity")
    ]
    what = what or numbers[:1]
    if not what or head.table in what or not all(reading.reaches(t, head.table) for t in what):
        return
    _group_table(reading, roles, head.at)


def _find_superlative(reading: Reading, roles: Roles) -> None:
    found = reading.all_of(*SUPERLATIVES)
    if not found:
        return
    kinds = [next(k for k in SUPERLATIVES if reading.kind_at(i, k)) for i in found]
    at = found[0]
    if len({UP[k] for k in kinds}) > 1 or len(found) > 2:
        raise UnclearError("I can rank by one thing only: name one", reading.chunks[at].text)
    roles.superlative, roles.superlative_at = kinds[0], at
    reading.take(*found)
    for i in found:
        for j in (i + 1, i - 1):
            if reading.kind_at(j, "number") and j not in reading.used:
                _limit(reading, roles, j)
    for j in reading.all_of("number"):
        noun = j + 1
        while reading.kind_at(noun, *FILTERS) and not reading.mention_at(noun):
            noun += 1
        if roles.limit is None and (reading.mention_at(noun) or reading.kind_at(noun, "dimension")):
            _limit(reading, roles, j)


def _limit(reading: Reading, roles: Roles, j: int) -> None:
    number = reading.chunks[j].number or 0
    if number != int(number) or not 1 <= number <= 1000 or roles.limit is not None:
        raise UnclearError("I do not know how many to name", reading.chunks[j].text)
    roles.limit = int(number)
    reading.take(j)


def _find_quantity(reading: Reading, roles: Roles) -> None:
    found: dict[str, tuple[int, Quantity]] = {}
    for i in reading.all_of("quantity"):
        if i in reading.used or _is_other(reading, i) or is_compared(reading, i):
            continue
        if found and reading.chunks[i].text.lower() in {"amount", "amounts", "worth"}:
            reading.take(i)
            continue
        quantity = _chosen(reading, i)
        if reading.kind_at(i - 1, "by") and not _is_ranking(reading, i - 1):
            _per(reading, i, quantity, [q.name for _, q in found.values()])
            continue
        found[quantity.name] = (i, quantity)
        reading.take(i)
    if not found:
        return
    if len(found) > 1:
        titles = " and ".join(q.title for _, q in found.values())
        raise UnclearError(f"I can tell one thing at a time, not {titles}: ask for one")
    roles.quantity_at, roles.quantity = next(iter(found.values()))


def _per(reading: Reading, i: int, per: Quantity, of: list[str]) -> None:
    """Allow for the cost of an hour, which is per hour already; nothing else is divided."""
    if of == ["cost"] and per.name == "hours":
        reading.take(i)
        return
    raise UnclearError(f"I cannot divide by {per.title}", reading.chunks[i].text)


def _is_other(reading: Reading, i: int) -> bool:
    """Whether a word that can name a quantity is meant as a column or a moment here."""
    chunk = reading.chunks[i]
    if chunk.of("dimension"):
        return not reading.kind_at(i - 1, "aggregate")
    events = chunk.of("event")
    if any(m.name == "currency" for m in _meanings(reading, i - 1)):
        return False
    if not events and not chunk.of("state"):
        return False
    named = {m.table for m in reading.mentions}
    return bool(named & {m.table for m in (*events, *chunk.of("state"))})


def _meanings(reading: Reading, i: int) -> tuple[Meaning, ...]:
    return reading.chunks[i].meanings if 0 <= i < len(reading.chunks) else ()


def is_compared(reading: Reading, i: int) -> bool:
    """Whether a quantity is only compared with a number."""
    if reading.kind_at(i + 1, "compare") and reading.chunks[i + 1].unit != "x":
        return not reading.kind_at(i + 2, "quantity", "table")
    j = i - 1
    while reading.kind_at(j, "state", "value", "aggregate"):
        j -= 1
    return reading.kind_at(j, "compare")


def _chosen(reading: Reading, i: int) -> Quantity:
    """Choose between quantities that share a word, such as amount."""
    meanings = reading.chunks[i].of("quantity")
    if len(meanings) > 1:
        meanings = _by_state(reading, meanings) or _by_mention(reading, meanings) or meanings
    if len(meanings) > 1:
        titles = " or ".join(reading.known.quantities[m.name].title for m in meanings)
        text = reading.chunks[i].text
        raise UnclearError(f"{text!r} can mean {titles}: say which", text)
    return reading.quantity(meanings[0])


def _by_state(reading: Reading, meanings: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
    owed = any(
        m.table == "invoices" and m.name in {"unpaid", "overdue"}
        for c in reading.chunks
        for m in c.of("state")
    )
    return tuple(m for m in meanings if m.name == "balance") if owed else ()


def _by_mention(reading: Reading, meanings: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
    named = {m.table for m in reading.mentions}
    found = tuple(m for m in meanings if m.table in named and m.name != "balance")
    return found if len(found) == 1 else ()


def _find_aggregate(reading: Reading, roles: Roles) -> None:
    found = {m.name for i in reading.all_of("aggregate") for m in reading.chunks[i].of("aggregate")}
    reading.take_all("aggregate")
    if len(found) > 1:
        raise UnclearError(f"I can tell one of {', '.join(sorted(found))} at a time: ask for one")
    if found:
        name = found.pop()
        roles.aggregate = next(a for a in get_args(Aggregate) if a == name)


def is_plural(chunk: Chunk) -> bool:
    """Say whether a noun was written in the plural."""
    word = chunk.text.lower().rsplit(" ", 1)[-1]
    return (word.endswith("s") and not word.endswith(("ss", "us"))) or word in {"staff", "people"}


def who(reading: Reading, fact: str) -> str:
    """Return the table of whom a question asks with who."""
    people = [t for t in REFERENCES.get(fact, {}).values() if t in {"technicians", "clients"}]
    return people[0] if len(people) == 1 else ""
