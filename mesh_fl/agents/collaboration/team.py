"""Which partners together cover what is needed."""

from collections.abc import Sequence

from mesh_fl.agents.collaboration.answer import Complementarity, Helper, Match
from mesh_fl.agents.collaboration.directory import Offer
from mesh_fl.agents.collaboration.need import Need


def complement(need: Need, own: Offer | None, matches: Sequence[Match]) -> Complementarity | None:
    """Return who covers what, by a greedy search (Chvatal 1979); None where no skill is needed.

    Parameters
    ----------
    need : Need
    own : Offer or None
        Ours; without one, partners have to cover all.
    matches : sequence of Match
        The best first: of two that add as much, the better one is taken.
    """
    if not need.skills:
        return None
    held = tuple(skill for skill in need.skills if own is not None and own.has(skill))
    open_skills = [skill for skill in need.skills if skill not in held]
    partners: list[Helper] = []
    while open_skills and matches:
        best = max(matches, key=lambda match: len(set(match.skills) & set(open_skills)))
        brings = tuple(skill for skill in open_skills if skill in best.skills)
        if not brings:
            break
        partners.append(Helper(msp_id=best.msp_id, name=best.name, skills=brings))
        open_skills = [skill for skill in open_skills if skill not in brings]
    return Complementarity(
        own=held,
        covered_alone=len(held) / len(need.skills),
        covered_together=1 - len(open_skills) / len(need.skills),
        partners=tuple(partners),
        uncovered=tuple(open_skills),
    )
