"""Whether a client left within some days from a moment: what a record is labelled with."""

import numpy as np

from mesh_fl.agents.health.history import DAY, History
from mesh_fl.agents.health.terms import running, stops


def was_client(history: History, at: float) -> bool:
    """Tell whether one was a client at a moment, by what was known before it."""
    known = history.known_at(at)
    if known.of_client("lost_at") < at or history.of_client("since") >= at:
        return False
    if known.rows("agreements"):
        return bool(running(known, at).any())
    return any(known.rows(name) for name in ("invoices", "tickets")) or known.since() < at


def left(history: History, at: float, days: float) -> bool | None:
    """Tell whether a client left in [at, at + days).

    It left when `lost_at` says so. Where that is not told, it left if agreements ran at the moment
    and all have ended or were cancelled by the end of the days, with none after them. None where
    nothing could tell: there is no row of the client itself, and no agreement.
    """
    until = at + days * DAY
    lost_at = history.of_client("lost_at")
    if not np.isnan(lost_at):
        return bool(at <= lost_at < until)
    ran = history.rows("agreements") > 0 and bool(running(history.known_at(at), at).any())
    if ran:
        return bool(np.max(stops(history)) < until)
    return False if history.rows("clients") else None
