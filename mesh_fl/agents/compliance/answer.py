"""What security compliance answers: how a framework is met, and which controls answer what."""

from pydantic import JsonValue

from mesh_fl.agents.compliance.advice import Recommendation
from mesh_fl.agents.compliance.attack import TechniqueControl
from mesh_fl.agents.compliance.mapping import MappedControl
from mesh_fl.agents.compliance.readiness import AuditReadiness
from mesh_fl.agents.compliance.verdict import ControlAssessment, Part

__all__ = ["ComplianceAnswer", "ControlForTechnique", "ControlForText"]


class ControlForTechnique(Part):
    """A control that answers a technique.

    Attributes
    ----------
    score : float
        What the list is sorted by: share, plus similarity times its declared weight.
    share : float or None
        Of all mappings of such techniques, as far as the federation and the member's own records
        tell; None before any of both.
    similarity : float
        Cosine of the encoder between technique and control.
    mapped : tuple of TechniqueControl
        What the member's mapping file says of this very pair; such controls come first.
    """

    control: str
    title: str
    score: float
    share: float | None
    similarity: float
    mapped: tuple[TechniqueControl, ...] = ()


class ControlForText(Part):
    """A control that a text answers.

    Attributes
    ----------
    probability : float
        That somebody would judge so: by the words and their meaning, and by `offset`.
    offset : float
        Log-odds that judged pairs added; 0 before any.
    """

    control: str
    title: str
    probability: float
    offset: float


class ComplianceAnswer(Part):
    """How a policy and its evidence stand to a framework, and what controls answer.

    Attributes
    ----------
    framework, framework_key : str or None
        What was assessed: its title, and the name by which a request asks for it.
    compliance_score : float or None
        100 times the mean score of the assessed controls, each of the same weight.
    controls_assessed, controls_in_framework : int
        Of how many controls the score tells, and how many there are: it says nothing of the others.
    controls, gaps : tuple of ControlAssessment
        All of them, and those that are open.
    mapped_controls : tuple of MappedControl
        Controls of other frameworks that answer to `control_ref`.
    controls_for_technique, controls_for_text : tuples
        The best first.
    report : str, dict or None
        The assessment in Markdown, or as OSCAL assessment results.
    sentences_assessed, sentences_left_out : int
        Sentences of the policy that claim something.
    sentences_by_words : int
        How many of them were compared by their words alone, since there were too many.
    problems : tuple of str
        What in the request and in the framework's file could not be used, and what was left out.
    sources : tuple of str
        The files and lists that were looked at.
    model_used : str
        What compared texts.
    unavailable : dict of str to str
        Why each field that is None could not be computed.
    """

    framework: str | None = None
    framework_key: str | None = None
    compliance_score: float | None = None
    controls_assessed: int = 0
    controls_in_framework: int = 0
    audit_readiness: AuditReadiness | None = None
    controls: tuple[ControlAssessment, ...] = ()
    gaps: tuple[ControlAssessment, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    mapped_controls: tuple[MappedControl, ...] = ()
    controls_for_technique: tuple[ControlForTechnique, ...] = ()
    controls_for_text: tuple[ControlForText, ...] = ()
    report: str | dict[str, JsonValue] | None = None
    sentences_assessed: int = 0
    sentences_left_out: int = 0
    sentences_by_words: int = 0
    problems: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    model_used: str
    unavailable: dict[str, str]
