"""Where a question about compliance is looked up, assessed and answered."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue, TypeAdapter
from scipy.special import expit

from mesh_fl.agent import Data, State
from mesh_fl.agents.compliance import records
from mesh_fl.agents.compliance.answer import (
    ComplianceAnswer,
    ControlForTechnique,
    ControlForText,
)
from mesh_fl.agents.compliance.assessment import Assessment, Rules, assess
from mesh_fl.agents.compliance.attack import TechniqueControl
from mesh_fl.agents.compliance.controls import base_control, public_controls
from mesh_fl.agents.compliance.evidence import read_evidence
from mesh_fl.agents.compliance.learned import Learned
from mesh_fl.agents.compliance.library import Library, shipped_framework
from mesh_fl.agents.compliance.mapping import MappedControl, map_control
from mesh_fl.agents.compliance.matching import Matching, Shelf
from mesh_fl.agents.compliance.oscal_results import assessment_results
from mesh_fl.agents.compliance.report import audit_report
from mesh_fl.agents.compliance.request import Request, requests_of
from mesh_fl.agents.compliance.techniques import described, family_of, technique_id
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.text.encoder import load_encoder
from mesh_fl.text.sentences import sentences_of

UNASKED = {
    "compliance_score": "there was neither policy_text nor evidence to assess",
    "audit_readiness": "there was neither policy_text nor evidence to assess",
    "framework": "nothing was assessed",
}
RULES = Rules(satisfies=0.7, touches=0.5)
"""Probabilities from which a sentence satisfies a control, or partly does."""

NO_SHARES = "nothing was learned yet: no training, and no mappings of the member's own"
NO_NAME = "no name of this technique is known: nothing can be compared with it"
NO_REPORT = "no report was asked for"
REPORTED = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True)
class Desk:
    """Answers with one agent's configuration and one member's reference files.

    Parameters
    ----------
    controls : tuple of str
        Ids of the controls that are counted.
    encoder : str
    similarity_weight : float
    library : Library
    shelf : Shelf
        Its controls, encoded.
    """

    controls: tuple[str, ...]
    encoder: str
    similarity_weight: float
    library: Library
    shelf: Shelf

    def answer(self, state: State, table: Table) -> list[ComplianceAnswer]:
        """Answer each record of a table.

        Raises
        ------
        DataError
            If a record asks nothing, names an unknown framework or control, or brings evidence
            that cannot be read.
        """
        asked = list(requests_of(table))
        learned = Learned.of(state, self.encoder)
        return [self._answer(request, learned) for request in asked]

    def _answer(self, request: Request, learned: Learned) -> ComplianceAnswer:
        offsets = dict(zip(self.controls, learned.offsets.log_odds.tolist(), strict=True))
        matching = self.shelf.matcher(offsets)
        assessment = self._assess(request, matching) if request.is_assessed else None
        by_words = matching.by_words
        told = {} if assessment is None else _told(assessment, request.report)
        mapped = self._mapped(request, matching)
        unavailable = {} if request.report else {"report": NO_REPORT}
        if assessment is None:
            unavailable |= UNASKED
            unavailable |= {"report": UNASKED["compliance_score"]} if request.report else {}
        else:
            unavailable |= assessment.unavailable
        unavailable |= self._unknown(request, learned)
        return ComplianceAnswer.model_validate(
            {
                **told,
                "sentences_by_words": by_words,
                "mapped_controls": mapped,
                "controls_for_technique": self._for_technique(request, learned),
                "controls_for_text": self._for_text(request, learned),
                "sources": self._sources(request, assessment),
                "model_used": load_encoder(self.encoder).name,
                "unavailable": unavailable,
            }
        )

    def _unknown(self, request: Request, learned: Learned) -> dict[str, str]:
        """Say what cannot be told of a technique."""
        unknown = {}
        if request.technique and not learned.knows_mappings:
            unknown["controls_for_technique.share"] = NO_SHARES
        if request.technique and not described(request.technique, self.library.techniques):
            unknown["controls_for_technique.similarity"] = NO_NAME
        return unknown

    def _assess(self, request: Request, matching: Matching) -> Assessment:
        return assess(
            self.library.find(request.framework),
            sentences_of(request.policy_text),
            read_evidence(request.evidence),
            matching,
            rules=RULES,
            model_used=load_encoder(self.encoder).name,
        )

    def _mapped(self, request: Request, matching: Matching) -> tuple[MappedControl, ...]:
        if not request.control_ref:
            return ()
        own = self.library.find(request.framework)
        control = own.find(request.control_ref)
        if control is None:
            raise DataError(
                f"control_ref: expected a control of {own.name}, found "
                f"{request.control_ref[:80]!r}; name its framework, too"
            )
        others = tuple(self.library.frameworks.values())
        return map_control(control, own, others, matching, most=request.max_controls)

    def _for_technique(self, request: Request, learned: Learned) -> tuple[ControlForTechnique, ...]:
        if not request.technique:
            return ()
        written = described(request.technique, self.library.techniques)
        data = self._read(
            {"technique": np.array([written or request.technique])}, request.technique
        )
        shares = learned.shares(data)[0]
        scores = learned.scores(data, self.similarity_weight)[0]
        mapped = self._mapping(request.technique)
        first = sorted(
            range(len(self.controls)), key=lambda k: (self.controls[k] not in mapped, -scores[k])
        )
        return tuple(
            ControlForTechnique(
                control=self.controls[k],
                title=public_controls()[self.controls[k]].title,
                score=float(scores[k]),
                share=max(0.0, float(shares[k])) if learned.knows_mappings else None,
                similarity=float(data["public"][0, k]),
                mapped=mapped.get(self.controls[k], ()),
            )
            for k in first[: request.max_controls]
        )

    def _mapping(self, technique: str) -> Mapping[str, tuple[TechniqueControl, ...]]:
        """Return what the mapping file says of a technique, by base control."""
        found: dict[str, tuple[TechniqueControl, ...]] = {}
        if self.library.mapping and (name := technique_id(technique)):
            for one in self.library.mapping.controls_for(name):
                base = base_control(one.control)
                found[base] = (*found.get(base, ()), one)
        return found

    def _for_text(self, request: Request, learned: Learned) -> tuple[ControlForText, ...]:
        if not request.text:
            return ()
        data = self._read({"text": np.array([request.text])})
        log_odds = learned.scores(data, self.similarity_weight)[0]
        best = np.argsort(-log_odds, kind="stable")[: request.max_controls]
        return tuple(
            ControlForText(
                control=self.controls[k],
                title=public_controls()[self.controls[k]].title,
                probability=float(expit(log_odds[k])),
                offset=float(learned.offsets.log_odds[k]),
            )
            for k in best.tolist()
        )

    def _read(self, table: Table, technique: str = "") -> Data:
        """Prepare one question; the family of a technique is that of its id as it was written."""
        data = records.read(table, self.controls, self.encoder)
        if not technique:
            return data
        return {**data, "family": np.array([float(family_of(technique))])}

    def _sources(self, request: Request, assessment: Assessment | None) -> tuple[str, ...]:
        looked_at: list[str] = [assessment.source] if assessment else []
        if request.control_ref:
            looked_at += [one.source for one in self.library.frameworks.values()]
        if request.technique and self.library.mapping:
            looked_at.append(self.library.mapping.source)
        if request.technique or request.text:
            looked_at.append(shipped_framework().source)
        return tuple(dict.fromkeys(looked_at))


def _told(assessment: Assessment, report: str) -> dict[str, object]:
    """Return the fields of an answer that an assessment fills."""
    written: object = None
    if report == "markdown":
        written = audit_report(assessment)
    elif report == "oscal":
        written = assessment_results(assessment)
    return {
        "framework": assessment.framework,
        "compliance_score": assessment.compliance_score,
        "audit_readiness": assessment.audit_readiness,
        "controls": assessment.controls,
        "gaps": assessment.gaps,
        "recommendations": assessment.recommendations,
        "report": written,
        "sentences_assessed": assessment.sentences_assessed,
        "sentences_left_out": assessment.sentences_left_out,
        "problems": assessment.problems,
    }
