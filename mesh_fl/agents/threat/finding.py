"""What was found in one text, and how grave that makes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.threat._stix_claims import Claim
from mesh_fl.agents.threat.answer import Reported, Severity
from mesh_fl.agents.threat.cvss_vectors import ScoredVector
from mesh_fl.agents.threat.indicators import Indicator
from mesh_fl.agents.threat.kinds import KindAnswer
from mesh_fl.agents.threat.remediation import left_out
from mesh_fl.agents.threat.severity import LEVELS
from mesh_fl.agents.threat.stix import MOST_INDICATORS, Finding, Observed
from mesh_fl.agents.threat.techniques import TechniqueMatch
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer
from mesh_fl.text.encoder import cut

NO_THREAT = "no threat was found in the text"
VULNERABILITY = "vulnerability"
UNKNOWN = "unknown"
MODEL = "the likeliest level of the model"
TITLE_CHARACTERS = 80

RATINGS = (4.0, 7.0, 9.0)
"""Scores from which CVSS 3 and 4 call a weakness medium, high and critical."""


@dataclass(frozen=True)
class Case:
    """One record as it was asked: the text with what a bundle brought, and what is told of it."""

    text: str
    observed: Observed | None
    claim: Claim | None
    severity: str
    threat_type: str
    as_stix: bool


@dataclass(frozen=True)
class Graveness:
    """How grave a threat is, and who says so; both None where no threat was found."""

    level: Severity | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All that was found in one text.

    Parameters
    ----------
    case : Case
    kind : KindAnswer
        By the catalogue of kinds or a classifier.
    indicators, vulnerabilities, vectors, techniques : tuples
    named : tuple of str
        Ids of techniques that stand in the text itself.
    severity : Graveness
    """

    case: Case
    kind: KindAnswer
    indicators: tuple[Indicator, ...]
    vulnerabilities: tuple[VulnerabilityAnswer, ...]
    vectors: tuple[ScoredVector, ...]
    techniques: tuple[TechniqueMatch, ...]
    named: tuple[str, ...]
    severity: Graveness = Graveness()

    @property
    def names(self) -> tuple[str, ...]:
        """What the text calls by its id: such a text is about a threat, whatever it is like."""
        cves = (one.cve for one in self.vulnerabilities)
        return (*cves, *(one.vector for one in self.vectors), *self.named)

    @property
    def is_threat(self) -> bool | None:
        """Whether the text tells of a threat; None where only a person can tell."""
        if self.kind.is_threat or self.names or self.case.claim:
            return True
        return None if self.kind.kind == UNKNOWN else False

    @property
    def threat_type(self) -> str:
        """The kind; what a bundle claims, or a vulnerability, where only ids tell of a threat."""
        if self.kind.is_threat:
            return self.kind.kind
        if self.case.claim and (self.case.claim.kind != UNKNOWN or not self.names):
            return self.case.claim.kind
        return VULNERABILITY if self.names else self.kind.kind

    @property
    def type_confidence(self) -> float | None:
        """The type's share of the evidence; None where it does not come from likeness."""
        return self.kind.confidence if self.threat_type == self.kind.kind else None

    @property
    def type_reason(self) -> str:
        """Why it is of this type, for people."""
        if self.kind.is_threat or not self.is_threat:
            return self.kind.reason
        if self.case.claim and self.threat_type == self.case.claim.kind:
            return self.case.claim.because
        return f"the text names {', '.join(self.names[:3])}"

    @property
    def no_threat(self) -> str:
        """Why it has no severity: there is no threat, or nobody can tell."""
        return NO_THREAT if self.is_threat is False else self.kind.reason

    @property
    def reported(self) -> Reported | None:
        """What somebody told of it, beside what was found."""
        severity, told = self.case.severity, self.case.threat_type.strip()
        if not (severity or told):
            return None
        word = told.lower().replace(" ", "_").replace("-", "_")
        return Reported(
            severity=_level(severity),
            severity_agrees=severity == self.severity.level if severity else None,
            threat_type=told or None,
            threat_type_agrees=word == self.threat_type.lower() if told else None,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the request was not read, or not told."""
        found = self.case.observed.problems if self.case.observed else ()
        found = (*found, *(left_out(self.indicators) if self.is_threat else ()))
        count = len(self.indicators)
        if not self.case.as_stix or count <= MOST_INDICATORS:
            return found
        told = f"as_stix: the bundle tells the first {MOST_INDICATORS:,} of {count:,} indicators"
        return (*found, told)

    def finding(self, created: datetime) -> Finding:
        """Return what a STIX bundle tells of it."""
        return Finding(
            name=f"{self.threat_type}: {cut(self.case.text)[:TITLE_CHARACTERS]}",
            threat_type=self.threat_type,
            description=cut(self.case.text),
            severity=self.severity.level,
            confidence=None if self.type_confidence is None else round(100 * self.type_confidence),
            indicators=self.indicators,
            techniques=tuple((one.id, one.name or one.id) for one in self.techniques),
            cves=tuple(one.cve for one in self.vulnerabilities),
            created=created,
        )


def severity_of(reading: Reading, chances: NDArray[np.float64]) -> Graveness:
    """Return the worst CVSS level at hand, else the model's likeliest level.

    Scores of CVSS 2 and later are not comparable, so the levels are; a score of 0 is no weakness.

    Parameters
    ----------
    reading : Reading
    chances : ndarray, shape (4,)
        Of each level, under the model.
    """
    if not reading.is_threat:
        return Graveness()
    rated = list(_rated(reading))
    if rated:
        rank, score, name = max(rated)
        return Graveness(_level(LEVELS[rank]), f"CVSS {score:g} of {name}")
    return Graveness(_level(LEVELS[int(chances.argmax())]), MODEL)


def _rated(reading: Reading) -> Iterator[tuple[int, float, str]]:
    """Give the rank of each level that CVSS tells, its score, and of what."""
    found = [(one.severity, one.score, one.vector) for one in reading.vectors]
    found += [(one.cvss_severity or "", one.cvss_score or 0.0, one.cve)
              for one in reading.vulnerabilities]  # fmt: skip
    for severity, score, name in found:
        level = severity.lower() or _rating(score)
        if level in LEVELS:
            yield LEVELS.index(level), score, name


def _rating(score: float) -> str:
    """Return the rating of a score in CVSS 3 and 4."""
    return LEVELS[int(np.searchsorted(RATINGS, score, side="right"))] if score > 0 else ""


def _level(word: str) -> Severity | None:
    levels: dict[str, Severity] = {
        "low": "low",
        "medium": "medium",
        "high": "high",
        "critical": "critical",
    }
    return levels.get(word.lower())
