"""What another agent answered, in words that hold its own values only."""

from collections.abc import Callable, Iterator, Mapping

from mesh_fl.agents._reading import items, table, text

Answered = Mapping[str, object]

MOST_TOLD = 3
"""Of a list; the answer itself holds them all."""

LONGEST_PART = 400


def retell(agent: str, answered: Answered) -> str:
    """Return an answer of another agent in words; "" if it holds nothing that can be told.

    Parameters
    ----------
    agent : str
        Its registered name.
    answered : mapping
        As the agent's endpoint answers.
    """
    tell = _TELL.get(agent)
    return "" if tell is None else " ".join(tell(answered))


def _threat(answered: Answered) -> Iterator[str]:
    for found in _tables(answered, "vulnerabilities"):
        yield f"{_said(found, 'cve')} {_exploited(found)}{_score(found)}."
    match answered.get("is_threat"):
        case True:
            kind, level = _said(answered, "threat_type"), _said(answered, "severity")
            by = _said(answered, "severity_source")
            yield f"It tells of a threat of type {kind}" + (
                f", severity {level} by {by}." if level and by else "."
            )
        case False:
            yield "No threat was found in it."
        case _:
            yield "Whether it is a threat only a person can tell."
    for step in _tables(answered, "recommended_actions")[:1]:
        yield f"First step: {_said(step, 'action')} (source: {_said(step, 'source')})"


def _exploited(found: Answered) -> str:
    match found.get("known_exploited"):
        case True:
            due = _said(found, "due_date")
            return "is known to be exploited" + (f" (to be mended by {due})" if due else "")
        case False:
            return "is not in the catalogue of exploited vulnerabilities"
    why = text(table(found.get("unavailable")).get("known_exploited"), LONGEST_PART)
    return "may be exploited or not" + (f": {why}" if why else "")


def _score(found: Answered) -> str:
    score = _number(found, "cvss_score")
    return f"; its CVSS score is {score}" if score else ""


def _compliance(answered: Answered) -> Iterator[str]:
    for name, about in (("controls_for_technique", "score"), ("controls_for_text", "probability")):
        if found := _tables(answered, name):
            told = [
                f"{_said(one, 'control')} {_said(one, 'title')} ({about} {_number(one, about)})"
                for one in found
            ]
            yield f"The likeliest controls: {'; '.join(told)}."


def _market(answered: Answered) -> Iterator[str]:
    for sentence in items(answered.get("competitive_position"))[:MOST_TOLD]:
        yield text(sentence, LONGEST_PART)
    for found in _tables(answered, "pricing_recommendations")[:1]:
        yield f"Recommendation for {_said(found, 'figure')}: {_said(found, 'action')}."
        if caution := _said(found, "caution"):
            yield caution


def _collaboration(answered: Answered) -> Iterator[str]:
    matches = _tables(answered, "matches")
    if not matches:
        why = text(table(answered.get("unavailable")).get("matches"), LONGEST_PART)
        yield f"No partner was found{': ' + why if why else ''}."
        return
    told = [_partner(one) for one in matches]
    yield f"The best matches: {'; '.join(told)}."
    if how := _said(matches[0], "ask"):
        yield f"To be introduced to the first: {how}"


def _partner(match: Answered) -> str:
    who = _said(match, "name") or _said(match, "msp_id")
    skills = [text(one, LONGEST_PART) for one in items(match.get("skills"))]
    knows = f", knows {', '.join(filter(None, skills))}" if any(skills) else ""
    return f"{who} (match score {_number(match, 'match_score')}{knows})"


def _tables(answered: Answered, name: str) -> list[Answered]:
    return [one for one in map(table, items(answered.get(name))) if one][:MOST_TOLD]


def _said(answered: Answered, name: str) -> str:
    return text(answered.get(name), LONGEST_PART)


def _number(answered: Answered, name: str) -> str:
    value = answered.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.3g}" if is_number else ""


_TELL: Mapping[str, Callable[[Answered], Iterator[str]]] = {
    "threat": _threat,
    "compliance": _compliance,
    "market": _market,
    "collaboration": _collaboration,
}
