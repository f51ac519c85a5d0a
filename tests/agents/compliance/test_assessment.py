import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_fl.agents.compliance.assessment import MOST_SENTENCES, Assessment, Matcher, Rules, assess
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.evidence import read_evidence
from mesh_fl.agents.compliance.likeness import Likeness, shared_words
from mesh_fl.agents.compliance.readiness import readiness_of
from mesh_fl.agents.compliance.verdict import ControlAssessment
from mesh_fl.errors import AgentError
from mesh_fl.text.sentences import sentences_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULES = Rules(satisfies=0.5, touches=0.3, alike=0.5, alike_denying=0.5, max_age_days=100)
FRESH, OLD = "2026-05-01", "2025-01-01"

Items: TypeAlias = Sequence[Mapping[str, object]]


def framework(*controls: Control) -> Framework:
    return Framework(name="Own", version="1", controls=controls, source="own.json")


BACKUP = Control(framework="Own", id="X-1", title="Backup", text="", checks=("backup_on", "tested"))
LOGS = Control(framework="Own", id="X-2", title="Logs", text="", checks=("log_on", "tested"))
OWN = framework(BACKUP, LOGS)


def alike(matrix: NDArray[np.float64]) -> Likeness:
    return Likeness(relevance=matrix, cosine=matrix, shares=np.ones(matrix.shape, dtype=bool))


def matcher(relevance: Mapping[str, float]) -> Matcher:
    """Say how alike a sentence and any control are by a word in it; cosine and relevance agree."""

    def match(controls: Sequence[Control], sentences: Sequence[str]) -> Likeness:
        row = [max((v for w, v in relevance.items() if w in one), default=0.0) for one in sentences]
        return alike(np.tile(row, (len(controls), 1)))

    return match


def judged(
    policy: str = "", evidence: Items = (), relevance: Mapping[str, float] | None = None
) -> Assessment:
    return assess(
        OWN,
        sentences_of(policy),
        read_evidence(json.dumps(evidence)),
        matcher(relevance or {}),
        rules=RULES,
        model_used="fake",
        now=NOW,
    )


def first(policy: str = "", evidence: Items = (), **relevance: float) -> ControlAssessment:
    return judged(policy, evidence, relevance).controls[0]


class TestPolicy:
    def test_a_sentence_that_affirms_satisfies_and_is_quoted(self) -> None:
        policy = "# Backup\n\nWe like tea very much.\nBackups run every day."
        one = first(policy, daily=0.9, Backups=0.62, tea=0.1)
        assert (one.status, one.score, one.cause) == ("satisfied", 1.0, None)
        assert one.sentence is not None
        assert (one.sentence.text, one.sentence.line) == ("Backups run every day.", 4)
        assert one.sentence.similarity == 0.62
        assert one.why == "the sentence in line 4 affirms it, similarity 0.62"

    def test_a_heading_satisfies_nothing(self) -> None:
        assert first("# Backups run every day\n\nTea is fine.", Backups=0.9).status == "gap"

    @pytest.mark.parametrize(
        ("policy", "status", "cause"),
        [
            ("We do not run backups.", "gap", "denied"),
            ("We plan to run backups.", "gap", "planned"),
            ("We should consider backups.", "gap", "advised"),
            ("We run backups, but nobody tests them.", "partial", "mixed"),
            ("We do not run:\n\n- daily backups of disks", "gap", "denied"),
        ],
    )
    def test_what_does_not_affirm_never_satisfies(
        self, policy: str, status: str, cause: str
    ) -> None:
        one = first(policy, backups=0.95)
        assert (one.status, one.cause) == (status, cause)
        assert one.against is not None
        assert one.against.similarity == 0.95

    def test_a_denial_beats_what_only_reads_alike_and_halves_what_is_affirmed(self) -> None:
        policy = "Alpha backups run daily. We do not run beta backups."
        assert first(policy, Alpha=0.4, beta=0.7).status == "gap"
        halved = first(policy, Alpha=0.7, beta=0.6)
        assert (halved.status, halved.score, halved.cause) == ("partial", 0.5, "mixed")
        assert first(policy, Alpha=0.6, beta=0.7).status == "partial"
        assert first(policy, Alpha=0.7, beta=0.4).status == "satisfied"

    def test_a_denial_that_is_not_strong_denies_nothing(self) -> None:
        one = first("We do not run beta backups.", beta=0.45)
        assert (one.status, one.cause, one.against) == ("gap", "unmentioned", None)

    def test_a_plan_that_fits_better_than_a_weak_sentence_is_what_counts(self) -> None:
        policy = "Alpha runs each day. Beta is planned for next year."
        assert first(policy, Alpha=0.4, Beta=0.45).cause == "planned"
        assert first(policy, Alpha=0.6, Beta=0.9).status == "satisfied"

    @given(st.floats(0, 1))
    def test_the_score_grows_with_relevance(self, relevance: float) -> None:
        one = first("Backups run every day.", Backups=relevance)
        weak = 0.5 * float(np.clip((relevance - 0.3) / 0.2, 0, 1))
        assert one.score == pytest.approx(1.0 if relevance >= 0.5 else weak, abs=1e-9)
        expected = "satisfied" if relevance >= 0.5 else "partial" if relevance >= 0.3 else "gap"
        assert one.status == expected

    def test_nothing_said_is_not_assessed(self) -> None:
        found = judged("## Heading only")
        assert [one.status for one in found.controls] == ["not_assessed"] * 2
        assert found.compliance_score is None
        assert found.model_used == ""
        assert "give a policy text" in found.unavailable["compliance_score"]
        assert found.audit_readiness.level == "not ready"


class TestLikeness:
    """One control has the sentence, the other one only reads like it."""

    def judged(
        self, relevance: float, cosine: float, rival: float, shares: bool = True
    ) -> ControlAssessment:
        def match(controls: Sequence[Control], said: Sequence[str]) -> Likeness:
            return Likeness(
                relevance=np.array([[relevance], [0.1]]),
                cosine=np.array([[cosine], [rival]]),
                shares=np.array([[shares], [True]]),
            )

        policy = sentences_of("Backups run every day.")
        return assess(OWN, policy, read_evidence(""), match, rules=RULES, now=NOW).controls[0]

    @pytest.mark.parametrize(
        ("relevance", "cosine", "rival", "shares", "standing"),
        [
            (0.9, 0.7, 0.2, True, "strong"),
            (0.9, 0.7, 0.71, True, "near"),
            (0.9, 0.49, 0.2, True, "nearest"),
            (0.9, 0.7, 0.2, False, "nearest"),
            (0.49, 0.7, 0.2, True, "near"),
        ],
    )
    def test_only_a_strong_sentence_satisfies(
        self, relevance: float, cosine: float, rival: float, shares: bool, standing: str
    ) -> None:
        one = self.judged(relevance, cosine, rival, shares)
        assert one.sentence is not None
        assert (one.sentence.standing, one.sentence.similarity) == (standing, cosine)
        assert one.sentence.relevance == relevance
        assert one.status == ("satisfied" if standing == "strong" else "partial")
        assert one.status == "satisfied" or "a person must look" in one.why
        assert one.score == 1.0 or (one.score or 0) <= 0.5

    def test_words_are_shared_by_title_or_by_wording(self) -> None:
        titles = ("Device Lock", "Backup Policy and Procedures", "Emergency Shutoff")
        sentences = (
            "Locks of devices are checked.",
            "Backups run daily.",
            "A policy says when backups run.",
        )
        found = shared_words(titles, sentences, np.zeros((3, 3)))
        assert found.tolist() == [[True, False, False], [False, False, True], [False] * 3]
        assert shared_words(titles, sentences, np.full((3, 3), 0.5))[2].all()
        said = ("We do not scan systems.", "Vulnerabilities are patched.", "All is well.")
        found = shared_words(["Vulnerability scanning"], said, np.zeros((1, 3)))
        assert found.tolist() == [[True, True, False]]


class TestChecks:
    def test_a_check_bears_on_every_control_that_lists_it(self) -> None:
        found = judged(evidence=[{"check": "tested", "status": "pass", "date": FRESH}])
        assert [one.status for one in found.controls] == ["satisfied", "satisfied"]
        found = judged(evidence=[{"control": "x_2", "status": "pass", "date": FRESH}])
        assert [one.status for one in found.controls] == ["not_assessed", "satisfied"]
        assert found.compliance_score == 100
        assert (found.controls_assessed, found.audit_readiness.coverage) == (1, 0.5)
        assert found.audit_readiness.level == "not ready"

    @pytest.mark.parametrize(
        ("statuses", "status", "score"),
        [
            (["pass", "pass", "pass", "fail"], "partial", 0.75),
            (["pass", "fail", "fail"], "gap", 1 / 3),
            (["fail"], "gap", 0.0),
            (["pass", "manual"], "satisfied", 1.0),
        ],
    )
    def test_failing_checks_beat_sentences(
        self, statuses: list[str], status: str, score: float
    ) -> None:
        evidence = [
            {"control": "X-1", "status": word, "system": str(n), "date": FRESH}
            for n, word in enumerate(statuses)
        ]
        one = first("Backups run every day.", evidence, Backups=0.99)
        assert (one.status, one.score) == (status, pytest.approx(score))

    def test_stale_evidence_counts_half(self) -> None:
        evidence = [{"check": "backup_on", "status": "pass", "date": OLD}]
        found = judged(evidence=evidence)
        one = found.controls[0]
        assert (one.status, one.score, one.cause) == ("partial", 0.5, "stale")
        assert (one.checks_stale, one.checks_passed, one.checks[0].stale) == (1, 0, True)
        assert found.audit_readiness.stale == 1
        assert found.recommendations[0].action == "Collect anew: backup_on."

    def test_a_policy_that_denies_what_passes_takes_half_away(self) -> None:
        evidence = [{"check": "backup_on", "status": "pass", "date": FRESH}]
        one = first("We do not run backups.", evidence, backups=0.9)
        assert (one.status, one.score, one.cause) == ("partial", 0.5, "denied")

    def test_results_of_unknown_status_assess_nothing(self) -> None:
        one = first(evidence=[{"check": "backup_on", "status": "manual"}])
        assert (one.status, one.checks_unknown) == ("not_assessed", 1)
        assert "none of which says pass or fail" in one.why

    def test_what_the_framework_does_not_know_is_told(self) -> None:
        found = judged(evidence=[{"control": "Z-9", "status": "pass"}])
        assert (found.unmatched, found.unmatched_results, found.results_used) == (("Z-9",), 1, 0)
        (problem,) = found.problems
        assert "1 results bear on no control of the framework, 0 of them fail: Z-9;" in problem

    def test_a_failing_result_that_nobody_knows_keeps_an_audit_from_being_ready(self) -> None:
        passing = {"check": "tested", "status": "pass", "date": FRESH}
        assert judged(evidence=[passing]).audit_readiness.level == "ready"
        found = judged(evidence=[passing, {"control": "Z-9", "status": "fail"}])
        assert found.compliance_score == 100
        assert found.audit_readiness.level == "not ready"
        assert found.audit_readiness.unmatched_failing == 1
        assert "1 of them fail: Z-9" in found.problems[0]

    def test_many_results_are_counted_and_few_are_shown(self) -> None:
        evidence = [
            {"check": "backup_on", "status": "pass" if n else "fail", "system": str(n)}
            for n in range(500)
        ]
        one = first(evidence=evidence)
        assert (one.checks_passed, one.checks_failed, len(one.checks)) == (499, 1, 20)
        assert one.checks[0].status == "fail"


class TestWhole:
    def test_the_score_is_the_mean_over_assessed_controls(self) -> None:
        found = judged(
            evidence=[
                {"check": "backup_on", "status": "pass", "date": FRESH},
                {"check": "log_on", "status": "fail", "date": FRESH},
            ]
        )
        assert found.compliance_score == 50
        assert [one.control for one in found.gaps] == ["X-2"]

    def test_recommendations_follow_the_findings(self) -> None:
        failing = judged(evidence=[{"check": "log_on", "status": "fail", "system": "db"}])
        first_, second = failing.recommendations
        assert (first_.control, first_.priority) == ("X-2", 1)
        assert first_.action == "Repair log_on on db."
        assert first_.because == "1 of 1 check results fail"
        assert first_.source == "evidence item 1"
        assert (second.control, second.priority) == ("X-1", 4)
        assert second.source == "own.json"
        passing = judged(evidence=[{"check": "tested", "status": "pass", "date": FRESH}])
        assert passing.recommendations == ()
        (denied, _) = judged(
            "Hello you.\nWe do not run backups.", (), {"backups": 0.9}
        ).recommendations
        assert denied.source == "policy line 2"
        assert "line 2 denies it, similarity 0.90" in denied.because

    def test_only_so_many_sentences_are_assessed(self) -> None:
        found = judged("Backups run daily. " * (MOST_SENTENCES + 7))
        assert (found.sentences_assessed, found.sentences_left_out) == (MOST_SENTENCES, 7)
        assert "the first 500 sentences were assessed, 7 more" in found.problems[0]

    def test_sentences_that_are_cut_are_told(self) -> None:
        found = judged("Tea is fine.\nBackups run" + " and run" * 60 + " daily.")
        assert "1 sentences have more than 90 words, the first in line 2" in found.problems[0]
        assert judged("Backups run daily.").problems == ()

    def test_a_matcher_of_the_wrong_shape(self) -> None:
        with pytest.raises(AgentError, match="relevance: expected 2 x 1 values, found shape"):
            assess(
                OWN,
                sentences_of("It is so."),
                read_evidence(""),
                lambda *_: alike(np.zeros((1, 1))),
            )

    def test_a_matcher_that_gives_no_numbers(self) -> None:
        def broken(controls: Sequence[Control], said: Sequence[str]) -> Likeness:
            return alike(np.array([[np.nan, np.inf, -np.inf]] * len(controls)))

        found = assess(
            OWN, sentences_of("One is so. Two is so. We are so."), read_evidence(""), broken
        )
        assert found.controls[0].sentence is not None
        assert found.controls[0].sentence.similarity == 1.0
        json.dumps(found.model_dump(mode="json"), allow_nan=False)

    def test_the_assessment_is_plain_json_and_back(self) -> None:
        found = judged("Backups run daily.", [{"check": "tested", "status": "pass"}], {"B": 0.9})
        assert Assessment.model_validate_json(found.model_dump_json()) == found


class TestReadiness:
    def one(self, status: str) -> ControlAssessment:
        return ControlAssessment.model_validate(
            {"control": "c", "title": "", "family": "", "status": status, "score": None,
             "cause": None, "why": ""}
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("counts", "failing", "stale", "level"),
        [
            ((20, 0, 0, 0), 0, 0, "ready"),
            ((18, 2, 0, 0), 0, 0, "ready"),
            ((17, 3, 0, 0), 0, 0, "nearly"),
            ((19, 0, 1, 0), 0, 0, "nearly"),
            ((19, 0, 0, 1), 0, 0, "ready"),
            ((18, 0, 0, 2), 0, 0, "nearly"),
            ((13, 0, 0, 7), 0, 0, "not ready"),
            ((17, 0, 3, 0), 0, 0, "not ready"),
            ((20, 0, 0, 0), 1, 0, "nearly"),
            ((20, 0, 0, 0), 2, 0, "not ready"),
            ((20, 0, 0, 0), 0, 2, "nearly"),
            ((20, 0, 0, 0), 0, 3, "not ready"),
        ],
    )
    def test_levels(
        self, counts: tuple[int, int, int, int], failing: int, stale: int, level: str
    ) -> None:
        controls = [
            self.one(status)
            for status, count in zip(
                ("satisfied", "partial", "gap", "not_assessed"), counts, strict=True
            )
            for _ in range(count)
        ]
        ready = readiness_of(controls, results=11, failing=failing, stale=stale, undated=0)
        assert ready.level == level
        undated = readiness_of(controls, results=11, failing=failing, stale=0, undated=stale)
        assert undated.level == level, "what nobody dated may be too old"
        assert (ready.satisfied, ready.partial, ready.gaps, ready.not_assessed) == counts


def test_a_day_more_makes_it_stale() -> None:
    when = (NOW - timedelta(days=100)).isoformat()
    assert first(evidence=[{"check": "tested", "status": "pass", "date": when}]).score == 1
    when = (NOW - timedelta(days=101)).isoformat()
    assert first(evidence=[{"check": "tested", "status": "pass", "date": when}]).score == 0.5
