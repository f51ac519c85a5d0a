"""The tables of an MSP: what its systems hold, under one name at every member.

Agents read of them what they learn from and what they answer with. Names and mail addresses of
people have no column here, so they are dropped as a file is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh_fl.schema import Field


@dataclass(frozen=True)
class MspTable:
    """One table.

    Parameters
    ----------
    name : str
        As in client.toml: [tables.NAME].
    key : str
        The field that holds a row's id.
    fields : tuple of Field
        All but the key are optional: systems export what they have.
    about : str
        What a row is.
    """

    name: str
    key: str
    fields: tuple[Field, ...]
    about: str


def _text(name: str, about: str) -> Field:
    return Field(name=name, kind="text", optional=True, description=about)


def _time(name: str, about: str) -> Field:
    return Field(name=name, kind="time", optional=True, description=about)


def _number(name: str, about: str, low: float | None = None, high: float | None = None) -> Field:
    return Field(name=name, kind="number", low=low, high=high, optional=True, description=about)


def _flag(name: str, about: str) -> Field:
    return Field(name=name, kind="flag", optional=True, description=about)


def _table(name: str, key: str, about: str, *fields: Field) -> MspTable:
    keys = (Field(name=key, kind="text", description=f"Id of {about}."),)
    return MspTable(name, key, (*keys, *fields), about)


_CLIENT = _text("client_id", "Whose it is.")

_TABLES = (
    _table(
        "clients",
        "client_id",
        "a client",
        _text("name", "What the client is called; it stays here."),
        _time("since", "Client since."),
        _number("employees", "People at the client.", low=0),
        _text("industry", "Industry."),
        _text("status", "Such as active or lost."),
        _time("lost_at", "When the client left."),
        _time("last_touch_at", "Last contact."),
        _time("last_exec_touch_at", "Last contact with its management."),
    ),
    _table(
        "agreements",
        "agreement_id",
        "an agreement",
        _CLIENT,
        _text("type", "Such as managed services, backup, security."),
        _time("start_at", "Begins."),
        _time("end_at", "Ends."),
        _number("amount", "Price of one period, in the currency."),
        _text("period", "Such as month, quarter, year."),
        _number("seats", "People or devices that it covers.", low=0),
        _text("currency", "ISO 4217."),
        _time("cancelled_at", "When it was cancelled."),
    ),
    _table(
        "invoices",
        "invoice_id",
        "an invoice",
        _CLIENT,
        _time("issued_at", "Issued."),
        _time("due_at", "Due."),
        _time("paid_at", "Paid in full."),
        _number("total", "Amount, in the currency."),
        _number("balance", "What is still to be paid."),
        _text("currency", "ISO 4217."),
        _text("kind", "Such as recurring, project, credit."),
    ),
    _table(
        "tickets",
        "ticket_id",
        "a ticket",
        _CLIENT,
        _time("opened_at", "Opened."),
        _time("first_response_at", "First answered."),
        _time("closed_at", "Closed."),
        _time("due_at", "Due."),
        _number("priority", "1 (most urgent) to 4.", low=1, high=4),
        _text("category", "What it is about."),
        _text("assignee_id", "The technician who has it."),
        _number("est_hours", "Estimated work, in hours.", low=0),
        _number("actual_hours", "Work done, in hours.", low=0),
        _flag("sla_met", "Whether the agreed times were kept."),
        _number("csat", "The client's rating, 1 to 5.", low=0, high=5),
        _text("title", "One line of text."),
    ),
    _table(
        "time_entries",
        "entry_id",
        "a time entry",
        _text("technician_id", "Who worked."),
        _text("ticket_id", "On what."),
        _time("started_at", "Began."),
        _number("hours", "How long, in hours.", low=0),
        _flag("billable", "Whether it is billed."),
    ),
    _table(
        "technicians",
        "technician_id",
        "a technician",
        _text("name", "What the technician is called; it stays here."),
        _text("skills", "Skills, separated by ; or ,."),
        _text("level", "Such as junior or senior."),
        _number("capacity_h_day", "Hours a day.", low=0, high=24),
        _number("cost_h", "Cost of an hour, in the house's currency.", low=0),
        _text("timezone", "IANA name."),
    ),
    _table(
        "appointments",
        "appointment_id",
        "an appointment",
        _text("technician_id", "Whose."),
        _time("start_at", "Begins."),
        _time("end_at", "Ends."),
    ),
    _table(
        "devices",
        "device_id",
        "a device",
        _CLIENT,
        _text("class", "Such as server, laptop, firewall."),
        _text("os", "Operating system."),
        _time("last_seen_at", "Last seen."),
    ),
    _table(
        "events",
        "event_id",
        "an event",
        _time("ts", "When."),
        _CLIENT,
        _text("device_id", "On which device."),
        _text("source", "Which system told it."),
        _text("kind", "What happened."),
        _number("severity", "0 (information) to 4 (critical).", low=0, high=4),
        _text("message", "In words."),
        _text("attack_ids", "ATT&CK techniques, separated by ; or ,."),
    ),
    _table(
        "metrics",
        "metric_id",
        "a reading",
        _time("ts", "When."),
        _text("series_id", "Of which series."),
        _number("value", "The value read."),
    ),
    _table(
        "evidence",
        "evidence_id",
        "a check's result",
        _text("control_ref", "The control that it bears on."),
        _text("system", "Where."),
        _text("status", "Such as pass or fail."),
        _time("collected_at", "When."),
        _text("text", "In words."),
    ),
)

TABLES: Mapping[str, MspTable] = {table.name: table for table in _TABLES}
"""All of them by name."""
