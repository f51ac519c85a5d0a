"""Labelled records of past clients, made of a member's tables as they stood at a public moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from mesh_fl.agents._features import Feature
from mesh_fl.agents.health.client_tables import ClientTables
from mesh_fl.agents.health.history import DAY, History, day_of
from mesh_fl.agents.health.labels import left, was_client
from mesh_fl.agents.health.product_features import columns_of
from mesh_fl.agents.health.request import unasked
from mesh_fl.agents.health.windows import measure
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.site import Gathered, OwnTable

Measured = dict[str, float | str]


@dataclass(frozen=True)
class Cutoff:
    """The public moment of a plan.

    Parameters
    ----------
    as_of : str
        A date; features are what was known before it began, in UTC.
    label_days : int
        Days from then in which a client stayed or left.
    """

    as_of: str
    label_days: int

    @property
    def at(self) -> float:
        """In seconds since 1970."""
        return moment_of(self.as_of)

    def require_past(self, now: float) -> None:
        """Insist on labels that are known by now.

        Raises
        ------
        DataError
            If no moment is set, or its days are not over.
        """
        if not self.as_of:
            raise DataError(
                "client health, as_of: expected a date that all members share, found none; name it "
                "in the plan's configuration to make records of tables"
            )
        until = self.at + self.label_days * DAY
        if until > now:
            last = day_of(now - self.label_days * DAY)
            raise DataError(
                f"client health, as_of: expected a date at least {self.label_days} days ago, found "
                f"{self.as_of}, from which nobody knows yet who will have left; set {last} or an "
                "earlier one"
            )


def is_day(written: str) -> bool:
    """Tell whether a text is empty or a day that `moment_of` knows."""
    try:
        return not written or moment_of(written) == moment_of(written)
    except ValueError:
        return False


def moment_of(day: str) -> float:
    """Return when a day begins, in seconds since 1970.

    Raises
    ------
    ValueError
        If it is no date such as 2026-03-31.
    """
    found = date.fromisoformat(day)
    return datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()


def gather_clients(
    own: Mapping[str, OwnTable], features: tuple[Feature, ...], label: str, cutoff: Cutoff
) -> Gathered:
    """Make a record of each client that there was at the cutoff.

    Parameters
    ----------
    own : mapping
        Some of `history.READS`; clients or agreements among them tell who left.
    features : tuple of Feature
        Measures, with their bounds.
    label : str
        Name of the label's column.
    cutoff : Cutoff

    Raises
    ------
    DataError
        If no table can tell who left, one cannot be read, or there was no client at the cutoff.

    Guarantee
    ---------
    A record depends on the rows of its own client and the configuration. Its features depend on
    what was known before the cutoff only (`History.known_at`).
    """
    if not {"clients", "agreements"} & set(own):
        raise DataError(
            "client health: expected table clients or agreements, which tell who left, found "
            f"{', '.join(own) or 'none'}; name one in tables"
        )
    tables = ClientTables.read(own)
    ids = tables.ids(["clients"] if "clients" in own else ["agreements", "invoices"])
    kept: list[str] = []
    found: list[tuple[Measured, bool]] = []
    for client in ids:
        record = _record(tables.history(client), cutoff)
        if record is not None:
            kept.append(client)
            found.append(record)
    if not kept:
        raise DataError(
            f"client health: expected clients on {cutoff.as_of}, found none among {len(ids)}; map "
            "since, start_at and lost_at, or set another as_of"
        )
    return Gathered(tuple(kept), _table(features, label, found))


def _record(history: History, cutoff: Cutoff) -> tuple[Measured, bool] | None:
    """Return what was measured of a client and whether it left; None if it was none then."""
    if not was_client(history, cutoff.at):
        return None
    has_left = left(history, cutoff.at, cutoff.label_days)
    return None if has_left is None else (measure(history, cutoff.at), has_left)


def _table(features: tuple[Feature, ...], label: str, found: list[tuple[Measured, bool]]) -> Table:
    labels = np.array([has_left for _, has_left in found], dtype=np.float64)
    measured = columns_of(features, [measured for measured, _ in found])
    return {**measured, **unasked(len(found)), label: labels}
