"""What threat intelligence answers."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.threat.indicators import Indicator
from mesh_fl.agents.threat.remediation import Action
from mesh_fl.agents.threat.techniques import TechniqueMatch
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer

Severity = Literal["low", "medium", "high", "critical"]


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """What one declared word or sentence adds to the log-odds of a higher severity."""

    because: str
    contribution: float


class Reported(Answer):
    """What somebody already thought of it, and whether this answer agrees; None if not told."""

    severity: Severity | None
    severity_agrees: bool | None
    threat_type: str | None
    threat_type_agrees: bool | None


class ThreatAnswer(Answer):
    """What threat a text tells of.

    Attributes
    ----------
    threat_id : str
        The same for the same text.
    is_threat : bool or None
        Whether a threat was found at all: a kind, a CVE, a CVSS vector, a technique's id, or a
        bundle that states one. None where only a person can tell.
    threat_type : str
        A kind of `kinds.toml`, "none" or "unknown"; a label of the member's own classifier.
    type_confidence : float or None
        The type's share of the evidence.
    severity : str or None
        From the worst CVSS score at hand, else the likeliest level of the model.
    severity_source : str or None
        Which of the two.
    confidence : float or None
        Chance of the severity under the model; None where CVSS decided.
    severity_chances : dict of str to float
        Of each level, under the model.
    reasons : tuple of Reason
        What moved the model, the largest contribution (of either sign) first.
    detected_at : str
        When this was answered, UTC, RFC 3339.
    model_used : str
        The models that ran.
    characters_read : int
        Of the text, what the models read; indicators are looked for in all of it.
    stix : dict or None
        The answer as a STIX 2.1 bundle, where it was asked for.
    unavailable : dict of str to str
        Why each field that is None could not be computed.
    """

    threat_id: str
    is_threat: bool | None
    threat_type: str
    type_confidence: float | None
    type_reason: str
    severity: Severity | None
    severity_source: str | None
    confidence: float | None
    severity_chances: dict[str, float]
    reasons: tuple[Reason, ...]
    reported: Reported | None
    indicators: tuple[Indicator, ...]
    vulnerabilities: tuple[VulnerabilityAnswer, ...]
    attack_techniques: tuple[TechniqueMatch, ...]
    recommended_actions: tuple[Action, ...]
    summary: str | None
    problems: tuple[str, ...]
    detected_at: str
    model_used: str
    characters_read: int
    stix: dict[str, Any] | None
    unavailable: dict[str, str]
