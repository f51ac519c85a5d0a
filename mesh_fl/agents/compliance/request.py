"""What may be asked of security compliance, and how one record of a table asks it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table, Value

MOST_CONTROLS, CONTROLS = 50, 10
"""Controls that may be asked for, and that are told unless somebody asks for another number."""


def _text(name: str, description: str) -> Field:
    return Field(name=name, kind="text", optional=True, description=description)


LEARNED_FROM = (
    _text("technique", "An ATT&CK technique, by id or in words, to find controls for."),
    _text("control_ref", "The NIST SP 800-53 control that answers it, or is to be mapped."),
    _text("text", "A requirement or a piece of a policy, to find controls for."),
    Field(
        name="satisfied",
        kind="flag",
        optional=True,
        description="Whether somebody judged that the text answers the control.",
    ),
)
"""Columns of a line of evidence."""

ASKED_FOR = (
    _text("framework", "What to assess by: the name of a reference file, or of what it holds."),
    _text("policy_text", "A policy, plain or Markdown, to assess."),
    Field(
        name="evidence",
        kind="document",
        optional=True,
        description="Results of checks: a list of objects with control or check, and status.",
    ),
    Field(
        name="report",
        kind="category",
        levels=("markdown", "oscal"),
        optional=True,
        description="The form in which the assessment should come as a report, too.",
    ),
    Field(
        name="max_controls",
        kind="number",
        low=1,
        high=MOST_CONTROLS,
        optional=True,
        description=f"How many controls to tell for a technique or a text; {CONTROLS} by default.",
    ),
)
"""Further fields of a request."""

NOTHING = (
    "expected policy_text or evidence to assess, technique or text to find controls for, or "
    "control_ref to map; found none of them"
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One record of a table, as a question; see the fields above."""

    technique: str = ""
    control_ref: str = ""
    text: str = ""
    framework: str = ""
    policy_text: str = ""
    evidence: str = ""
    report: str = ""
    max_controls: int = CONTROLS

    @property
    def is_assessed(self) -> bool:
        """Tell whether there is something to assess."""
        return bool(self.policy_text or self.evidence)


def requests_of(table: Table) -> Iterator[Request]:
    """Return the questions of a table.

    Raises
    ------
    DataError
        If a record asks nothing.
    """
    names = [field.name for field in (*LEARNED_FROM, *ASKED_FOR) if field.name in table]
    for values in zip(*(table[name].tolist() for name in names), strict=True):
        request = _request(dict(zip(names, values, strict=True)))
        if not (request.is_assessed or request.technique or request.text or request.control_ref):
            raise DataError(NOTHING)
        yield request


def _request(record: Mapping[str, Value]) -> Request:
    told = {name: str(value).strip() for name, value in record.items()}
    count = record.get("max_controls", math.nan)
    return Request(
        technique=told.get("technique", ""),
        control_ref=told.get("control_ref", ""),
        text=told.get("text", ""),
        framework=told.get("framework", ""),
        policy_text=told.get("policy_text", ""),
        evidence=told.get("evidence", ""),
        report=told.get("report", ""),
        max_controls=CONTROLS if count != count else int(count),
    )
