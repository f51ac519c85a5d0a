"""What to do about each control that is not satisfied, with the value and the source behind it."""

from collections.abc import Mapping, Sequence

from mesh_fl.agents.compliance.verdict import Cause, CheckEvidence, ControlAssessment, Part, Quote

PRIORITIES: Mapping[Cause, int] = {
    "failing": 1,
    "denied": 1,
    "unmentioned": 2,
    "planned": 2,
    "advised": 2,
    "mixed": 3,
    "weak": 3,
    "stale": 3,
    "unassessed": 4,
}
"""1 comes first."""


class Recommendation(Part):
    """One thing to do.

    Attributes
    ----------
    because : str
        The computed values that led to it.
    source : str
        Where they come from: a line of the policy, an item of the evidence, the framework.
    score : float or None
        Score of the control now.
    """

    control: str
    priority: int
    action: str
    because: str
    source: str
    score: float | None


def recommend(controls: Sequence[ControlAssessment], source: str) -> tuple[Recommendation, ...]:
    """Advise on each control that is not satisfied, the most pressing first.

    Parameters
    ----------
    source : str
        What the framework was read from.
    """
    open_controls = [one for one in controls if one.cause]
    advice = [_advise(one, source) for one in open_controls]
    return tuple(sorted(advice, key=lambda one: (one.priority, one.score or 0.0)))


def _advise(one: ControlAssessment, source: str) -> Recommendation:
    cause = one.cause or "unassessed"
    action, place = _action(one, cause)
    return Recommendation(
        control=one.control,
        priority=PRIORITIES[cause],
        action=action,
        because=one.why,
        source=place or source,
        score=one.score,
    )


def _action(one: ControlAssessment, cause: Cause) -> tuple[str, str]:
    about = f"{one.control} ({one.title})" if one.title else one.control
    match cause:
        case "failing":
            failing = [check for check in one.checks if check.status == "fail"]
            return f"Repair {_named(failing)}.", _places(failing)
        case "stale":
            stale = [check for check in one.checks if check.stale]
            return f"Collect anew: {_named(stale)}.", _places(stale)
        case "denied":
            line = _line(one.against)
            return f"Do what {about} asks for, then correct {line}.", line
        case "planned":
            line = _line(one.against)
            return f"Carry out what {line} only plans, for {about}.", line
        case "advised":
            line = _line(one.against)
            return f"Make a rule of what {line} only advises, for {about}.", line
        case "mixed":
            line = _line(one.against)
            return f"Close what {line} leaves open of {about}.", line
        case "weak":
            line = _line(one.sentence)
            return f"Look whether {line} answers {about}; if so, say more exactly how.", line
        case "unmentioned":
            return f"Write down how {about} is met, or why it does not apply.", ""
        case "unassessed":
            return f"Bring evidence for {about}: a policy text or check results.", ""


def _named(checks: Sequence[CheckEvidence]) -> str:
    named = dict.fromkeys(
        check.names[0] + (f" on {check.system}" if check.system else "") for check in checks
    )
    shown = list(named)[:5]
    rest = f" and {len(named) - len(shown)} more" if len(named) > len(shown) else ""
    return ", ".join(shown) + rest


def _places(checks: Sequence[CheckEvidence]) -> str:
    return ", ".join(check.place for check in checks[:5])


def _line(quote: Quote | None) -> str:
    return f"policy line {quote.line}" if quote else "the policy"
