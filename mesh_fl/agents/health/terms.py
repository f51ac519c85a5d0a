"""A client's agreements over time: which run, what they bring in a month, when they end."""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.health.history import History, Vector
from mesh_fl.agents.market.agreements import months_of


def stops(history: History) -> Vector:
    """Return when each agreement ends or was cancelled; infinity for one without an end."""
    ends = np.fmin(
        history.numbers("agreements", "end_at"), history.numbers("agreements", "cancelled_at")
    )
    return np.where(np.isnan(ends), np.inf, ends)


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
