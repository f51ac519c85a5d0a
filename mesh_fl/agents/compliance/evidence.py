"""Check results as evidence: which control or check, on what system, passed or failed, when."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from mesh_fl.agents._reading import items, kind, parse_json, table, text
from mesh_fl.agents.compliance.catalogue import distinct
from mesh_fl.errors import DataError

Status = Literal["pass", "fail", "unknown"]

_SPELT: Mapping[Status, str] = {
    "pass": "pass passed passing ok yes y true 1 success successful compliant satisfied met"
    " conformant conforms implemented enabled green effective",
    "fail": "fail failed failing failure no n false 0 error noncompliant not_compliant"
    " not_satisfied unsatisfied not_met unmet violated violation not_implemented disabled red"
    " ineffective alarm",
    "unknown": "manual info unknown muted skip skipped pending na n/a none not_applicable"
    " not_available inconclusive insufficient_data not_assessed new warning other",
}
WORDS: Mapping[Status, frozenset[str]] = {
    status: frozenset(words.split()) for status, words in _SPELT.items()
}
"""What people and scanners write for a status; case, spaces and hyphens do not count."""

MOST_RESULTS = 20_000
MOST_PROBLEMS = 20
LISTS = ("evidence", "results", "findings", "items")
NAMES = (
    "control", "controlref", "controlid", "requirement", "requirementid", "check", "checkid",
    "checkname",
)  # fmt: skip
STATUSES = ("status", "result", "outcome", "statuscode", "compliant", "state")
SYSTEMS = ("system", "resource", "resourceid", "resourceuid", "resourcename", "host", "asset")
DATES = ("collectedat", "timestamp", "date", "timedt", "assessmentstarttime", "checkedat")
TEXTS = ("text", "statusextended", "statusdetail", "message", "note", "notes", "comment", "details")

REMEDY = (
    'a result looks like {"control": "AC-2", "status": "pass", "system": "idp",'
    ' "collected_at": "2026-03-01", "text": "..."}; it may name a check instead'
)


_CHECK = re.compile(r"[A-Za-z]{3,}[_-][A-Za-z]{2,}")
"""Checks have names of several words; controls have letters and numbers."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One check result.

    Attributes
    ----------
    names : tuple of str
        What it is about: ids of controls, names of checks.
    status : {"pass", "fail", "unknown"}
    system : str
        Where it was collected; "" when not told.
    collected_at : datetime or None
        In UTC; None when not told.
    text : str
        What the collector says of it.
    place : str
        Where it stands: "evidence item 3".
    """

    names: tuple[str, ...]
    status: Status
    system: str = ""
    collected_at: datetime | None = None
    text: str = ""
    place: str = ""

    def is_stale(self, now: datetime, max_age_days: float) -> bool:
        """Tell whether it is too old to show how things are; without a date it is not."""
        return self.collected_at is not None and (
            now - self.collected_at > timedelta(days=max_age_days)
        )


@dataclass(frozen=True)
class Evidence:
    """Results that can be used, and what is wrong with the others.

    Attributes
    ----------
    problems : tuple of str
        The first `MOST_PROBLEMS`, with place and remedy.
    refused : int
        Items that cannot be used.
    """

    results: tuple[Result, ...] = ()
    problems: tuple[str, ...] = ()
    refused: int = 0


def read_evidence(document: str, place: str = "evidence") -> Evidence:
    """Read check results from JSON.

    Parameters
    ----------
    document : str
        A list of results; an object with such a list under "evidence", "results" or "findings"; or
        an object from control or check to status. Results of Prowler (JSON, or OCSF) are read as
        they are. "" holds none.
    place : str
        What messages call it.

    Raises
    ------
    DataError
        If it is not JSON, holds something else, more than `MOST_RESULTS` items, or none to use.
    """
    if not document.strip():
        return Evidence()
    entries = _entries(parse_json(document, place, DataError), place)
    return evidence_of(entries, place)


def evidence_of(entries: Sequence[object], place: str = "evidence") -> Evidence:
    """Turn items, such as the rows of a table, into results.

    Raises
    ------
    DataError
        If there are more than `MOST_RESULTS`, or items but none to use.
    """
    if len(entries) > MOST_RESULTS:
        raise DataError(
            f"{place}: expected at most {MOST_RESULTS} results, found {len(entries)};"
            " leave out what passed and is old, or split it"
        )
    results, problems = list[Result](), list[str]()
    refused = 0
    for number, entry in enumerate(entries, start=1):
        result, complaint = _result(entry, f"{place} item {number}")
        if complaint:
            problems.append(complaint)
        if result is None:
            refused += 1
        else:
            results.append(result)
    if refused and not results:
        raise DataError(f"{place}: found no result that can be used; {problems[0]}")
    return Evidence(tuple(_newest(results)), tuple(problems[:MOST_PROBLEMS]), refused)


def _entries(document: object, place: str) -> list[object]:
    if isinstance(document, list):
        return document
    found = table(document)
    for name in LISTS:
        if isinstance(found.get(name), list):
            return items(found[name])
    if found and not _is_result(found):
        return [
            {"control": name, "status": status} if not isinstance(status, dict)
            else {"control": name, **status}
            for name, status in found.items()
        ]  # fmt: skip
    if found:
        return [found]
    raise DataError(f"{place}: expected a list of results, found {kind(document)}; {REMEDY}")


def _is_result(entry: Mapping[str, object]) -> bool:
    keys = {_key(name) for name in entry}
    return bool(keys & set(STATUSES)) and bool(keys & {*NAMES, "metadata"})


@lru_cache(maxsize=1_000)
def _key(name: str) -> str:
    return "".join(sign for sign in text(name, 40).lower() if sign.isalnum())


def _result(entry: object, place: str) -> tuple[Result | None, str]:
    """Read an item: the result, or None; and what is wrong with it, or ""."""
    if not isinstance(entry, dict):
        return None, f"{place}: expected a result, found {kind(entry)}; {REMEDY}"
    fields = {_key(name): value for name, value in entry.items()}
    fields |= _ocsf(fields)
    names = distinct(list(_named(fields)))
    if not names:
        return None, f"{place}: expected a control or a check, found neither; {REMEDY}"
    status, complaint = _status(fields, place)
    if status is None:
        return None, complaint
    collected_at, late = _date(_first(fields, DATES), place)
    result = Result(
        names=names,
        status=status,
        system=_word(_first(fields, SYSTEMS)),
        collected_at=collected_at,
        text=_word(_first(fields, TEXTS), 1_000),
        place=place,
    )
    return result, late


def _first(fields: Mapping[str, object], names: Iterable[str]) -> object:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _word(value: object, most: int = 200) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        # An integer of thousands of digits cannot be written.
        return f"{value:.15g}" if abs(value) < 1e15 else ""
    return text(value, most)


def _named(fields: Mapping[str, object]) -> Iterator[str]:
    for name in NAMES:
        value = fields.get(name)
        for one in items(value)[:50] if isinstance(value, list) else [value]:
            yield _word(one)


def _ocsf(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields of an OCSF finding, in which they lie deeper."""
    event = text(table(fields.get("metadata")).get("event_code"), 200)
    if not event:
        return {}
    resource = table(next(iter(items(fields.get("resources"))), None))
    return {
        "check": event,
        "status": fields.get("statuscode"),
        "system": resource.get("uid") or resource.get("name"),
        "text": fields.get("statusdetail") or fields.get("message"),
    }


def _status(fields: Mapping[str, object], place: str) -> tuple[Status | None, str]:
    value = _first(fields, STATUSES)
    word = str(value).lower() if isinstance(value, bool) else _word(value, 40).lower()
    key = word.replace("-", "_").replace(" ", "_")
    for status, words in WORDS.items():
        if key in words or key.replace("_", "") in words:
            return status, ""
    found = repr(word) if word else kind(value)
    return None, f"{place}: expected a status (pass, fail or unknown), found {found}"


def _date(value: object, place: str) -> tuple[datetime | None, str]:
    """Read a date; one that cannot be read or lies ahead is no date, and that is said."""
    if value is None:
        return None, ""
    found = _parsed(value)
    if found is None:
        shown = repr(_word(value, 40)) if _word(value, 40) else kind(value)
        return None, f"{place}: expected an ISO 8601 date, found {shown}; it counts as undated"
    if found > datetime.now(UTC) + timedelta(days=1):
        return None, f"{place}: {found:%Y-%m-%d} lies in the future; it counts as undated"
    return found, ""


def _parsed(value: object) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(text(value, 40))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _newest(results: Sequence[Result]) -> Iterator[Result]:
    """Keep, of dated results of the same check on the same system, the newest.

    Results that name no check may be about different facts: none of them replaces another.
    """
    newest: dict[tuple[tuple[str, ...], str], datetime] = {}
    for one in results:
        if one.collected_at and _names_check(one):
            key = one.names, one.system
            newest[key] = max(one.collected_at, newest.get(key, one.collected_at))
    for one in results:
        key = one.names, one.system
        replaced = one.collected_at and _names_check(one) and one.collected_at != newest[key]
        if not replaced:
            yield one


def _names_check(result: Result) -> bool:
    return any(_CHECK.search(name) for name in result.names)
