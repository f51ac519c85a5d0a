"""All conditions that a question makes, each on its table."""

from datetime import timedelta

from mesh_fl.agents.query.attachment import (
    LASTING,
    event_filter,
    meaning_for,
    negated,
    value_filter,
)
from mesh_fl.agents.query.chunks import Chunk
from mesh_fl.agents.query.denials import denied_filter
from mesh_fl.agents.query.plan import Compared, Known, Operator, Within
from mesh_fl.agents.query.reading import Filter, Reading, UnclearError
from mesh_fl.agents.query.roles import Roles
from mesh_fl.agents.query.spans import Span, moved
from mesh_fl.agents.query.tidying import OPERATORS
from mesh_fl.agents.query.vocabulary import Meaning, Quantity

ENTITIES = frozenset({"clients", "technicians", "devices", "agreements"})
"""Tables of things that last: a time alone does not say what of them happened in it."""

SPANS = {"first_response_at": "response", "closed_at": "resolution", "paid_at": "days_to_pay"}
"""The quantity that says how long it took until a moment."""

PASSING = frozenset((
    "open", "overdue", "unassigned", "assigned", "unpaid", "active", "expired", "upcoming",
))  # fmt: skip
"""States that rows come into and leave; the tables tell only those of now."""

HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0, "week": 168.0, "month": 730.5, "year": 8766.0}
MONEY = ("usd", "eur", "gbp")


def filters_of(reading: Reading, roles: Roles) -> list[Filter]:
    """Make every condition; what is compared for groups is left to the caller."""
    times = _times_of_events(reading, roles)
    found: list[Filter] = []
    for i in range(len(reading.chunks)):
        if i in reading.used and i not in times and not _is_noun(reading, i):
            continue
        found.extend(_one(reading, roles, i, times))
    return found


def _is_noun(reading: Reading, i: int) -> bool:
    return reading.mention_at(i) is not None and reading.kind_at(i, "value")


def _one(reading: Reading, roles: Roles, i: int, times: dict[int, list[int]]) -> list[Filter]:
    if i in times:
        return [_negate(reading, i, f) for f in _timed_events(reading, i, times[i])]
    if reading.kind_at(i, "denied"):
        return [denied_filter(reading, i)]
    if reading.kind_at(i, "time"):
        return [_default_time(reading, roles, i)]
    if reading.kind_at(i, "dimension") and reading.kind_at(i - 1, "not"):
        return [_missing(reading, i)]
    if reading.kind_at(i, "value", "state", "event"):
        reading.take(i)
        if reading.kind_at(i + 1, "compare") and reading.kind_at(i, "event"):
            compared = _compared_event(reading, i)
            if compared is not None:
                return [compared]
        return [_negate(reading, i, value_filter(reading, i))]
    return []


def _missing(reading: Reading, i: int) -> Filter:
    """Read tickets without a category."""
    meaning = meaning_for(reading, i, ("dimension",))[0]
    reading.demand(meaning.table, meaning.name)
    reading.take(i, i - 1)
    return Filter(i, meaning.table, Known((), meaning.name, negated=True))


def _negate(reading: Reading, i: int, found: Filter) -> Filter:
    """Apply a not that stands before a condition, or mark the condition for its noun to apply."""
    j = i - 1
    while j >= 0 and reading.kind_at(j, "or", "and") and reading.kind_at(j - 1, "value"):
        j -= 2
    if not reading.kind_at(j, "not"):
        return found
    reading.take(j)
    below = not reading.reaches(reading.fact, found.table)
    if below and not _follows_its_noun(reading, i, j, found.table):
        return Filter(found.at, found.table, found.condition, negated=True)
    return negated(found, reading.chunks[i])


def _follows_its_noun(reading: Reading, i: int, negation: int, table: str) -> bool:
    """Tell clients with tickets not in network from clients with no network tickets."""
    nouns = [m.at for m in reading.mentions if m.table == table and m.role == ""]
    after = i + 1
    while reading.kind_at(after, "value", "state", "event", "and", "or") and after not in nouns:
        after += 1
    return negation - 1 in nouns and after not in nouns and i not in nouns


def _times_of_events(reading: Reading, roles: Roles) -> dict[int, list[int]]:
    """Give each time to the event that it follows, else to the one that it precedes."""
    given: dict[int, list[int]] = {}
    events = [i for i in reading.all_of("event") if i not in reading.used]
    events = [
        i for i in events if not reading.kind_at(i, "value") or reading.kind_at(i + 1, "time")
    ]
    times = [i for i in reading.all_of("time") if i not in reading.used]
    for t in times:
        before = [e for e in events if e < t]
        after = [e for e in events if e > t]
        free = [e for e in before if e not in given] or [e for e in after if e not in given]
        nearest = before[-1:] if before and before[-1] not in given else []
        chosen = nearest or free[-1:] or before[-1:]
        if chosen and not _noun_between(reading, chosen[0], t):
            given.setdefault(chosen[0], []).append(t)
            reading.take(t)
    reading.take(*given)
    return given


def _noun_between(reading: Reading, e: int, t: int) -> bool:
    """Clients that joined and have tickets this month: the time is the tickets'."""
    if t < e:
        return False
    tables = {m.table for m in reading.chunks[e].of("event")}
    return any(
        e < m.at < t and m.table not in tables and m.table not in ENTITIES for m in reading.mentions
    )


def _timed_events(reading: Reading, e: int, times: list[int]) -> list[Filter]:
    meaning = meaning_for(reading, e, ("event",))[0]
    found = []
    for t in times:
        chunk = reading.chunks[t]
        span = _onward(reading, chunk, meaning.name)
        found.append(event_filter(reading, e, meaning, span))
        found[-1].at = t if len(times) > 1 else e
    return found


def _onward(reading: Reading, chunk: Chunk, column: str) -> Span:
    """In 30 days of what ends means the next 30; a month without a year may lie ahead."""
    span = chunk.span
    if span is None:
        raise UnclearError(f"I do not know which time {chunk.text!r} is", chunk.text)
    _not_ahead(reading, chunk, column)
    _say_ago(reading, chunk, column in LASTING and reading.has("not"))
    if chunk.of("time")[0].name == "lasting" and column in {"end_at", "due_at", "start_at"}:
        if span.start is None:
            return span
        ahead = reading.now + (reading.now - span.start)
        return Span(reading.now, ahead, span.text.replace("last", "next"), rolling=True)
    return span


def _not_ahead(reading: Reading, chunk: Chunk, column: str) -> None:
    """Refuse to tell what has not happened yet; what ends or is due may lie ahead."""
    start = chunk.span.start if chunk.span is not None else None
    if column not in {"end_at", "due_at", "start_at"} and start is not None and start > reading.now:
        raise UnclearError(f"{chunk.text!r} has not happened yet, I do not forecast", chunk.text)


def _default_time(reading: Reading, roles: Roles, i: int) -> Filter:
    """Take a time that no event takes for the moment that the table is known for."""
    reading.take(i)
    chunk = reading.chunks[i]
    state = _state_name(reading, i - 1)
    states = {m.name for c in reading.chunks for m in c.of("state")}
    _say_ago(reading, chunk, bool(states & PASSING))
    if state in {"open", "unpaid"} and reading.chunks[i - 1].text.lower().startswith("not "):
        text = f"{reading.chunks[i - 1].text} {chunk.text}"
        raise UnclearError(f"{text!r} can mean at another time or never: ask for one", text)
    table, column = _known_for(reading, roles, i)
    if state.startswith(("closed_", "paid_")) and table in {"tickets", "invoices"}:
        column = f"{state.partition('_')[0]}_at"
    if not column:
        raise UnclearError(
            f"say what happened {chunk.text!r}: {table} have no time of their own", chunk.text
        )
    reading.demand(table, column)
    if chunk.span is None:
        raise UnclearError(f"I do not know which time {chunk.text!r} is", chunk.text)
    _not_ahead(reading, chunk, column)
    return Filter(i, table, Within((), column, chunk.span.start, chunk.span.end))


def _say_ago(reading: Reading, chunk: Chunk, is_state: bool) -> None:
    """Say which day, week or month a time ago is taken for; of a state only now is known."""
    span = chunk.span
    if span is None or span.end is None or span.rolling or not span.text.endswith(" ago"):
        return
    if span.text.startswith(_OPENERS):
        return
    if is_state:
        raise UnclearError(
            f"I can tell what happened {chunk.text}, not how things stood then", chunk.text
        )
    last = span.end - timedelta(days=1)
    dates = f"{span.start:%Y-%m-%d}" + (f" to {last:%Y-%m-%d}" if last != span.start else "")
    reading.said.append(f"{chunk.text.capitalize()} is taken for {dates}.")


_OPENERS = ("since", "before", "after", "until", "till", "from", "between")


def _state_name(reading: Reading, i: int) -> str:
    found = reading.chunks[i].of("state") if reading.kind_at(i, "state") else ()
    return found[0].name if found else ""


def _known_for(reading: Reading, roles: Roles, i: int) -> tuple[str, str]:
    quantity = roles.quantity
    named = [m for m in reading.mentions if m.role != "group" and m.table not in ENTITIES]
    before = [m.table for m in named if m.at < i]
    below = [t for t in before if not reading.reaches(reading.fact, t)]
    if below:
        return below[-1], reading.known.tables[below[-1]].time
    if quantity is not None and quantity.table == reading.fact and quantity.time:
        return quantity.table, quantity.time
    if reading.fact not in ENTITIES:
        return reading.fact, reading.known.tables[reading.fact].time
    children = [
        m.table
        for j in range(i - 1, -1, -1)
        for m in reading.chunks[j].of("value")
        if m.table not in ENTITIES
    ]
    for table in [*(m.table for m in named), *children]:
        return table, reading.known.tables[table].time
    return reading.fact, ""


# Comparisons with a number ------------------------------------------------------------------------


def _compared_event(reading: Reading, i: int) -> Filter | None:
    """Read closed within 24 hours, not seen for more than 30 days, opened more than 7 days ago."""
    chunk = reading.chunks[i + 1]
    if chunk.unit not in HOURS and chunk.unit != "quarter":
        return None
    meaning = meaning_for(reading, i, ("event",))[0]
    more = chunk.of("compare")[0].name in {">", ">="}
    moment = moved(reading.now, chunk.unit, -int(chunk.number or 0))
    reading.take(i + 1)
    if meaning.name in LASTING and reading.kind_at(i - 1, "not") and more:
        reading.take(i - 1)
        return Filter(i, meaning.table, Within((), meaning.name, None, moment))
    ago = reading.kind_at(i + 2, "ago")
    if ago or meaning.name == "since":
        reading.take(*([i + 2] if ago else []))
        span = (None, moment) if more else (moment, reading.now)
        return Filter(i, meaning.table, Within((), meaning.name, *span))
    if meaning.name in SPANS and not reading.kind_at(i - 1, "not"):
        quantity = reading.quantity(_quantity_meaning(reading, SPANS[meaning.name]))
        return Filter(i, meaning.table, _compared(chunk, quantity))
    text = f"{reading.chunks[i].text} {chunk.text}"
    raise UnclearError(f"I do not know what {text!r} means", text)


def _quantity_meaning(reading: Reading, name: str) -> Meaning:
    return Meaning("quantity", reading.known.quantities[name].table, name)


def _compared(chunk: Chunk, quantity: Quantity) -> Compared:
    return Compared((), quantity.name, operator_of(chunk), scaled(chunk, quantity))


def operator_of(chunk: Chunk) -> Operator:
    """Return the operator of a comparison."""
    return next(o for o in OPERATORS if o == chunk.of("compare")[0].name)


def scaled(chunk: Chunk, quantity: Quantity, number: float | None = None) -> float:
    """Return a comparison's number in the unit of the quantity.

    Raises
    ------
    UnclearError
        If the units do not go together.
    """
    value = chunk.number if number is None else number
    if value is None:
        raise UnclearError(f"{chunk.text!r} names no number", chunk.text)
    unit = chunk.unit
    if not unit or (unit in MONEY and quantity.unit == "currency"):
        return value
    if unit == "percent" and quantity.unit == "%":
        return value
    if unit in HOURS and quantity.unit == "hours":
        return value * HOURS[unit]
    if unit in HOURS and quantity.unit == "days":
        return value * HOURS[unit] / 24
    raise UnclearError(f"{quantity.title} is not measured in {unit}", chunk.text)
