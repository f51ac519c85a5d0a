"""Where a text is read, looked up and answered."""

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents._ordinal import level_chances
from mesh_fl.agents.threat.answer import Reason, Reported, Severity, ThreatAnswer
from mesh_fl.agents.threat.cvss_vectors import ScoredVector, find_vectors
from mesh_fl.agents.threat.indicators import Indicator, find_indicators
from mesh_fl.agents.threat.kinds import KindAnswer
from mesh_fl.agents.threat.references import References
from mesh_fl.agents.threat.severity import LEVELS, Sentence, Words, features
from mesh_fl.agents.threat.stix import Observed, Told, read_bundle, to_bundle
from mesh_fl.agents.threat.techniques import NAMED, TechniqueMatch
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.text.encoder import Encoder, Vectors, cut

Split = Callable[[State], tuple[NDArray[np.float64], NDArray[np.float64]]]

NAMESPACE = uuid.UUID("7e6c1c9e-6f0b-5f0d-9d61-3f3a52a2c7b4")
MOST_REASONS = 8
MOST_VULNERABILITIES = 50

NO_THREAT = "no threat was found in the text"
SEVERITIES: dict[str, Severity] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}


@dataclass(frozen=True)
class Case:
    """One record as it was asked: the text with what a bundle brought, and what is told of it."""

    text: str
    observed: Observed | None
    severity: str
    threat_type: str
    as_stix: bool


@dataclass(frozen=True)
class Desk:
    """Answers with one agent's words and one member's references.

    Parameters
    ----------
    split : callable
        Gives the weights and the cuts of a state.
    words, sentences : sequences
    encoder : Encoder
    references : References
    """

    split: Split
    words: Sequence[Words]
    sentences: Sequence[Sentence]
    encoder: Encoder
    references: References

    def answer(self, state: State, table: Table) -> list[ThreatAnswer]:
        """Answer for each record; see `ThreatIntelligence.schema`.

        Raises
        ------
        DataError
            If a record has neither a text nor a bundle, or a bundle cannot be read.
        """
        cases = list(_cases(table))
        texts = [case.text for case in cases]
        vectors = self.encoder.encode(texts)
        z = features(self.words, self.sentences, texts, self.encoder, vectors)
        weights, cuts = self.split(state)
        chances = level_chances(z @ weights, cuts)
        kinds = self._kinds(vectors, texts)
        rows = zip(cases, vectors, z * weights, chances, kinds, strict=True)
        return [self._one(*row) for row in rows]

    def _one(
        self,
        case: Case,
        vector: Vectors,
        contributions: NDArray[np.float64],
        chances: NDArray[np.float64],
        kind: KindAnswer,
    ) -> ThreatAnswer:
        indicators = _indicators(case)
        vulnerabilities = self._vulnerabilities(indicators)
        vectors = find_vectors(case.text)
        techniques = self.references.techniques.find(vector, case.text)
        found = bool(vulnerabilities or vectors) or any(one.how == NAMED for one in techniques)
        is_threat = kind.is_threat or found
        if not kind.is_threat:
            techniques = tuple(one for one in techniques if one.how == NAMED)
        threat_type = "vulnerability" if found and not kind.is_threat else kind.kind
        severity, source, why_not = _severity(is_threat, chances, vulnerabilities, vectors)
        unavailable = {"severity": why_not, "severity_source": why_not} if why_not else {}
        confidence = None if severity is None else float(chances[LEVELS.index(severity)])
        if confidence is None:
            unavailable["confidence"] = why_not
        actions = self.references.remediation.steps(kind, techniques, vulnerabilities, indicators)
        summary = self._summary(case, threat_type, severity, actions[0].action if actions else "")
        if summary is None:
            unavailable["summary"] = "no phraser checkpoint is named in [agents.threat.files]"
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        identity = uuid.uuid5(NAMESPACE, case.text)
        stix = None
        if case.as_stix:
            stix = to_bundle(
                Told(
                    name=f"{threat_type}: {cut(case.text)[:80]}",
                    text=case.text,
                    severity=severity,
                    confidence=kind.confidence,
                    indicators=indicators,
                    techniques=techniques,
                    vulnerabilities=vulnerabilities,
                    created=now,
                )
            )
        else:
            unavailable["stix"] = "not asked for: set as_stix"
        if not (case.severity or case.threat_type):
            unavailable["reported"] = "nobody told a severity or a threat type"
        return ThreatAnswer(
            threat_id=f"threat--{identity}",
            is_threat=is_threat,
            threat_type=threat_type,
            type_confidence=kind.confidence,
            type_reason=_type_reason(kind, threat_type, vulnerabilities, vectors, techniques),
            severity=severity,
            severity_source=source,
            confidence=confidence,
            severity_chances=dict(zip(LEVELS, chances.tolist(), strict=True)),
            reasons=self._reasons(contributions),
            reported=_reported(case, severity, threat_type),
            indicators=indicators,
            vulnerabilities=vulnerabilities,
            attack_techniques=techniques,
            recommended_actions=actions,
            summary=summary,
            problems=case.observed.problems if case.observed else (),
            detected_at=now,
            model_used=self._models(summary),
            characters_read=len(cut(case.text)),
            stix=stix,
            unavailable=unavailable,
        )

    def _kinds(self, vectors: Vectors, texts: Sequence[str]) -> Sequence[KindAnswer]:
        own = self.references.kinds.classify(vectors, texts)
        classifier = self.references.classifier
        if classifier is None:
            return own
        chances = classifier.classify(texts)
        return [
            _labelled(answer, classifier.labels, row, classifier.name)
            for answer, row in zip(own, chances, strict=True)
        ]

    def _vulnerabilities(self, indicators: Sequence[Indicator]) -> tuple[VulnerabilityAnswer, ...]:
        names = [one.value for one in indicators if one.kind == "cve"][:MOST_VULNERABILITIES]
        return tuple(self.references.vulnerabilities.lookup(name) for name in names)

    def _reasons(self, contributions: NDArray[np.float64]) -> tuple[Reason, ...]:
        told = [f"says: {one.name}" for one in self.words]
        told += [f"reads like: {one.text}" for one in self.sentences]
        order = np.argsort(-np.abs(contributions), kind="stable")[:MOST_REASONS]
        return tuple(
            Reason(because=told[place], contribution=float(contributions[place]))
            for place in order
            if contributions[place] != 0
        )

    def _summary(self, case: Case, kind: str, severity: str | None, step: str) -> str | None:
        phraser = self.references.phraser
        if phraser is None:
            return None
        facts = f"Threat type: {kind}. Severity: {severity or 'none'}. First step: {step or 'none'}"
        return phraser.phrase(f"Summarize: {cut(case.text)}\n{facts}")

    def _models(self, summary: str | None) -> str:
        used = [self.encoder.name]
        if self.references.classifier is not None:
            used.append(self.references.classifier.name)
        if summary is not None and self.references.phraser is not None:
            used.append(self.references.phraser.name)
        return "; ".join(used)


def _cases(table: Table) -> Iterator[Case]:
    """Read the records; a bundle's texts follow the record's own."""
    columns = {
        name: [str(one) for one in table[name].tolist()]
        for name in ("text", "stix", "severity", "threat_type")
        if name in table
    }
    wishes = table["as_stix"].astype(np.float64).tolist() if "as_stix" in table else None
    count = len(next(iter(table.values()), ()))
    for row in range(count):
        told = {name: column[row] for name, column in columns.items()}
        observed = read_bundle(told["stix"]) if told.get("stix") else None
        texts = [told.get("text", "").strip(), *(observed.texts if observed else ())]
        text = "\n".join(one for one in texts if one)
        if not text and observed is None:
            raise DataError("text: expected a text, or a STIX bundle in stix; found neither")
        wish = wishes[row] if wishes else math.nan
        yield Case(
            text, observed, told.get("severity", ""), told.get("threat_type", ""), wish == 1.0
        )


def _indicators(case: Case) -> tuple[Indicator, ...]:
    brought = case.observed.indicators if case.observed else ()
    return tuple(dict.fromkeys((*find_indicators(case.text), *brought)))


def _severity(
    is_threat: bool,
    chances: NDArray[np.float64],
    vulnerabilities: Sequence[VulnerabilityAnswer],
    vectors: Sequence[ScoredVector],
) -> tuple[Severity | None, str | None, str]:
    """Return the severity, where it comes from, and why there is none."""
    if not is_threat:
        return None, None, NO_THREAT
    scored = [(one.score, one.severity, f"CVSS vector {one.vector}") for one in vectors]
    scored += [
        (one.cvss_score, one.cvss_severity, f"CVSS score of {one.cve}")
        for one in vulnerabilities
        if one.cvss_score is not None and one.cvss_severity is not None
    ]
    rated = [(score, level.lower(), name) for score, level, name in scored if level]
    rated = [one for one in rated if one[1] in SEVERITIES]
    if rated:
        score, level, name = max(rated)
        return SEVERITIES[level], f"{name}: {score:g}", ""
    return SEVERITIES[LEVELS[int(chances.argmax())]], "the likeliest level of the model", ""


def _labelled(
    own: KindAnswer, labels: Sequence[str], chances: NDArray[np.floating], name: str
) -> KindAnswer:
    """Put a classifier's label in place of the catalogue's kind."""
    best = int(np.argmax(chances))
    return own.model_copy(
        update={
            "kind": labels[best],
            "title": labels[best],
            "confidence": float(chances[best]),
            "reason": f"{name} says so; by the catalogue: {own.kind}",
        }
    )


def _type_reason(
    kind: KindAnswer,
    threat_type: str,
    vulnerabilities: Sequence[VulnerabilityAnswer],
    vectors: Sequence[ScoredVector],
    techniques: Sequence[TechniqueMatch],
) -> str:
    if threat_type == kind.kind:
        return kind.reason
    named = [one.cve for one in vulnerabilities] + [one.vector for one in vectors]
    named += [one.id for one in techniques]
    return f"the text names {', '.join(named[:3])}"


def _reported(case: Case, severity: str | None, threat_type: str) -> Reported | None:
    if not (case.severity or case.threat_type):
        return None
    told = case.threat_type.strip()
    alike = told.lower().replace(" ", "_").replace("-", "_") == threat_type.lower()
    return Reported(
        severity=SEVERITIES.get(case.severity),
        severity_agrees=case.severity == severity if case.severity else None,
        threat_type=told or None,
        threat_type_agrees=alike if told else None,
    )
