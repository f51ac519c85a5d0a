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
from mesh_fl.agents.compliance.catalogue import Framework
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
from mesh_fl.text.language import unreadable
from mesh_fl.text.sentences import sentences_of

UNASKED = {
    "compliance_score": "there was neither policy_text nor evidence to assess",
    "audit_readiness": "there was neither policy_text nor evidence to assess",
    "framework": "nothing was assessed",
    "framework_key": "nothing was assessed",
}
RULES = Rules(satisfies=0.7, touches=0.5, alike=0.55, alike_denying=0.4)
"""What a sentence must reach to satisfy a control, or to be of any account."""

LONGEST_JUDGED = 20_000
"""Characters of a policy by which its language is told."""

LEAST_ALIKE = 0.3
"""Cosine that words without a known id must reach with some control to be taken for a technique."""

NO_SHARES = "nothing was learned yet: no training, and no mappings of the member's own"
NO_NAME = (
    "no technique of this id is known, and no words stand beside it; a newer file of MITRE's, named"
    " attack under [agents.compliance.files], may know it"
)
NO_TECHNIQUE = "the words are like no control ({:.2f}, {} is needed): give the id of a technique"
BY_WORDS = (
    "policy_text: {} sentences were compared by their words alone, since it is long; none of them"
    " can satisfy or deny a control"
)
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
        unavailable = {} if request.report else {"report": NO_REPORT}
        told: dict[str, object] = {}
        assessment = None
        if request.is_assessed:
            framework = self.library.find(request.framework)
            assessment = self._assess(request, framework, matching)
            told = _told(assessment, framework, request.report)
            told |= {"framework_key": self.library.key_of(framework)}
            unavailable |= assessment.unavailable
        else:
            unavailable |= UNASKED
            unavailable |= {"report": UNASKED["compliance_score"]} if request.report else {}
        by_words = matching.by_words
        mapped = self._mapped(request, matching)
        for_technique, unknown = self._for_technique(request, learned)
        unavailable |= unknown
        return ComplianceAnswer.model_validate(
            {
                **told,
                "sentences_by_words": by_words,
                "mapped_controls": mapped,
                "controls_for_technique": for_technique,
                "controls_for_text": self._for_text(request, learned),
                "sources": self._sources(request, assessment),
                "model_used": load_encoder(self.encoder).name,
                "unavailable": unavailable,
            }
        )

    def _assess(self, request: Request, framework: Framework, matching: Matching) -> Assessment:
        refusal = unreadable(request.policy_text[:LONGEST_JUDGED]) if request.policy_text else None
        found = assess(
            framework,
            () if refusal else sentences_of(request.policy_text),
            read_evidence(request.evidence),
            matching,
            rules=RULES,
            model_used=load_encoder(self.encoder).name,
        )
        problems = found.problems
        if matching.by_words:
            problems = (BY_WORDS.format(matching.by_words), *problems)
        if refusal is None:
            return found.model_copy(update={"problems": problems})
        said = f"policy_text was not assessed: {refusal}"
        unavailable = {"compliance_score": said} if found.compliance_score is None else {}
        return found.model_copy(update={"problems": (said, *problems), "unavailable": unavailable})

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

    def _for_technique(
        self, request: Request, learned: Learned
    ) -> tuple[tuple[ControlForTechnique, ...], dict[str, str]]:
        """Return the controls for a technique, and why there are none or what is not known."""
        if not request.technique:
            return (), {}
        written = described(request.technique, self.library.techniques)
        data = self._read(
            {"technique": np.array([written or request.technique])}, request.technique
        )
        mapped = self._mapping(request.technique)
        if not mapped and (reason := self._no_technique(request.technique, written, data, learned)):
            return (), {"controls_for_technique": reason}
        shares = learned.shares(data)[0]
        scores = learned.scores(data, self.similarity_weight)[0]
        first = sorted(
            (k for k, name in enumerate(self.controls) if scores[k] > 0 or name in mapped),
            key=lambda k: (self.controls[k] not in mapped, -scores[k]),
        )
        found = tuple(
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
        return found, {} if learned.knows_mappings else {"controls_for_technique.share": NO_SHARES}

    def _no_technique(self, asked: str, written: str, data: Data, learned: Learned) -> str:
        """Say why a technique cannot be looked up; "" if it can."""
        if learned.kin is not None and (family_of(asked) or -1) in learned.kin.families.tolist():
            return ""
        if not written:
            return NO_NAME
        nearest = float(data["public"][0].max(initial=0.0))
        if technique_id(asked) in self.library.techniques or nearest >= LEAST_ALIKE:
            return ""
        return NO_TECHNIQUE.format(nearest, LEAST_ALIKE)

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


def _told(assessment: Assessment, framework: Framework, report: str) -> dict[str, object]:
    """Return the fields of an answer that an assessment fills."""
    written: object = None
    if report == "markdown":
        written = audit_report(assessment)
    elif report == "oscal":
        written = assessment_results(assessment, framework)
    return {
        "framework": assessment.framework,
        "compliance_score": assessment.compliance_score,
        "controls_assessed": assessment.controls_assessed,
        "controls_in_framework": len(assessment.controls),
        "audit_readiness": assessment.audit_readiness,
        "controls": assessment.controls,
        "gaps": assessment.gaps,
        "recommendations": assessment.recommendations,
        "report": written,
        "sentences_assessed": assessment.sentences_assessed,
        "sentences_left_out": assessment.sentences_left_out,
        "problems": assessment.problems,
    }
