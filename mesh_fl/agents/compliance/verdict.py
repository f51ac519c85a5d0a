"""What is said of one control: its status, what speaks for and against it, and why."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.compliance.claims import Claim
from mesh_fl.agents.compliance.evidence import Status as CheckStatus
from mesh_fl.agents.compliance.likeness import Standing

Status = Literal["satisfied", "partial", "gap", "not_assessed"]

Cause = Literal[
    "failing", "stale", "denied", "planned", "advised", "mixed", "weak", "unmentioned", "unassessed"
]
"""Why a control is not satisfied."""


class Part(BaseModel):
    """A part of an assessment; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rules(Part):
    """What an assessment goes by.

    Attributes
    ----------
    satisfies, touches : float
        Relevance that a sentence needs to satisfy a control, or to be of any account.
    alike, alike_denying : float
        Cosine that it needs besides to satisfy a control, or to deny it; see `Likeness.standings`.
        A sentence with a "not" is farther from what is asked for than one without.
    max_age_days : float
        Older results show no longer how things are.
    """

    satisfies: float = 0.5
    touches: float = 0.4
    alike: float = 0.55
    alike_denying: float = 0.4
    max_age_days: float = 365.0


class Quote(Part):
    """A sentence of the policy, verbatim, with its place.

    Attributes
    ----------
    similarity : float
        Cosine of the encoder between sentence and control.
    relevance : float
        From 0 to 1, by meaning, words and what was learned; no calibrated probability.
    standing : {"strong", "nearest", "near"}
        See `Likeness.standings`: only a strong one satisfies or denies.
    """

    text: str
    line: int
    number: int
    similarity: float
    relevance: float
    standing: Standing
    claim: Claim


class CheckEvidence(Part):
    """A check result that bears on the control."""

    names: tuple[str, ...]
    status: CheckStatus
    stale: bool
    system: str
    collected_at: datetime | None
    text: str
    place: str


class ControlAssessment(Part):
    """One control, judged.

    Attributes
    ----------
    score : float or None
        From 0 (open) to 1 (met); None when not assessed.
    sentence : Quote or None
        The strongest sentence that affirms something; it satisfies only when `status` says so.
    against : Quote or None
        A sentence that denies, only plans or only advises what the control asks for.
    checks : tuple of CheckEvidence
        The first 20 results, failing ones first.
    checks_passed, checks_failed, checks_stale, checks_unknown : int
        How many results there are of each; a stale one has passed, too long ago.
    why : str
        The values that decided.
    """

    control: str
    title: str
    family: str
    status: Status
    score: float | None
    cause: Cause | None
    why: str
    sentence: Quote | None = None
    against: Quote | None = None
    checks: tuple[CheckEvidence, ...] = ()
    checks_passed: int = 0
    checks_failed: int = 0
    checks_stale: int = 0
    checks_unknown: int = 0
