"""What is measured of a client over the days and the year before a moment.

Each measure reads a history as it was known at the moment (`History.known_at`), or says why there
is nothing to read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.history import DAY, MONTH, YEAR, History, Vector
from mesh_fl.agents.health.terms import agreed_ends, currencies, monthly, running

RECENT_DAYS = 90.0
FEWEST_BEFORE = 4
"""Tickets that a change is told against."""


class NotKnownError(Exception):
    """Why something cannot be measured."""


@dataclass(frozen=True)
class Known:
    """What was known of a client at a moment.

    Parameters
    ----------
    history : History
        Cut at the moment.
    at : float
        In seconds since 1970.
    """

    history: History
    at: float

    @classmethod
    def of(cls, history: History, at: float) -> "Known":
        """Cut a history."""
        return cls(history.known_at(at), at)

    def require(self, table: str) -> None:
        """Insist on rows of a table."""
        if table not in self.history.tables:
            raise NotKnownError(f"there is no table {table}")
        if not self.history.rows(table):
            raise NotKnownError(f"table {table} tells nothing of this client before that moment")

    def within(self, moments: Vector, days: float) -> NDArray[np.bool_]:
        """Tell which moments lie in the days before."""
        found: NDArray[np.bool_] = (moments >= self.at - days * DAY) & (moments < self.at)
        return found


def measure(history: History, at: float) -> dict[str, float | str]:
    """Return each measure, or why there is none, from what was known of a client at a moment."""
    known = Known.of(history, at)
    return {name: _told(known, by) for name, by in MEASURES.items()}


def _told(known: Known, by: Callable[[Known], float]) -> float | str:
    try:
        found = by(known)
    except NotKnownError as error:
        return str(error)
    return found if np.isfinite(found) else "its numbers are too large to compute with"


def tenure_months(known: Known) -> float:
    """Return the months since it became a client, or since its first agreement began."""
    since = known.history.since()
    if np.isnan(since):
        raise NotKnownError("neither since when it is a client is told, nor an agreement's start")
    return (known.at - since) / MONTH


def tickets_per_employee(known: Known) -> float:
    """Return the tickets of 90 days for each employee, or else for each seat."""
    return recent_tickets(known) / people(known)


def recent_tickets(known: Known) -> float:
    """Return the tickets opened in 90 days."""
    known.require("tickets")
    opened = known.history.numbers("tickets", "opened_at")
    return float(np.count_nonzero(known.within(opened, RECENT_DAYS)))


def people(known: Known) -> float:
    """Return how many people are served: its employees, else the seats that agreements cover."""
    employees = known.history.of_client("employees")
    if employees > 0:
        return employees
    seats = known.history.numbers("agreements", "seats")[running(known.history, known.at)]
    seats = seats[seats > 0]
    if not len(seats):
        raise NotKnownError("neither employees are told, nor the seats of a running agreement")
    return float(seats.max())


def ticket_change_percent(known: Known) -> float:
    """Return by how much more tickets a day 90 days had than the rest of the year."""
    known.require("tickets")
    opened = known.history.numbers("tickets", "opened_at")
    recent = np.count_nonzero(known.within(opened, RECENT_DAYS))
    before = np.count_nonzero(known.within(opened, YEAR / DAY)) - recent
    since = known.history.since()
    age_days = YEAR / DAY if np.isnan(since) else min(YEAR, known.at - since) / DAY
    if age_days < 2 * RECENT_DAYS or before < FEWEST_BEFORE:
        raise NotKnownError(
            f"a change needs {2 * RECENT_DAYS:.0f} days as a client and {FEWEST_BEFORE} tickets of "
            f"the year that are older than {RECENT_DAYS:.0f} days"
        )
    usual = before / (age_days - RECENT_DAYS)
    return 100.0 * (recent / RECENT_DAYS / usual - 1.0)


def resolution_hours(known: Known) -> float:
    """Return the mean hours from opening to closing, of tickets closed in 90 days."""
    closed, opened = _closed(known, RECENT_DAYS, "closed_at", "opened_at")
    hours = (closed - opened) / 3600.0
    return _mean(hours[hours >= 0], f"no ticket was closed in the {RECENT_DAYS:.0f} days before")


def sla_missed_percent(known: Known) -> float:
    """Return the share of tickets closed in 90 days that missed their agreed times."""
    (met,) = _closed(known, RECENT_DAYS, "sla_met")
    none = f"of no ticket closed in the {RECENT_DAYS:.0f} days before is sla_met told"
    return 100.0 * (1.0 - _mean(met, none))


def csat_gap(known: Known) -> float:
    """Return the points by which ratings of a year lie below 5 on average."""
    (rated,) = _closed(known, YEAR / DAY, "csat")
    return 5.0 - _mean(rated, "no ticket closed in the year before was rated")


def _closed(known: Known, days: float, *columns: str) -> list[Vector]:
    """Return columns of the tickets closed in the days before."""
    known.require("tickets")
    kept = known.within(known.history.numbers("tickets", "closed_at"), days)
    return [known.history.numbers("tickets", column)[kept] for column in columns]


def _mean(values: Vector, why_none: str) -> float:
    told = values[~np.isnan(values)]
    if not len(told):
        raise NotKnownError(why_none)
    return float(told.mean())


def late_invoices_percent(known: Known) -> float:
    """Return the share of the year's due invoices that were not paid by the day they were due."""
    due, paid = _due(known)
    return 100.0 * float(np.mean(~(paid < due + DAY)))


def days_overdue(known: Known) -> float:
    """Return the days that the oldest unpaid invoice of the year is overdue; 0 for none."""
    due, paid = _due(known)
    unpaid = due[np.isnan(paid)]
    return float((known.at - unpaid.min()) / DAY) if len(unpaid) else 0.0


def _due(known: Known) -> tuple[Vector, Vector]:
    """Return when the year's invoices were due, a day's grace given, and when they were paid."""
    known.require("invoices")
    due = known.history.numbers("invoices", "due_at")
    paid = known.history.numbers("invoices", "paid_at")
    if np.isnan(paid).all():
        raise NotKnownError("no payment is told, so it cannot be seen what was paid")
    credit = known.history.numbers("invoices", "total") <= 0
    kept = known.within(due + DAY, YEAR / DAY) & ~credit
    if not kept.any():
        raise NotKnownError("no invoice was due in the year before")
    return due[kept], paid[kept]


def months_to_end(known: Known) -> float:
    """Return the months until the last of the running agreements ends as agreed."""
    known.require("agreements")
    ends = agreed_ends(known.history, known.at)[running(known.history, known.at)]
    if not len(ends):
        raise NotKnownError("no agreement runs")
    if np.isinf(ends).any():
        raise NotKnownError("a running agreement has no end")
    return float(ends.max() - known.at) / MONTH


def revenue_change_percent(known: Known) -> float:
    """Return by how much more running agreements bring in a month than those of a year before."""
    known.require("agreements")
    now, before = (_recurring(known, moment) for moment in (known.at, known.at - YEAR))
    if not before > 0:
        raise NotKnownError("no agreement with a price ran a year before")
    return 100.0 * (now / before - 1.0)


def _recurring(known: Known, moment: float) -> float:
    runs = running(known.history, moment)
    if len({word for word, kept in zip(currencies(known.history), runs, strict=True) if kept}) > 1:
        raise NotKnownError("agreements in several currencies cannot be added up")
    rates = monthly(known.history)[runs]
    if np.isnan(rates).any():
        raise NotKnownError("a running agreement has no amount or no period that is known")
    return float(rates.sum())


MEASURES: Mapping[str, Callable[[Known], float]] = {
    one.__name__: one
    for one in (
        tenure_months,
        tickets_per_employee,
        ticket_change_percent,
        resolution_hours,
        sla_missed_percent,
        csat_gap,
        late_invoices_percent,
        days_overdue,
        months_to_end,
        revenue_change_percent,
    )
}
"""All measures by the name of the feature that they give."""
