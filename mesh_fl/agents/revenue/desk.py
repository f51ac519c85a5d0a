"""Where requests for revenue are read, forecast and answered."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mesh_fl.agent import State
from mesh_fl.agents.revenue.account_history import accounts_of
from mesh_fl.agents.revenue.answer import HistoryRead, Opportunity, RevenueAnswer
from mesh_fl.agents.revenue.blend import PLAIN, Blend
from mesh_fl.agents.revenue.books import READ, Books, Shelf
from mesh_fl.agents.revenue.months import DAY_S, day_name, month_name
from mesh_fl.agents.revenue.opportunities import MOST_TOLD, Neighbours, opportunities
from mesh_fl.agents.revenue.outlook import Outlook, outlook, repeated
from mesh_fl.agents.revenue.request import Request, requests_of
from mesh_fl.agents.revenue.rolling import Study
from mesh_fl.agents.revenue.sources import Found, client_ids, find_history
from mesh_fl.agents.revenue.usual_currency import usual_currency
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.site import Ask, Site

FOLLOWS = (
    "previous_revenue",
    "growth_rate",
    "growth_from",
    "monthly_forecast",
    "interval_coverage",
    "history_read",
    "backtest",
    "method",
)
"""Fields that are empty where nothing is projected."""

FOR_SALE = ("clients", "agreements", "invoices")
"""Tables that opportunities are found in."""

REMEMBERED_S = 60
"""How long another agent's answer stands for; its model may change meanwhile."""

MOST_DAYS = 100
"""Different ones of `as_of` in one batch; opportunities are looked for anew for each."""

NO_TABLE = (
    "they are found in tables of clients, agreements and invoices, and client.toml names none: "
    "add [tables.invoices]"
)
NOT_OF_TABLES = (
    "not looked for: history was given without client_id, so your tables may not be about it; "
    "leave history out, or name the client_id"
)
NOT_A_CLIENT = "client_id is in none of the tables"


@dataclass(frozen=True)
class Desk:
    """Answers with what one member has at hand.

    Parameters
    ----------
    site : Site
    blend : Blend
    """

    site: Site = field(default_factory=Site)
    blend: Blend = PLAIN
    _shelf: Shelf = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take the tables."""
        object.__setattr__(self, "_shelf", Shelf(self.site.tables))

    def answer(self, state: State, table: Table) -> list[RevenueAnswer]:
        """Answer each request; see `request.fields`.

        Raises
        ------
        DataError
            If a history cannot be read or ended too long ago, a client is in no table, or there
            are too many days.
        """
        requests = list(requests_of(table, int(time.time() // DAY_S)))
        days = [one.as_of for one in requests]
        if len(set(days)) > MOST_DAYS:
            raise DataError(
                f"as_of: expected at most {MOST_DAYS} different days in one batch, found "
                f"{len(set(days))}; send the others in another"
            )
        books = self._shelf.newest()
        # Day by day, so that what is computed of one is still there for the next request of it.
        in_order = sorted(range(len(days)), key=days.__getitem__)
        found = {place: self._answer(state, requests[place], books) for place in in_order}
        return [found[place] for place in range(len(days))]

    def _answer(self, state: State, request: Request, books: Books) -> RevenueAnswer:
        found = find_history(request, books)
        ahead = self._outlook(state, request, found, books)
        chances, why_no_chance = self._opportunities(request, found, books)
        neighbours = Neighbours(self._asking(books), request.as_of)
        shown = tuple(neighbours.enriched(chances[:MOST_TOLD]))
        projected = ahead.projected
        why_none = found.why_none if projected is None else ""
        return RevenueAnswer(
            client_id=request.client_id or None,
            currency=found.currency or None,
            as_of=day_name(request.as_of),
            period_start=day_name(request.as_of),
            period_end=day_name(request.as_of + request.period_days - 1),
            projected_revenue=projected,
            previous_revenue=ahead.previous,
            growth_rate=ahead.growth,
            growth_from=ahead.growth_from,
            monthly_forecast=ahead.months,
            interval_coverage=ahead.coverage,
            history_read=_history_read(found),
            backtest=ahead.backtest,
            opportunities=shown,
            opportunities_found=len(chances),
            method=ahead.method,
            notes=(*found.notes, *ahead.notes, *_left_out(books)),
            model_used=ahead.model,
            unavailable=dict(_unavailable(request, found, ahead, why_none, why_no_chance)),
        )

    def _outlook(self, state: State, request: Request, found: Found, books: Books) -> Outlook:
        if found.history is None:
            told = request.current_revenue
            return Outlook() if told is None else repeated(request, told)
        key = ("study", request.client_id, request.currency, found.history.last)

        def keep(months: int, make: Callable[[], Study]) -> Study:
            return make() if found.source == "request" else books.kept((*key, months), make)

        return outlook(state, request, found.history, self.blend, keep)

    def _asking(self, books: Books) -> Ask:
        """Return a way to ask other agents that remembers, for a while, what they said."""
        now = int(time.monotonic() // REMEMBERED_S)

        def ask(agent: str, fields: Mapping[str, object]) -> Mapping[str, object]:
            key = (agent, *sorted(fields.items()), now)
            return books.kept(key, lambda: self.site.ask(agent, fields))

        return ask

    def _opportunities(
        self, request: Request, found: Found, books: Books
    ) -> tuple[tuple[Opportunity, ...], str]:
        """Return what there is, the largest amounts first, and why there is nothing."""
        if not any(name in books.tables for name in FOR_SALE):
            faults = "; ".join(f"{name}: {why}" for name, why in books.faults.items())
            return (), faults or NO_TABLE
        if request.history is not None and not request.client_id:
            return (), NOT_OF_TABLES
        if request.client_id and request.client_id not in client_ids(books):
            return (), NOT_A_CLIENT
        currency = _currency(request, found, books)
        key = ("opportunities", request.as_of, currency)
        every = books.kept(key, lambda: opportunities(accounts_of(books, request.as_of, currency)))
        if request.client_id:
            every = tuple(one for one in every if one.client_id == request.client_id)
        return every, "" if every else _none_found(request, currency, books)


def _none_found(request: Request, currency: str, books: Books) -> str:
    whose = f" of client {request.client_id[:80]}" if request.client_id else ""
    where = f" in {currency}" if currency else " without a currency"
    read = ", ".join(name for name in READ if name in books.tables)
    return f"none found{whose} on {day_name(request.as_of)}: read were {read}, amounts{where}"


def _currency(request: Request, found: Found, books: Books) -> str:
    """Return the currency of the history, or else the usual one."""
    if found.currency:
        return found.currency
    client, day = request.client_id, request.as_of
    return books.kept(("currency", client, day), lambda: usual_currency(books, client, day))


def _history_read(found: Found) -> HistoryRead | None:
    if found.history is None or found.source == "":
        return None
    return HistoryRead(
        source=found.source,
        first_month=month_name(found.history.first),
        last_month=month_name(found.history.last),
        months=len(found.history.amounts),
        last_amount=float(found.history.amounts[-1]),
    )


def _left_out(books: Books) -> Iterator[str]:
    for name, count in books.left_out.items():
        if count:
            yield f"table {name}: {count} rows could not be read"
    for name, fault in books.faults.items():
        yield f"table {name} could not be read: {fault}"


def _unavailable(
    request: Request, found: Found, ahead: Outlook, why_none: str, why_no_chance: str
) -> Iterator[tuple[str, str]]:
    """Say why a field is None or empty."""
    if not request.client_id:
        yield "client_id", "none was asked for: these are all clients together"
    if not found.currency:
        yield "currency", "neither the request nor the tables tell one"
    if why_none:
        yield "projected_revenue", why_none
        yield from ((name, "nothing to forecast from; see projected_revenue") for name in FOLLOWS)
    yield from ahead.why_none
    if why_no_chance:
        yield "opportunities", why_no_chance
