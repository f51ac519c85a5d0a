"""What one source of a request gave: the anomalies, and how much was looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mesh_fl.agents.anomaly.answer import Anomaly, Drift

MOST_TOLD = 20
"""Anomalies of an answer."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found in readings, events, lines or a record.

    Parameters
    ----------
    what : str
        In the plural.
    judged : int
    anomalies : sequence of Anomaly
        The rarest `MOST_TOLD`, the rarest first.
    found : int
        How many there are, those that are not told included.
    drift : sequence of Drift
    notes : sequence of str
    models : sequence of str
        What judged.
    usual_records : int or None
        Where records of one's own say what is usual.
    why_nothing : str
        Why nothing could be judged; empty where something was.
    why_no_forest : str
        Why no isolation forest stands beside.
    """

    what: str
    judged: int = 0
    anomalies: Sequence[Anomaly] = field(default=(), repr=False)
    found: int = 0
    drift: Sequence[Drift] = ()
    notes: Sequence[str] = ()
    models: Sequence[str] = ()
    usual_records: int | None = None
    why_nothing: str = ""
    why_no_forest: str = ""


def moment(seconds: float) -> str | None:
    """Write a moment as RFC 3339; None where there is none that a calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
