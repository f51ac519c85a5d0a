"""What a client would still pay, and what of it is at risk: arithmetic, shown in full."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents.health.answer import Answer
from mesh_fl.agents.health.history import DAY, MONTH, YEAR, History, Vector
from mesh_fl.agents.health.terms import (
    agreed_ends,
    currencies,
    monthly,
    places_by_currency,
    running,
)
from mesh_fl.agents.health.windows import Known, NotKnownError
from mesh_fl.agents.health.wording import money, percent

HORIZON_MONTHS = 12.0
"""Of what has no agreed end."""

MOST_TERMS = 4
"""Agreements of which each is written out."""

TOO_LARGE = 1e15

NO_REVENUE = "no running agreement has an amount and a period, and no invoice of the year a total"


class RevenueAtRisk(Answer):
    """Revenue in one currency times the risk.

    Attributes
    ----------
    amount : float
        At stake times the risk.
    twelve_months : float
        What comes in each month, times 12 and the risk: were all renewed as they are.
    currency : str or None
        None where the tables do not tell it.
    monthly : float
        What comes in each month.
    at_stake : float
        What would still be paid: until the agreed ends, or over 12 months where there is none.
    horizon_months : float
        Of what is at stake, on average over what is paid.
    arithmetic : str
    """

    amount: float
    twelve_months: float
    currency: str | None
    monthly: float
    at_stake: float
    horizon_months: float
    arithmetic: str


@dataclass(frozen=True)
class Stake:
    """What would still be paid in one currency."""

    currency: str
    monthly: float
    amount: float
    arithmetic: str

    def at_risk(self, risk: float) -> RevenueAtRisk:
        """Multiply it by a risk."""
        amount, renewed = self.amount * risk, self.monthly * HORIZON_MONTHS * risk
        told = f"{self.arithmetic}; x risk {percent(risk)} = {money(amount, self.currency)}"
        return RevenueAtRisk(
            amount=amount,
            twelve_months=renewed,
            currency=self.currency or None,
            monthly=self.monthly,
            at_stake=self.amount,
            horizon_months=self.amount / self.monthly,
            arithmetic=told,
        )


def stakes_of(known: Known) -> tuple[Stake, ...]:
    """Return what would still be paid, by currency.

    Raises
    ------
    NotKnownError
        If neither agreements nor invoices tell.
    """
    found = tuple(_agreed(known)) or tuple(_invoiced(known))
    if not found:
        raise NotKnownError(NO_REVENUE)
    return found


def _agreed(known: Known) -> Iterator[Stake]:
    """Yield the running agreements' months that are left, by currency."""
    history, at = known.history, known.at
    rates, ends = monthly(history), agreed_ends(history, at)
    used = running(history, at) & (rates > 0) & (rates < TOO_LARGE)
    left_out = int(np.count_nonzero(running(history, at) & ~used))
    for currency, chosen in places_by_currency(currencies(history), used).items():
        months = np.where(np.isinf(ends), HORIZON_MONTHS, (ends - at) / MONTH)[chosen]
        amount = float(rates[chosen] @ months)
        told = _terms(rates[chosen], months, currency)
        note = f" ({left_out} agreements without a usable price left out)" if left_out else ""
        yield Stake(
            currency,
            float(rates[chosen].sum()),
            amount,
            f"{told} = {money(amount, currency)}{note}",
        )


def _terms(rates: Vector, months: Vector, currency: str) -> str:
    told = [
        f"{money(rate, currency)} a month x {count:.1f} months"
        for rate, count in zip(rates[:MOST_TERMS], months[:MOST_TERMS], strict=True)
    ]
    more = len(rates) - len(told)
    if more:
        rest = float(rates[MOST_TERMS:] @ months[MOST_TERMS:])
        told.append(f"{money(rest, currency)} of {more} more agreements")
    return " + ".join(told)


def _invoiced(known: Known) -> Iterator[Stake]:
    """Yield the year's invoices as a monthly mean over 12 months, by currency."""
    history = known.history
    totals = history.numbers("invoices", "total")
    used = known.within(history.numbers("invoices", "issued_at"), YEAR / DAY)
    used &= np.abs(totals) < TOO_LARGE
    months = _months_invoiced(history, known.at)
    names = [word.upper() for word in history.words("invoices", "currency")]
    for currency, chosen in places_by_currency(names, used).items():
        total = float(totals[chosen].sum())
        if total <= 0:
            continue
        rate = total / months
        amount = rate * HORIZON_MONTHS
        told = f"invoices of {money(total, currency)} in {months:.1f} months = "
        told += f"{money(rate, currency)} a month, x {HORIZON_MONTHS:.0f} months = "
        yield Stake(currency, rate, amount, told + money(amount, currency))


def _months_invoiced(history: History, at: float) -> float:
    """Return the months that the invoices of a year are of; less than twelve of a new client."""
    since = history.since()
    return 12.0 if np.isnan(since) else float(np.clip((at - since) / MONTH, 1.0, 12.0))
