"""A framework assessed, control by control, against a policy and the results of checks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np

from mesh_fl.agents.compliance.advice import Recommendation, recommend
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.claims import claim_of
from mesh_fl.agents.compliance.evidence import Evidence, Result
from mesh_fl.agents.compliance.judging import Reading, judge, read_policy
from mesh_fl.agents.compliance.likeness import Likeness
from mesh_fl.agents.compliance.readiness import AuditReadiness, readiness_of
from mesh_fl.agents.compliance.verdict import ControlAssessment, Part, Quote, Rules
from mesh_fl.errors import AgentError
from mesh_fl.text.sentences import Sentence

__all__ = ["Assessment", "ControlAssessment", "Matcher", "Quote", "Rules", "assess"]

Matcher: TypeAlias = Callable[[Sequence[Control], Sequence[str]], Likeness]
"""How alike each control and each sentence are."""

MOST_SENTENCES = 500
"""So many sentences of a policy are assessed, the first; how many were left out is told."""

FEWEST_WORDS = 3
"""What is shorter claims nothing."""

LONGEST_READ = 90
"""Words of a sentence that the encoder surely reads: it takes 128 pieces of words."""

MOST_UNMATCHED = 20
MOST_NAMED = 5
NO_SCORE = "no control could be assessed: give a policy text, or results of checks"


class Assessment(Part):
    """A framework, assessed.

    Attributes
    ----------
    source : str
        What the framework was read from.
    compliance_score : float or None
        100 times the mean score of the assessed controls, each of the same weight; None when
        there is none.
    sentences_assessed, sentences_left_out : int
        Sentences that make a claim: those that were looked at, and those beyond `MOST_SENTENCES`.
    results_used, results_refused : int
        Check results that bear on a control, and items that cannot be used.
    unmatched : tuple of str
        Names in the evidence that the framework knows neither as control nor as check.
    unmatched_results : int
        How many results name nothing else.
    problems : tuple of str
        What of the framework, the policy and the evidence could not be used.
    model_used : str
        What computed the similarities; "" where no sentence was compared.
    """

    framework: str
    version: str
    source: str
    assessed_at: datetime
    compliance_score: float | None
    audit_readiness: AuditReadiness
    controls: tuple[ControlAssessment, ...]
    recommendations: tuple[Recommendation, ...]
    rules: Rules
    sentences_assessed: int
    sentences_left_out: int
    results_used: int
    results_refused: int
    unmatched: tuple[str, ...]
    unmatched_results: int
    problems: tuple[str, ...]
    model_used: str
    unavailable: dict[str, str]

    @property
    def controls_assessed(self) -> int:
        """How many controls the score is a mean of."""
        return sum(one.score is not None for one in self.controls)

    @property
    def gaps(self) -> tuple[ControlAssessment, ...]:
        """The controls that are open."""
        return tuple(one for one in self.controls if one.status == "gap")


def assess(
    framework: Framework,
    sentences: Sequence[Sentence],
    evidence: Evidence,
    matcher: Matcher,
    *,
    rules: Rules | None = None,
    model_used: str = "",
    now: datetime | None = None,
) -> Assessment:
    """Assess each control of a framework.

    A control with check results is judged by them, and by the policy only where it denies them; any
    other control is judged by its strongest sentence, where that affirms what it says.

    Parameters
    ----------
    framework : Framework
    sentences : sequence of Sentence
        Of the policy; headings and fragments are not assessed.
    evidence : Evidence
    matcher : callable
        Called once, with all controls and the sentences that claim something.
    model_used : str
        Name of what computes the similarities.
    now : datetime, optional
        Ages of results count from here.

    Raises
    ------
    AgentError
        If the matcher returns matrices of another shape.
    """
    rules, now = rules or Rules(), now or datetime.now(UTC)
    claiming = [one for one in sentences if _claims_something(one)]
    said = claiming[:MOST_SENTENCES]
    readings = _readings(framework.controls, said, matcher, rules)
    results, unmatched = _by_control(framework, evidence.results)
    controls = tuple(
        judge(control, reading, results.get(control.id, ()), rules, now)
        for control, reading in zip(framework.controls, readings, strict=True)
    )
    used = {id(one): one for found in results.values() for one in found}.values()
    scores = [one.score for one in controls if one.score is not None]
    names = tuple(dict.fromkeys(name for one in unmatched for name in one.names))
    return Assessment(
        framework=framework.name,
        version=framework.version,
        source=framework.source,
        assessed_at=now,
        compliance_score=100 * sum(scores) / len(scores) if scores else None,
        audit_readiness=readiness_of(
            controls,
            results=len(used),
            failing=sum(one.status == "fail" for one in used),
            stale=sum(one.is_stale(now, rules.max_age_days) for one in used),
            undated=sum(one.collected_at is None for one in used),
            unmatched=len(unmatched),
            unmatched_failing=sum(one.status == "fail" for one in unmatched),
        ),
        controls=controls,
        recommendations=recommend(controls, framework.source),
        rules=rules,
        sentences_assessed=len(said),
        sentences_left_out=len(claiming) - len(said),
        results_used=len(used),
        results_refused=evidence.refused,
        unmatched=names[:MOST_UNMATCHED],
        unmatched_results=len(unmatched),
        problems=(
            *_of_framework(framework),
            *_of_length(said, len(claiming)),
            *evidence.problems,
            *_of_unmatched(unmatched, names),
        ),
        model_used=model_used if said else "",
        unavailable={} if scores else {"compliance_score": NO_SCORE},
    )


def _claims_something(sentence: Sentence) -> bool:
    words = len(sentence.reading.split())
    return sentence.kind != "heading" and (
        words >= FEWEST_WORDS or not sentence.text.isascii()  # not every script parts its words
    )


def _of_framework(framework: Framework) -> Iterator[str]:
    yield from framework.problems
    if framework.skipped > len(framework.problems):
        yield f"{framework.source}: {framework.skipped} entries in all could not be used"


def _of_length(said: Sequence[Sentence], claiming: int) -> Iterator[str]:
    if claiming > len(said):
        yield (
            f"policy_text: the first {len(said)} sentences were assessed, {claiming - len(said)}"
            " more were not looked at; split the text"
        )
    if long := [one.line for one in said if len(one.reading.split()) > LONGEST_READ]:
        yield (
            f"policy_text: {len(long)} sentences have more than {LONGEST_READ} words, the first in"
            f" line {long[0]}; their ends may be left out when meanings are compared"
        )


def _of_unmatched(unmatched: Sequence[Result], names: Sequence[str]) -> Iterator[str]:
    if not unmatched:
        return
    failing = sum(one.status == "fail" for one in unmatched)
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    yield (
        f"evidence: {len(unmatched)} results bear on no control of the framework, {failing} of them"
        f" fail: {', '.join(one[:80] for one in names[:MOST_NAMED])}{rest}; name a control or a"
        " check of the framework"
    )


def _readings(
    controls: Sequence[Control], said: Sequence[Sentence], matcher: Matcher, rules: Rules
) -> Sequence[Reading]:
    if not said:
        return [Reading()] * len(controls)
    texts = [one.reading for one in said]
    found = matcher(controls, texts)
    for name, matrix in found._asdict().items():
        if matrix.shape != (len(controls), len(said)):
            raise AgentError(
                f"matcher, {name}: expected {len(controls)} x {len(said)} values, found shape"
                f" {matrix.shape}"
            )
    sound = found._replace(
        relevance=np.clip(np.nan_to_num(found.relevance), 0.0, 1.0),
        cosine=np.clip(np.nan_to_num(found.cosine), -1.0, 1.0),
    )
    return read_policy(sound, said, [claim_of(text) for text in texts], rules)


def _by_control(
    framework: Framework, results: Sequence[Result]
) -> tuple[Mapping[str, Sequence[Result]], Sequence[Result]]:
    """Sort results by the controls that they bear on, and those that bear on none."""
    found: dict[str, list[Result]] = {}
    unmatched = []
    for result in results:
        touched = {
            control.id
            for name in result.names
            for control in (framework.find(name), *framework.with_check(name))
            if control
        }
        for control in touched:
            found.setdefault(control, []).append(result)
        if not touched:
            unmatched.append(result)
    return found, unmatched
