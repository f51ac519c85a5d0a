"""Judging one control, from the sentences of a policy and the results of checks.

Results of checks beat sentences: a sentence says what should be, a check what is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from heapq import nsmallest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.compliance.catalogue import Control
from mesh_fl.agents.compliance.claims import Claim
from mesh_fl.agents.compliance.evidence import Result
from mesh_fl.agents.compliance.likeness import STANDINGS, Likeness
from mesh_fl.agents.compliance.verdict import (
    Cause,
    CheckEvidence,
    ControlAssessment,
    Part,
    Quote,
    Rules,
    Status,
)
from mesh_fl.text.sentences import Sentence

MOST_SHOWN = 20
"""Check results that are shown of one control, failing ones first; all of them are counted."""

HALF = 0.5
"""Score of a control that one thing speaks for and another against."""


class _View(Part):
    """How the control looks from one side: the policy, or the checks."""

    status: Status
    score: float
    cause: Cause | None
    why: str


class _Tally(NamedTuple):
    """How many check results there are of each kind; a stale one has passed."""

    passed: int
    failed: int
    stale: int
    unknown: int


class Reading(Part):
    """The sentences that say most about a control.

    Attributes
    ----------
    affirmed, other : Quote or None
        The strongest sentence that affirms something, and that does anything else.
    """

    affirmed: Quote | None = None
    other: Quote | None = None


def read_policy(
    likeness: Likeness, sentences: Sequence[Sentence], claims: Sequence[Claim], rules: Rules
) -> Sequence[Reading]:
    """Pick the sentences that say most about each control: by standing, then by relevance."""
    affirms = np.array([claim == "affirmed" for claim in claims], dtype=bool)
    alike = np.where(affirms, rules.alike, rules.alike_denying)
    standings = likeness.standings(rules.satisfies, alike)

    def top(control: int, among: NDArray[np.bool_]) -> Quote | None:
        if not among.any():
            return None
        weight = standings[control] + likeness.relevance[control] / 2
        place = int(np.where(among, weight, -1.0).argmax())
        said = sentences[place]
        return Quote(
            text=said.text,
            line=said.line,
            number=said.number,
            similarity=float(likeness.cosine[control, place]),
            relevance=float(likeness.relevance[control, place]),
            standing=STANDINGS[standings[control, place]],
            claim=claims[place],
        )

    return [
        Reading(affirmed=top(control, affirms), other=top(control, ~affirms))
        for control in range(len(likeness.relevance))
    ]


def judge(
    control: Control, reading: Reading, results: Sequence[Result], rules: Rules, now: datetime
) -> ControlAssessment:
    """Judge one control."""
    tally = _Tally(
        passed=sum(one.status == "pass" for one in results),
        failed=sum(one.status == "fail" for one in results),
        stale=sum(
            one.status == "pass" and one.is_stale(now, rules.max_age_days) for one in results
        ),
        unknown=sum(one.status == "unknown" for one in results),
    )
    view = _together(_by_policy(reading, rules), _by_checks(tally))
    against = _against(reading, rules)
    return ControlAssessment(
        control=control.id,
        title=control.title,
        family=control.family,
        status=view.status if view else "not_assessed",
        score=view.score if view else None,
        cause=view.cause if view else "unassessed",
        why=view.why if view else _unassessed(tally.unknown),
        sentence=reading.affirmed,
        against=against,
        checks=_shown(results, rules, now),
        checks_passed=tally.passed - tally.stale,
        checks_failed=tally.failed,
        checks_stale=tally.stale,
        checks_unknown=tally.unknown,
    )


def _shown(results: Sequence[Result], rules: Rules, now: datetime) -> tuple[CheckEvidence, ...]:
    def urgency(one: Result) -> tuple[int, bool]:
        rank = ("fail", "unknown", "pass").index(one.status)
        return rank, not one.is_stale(now, rules.max_age_days)

    return tuple(_check(one, rules, now) for one in nsmallest(MOST_SHOWN, results, key=urgency))


def _check(result: Result, rules: Rules, now: datetime) -> CheckEvidence:
    return CheckEvidence(
        names=result.names[:5],
        status=result.status,
        stale=result.is_stale(now, rules.max_age_days),
        system=result.system,
        collected_at=result.collected_at,
        text=result.text[:300],
        place=result.place,
    )


def _unassessed(unknown: int) -> str:
    if unknown:
        return f"{unknown} check results, none of which says pass or fail; no policy to judge"
    return "there is no policy that can be judged, and no check result bears on it"


def _together(policy: _View | None, checked: _View | None) -> _View | None:
    """Let the checks decide; a policy that denies what they show takes half away."""
    if policy is None or checked is None:
        return checked or policy
    if policy.cause != "denied":
        return checked
    return _View(
        status="gap" if checked.status == "gap" else "partial",
        score=min(checked.score, HALF),
        cause=checked.cause or "denied",
        why=f"{checked.why}; {policy.why}",
    )


def _by_checks(tally: _Tally) -> _View | None:
    stale, counted = tally.stale, tally.passed + tally.failed
    if not counted:
        return None
    share = (tally.passed - HALF * stale) / counted
    if tally.failed:
        why = f"{tally.failed} of {counted} check results fail"
        status: Status = "partial" if share >= HALF else "gap"
        return _View(status=status, score=share, cause="failing", why=why)
    if stale:
        why = f"{stale} of {counted} check results are too old"
        return _View(status="partial", score=share, cause="stale", why=why)
    return _View(status="satisfied", score=1.0, cause=None, why=f"{counted} check results pass")


def _against(reading: Reading, rules: Rules) -> Quote | None:
    """Return what speaks against a control; a denial that only sounds like it does not."""
    other = reading.other
    if other is None or other.relevance < rules.touches:
        return None
    return None if other.claim == "denied" and not _is_heard(other, reading.affirmed) else other


def _is_heard(denial: Quote, affirmed: Quote | None) -> bool:
    """Tell whether a denial is strong, or takes something from what another sentence fulfils."""
    if denial.standing == "nearest":
        return affirmed is not None and affirmed.standing == "strong"
    return denial.standing == "strong"


def _by_policy(reading: Reading, rules: Rules) -> _View | None:
    affirmed, against = reading.affirmed, _against(reading, rules)
    if affirmed is None and reading.other is None:
        return None
    if against and against.claim == "denied":
        return _denied(against, affirmed)
    if affirmed and affirmed.standing == "strong":
        return _view("satisfied", 1.0, None, affirmed)
    strength = affirmed.relevance if affirmed else 0.0
    if against and against.relevance >= strength:
        if against.claim == "mixed":
            return _view("partial", HALF, "mixed", against)
        return _view("gap", 0.0, _CAUSES[against.claim], against)
    if affirmed and strength >= rules.touches:
        share = (strength - rules.touches) / (rules.satisfies - rules.touches)
        return _view("partial", HALF * min(share, 1.0), "weak", affirmed)
    nearest = f"the nearest reaches a relevance of {strength:.2f}, {rules.touches:.2f} is needed"
    why = f"no sentence of the policy speaks of it: {nearest}"
    return _View(status="gap", score=0.0, cause="unmentioned", why=why)


def _denied(denial: Quote, affirmed: Quote | None) -> _View:
    """Judge a control that is denied: in part only, where another sentence affirms it as well."""
    if affirmed and (
        affirmed.standing == "strong"
        or (affirmed.standing == "nearest" and affirmed.similarity >= denial.similarity)
    ):
        return _view("partial", HALF, "mixed", denial)
    return _view("gap", 0.0, "denied", denial)


_CAUSES: Mapping[Claim, Cause] = {
    "denied": "denied",
    "mixed": "mixed",
    "planned": "planned",
    "advised": "advised",
}

_SAYS = {
    "affirmed": "affirms it",
    "mixed": "affirms it in part",
    "denied": "denies it",
    "planned": "only plans it",
    "advised": "only advises it",
}


def _view(status: Status, score: float, cause: Cause | None, quote: Quote) -> _View:
    says = "only reads like it: a person must look" if cause == "weak" else _SAYS[quote.claim]
    why = f"the sentence in line {quote.line} {says}, similarity {quote.similarity:.2f}"
    return _View(status=status, score=score, cause=cause, why=why)
