"""What a request for revenue may tell, as columns of a table."""

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mesh_fl.agents.query.currency_code import currency_code
from mesh_fl.agents.revenue.history import LARGEST, Vector, read_history
from mesh_fl.agents.revenue.months import DAY_S, day_name, first_day, month_of
from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table

LONGEST_PERIOD_DAYS = 1830
USUAL_PERIOD_DAYS = 365

LONGEST_ID, LONGEST_CURRENCY = 500, 20
"""Characters of a request's fields."""

EARLIEST = first_day(12)
LATEST = first_day(12 * 230)
"""Days that may be asked about: 1971 to 2199."""


def fields() -> tuple[Field, ...]:
    """Return all columns; a record to learn from has `history` and `start`."""
    return (
        Field(
            name="history",
            kind="document",
            optional=True,
            description="Monthly amounts, oldest first, up to the last whole month.",
        ),
        Field(
            name="start",
            kind="time",
            optional=True,
            description="When the history begins; left out, it ends with the last whole month.",
        ),
        Field(
            name="client_id",
            kind="text",
            optional=True,
            description="Whose revenue; left out, that with all clients.",
        ),
        Field(
            name="currency",
            kind="text",
            optional=True,
            description="ISO 4217; left out, the one that most invoices are in.",
        ),
        Field(
            name="period_days",
            kind="number",
            low=1,
            high=LONGEST_PERIOD_DAYS,
            optional=True,
            description=f"Days to forecast from `as_of` on; {USUAL_PERIOD_DAYS} by default.",
        ),
        Field(
            name="current_revenue",
            kind="number",
            low=-LARGEST,
            high=LARGEST,
            optional=True,
            description="What the period before brought, which was as long; growth is against it.",
        ),
        Field(
            name="as_of",
            kind="time",
            optional=True,
            description="What now means; today by default.",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """One record of a table, as a question.

    Parameters
    ----------
    history : ndarray or None
        Monthly amounts that were told.
    start : int or None
        Month of the first of them.
    client_id, currency : str
        Empty where they were not told.
    period_days : int
    current_revenue : float or None
    as_of : int
        Day.
    """

    history: Vector | None = field(default=None, repr=False)
    start: int | None = None
    client_id: str = ""
    currency: str = ""
    period_days: int = USUAL_PERIOD_DAYS
    current_revenue: float | None = None
    as_of: int


def requests_of(table: Table, today: int) -> Iterator[Request]:
    """Yield the questions of a table.

    Parameters
    ----------
    table : Table
        See `fields`; columns may be missing.
    today : int
        Day that is meant where a record tells none.

    Raises
    ------
    DataError
        If a history cannot be read, a time is too far away, or an id or a currency too long.
    """
    columns = {one.name: _column(table, one) for one in fields()}
    for row in range(len(columns["history"])):
        told = {name: column[row] for name, column in columns.items()}
        yield Request(
            history=_history(str(told["history"])),
            start=_month(told["start"]),
            client_id=plain_id(_short("client_id", str(told["client_id"]), LONGEST_ID)),
            currency=plain_currency(_short("currency", str(told["currency"]), LONGEST_CURRENCY)),
            period_days=math.ceil(_number(told["period_days"]) or USUAL_PERIOD_DAYS),
            current_revenue=_number(told["current_revenue"]),
            as_of=_day(told["as_of"], "as_of", today),
        )


def plain_currency(written: str) -> str:
    """Write a currency in one spelling; no code is longer than what is kept of it."""
    return currency_code(written[: 2 * LONGEST_CURRENCY])[:LONGEST_CURRENCY]


def plain_id(written: str) -> str:
    """Write an id as the ledger of records does: in one Unicode form."""
    return unicodedata.normalize("NFKC", written.strip())


def _column(table: Table, wanted: Field) -> list[object]:
    if wanted.name in table:
        return list(table[wanted.name].tolist())
    empty = math.nan if wanted.kind in {"number", "time"} else ""
    return [empty] * len(next(iter(table.values()), ()))


def _short(name: str, written: str, most: int) -> str:
    """Return what was told, unless it is too long to be told back."""
    plain = written.strip()
    if len(plain) > most:
        raise DataError(
            f"{name}: expected at most {most} characters, found {len(plain)}: {plain[:20]!r}..."
        )
    return plain


def _history(written: str) -> Vector | None:
    return read_history(written) if written.strip() else None


def _number(value: object) -> float | None:
    number = float(np.float64(str(value)))
    return number if math.isfinite(number) else None


def _month(value: object) -> int | None:
    if _number(value) is None:
        return None
    return month_of(_day(value, "start", 0))


def _day(value: object, name: str, otherwise: int) -> int:
    seconds = _number(value)
    day = otherwise if seconds is None else math.floor(seconds / DAY_S)
    if not EARLIEST <= day < LATEST:
        raise DataError(
            f"{name}: expected a date from {day_name(EARLIEST)} to {day_name(LATEST - 1)}, found "
            "one outside"
        )
    return day
