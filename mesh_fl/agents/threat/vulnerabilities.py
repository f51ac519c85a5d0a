"""What public files know of a vulnerability: KEV (exploited), EPSS (how likely), CVSS (how bad)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.threat._reference_files import FileProblem, Problems
from mesh_fl.agents.threat._vulnerability_files import (
    Dated,
    ExploitScores,
    Known,
    KnownExploited,
    Record,
    Records,
    read_exploit_scores,
    read_known_exploited,
    read_records,
)
from mesh_fl.agents.threat._vulnerability_priority import Priority, prioritise
from mesh_fl.agents.threat._vulnerability_store import key_of
from mesh_fl.agents.threat.cvss_vectors import (
    CvssVersion,
    ScoredVector,
    find_vectors,
    score_vector,
)
from mesh_fl.errors import DataError

__all__ = [
    "FileProblem",
    "Priority",
    "ScoredVector",
    "Source",
    "Vulnerabilities",
    "VulnerabilityAnswer",
    "find_vectors",
    "read_vulnerabilities",
    "score_vector",
]

ROUNDING_CVSS = 0.05
"""Scores have one digit after the point."""

NO_FILE = "no file {name} was given: name one in client.toml"


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Answer):
    """A file that said something, and its date by its own word or that of its newest entry."""

    name: str
    date: str | None


class VulnerabilityAnswer(Answer):
    """What is known of one CVE.

    Attributes
    ----------
    known_exploited : bool or None
        Whether CISA's catalogue lists it; None without the catalogue.
    ransomware : bool or None
        Whether the catalogue knows of its use for ransomware; None where it does not say.
    epss, epss_percentile : float or None
        Probability of exploitation within 30 days (FIRST), and the share of CVEs below it.
    cvss_version, cvss_vector, cvss_score, cvss_severity : str or float or None
        The score is computed anew from the vector; that of the file where there is no vector.
    cvss_disagreement : str or None
        How the file's own score differs from its vector's.
    priority, priority_reason : str
        How urgent it is, and which of these values makes it so: KEV before EPSS before CVSS.
    sources : tuple of Source
        The files that told any of this.
    unavailable : dict of str to str
        Why each field that is None could not be told.
    """

    cve: str
    known_exploited: bool | None = None
    ransomware: bool | None = None
    required_action: str | None = None
    due_date: str | None = None
    epss: float | None = None
    epss_percentile: float | None = None
    cvss_version: CvssVersion | None = None
    cvss_vector: str | None = None
    cvss_score: float | None = None
    cvss_severity: str | None = None
    cvss_disagreement: str | None = None
    description: str | None = None
    priority: Priority
    priority_reason: str
    sources: tuple[Source, ...]
    unavailable: dict[str, str]


@dataclass(frozen=True)
class _Found:
    """What one file says: values by field, and why others are missing."""

    values: dict[str, object]
    missing: dict[str, str]
    source: Dated | None = None


class Vulnerabilities:
    """The files a member named, ready to be asked.

    Parameters
    ----------
    known, scores, records : optional
        What was read; None for a file that was not named.
    problems : Problems, optional
        What was wrong in them.
    """

    def __init__(
        self,
        known: KnownExploited | None = None,
        scores: ExploitScores | None = None,
        records: Records | None = None,
        problems: Problems | None = None,
    ) -> None:
        self._known, self._scores, self._records = known, scores, records
        self._problems = problems or Problems()

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """The first problems of the files, in words."""
        return tuple(self._problems.told)

    @property
    def problem_count(self) -> int:
        """All problems of the files."""
        return self._problems.count

    def __len__(self) -> int:
        """Return how many CVEs have a record."""
        return 0 if self._records is None else len(self._records.index)

    def lookup(self, cve: str) -> VulnerabilityAnswer:
        """Return what the files say of a CVE id.

        Raises
        ------
        DataError
            If it is no CVE id.
        """
        key = key_of(cve)
        if key is None:
            raise DataError(f"expected a CVE id such as CVE-2021-44228, found {cve[:40]!r}")
        parts = (self._exploited(key), self._likely(key), self._described(key))
        values = {name: value for part in parts for name, value in part.values.items()}
        priority, reason = prioritise(values)
        return VulnerabilityAnswer.model_validate(
            {
                "cve": cve.strip().upper(),
                **values,
                "priority": priority,
                "priority_reason": reason,
                "sources": tuple(_sources(parts)),
                "unavailable": {k: v for part in parts for k, v in part.missing.items()},
            }
        )

    def _exploited(self, key: int) -> _Found:
        rest = ("ransomware", "required_action", "due_date")
        if self._known is None:
            reason = NO_FILE.format(name="kev")
            return _Found({}, dict.fromkeys(("known_exploited", *rest), reason))
        entry = self._known.entries.get(key)
        if entry is None:
            reason = "the catalogue of exploited vulnerabilities does not list it"
            return _Found(
                {"known_exploited": False}, dict.fromkeys(rest, reason), self._known.source
            )
        return _exploited(entry, self._known.source)

    def _likely(self, key: int) -> _Found:
        names = ("epss", "epss_percentile")
        if self._scores is None:
            return _Found({}, dict.fromkeys(names, NO_FILE.format(name="epss")))
        row = self._scores.index.row(key)
        if row is None:
            return _Found({}, dict.fromkeys(names, f"{self._scores.source.name} does not list it"))
        values = (self._scores.scores[row], self._scores.percentiles[row])
        return _Found(dict(zip(names, values, strict=True)), {}, self._scores.source)

    def _described(self, key: int) -> _Found:
        if self._records is None:
            return _Found({}, dict.fromkeys(_RECORD_FIELDS, NO_FILE.format(name="cves")))
        row = self._records.index.row(key)
        if row is None:
            reason = f"{self._records.source.name} has no record of it"
            return _Found({}, dict.fromkeys(_RECORD_FIELDS, reason))
        return _described(Record(*self._records.texts[row]), self._records.source)


_RECORD_FIELDS = (
    "cvss_version",
    "cvss_vector",
    "cvss_score",
    "cvss_severity",
    "cvss_disagreement",
    "description",
)


def read_vulnerabilities(
    *, kev: Path | None = None, epss: Path | None = None, cves: Path | None = None
) -> Vulnerabilities:
    """Read the files that are named; rows that cannot be used are left out and counted.

    Parameters
    ----------
    kev : Path, optional
        CISA's catalogue of known exploited vulnerabilities, CSV or JSON.
    epss : Path, optional
        FIRST's daily scores, CSV.
    cves : Path, optional
        CVE records (CSV, NVD API 2.0 or CVE JSON 5), or a folder of such files.

    Raises
    ------
    ConfigError
        If a file cannot be read, or has no entry of its kind.
    """
    problems = Problems()
    return Vulnerabilities(
        None if kev is None else read_known_exploited(kev, problems),
        None if epss is None else read_exploit_scores(epss, problems),
        None if cves is None else read_records(cves, problems),
        problems,
    )


def _exploited(entry: Known, source: Dated) -> _Found:
    values: dict[str, object] = {"known_exploited": True}
    missing: dict[str, str] = {}
    told: dict[str, object] = {
        "ransomware": entry.ransomware or None,
        "required_action": entry.required_action or None,
        "due_date": entry.due_date or None,
    }
    for name, value in told.items():
        if value is None:
            missing[name] = "the catalogue of exploited vulnerabilities does not know"
        else:
            values[name] = value
    return _Found(values, missing, source)


def _described(record: Record, source: Dated) -> _Found:
    scored = score_vector(record.vector) if record.vector else None
    own = _number(record.score)
    values: dict[str, object] = {"description": record.description or None}
    if scored is not None:
        values |= {
            "cvss_version": scored.version,
            "cvss_vector": scored.vector,
            "cvss_score": scored.score,
            "cvss_severity": scored.severity,
            "cvss_disagreement": _disagreement(record, scored, own),
        }
    elif own is not None:
        values |= {"cvss_score": own, "cvss_severity": record.severity.lower() or None}
    known = {name: value for name, value in values.items() if value is not None}
    absent = [name for name in _RECORD_FIELDS if name not in known]
    return _Found(known, {name: _absence(name, record, scored) for name in absent}, source)


def _absence(name: str, record: Record, scored: ScoredVector | None) -> str:
    if name == "description":
        return "the record has no description"
    if scored is not None:
        return "the record's score and its vector agree" if record.score else "one score only"
    if record.vector:
        return f"the record's vector is no CVSS vector: {record.vector[:80]!r}"
    return "the record has no CVSS vector"


def _disagreement(record: Record, scored: ScoredVector, own: float | None) -> str | None:
    if own is None or abs(own - scored.score) <= ROUNDING_CVSS:
        return None
    return f"the file says {own:g} {record.severity.lower()}, its vector gives {scored.score:g}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 10 and math.isfinite(number) else None


def _sources(parts: tuple[_Found, ...]) -> Iterator[Source]:
    for part in parts:
        if part.source is not None:
            yield Source(name=part.source.name, date=part.source.date or None)
