"""How near an assessment is to an audit, by thresholds that are told."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mesh_fl.agents.compliance.verdict import ControlAssessment, Part

Level = Literal["ready", "nearly", "not ready"]


class Bar(NamedTuple):
    """What a level asks for, as shares of what they are counted in."""

    coverage: float
    gaps: float
    partial: float
    failing: float
    stale: float
    """Too old, or of no date that anybody told."""


READY = Bar(coverage=0.95, gaps=0.0, partial=0.1, failing=0.0, stale=0.0)
NEARLY = Bar(coverage=0.7, gaps=0.1, partial=0.4, failing=0.1, stale=0.25)


class Criterion(Part):
    """One measure of readiness: its value, and what "ready" and "nearly" ask for."""

    name: str
    value: float
    ready: str
    nearly: str
    level: Level


class AuditReadiness(Part):
    """The lowest level that any criterion reaches.

    Attributes
    ----------
    coverage : float
        Assessed controls among all.
    satisfied, partial, gaps, not_assessed : int
        Controls of each status.
    results, failing, stale, undated : int
        Check results that bear on a control; those that fail, are too old, or tell no date.
    unmatched, unmatched_failing : int
        Check results that bear on no control; those that fail.
    """

    level: Level
    criteria: tuple[Criterion, ...]
    coverage: float
    satisfied: int
    partial: int
    gaps: int
    not_assessed: int
    results: int
    failing: int
    stale: int
    undated: int
    unmatched: int
    unmatched_failing: int


def readiness_of(
    controls: Sequence[ControlAssessment],
    *,
    results: int,
    failing: int,
    stale: int,
    undated: int,
    unmatched: int = 0,
    unmatched_failing: int = 0,
) -> AuditReadiness:
    """Tell how near an audit is.

    Parameters
    ----------
    controls : sequence of ControlAssessment
    results, failing, stale, undated : int
        Check results that bear on a control; how many of them fail, are too old, or tell no date.
    unmatched, unmatched_failing : int
        Check results that bear on no control; how many of them fail. What fails may not be hidden
        by a name that nobody knows: they count as failing evidence.
    """
    counts = {
        status: sum(one.status == status for one in controls)
        for status in ("satisfied", "partial", "gap", "not_assessed")
    }
    assessed = len(controls) - counts["not_assessed"]
    failed = _share(failing + unmatched_failing, results + unmatched)
    criteria = (
        _at_least("coverage", _share(assessed, len(controls)), READY.coverage, NEARLY.coverage),
        _at_most("gaps", _share(counts["gap"], assessed), READY.gaps, NEARLY.gaps),
        _at_most("partial", _share(counts["partial"], assessed), READY.partial, NEARLY.partial),
        _at_most("failing evidence", failed, READY.failing, NEARLY.failing),
        _at_most("stale evidence", _share(stale + undated, results), READY.stale, NEARLY.stale),
    )
    levels: tuple[Level, ...] = ("not ready", "nearly", "ready")
    return AuditReadiness(
        level=min((one.level for one in criteria), key=levels.index),
        criteria=criteria,
        coverage=_share(assessed, len(controls)),
        satisfied=counts["satisfied"],
        partial=counts["partial"],
        gaps=counts["gap"],
        not_assessed=counts["not_assessed"],
        results=results,
        failing=failing,
        stale=stale,
        undated=undated,
        unmatched=unmatched,
        unmatched_failing=unmatched_failing,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _at_least(name: str, value: float, ready: float, nearly: float) -> Criterion:
    level = _level(value >= ready, value >= nearly)
    return Criterion(
        name=name, value=value, ready=f">= {ready:.0%}", nearly=f">= {nearly:.0%}", level=level
    )


def _at_most(name: str, value: float, ready: float, nearly: float) -> Criterion:
    level = _level(value <= ready, value <= nearly)
    return Criterion(
        name=name, value=value, ready=f"<= {ready:.0%}", nearly=f"<= {nearly:.0%}", level=level
    )


def _level(is_ready: bool, is_near: bool) -> Level:
    if is_ready:
        return "ready"
    return "nearly" if is_near else "not ready"
