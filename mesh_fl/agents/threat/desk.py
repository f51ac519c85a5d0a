"""Where a text is read, looked up and answered."""

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents._ordinal import level_chances
from mesh_fl.agents.threat._stix_claims import first_claim
from mesh_fl.agents.threat.answer import Reason, ThreatAnswer
from mesh_fl.agents.threat.cvss_vectors import find_vectors
from mesh_fl.agents.threat.finding import MODEL, Case, Graveness, Reading, severity_of
from mesh_fl.agents.threat.indicators import Indicator, find_indicators
from mesh_fl.agents.threat.kinds import KindAnswer
from mesh_fl.agents.threat.references import References
from mesh_fl.agents.threat.remediation import Action
from mesh_fl.agents.threat.severity import LEVELS, KindWeight, Words, features
from mesh_fl.agents.threat.stix import Observed, read_bundle, to_bundle
from mesh_fl.agents.threat.techniques import NAMED, NOT_IN_CATALOGUE, TechniqueMatch
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.text.encoder import Encoder, Vectors, cut

Split = Callable[[State], tuple[NDArray[np.float64], NDArray[np.float64]]]

NAMESPACE = uuid.UUID("7e6c1c9e-6f0b-5f0d-9d61-3f3a52a2c7b4")
MOST_REASONS = 8
LEAST_TOLD = 0.01
"""In log-odds; less moves no answer."""

MOST_VULNERABILITIES = 50


@dataclass(frozen=True)
class Desk:
    """Answers with one agent's words and one member's references.

    Parameters
    ----------
    split : callable
        Gives the weights and the cuts of a state.
    words, kinds : sequences
    encoder : Encoder
    references : References
    """

    split: Split
    words: Sequence[Words]
    kinds: Sequence[KindWeight]
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
        vectors = self.encoder.encode(texts, kept=False)
        z = features(self.words, self.kinds, texts, vectors, self.references.kinds)
        weights, cuts = self.split(state)
        chances = level_chances(z @ weights, cuts)
        kinds = self._kinds(vectors, texts)
        read = [self._read(*one) for one in zip(cases, vectors, kinds, chances, strict=True)]
        return [self._answer(*one) for one in zip(read, chances, z * weights, strict=True)]

    def _read(
        self, case: Case, vector: Vectors, kind: KindAnswer, chances: NDArray[np.float64]
    ) -> Reading:
        """Find everything that a text tells of."""
        brought = case.observed.indicators if case.observed else ()
        indicators = tuple(dict.fromkeys((*find_indicators(case.text), *brought)))
        techniques = self.references.techniques.find(vector, case.text)
        # An id that no catalogue knows may be a room or a printer.
        named = tuple(one for one in techniques if one.how == NAMED)
        reading = Reading(
            case=case,
            kind=kind,
            indicators=indicators,
            vulnerabilities=self._vulnerabilities(indicators),
            vectors=find_vectors(case.text),
            techniques=_known(techniques) if kind.is_threat else named,
            named=tuple(one.id for one in named),
        )
        return replace(reading, severity=severity_of(reading, chances))

    def _answer(
        self, reading: Reading, chances: NDArray[np.float64], contributions: NDArray[np.float64]
    ) -> ThreatAnswer:
        now = datetime.now(UTC)
        level = reading.severity.level
        actions = self.references.remediation.steps(
            reading.kind,
            reading.techniques,
            reading.vulnerabilities,
            reading.indicators,
            severity=level,
            claimed=reading.case.claim is not None,
        )
        summary = self._summary(reading, actions)
        return ThreatAnswer(
            threat_id=f"threat--{uuid.uuid5(NAMESPACE, reading.case.text)}",
            is_threat=reading.is_threat,
            threat_type=reading.threat_type,
            type_confidence=reading.type_confidence,
            type_reason=reading.type_reason,
            severity=level,
            severity_source=reading.severity.source,
            confidence=_confidence(reading.severity, chances),
            severity_chances=dict(zip(LEVELS, chances.tolist(), strict=True)),
            reasons=self._reasons(contributions),
            reported=reading.reported,
            indicators=reading.indicators,
            vulnerabilities=reading.vulnerabilities,
            attack_techniques=reading.techniques,
            recommended_actions=actions,
            summary=summary,
            problems=reading.problems,
            detected_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            model_used=self._models_used,
            characters_read=len(cut(reading.case.text)),
            stix=to_bundle(reading.finding(now)) if reading.case.as_stix else None,
            unavailable=_unavailable(reading, summary),
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
        told += [f"is about: {one.kind}" for one in self.kinds]
        order = np.argsort(-np.abs(contributions), kind="stable")[:MOST_REASONS]
        return tuple(
            Reason(because=told[place], contribution=float(contributions[place]))
            for place in order
            if abs(contributions[place]) >= LEAST_TOLD
        )

    def _summary(self, reading: Reading, actions: Sequence[Action]) -> str | None:
        phraser = self.references.phraser
        if phraser is None:
            return None
        step = actions[0].action if actions else "none"
        facts = f"Threat: {reading.threat_type}. Severity: {reading.severity.level}. Do: {step}"
        return phraser.phrase(f"Summarize: {cut(reading.case.text)}\n{facts}")

    @property
    def _models_used(self) -> str:
        own = (self.references.classifier, self.references.phraser)
        return "; ".join([self.encoder.name, *(model.name for model in own if model is not None)])


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
        document = told.get("stix", "").strip()
        observed = read_bundle(document) if document else None
        text = "\n".join(filter(None, (told.get("text", "").strip(), _text_of(observed))))
        # A document may hold halves of surrogate pairs as escapes.
        text = text.encode(errors="replace").decode()
        if not text and observed is None:
            raise DataError("text: expected a text, or a STIX bundle in stix; found neither")
        wish = wishes[row] if wishes else math.nan
        yield Case(
            text=text,
            observed=observed,
            claim=first_claim(document) if document else None,
            severity=told.get("severity", ""),
            threat_type=told.get("threat_type", ""),
            as_stix=wish == 1.0,
        )


def _known(techniques: Sequence[TechniqueMatch]) -> tuple[TechniqueMatch, ...]:
    return tuple(one for one in techniques if one.how != NOT_IN_CATALOGUE)


def _text_of(observed: Observed | None) -> str:
    """Return what a bundle says in words, with the ids that it refers to."""
    if observed is None:
        return ""
    return "\n".join([*observed.texts, " ".join([*observed.cves, *observed.techniques])]).strip()


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


def _confidence(severity: Graveness, chances: NDArray[np.float64]) -> float | None:
    """Return the chance of the level told, where it is the model that told it."""
    if severity.level is None or severity.source != MODEL:
        return None
    return float(chances[LEVELS.index(severity.level)])


def _unavailable(reading: Reading, summary: str | None) -> dict[str, str]:
    """Say why a field is None."""
    found: dict[str, str] = {}
    if reading.is_threat is None:
        found["is_threat"] = reading.no_threat
    if reading.type_confidence is None:
        found["type_confidence"] = "ids or a bundle say that it is a threat, not its likeness"
    if reading.severity.level is None:
        names = ("severity", "severity_source", "confidence")
        found |= dict.fromkeys(names, reading.no_threat)
    elif reading.severity.source != MODEL:
        found["confidence"] = "CVSS decided, not the model; severity_chances tells what it thinks"
    if reading.reported is None:
        found["reported"] = "nobody told a severity or a threat type"
    if summary is None:
        found["summary"] = "no phraser is named in [agents.threat.files]"
    if not reading.case.as_stix:
        found["stix"] = "not asked for: set as_stix"
    return found
