"""A joint proposal in Markdown: what was given, and what is still open."""

import re
from collections.abc import Iterator, Sequence

from mesh_fl.agents.collaboration.answer import Complementarity, Helper
from mesh_fl.agents.collaboration.need import Need
from mesh_fl.agents.collaboration.revenue import RevenueSharing

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#!|~&]|^[-+])")


def draft(
    need: Need,
    team: Complementarity | None,
    uncertified: Sequence[str],
    revenue: RevenueSharing | None,
) -> str:
    """Return a draft.

    Parameters
    ----------
    need : Need
    team : Complementarity or None
        Who covers what.
    uncertified : sequence of str
        Certifications asked for that nobody in the team names.
    revenue : RevenueSharing or None
        Who is paid what.
    """
    sections = (
        ["# Joint proposal (draft)"],
        _task(need),
        _work(team),
        _price(revenue),
        _open(need, team, uncertified, revenue),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _task(need: Need) -> list[str]:
    asked = need.request
    facts = {
        "Skills": ", ".join(need.skills),
        "Certifications": ", ".join(asked.certifications),
        "Region": asked.region,
        "Hours a month": "" if asked.hours is None else f"{asked.hours:g}",
    }
    told = [f"- {name}: {_plain(value)}" for name, value in facts.items() if value]
    text = [_plain(asked.requirements), ""] if asked.requirements else []
    return ["## Task", "", *text, *told] if text or told else []


def _work(team: Complementarity | None) -> list[str]:
    if team is None:
        return []
    rows = [("We", team.own)] if team.own else []
    rows += [(_called(one), one.skills) for one in team.partners]
    lines = [f"| {_plain(who)} | {_plain(', '.join(skills))} |" for who, skills in rows]
    return ["## Who does what", "", "| who | skills |", "|---|---|", *lines] if lines else []


def _price(revenue: RevenueSharing | None) -> list[str]:
    if revenue is None:
        return []
    lines = [
        f"| {_plain(line.msp)} | {_plain(line.what)} | {_plain(line.arithmetic)} |"
        for line in revenue.lines
    ]
    total = f"Together: {_plain(revenue.check)}"
    return ["## Price", "", "| who | for | amount |", "|---|---|---|", *lines, "", total]


def _open(
    need: Need,
    team: Complementarity | None,
    uncertified: Sequence[str],
    revenue: RevenueSharing | None,
) -> list[str]:
    told = _questions(need, team, uncertified, revenue)
    questions = [f"- {question}" for question in told]
    return ["## Open questions", "", *questions]


def _questions(
    need: Need,
    team: Complementarity | None,
    uncertified: Sequence[str],
    revenue: RevenueSharing | None,
) -> Iterator[str]:
    asked = need.request
    if not asked.requirements:
        yield "What exactly is to be done? No requirements were given."
    if team is None:
        yield "Which skills are needed? None were told or recognised."
    else:
        for skill in team.uncovered:
            yield f"Who covers {_plain(skill)}? Nobody in the directory or here does."
        for one in team.partners:
            yield f"Does {_plain(_called(one))} agree? An introduction has to be asked for first."
    for certification in uncertified:
        yield f"Who holds {_plain(certification)}? Nobody in the team names it."
    if asked.hours is None and revenue is None:
        yield "How many hours of work is it? None were told."
    if not asked.region:
        yield "Where is the work done? No region was told."
    if revenue is None:
        yield "What is the price, and how is it shared? No deal was given."
    yield "When does it begin and end? No dates were given."
    yield "Who signs with the client, and who is liable for what? It was not told."


def _called(helper: Helper) -> str:
    return helper.name or f"hidden member {helper.msp_id}"


def _plain(text: str) -> str:
    """Keep what others wrote from becoming markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
