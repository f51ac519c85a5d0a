import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.compliance.assessment import Assessment, assess
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.evidence import read_evidence
from mesh_fl.agents.compliance.likeness import Likeness
from mesh_fl.agents.compliance.oscal_results import assessment_results
from mesh_fl.agents.compliance.report import LIMITS, audit_report, escape
from mesh_fl.text.sentences import sentences_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOSTILE = "a | b `c` <script>alert(1)</script> [x](http://e.example) **bold** # ![i](u)"


def framework_of(title: str = "Backup") -> Framework:
    """Return a framework with a control of a catalog, and three of a plain list."""
    known = {"AC-2(1)": ("ac-2.1", "ac-2.1_smt")}
    controls = tuple(
        Control(
            framework="F",
            id=one,
            title=title,
            text="",
            family=title,
            checks=(f"check{one}",),
            oscal_id=known.get(one, ("", ""))[0],
            statement_id=known.get(one, ("", ""))[1],
        )
        for one in ("AC-2(1)", "1.2.5", "Article 32", "CC6.1")
    )
    return Framework(name=f"F {title}", version="1", controls=controls, source="f.json")


def results(policy: str, title: str = "Backup", plan: str = "") -> Mapping[str, Any]:
    return assessment_results(assessment(policy, title), framework_of(title), plan)


def assessment(policy: str, title: str = "Backup") -> Assessment:
    def matcher(controls: Sequence[Control], said: Sequence[str]) -> Likeness:
        matrix = np.tile(np.linspace(0.9, 0.2, len(controls))[:, None], (1, len(said)))
        return Likeness(matrix, matrix, np.ones(matrix.shape, dtype=bool))

    evidence = read_evidence(
        json.dumps(
            [
                {"check": "check1.2.5", "status": "fail", "system": title, "text": title},
                {"check": "check1.2.5", "status": "pass", "date": "2020-01-01"},
                {"check": title, "status": "pass"},
                {"check": "x", "status": "what?"},
            ]
        )
    )
    framework = framework_of(title)
    said = sentences_of(policy)
    return assess(framework, said, evidence, matcher, model_used="fake", now=NOW)


class TestMarkdown:
    def test_what_stands_in_it(self) -> None:
        report = audit_report(assessment("Backups run every day. We do not keep logs."))
        for part in (
            "# Audit readiness: F Backup",
            "Assessed on 2026-06-01 12:00 UTC.",
            "| Audit readiness | not ready |",
            "## Gaps by family",
            "## Recommendations",
            "### 1.2.5 Backup",
            "“Backups run every day.” (line 1, similarity 0.90, strong)",
            "- Against it (denied): “We do not keep logs.”",
            "- Check check1.2.5 on Backup: **fail** (undated, evidence item 1): Backup",
            "- Not known to the framework: Backup",
            "- Problem: evidence item 4: expected a status",
            "- Similarity by fake: a sentence is strong where no other control is nearer to it,",
            "- Problem: evidence: 1 results bear on no control of the framework, 0 of them fail",
            "of 100, from 4 of 4 controls",
        ):
            assert part in report
        assert all(limit in report for limit in LIMITS)
        assert "no certification" in report

    def test_hostile_text_stays_text(self) -> None:
        report = audit_report(assessment(f"Backups {HOSTILE}.", HOSTILE))
        assert "<script" not in report
        assert "http://" not in report
        assert not re.search(r"(?<!\\)[`\[\]]", report)
        heads = [line for line in report.splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in heads} <= {3, 5, 6}

    @given(st.text(max_size=200))
    def test_anything_escaped_is_one_line_without_markup(self, text: str) -> None:
        safe = escape(text)
        assert len(safe.splitlines()) <= 1
        assert "<" not in safe
        assert not re.search(r"(?<!\\)(?:\\\\)*[|`*\[]", safe)

    def test_no_address_becomes_a_link_and_no_text_runs_backwards(self) -> None:
        safe = escape("ask a@b.example or https://b.example \u202egnp.exe")
        assert not re.search(r"\w@|https?:|[\u202a-\u202e\u2066-\u2069]", safe)

    @pytest.mark.parametrize("text", ["1. x", "1.", "- x", "=== x", "> x", "# x", "+ x", "~~~"])
    def test_no_line_opens_a_block(self, text: str) -> None:
        assert re.match(r"\\[^0-9a-z]|&gt;|[0-9]+\\\.", escape(text))


class TestOscal:
    def test_the_document_says_what_the_assessment_says(self) -> None:
        document = results("Backups run every day. We do not keep logs.")
        json.dumps(document, allow_nan=False)
        body = document["assessment-results"]
        assert isinstance(body, dict)
        assert body["metadata"]["oscal-version"] == "1.1.2"
        (result,) = body["results"]
        included = result["reviewed-controls"]["control-selections"][0]["include-controls"]
        assert [one["control-id"] for one in included] == [
            "ac-2.1",
            "_1.2.5",
            "Article_32",
            "CC6.1",
        ]
        targets = [one["target"] for one in result["findings"]]
        assert [one["target-id"] for one in targets] == [
            "ac-2.1_smt",
            "_1.2.5",
            "Article_32",
            "CC6.1",
        ]
        assert "_obj" not in json.dumps(document)
        assert [one.get("props", [{}])[0].get("value") for one in targets] == [
            None,
            "1.2.5",
            "Article 32",
            "CC6.1",
        ]
        states = [one["target"]["status"]["state"] for one in result["findings"]]
        assert states == ["not-satisfied"] * 4
        assert [one["props"][0]["value"] for one in result["findings"]] == [
            "partial",
            "gap",
            "partial",
            "gap",
        ]
        observed = {one["uuid"] for one in result["observations"]}
        related = {
            one["observation-uuid"]
            for finding in result["findings"]
            for one in finding.get("related-observations", [])
        }
        assert related == observed
        plan = body["import-ap"]["href"]
        assert plan == "#" + body["back-matter"]["resources"][0]["uuid"]

    def test_a_satisfied_control(self) -> None:
        document = results("Backups run every day.", plan="plan.json")
        body = document["assessment-results"]
        assert isinstance(body, dict)
        finding = body["results"][0]["findings"][0]
        assert finding["target"]["status"] == {"state": "satisfied", "reason": "pass"}
        assert body["import-ap"] == {"href": "plan.json"}
        assert "back-matter" not in body

    def test_the_same_content_gives_the_same_ids_and_another_does_not(self) -> None:
        ours, theirs = "Backups run daily.", "Backups run weekly."
        assert results(ours) == results(ours)

        def ids(policy: str) -> list[str]:
            return re.findall(r'"uuid": "([^"]+)"', json.dumps(results(policy)))

        assert len(set(ids(ours))) == len(ids(ours))
        assert not set(ids(ours)) & set(ids(theirs))

    def test_strings_are_what_oscal_takes(self) -> None:
        text = json.dumps(results(f"B {HOSTILE}.", " \n\t "))
        for value in re.findall(r'"(?:title|value|description)": "((?:[^"\\]|\\.)*)"', text):
            assert value == value.strip() != ""

    def test_ids_of_a_catalog_that_are_no_tokens_are_not_taken(self) -> None:
        (control, *_) = framework_of().controls
        hostile = replace(control, oscal_id="1 <b>", statement_id="x y")
        framework = replace(framework_of(), controls=(hostile, *framework_of().controls[1:]))
        document = assessment_results(assessment("Backups run every day."), framework)
        ids = re.findall(r'"(?:control-id|target-id)": "([^"]*)"', json.dumps(document))
        assert len(ids) == 8
        assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9._-]*", one) for one in ids)

    def test_nothing_assessed(self) -> None:
        framework = Framework(
            name="F",
            version="",
            controls=(Control(framework="F", id="X-1", title="t", text=""),),
            source="f",
        )
        empty = assess(framework, (), read_evidence(""), lambda *_: np.zeros((1, 0)), now=NOW)
        body = assessment_results(empty, framework)["assessment-results"]
        assert isinstance(body, dict)
        assert "findings" not in body["results"][0]
        assert "not available" in audit_report(empty)
