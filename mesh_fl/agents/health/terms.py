"""A client's agreements over time: which run, what they bring in a month, when they end."""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.history import YEAR, History, Vector
from mesh_fl.agents.market.agreements import months_of

LONGEST = 10 * YEAR
"""Ahead of a moment; systems write 2099 or 9999 where no end is agreed."""


def stops(history: History) -> Vector:
    """Return when each agreement ends or was cancelled; infinity for one without an end."""
    ends = np.fmin(
        history.numbers("agreements", "end_at"), history.numbers("agreements", "cancelled_at")
    )
    return np.where(np.isnan(ends), np.inf, ends)


def agreed_ends(history: History, at: float) -> Vector:
    """Return when each agreement stops; infinity where the date only stands for no end."""
    ends = stops(history)
    return np.where(ends - at > LONGEST, np.inf, ends)


def running(history: History, at: float) -> NDArray[np.bool_]:
    """Tell which agreements run at a moment."""
    found: NDArray[np.bool_] = (history.numbers("agreements", "start_at") <= at) & (
        stops(history) > at
    )
    return found


def monthly(history: History) -> Vector:
    """Return what each agreement brings in a month; NaN where that cannot be said."""
    months = np.array([months_of(word) for word in history.words("agreements", "period")])
    with np.errstate(over="ignore"):
        found: Vector = history.numbers("agreements", "amount") / months.reshape(-1)
    return np.where(np.isfinite(found), found, np.nan)


def currencies(history: History) -> list[str]:
    """Return each agreement's currency; empty where it is not told."""
    return [word.upper() for word in history.words("agreements", "currency")]


def places_by_currency(names: list[str], used: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    """Return where the used ones of each currency are, in the order of the first of each."""
    found: dict[str, list[int]] = {}
    for place in np.flatnonzero(used).tolist():
        found.setdefault(names[place], []).append(place)
    return {name: np.array(places, dtype=np.int64) for name, places in found.items()}
