"""Moments in words."""

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """Write a moment (RFC 3339), to the second."""
    return datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")
