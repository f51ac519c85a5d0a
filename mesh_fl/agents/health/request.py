"""What a request may tell of a client, beside the features."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents._features import Feature
from mesh_fl.agents.health.client_tables import one_form
from mesh_fl.agents.health.product_features import within_bounds
from mesh_fl.agents.health.windows import RECENT_DAYS
from mesh_fl.schema import Field, Table, Value, table_of

BEST_RATING = 5.0


def _number(name: str, about: str, low: float = 0.0, high: float | None = None) -> Field:
    return Field(name=name, kind="number", low=low, high=high, optional=True, description=about)


ASKED = (
    Field(
        name="client_id",
        kind="text",
        optional=True,
        description="A client of your own tables; what else is told goes before them.",
    ),
    Field(
        name="as_of",
        kind="time",
        optional=True,
        description="Answer with what was known before then; now, if it is left out.",
    ),
    _number("employees", "People at the client, to relate ticket_volume to."),
    _number("ticket_volume", f"Tickets of the last {RECENT_DAYS:.0f} days."),
    _number("resolution_time", "Mean hours until a ticket is closed."),
    _number("satisfaction_score", "Mean rating, 1 to 5.", 1.0, BEST_RATING),
)
"""Fields of a request that are no features; records that are learned from need none of them."""

NAMES = frozenset(one.name for one in ASKED)


@dataclass(frozen=True)
class Request:
    """One request; a number that was not told is NaN.

    Parameters
    ----------
    client_id : str
        Empty if none was told.
    as_of : float
    ticket_volume, employees : float
    told : dict of str to float
        Features, within their bounds.
    ignored : dict of str to str
        Fields that count nothing, and why.
    """

    client_id: str
    as_of: float
    ticket_volume: float
    employees: float
    told: dict[str, float]
    ignored: dict[str, str]

    @property
    def tells_nothing(self) -> bool:
        """Whether it names neither a client nor anything about one."""
        return not self.client_id and not self.told and np.isnan(self.ticket_volume)


def requests_of(table: Table, features: tuple[Feature, ...]) -> Iterator[Request]:
    """Read each request of a table; columns that it lacks were told by nobody."""
    records = len(next(iter(table.values()), ()))
    missing = unasked(records)
    asked = {name: table.get(name, column).tolist() for name, column in missing.items()}
    told = {one.name: table[one.name].tolist() for one in features if one.name in table}
    for place in range(records):
        features_told = {
            name: float(column[place]) for name, column in told.items() if _is_told(column[place])
        }
        found = {name: column[place] for name, column in asked.items()}
        yield _request(found, features_told, features)


def _request(
    found: dict[str, float | str], told: dict[str, float], features: tuple[Feature, ...]
) -> Request:
    declared = {one.name: one for one in features}
    ignored: dict[str, str] = {}
    for name, feature, value in _aliases(found):
        if feature not in declared:
            ignored[name] = f"there is no feature {feature} here"
        elif feature in told:
            ignored[name] = f"{feature} was told, too, and counts"
        else:
            told[feature] = within_bounds(declared[feature], value)
    return Request(
        client_id=one_form(str(found["client_id"])),
        as_of=float(found["as_of"]),
        ticket_volume=float(found["ticket_volume"]),
        employees=float(found["employees"]),
        told=told,
        ignored=ignored,
    )


def _aliases(found: dict[str, float | str]) -> Iterator[tuple[str, str, float]]:
    """Yield what was told under another name than the feature's, and what it is of the feature."""
    hours, score = float(found["resolution_time"]), float(found["satisfaction_score"])
    if _is_told(hours):
        yield "resolution_time", "resolution_hours", hours
    if _is_told(score):
        yield "satisfaction_score", "csat_gap", BEST_RATING - score


def _is_told(value: float) -> bool:
    return not np.isnan(value)


def unasked(records: int) -> Table:
    """Return the columns of `ASKED` for records that are no requests."""
    empty: dict[str, Value] = {one.name: "" if one.kind == "text" else np.nan for one in ASKED}
    return table_of(ASKED, [empty] * records)
