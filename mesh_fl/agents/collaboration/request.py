"""What may be asked of collaboration."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents._reading import text as plain
from mesh_fl.agents.collaboration.denials import needed
from mesh_fl.agents.collaboration.skills import listed
from mesh_fl.schema import Field, Table

LONGEST_ENTRY = 100
MOST_ENTRIES = 100
"""Of a list in a request."""

ASKED_FOR = (
    Field(
        name="requirements",
        kind="text",
        optional=True,
        description="What a partner is needed for, in words.",
    ),
    Field(
        name="skills",
        kind="text",
        optional=True,
        description="Of a request: the skills needed. Of a record: what a technician can. "
        "Separated by ; or ,.",
    ),
    Field(
        name="certifications",
        kind="text",
        optional=True,
        description="Certifications that a partner must have, separated by ; or ,.",
    ),
    Field(name="region", kind="text", optional=True, description="Where the work is."),
    Field(
        name="hours",
        kind="number",
        low=0,
        high=1e6,
        optional=True,
        description="Hours of work a month.",
    ),
    Field(
        name="deal",
        kind="document",
        optional=True,
        description="What is to be shared: currency, amount, parties, referral, overhead.",
    ),
    Field(
        name="propose",
        kind="flag",
        optional=True,
        description="Whether to draft a joint proposal.",
    ),
)


@dataclass(frozen=True)
class Request:
    """One request.

    Parameters
    ----------
    requirements : str
    skills, certifications : tuple of str
        As they were written.
    region : str
    hours : float or None
        A month.
    deal : str
        A JSON document, or "".
    propose : bool
    """

    requirements: str
    skills: tuple[str, ...]
    certifications: tuple[str, ...]
    region: str
    hours: float | None
    deal: str
    propose: bool

    @property
    def text(self) -> str:
        """All that was asked, in words."""
        return ". ".join(filter(None, (self.requirements, ", ".join(self.skills))))

    @property
    def wanted(self) -> str:
        """The requirements without what they say is not needed."""
        return needed(self.requirements)

    @property
    def judged(self) -> str:
        """What is needed, for the encoder."""
        return ". ".join(filter(None, (self.wanted, ", ".join(self.skills))))


def requests_of(table: Table) -> Iterator[Request]:
    """Read the requests of a table."""
    count = len(next(iter(table.values()), ()))
    texts = {name: _texts(table, name, count) for name in _TEXTS}
    numbers = {name: _numbers(table, name, count) for name in ("hours", "propose")}
    for row in range(count):
        told = {name: column[row] for name, column in texts.items()}
        hours = numbers["hours"][row]
        yield Request(
            requirements=plain(told["requirements"]),
            skills=_entries(told["skills"]),
            certifications=_entries(told["certifications"]),
            region=plain(told["region"], LONGEST_ENTRY),
            hours=hours if math.isfinite(hours) and hours > 0 else None,
            deal=told["deal"].strip(),
            propose=numbers["propose"][row] == 1.0,
        )


_TEXTS = ("requirements", "skills", "certifications", "region", "deal")


def _entries(text: str) -> tuple[str, ...]:
    cleaned = (plain(entry, LONGEST_ENTRY) for entry in listed(text)[:MOST_ENTRIES])
    return tuple(dict.fromkeys(filter(None, cleaned)))


def _texts(table: Table, name: str, count: int) -> list[str]:
    return [str(one) for one in table[name].tolist()] if name in table else [""] * count


def _numbers(table: Table, name: str, count: int) -> list[float]:
    if name not in table:
        return [math.nan] * count
    return [float(one) for one in table[name].astype(np.float64)]
