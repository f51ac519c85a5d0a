"""The audit-readiness report, in Markdown."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from mesh_fl.agents.compliance.advice import Recommendation
from mesh_fl.agents.compliance.assessment import Assessment
from mesh_fl.agents.compliance.verdict import CheckEvidence, ControlAssessment, Quote

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~])")
_BREAKS = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+"  # bidi marks too
)
_LINE_START = re.compile(r"^(?=[-=])|^([0-9]{1,9})(?=\.(?:\s|$))")
_LINKED = re.compile(r"(?i)\b(?:https?|ftp|mailto|www)(?=[:.])|\w(?=@)")

STATUS = {
    "satisfied": "satisfied",
    "partial": "partial",
    "gap": "gap",
    "not_assessed": "not assessed",
}

LIMITS = (
    "This report is a self-assessment by a program. It is no certification, no audit opinion and no"
    " legal advice.",
    "A sentence counts by how similar a model finds it to a control, and by a rule of words that"
    " finds denials, plans and advice in English. Nobody has checked that what it says is done, or"
    " that it says enough: a person must read what is quoted, and above all what is partial.",
    "The score is a mean over the assessed controls and says nothing of the others. A file may hold"
    " a part of a framework only.",
    "A check result shows the system it was collected on, on the day it was collected. Passing"
    " checks cover only what can be checked by a machine.",
    "A control with check results is judged by them; its policy text then only counts where it"
    " denies them. Results for a control do not count for those that refine it.",
)


def escape(text: str) -> str:
    """Make text safe to stand in Markdown and its tables: one line, no markup, no HTML, no link."""
    plain = html.escape(_BREAKS.sub(" ", text).strip(), quote=False)
    marked = _MARKUP.sub(r"\\\1", plain)
    # A word joiner (of no width) keeps addresses from becoming links.
    return _LINE_START.sub(r"\1\\", _LINKED.sub("\\g<0>\N{WORD JOINER}", marked))


def audit_report(assessment: Assessment) -> str:
    """Write the report of an assessment.

    Returns
    -------
    str
        Markdown (GitHub flavour): summary, gaps by family, controls, recommendations, sources,
        limits. Everything that comes from the policy, the evidence or the framework is escaped.
    """
    sections = (
        _summary(assessment),
        _by_family(assessment.controls),
        _advice(assessment.recommendations),
        _controls(assessment),
        _sources(assessment),
        ["## Limits", "", *(f"- {limit}" for limit in LIMITS)],
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _summary(one: Assessment) -> list[str]:
    score = (
        "not available"
        if one.compliance_score is None
        else f"{one.compliance_score:.1f} of 100, from {one.controls_assessed} of"
        f" {len(one.controls)} controls"
    )
    ready = one.audit_readiness
    counts = (
        f"{ready.satisfied} satisfied, {ready.partial} partial, {ready.gaps} gaps,"
        f" {ready.not_assessed} not assessed"
    )
    rows = [("Compliance score", score), ("Audit readiness", ready.level), ("Controls", counts)]
    return [
        f"# Audit readiness: {escape(one.framework)}",
        "",
        f"Assessed on {one.assessed_at:%Y-%m-%d %H:%M} UTC.",
        "",
        *_table(("Summary", ""), rows),
        "",
        *_table(
            ("Criterion", "Value", "Ready", "Nearly", "Level"),
            (
                (
                    each.name,
                    f"{each.value:.0%}",
                    escape(each.ready),
                    escape(each.nearly),
                    each.level,
                )
                for each in ready.criteria
            ),
        ),
    ]


def _by_family(controls: Sequence[ControlAssessment]) -> list[str]:
    families: dict[str, list[ControlAssessment]] = {}
    for one in controls:
        families.setdefault(one.family or "(no family)", []).append(one)
    rows = (
        (
            escape(family),
            str(len(ones)),
            str(sum(one.status == "gap" for one in ones)),
            escape(_some([one.control for one in ones if one.status == "gap"])) or "none",
        )
        for family, ones in families.items()
    )
    return ["## Gaps by family", "", *_table(("Family", "Controls", "Gaps", "Open"), rows)]


def _some(names: Sequence[str], most: int = 12) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _advice(recommendations: Sequence[Recommendation]) -> list[str]:
    rows = (
        (str(one.priority), *map(escape, (one.control, one.action, one.because, one.source)))
        for one in recommendations
    )
    header = ("Priority", "Control", "What to do", "Because", "Source")
    return ["## Recommendations", "", *(_table(header, rows) if recommendations else ["None."])]


def _controls(assessment: Assessment) -> list[str]:
    lines = ["## Controls"]
    for one in assessment.controls:
        lines.extend(_control(one))
    return lines


def _control(one: ControlAssessment) -> Iterator[str]:
    score = "" if one.score is None else f", score {one.score:.2f}"
    yield ""
    yield f"### {escape(one.control)} {escape(one.title)}".rstrip()
    yield ""
    yield f"- Status: **{STATUS[one.status]}**{score}: {escape(one.why)}"
    if one.sentence:
        yield f"- Nearest sentence: {_quoted(one.sentence)}"
    if one.against:
        yield f"- Against it ({one.against.claim}): {_quoted(one.against)}"
    for check in one.checks:
        yield f"- {_checked(check)}"
    counted = one.checks_passed + one.checks_failed + one.checks_stale + one.checks_unknown
    if counted > len(one.checks):
        yield f"- and {counted - len(one.checks)} more check results"


def _quoted(quote: Quote) -> str:
    return (
        f"“{escape(quote.text)}” (line {quote.line}, similarity {quote.similarity:.2f},"
        f" {quote.standing})"
    )


def _checked(check: CheckEvidence) -> str:
    system = f" on {escape(check.system)}" if check.system else ""
    when = f"{check.collected_at:%Y-%m-%d}" if check.collected_at else "undated"
    stale = ", too old" if check.stale else ""
    said = f": {escape(check.text)}" if check.text else ""
    names = ", ".join(map(escape, check.names))
    return f"Check {names}{system}: **{check.status}** ({when}{stale}, {escape(check.place)}){said}"


def _sources(one: Assessment) -> list[str]:
    lines = [
        "## Sources",
        "",
        f"- Framework: {escape(one.source)}, {len(one.controls)} controls",
        f"- Policy: {one.sentences_assessed} sentences assessed, {one.sentences_left_out} left out",
        f"- Evidence: {one.results_used} results used, {one.audit_readiness.stale} of them too old"
        f" (limit {one.rules.max_age_days:g} days), {one.audit_readiness.undated} undated;"
        f" {one.unmatched_results} bear on no control, {one.results_refused} refused",
    ]
    if one.model_used:
        rules = one.rules
        lines.append(
            f"- Similarity by {escape(one.model_used)}: a sentence is strong where no other control"
            f" is nearer to it, from a similarity of {rules.alike:.2f}"
            f" ({rules.alike_denying:.2f} if it denies) and a relevance of"
            f" {rules.satisfies:.2f} on, if it shares words with the control; from a relevance of"
            f" {rules.touches:.2f} on it counts in part"
        )
    lines.extend(f"- Not known to the framework: {escape(name)}" for name in one.unmatched)
    lines.extend(f"- Problem: {escape(problem)}" for problem in one.problems)
    return lines


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
