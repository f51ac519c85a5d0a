"""An assessment as OSCAL assessment results (NIST, JSON, 1.1.2)."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias
from uuid import NAMESPACE_URL, uuid5

from mesh_fl.agents.compliance.assessment import Assessment
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.verdict import CheckEvidence, ControlAssessment, Quote

VERSION = "1.1.2"
NAMESPACE = uuid5(NAMESPACE_URL, "https://mesh-fl.example/oscal")
PROPERTIES = "https://mesh-fl.example/ns/oscal"

REMARK = (
    "A self-assessment by a program: no certification, no audit opinion. Similarities were computed"
    " by a model."
)

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
_NOT_OF_TOKENS = re.compile(r"[^A-Za-z0-9._-]+")

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str"

NO_STATEMENT = "The framework names no statements: the id is that of the control as a whole."
NO_PLAN = "There was no assessment plan: every control of the framework was looked at."


def assessment_results(
    assessment: Assessment, framework: Framework, plan: str = ""
) -> dict[str, Json]:
    """Return the assessment as an OSCAL document.

    Each sentence and check result that decided is an observation, each assessed control a finding;
    "partial" and "gap" are not-satisfied, as OSCAL knows only two states, and the finer status
    stands as a property. Controls that were not assessed are left out of the findings.

    Ids of controls and statements are those of the framework where it is an OSCAL catalog. Any
    other has none: its own id of the control stands as a property, and as a token in their place.

    Parameters
    ----------
    framework : Framework
        What was assessed.
    plan : str
        Where the assessment plan lies; without one the document says that there was none.

    Returns
    -------
    dict
        Ready for JSON; ids are made from the content, so the same assessment gives the same file.
    """
    seed = _seed(assessment)
    time = _time(assessment.assessed_at)
    known = {one.id: one for one in framework.controls}
    judged = [one for one in assessment.controls if one.status != "not_assessed"]
    observations = {one.control: _observations(one, seed, time, assessment) for one in judged}
    result: dict[str, Json] = {
        "uuid": _uuid(seed, "result"),
        "title": _words(f"Assessment of {assessment.framework}"),
        "description": _describe(assessment),
        "start": time,
        "end": time,
        "props": _properties(_figures(assessment)),
        "reviewed-controls": {"control-selections": [_reviewed(judged, known)]},
    }
    if found := [one for ones in observations.values() for one in ones]:
        result["observations"] = found
    if judged:
        result["findings"] = [
            _finding(one, known[one.control], seed, observations[one.control]) for one in judged
        ]
    document: dict[str, Json] = {
        "uuid": _uuid(seed, "document"),
        "metadata": {
            "title": _words(f"Assessment results: {assessment.framework}"),
            "last-modified": time,
            "version": "1.0",
            "oscal-version": VERSION,
            "remarks": REMARK,
        },
        "import-ap": {"href": plan or f"#{_uuid(seed, 'plan')}"},
        "results": [result],
    }
    if not plan:
        absent = {"uuid": _uuid(seed, "plan"), "title": "Assessment plan", "description": NO_PLAN}
        document["back-matter"] = {"resources": [absent]}
    return {"assessment-results": document}


def _seed(assessment: Assessment) -> str:
    content = json.dumps(assessment.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _uuid(seed: str, *names: str) -> str:
    return str(uuid5(NAMESPACE, json.dumps([seed, *names])))


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _words(text: str) -> str:
    """Return text that OSCAL takes: not empty, on one line, no space around it."""
    return " ".join(text.split()) or "-"


def _describe(one: Assessment) -> str:
    return _words(
        f"Framework from {one.source}; {one.sentences_assessed} policy sentences and"
        f" {one.results_used} check results assessed. {REMARK}"
    )


def _figures(one: Assessment) -> Iterable[tuple[str, str]]:
    if one.compliance_score is not None:
        yield "compliance-score", f"{one.compliance_score:.1f}"
    yield "audit-readiness", one.audit_readiness.level
    if one.model_used:
        yield "similarity-model", one.model_used


def _properties(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "ns": PROPERTIES, "value": _words(value)} for name, value in pairs]


def _token(control: Control) -> str:
    """Return the id of a control as OSCAL takes it: that of the catalog, or the written one."""
    if _TOKEN.fullmatch(control.oscal_id):
        return control.oscal_id
    token = _NOT_OF_TOKENS.sub("_", control.id).strip("_")
    return token if token[:1].isalpha() else f"_{token}"


def _reviewed(judged: Iterable[ControlAssessment], known: Mapping[str, Control]) -> Json:
    included: list[Json] = [{"control-id": _token(known[one.control])} for one in judged]
    if not included:
        return {"description": "No control could be assessed.", "include-all": {}}
    return {"include-controls": included}


def _observations(
    one: ControlAssessment, seed: str, time: str, assessment: Assessment
) -> list[Json]:
    quotes = [quote for quote in (one.sentence, one.against) if quote and _counts(one, quote)]
    said = [_of_quote(one, quote, seed, time, assessment) for quote in quotes]
    checked = [_of_check(one, check, seed, time, place) for place, check in enumerate(one.checks)]
    return [*said, *checked]


def _counts(one: ControlAssessment, quote: Quote) -> bool:
    """Tell whether a sentence had a say: the nearest of a gap that nobody speaks of has none."""
    return quote is one.against or one.status in ("satisfied", "partial")


def _of_quote(
    one: ControlAssessment, quote: Quote, seed: str, time: str, assessment: Assessment
) -> Json:
    figures = [
        ("similarity", f"{quote.similarity:.3f}"),
        ("relevance", f"{quote.relevance:.3f}"),
        ("standing", quote.standing),
        ("claim", quote.claim),
    ]
    model = assessment.model_used or "an unnamed model"
    said = f"Policy line {quote.line}, similarity {quote.similarity:.2f} by {model}: {quote.text}"
    return {
        "uuid": _uuid(seed, one.control, "sentence", str(quote.number)),
        "description": _words(said),
        "props": _properties(figures),
        "methods": ["EXAMINE"],
        "types": ["control-objective"],
        "collected": time,
    }


def _of_check(
    one: ControlAssessment, check: CheckEvidence, seed: str, time: str, place: int
) -> Json:
    system = f" on {check.system}" if check.system else ""
    stale = " (too old to count in full)" if check.stale else ""
    told = f"Check {', '.join(check.names)}{system}: {check.status}{stale}. {check.text}"
    observation: dict[str, Json] = {
        "uuid": _uuid(seed, one.control, "check", str(place)),
        "description": _words(told),
        "props": _properties([("status", check.status), ("stale", str(check.stale).lower())]),
        "methods": ["TEST"],
        "types": ["control-objective"],
        "collected": _time(check.collected_at) if check.collected_at else time,
    }
    if not check.collected_at:
        observation["remarks"] = "The evidence tells no date; the time is that of the assessment."
    return observation


def _target(one: ControlAssessment, control: Control) -> dict[str, Json]:
    state = "satisfied" if one.status == "satisfied" else "not-satisfied"
    reason = {"satisfied": "pass", "partial": "other", "gap": "fail"}[one.status]
    has_statement = bool(_TOKEN.fullmatch(control.statement_id))
    target: dict[str, Json] = {
        "type": "statement-id",
        "target-id": control.statement_id if has_statement else _token(control),
        "status": {"state": state, "reason": reason},
    }
    if not has_statement:
        target["props"] = _properties([("control-id", control.id)])
        target["remarks"] = NO_STATEMENT
    return target


def _finding(one: ControlAssessment, control: Control, seed: str, observations: list[Json]) -> Json:
    figures = [("status", one.status), ("score", f"{one.score or 0.0:.3f}")]
    finding: dict[str, Json] = {
        "uuid": _uuid(seed, one.control, "finding"),
        "title": _words(f"{one.control} {one.title}"),
        "description": _words(one.why),
        "props": _properties(figures),
        "target": _target(one, control),
    }
    related: list[Json] = [
        {"observation-uuid": each["uuid"]} for each in observations if isinstance(each, dict)
    ]
    if related:
        finding["related-observations"] = related
    return finding
