"""Which partners together cover what is needed."""

from collections.abc import Sequence

from mesh_fl.agents.collaboration.answer import Complementarity, Helper, Match
from mesh_fl.agents.collaboration.directory import Offer
from mesh_fl.agents.collaboration.matching import Candidate
from mesh_fl.agents.collaboration.need import Need


def complement(
    need: Need, own: Offer | None, candidates: Sequence[Candidate]
) -> Complementarity | None:
    """Return who covers what, by a greedy search (Chvatal 1979); None where no skill is needed.

    Parameters
    ----------
    need : Need
    own : Offer or None
        Ours; without one, partners have to cover all.
    candidates : sequence of Candidate
        The best first: of two that add as much, the better one is taken.
    """
    if not need.skills:
        return None
    held = tuple(skill for skill in need.skills if own is not None and own.has(skill))
    open_skills = [skill for skill in need.skills if skill not in held]
    partners: list[Helper] = []
    while open_skills and candidates:
        best = max(candidates, key=lambda one: len(set(one.covered) & set(open_skills)))
        brings = tuple(skill for skill in open_skills if skill in best.covered)
        if not brings:
            break
        profile = best.profile
        partners.append(Helper(msp_id=profile.handle, name=profile.name, skills=brings))
        open_skills = [skill for skill in open_skills if skill not in brings]
    return Complementarity(
        own=held,
        covered_alone=len(held) / len(need.skills),
        covered_together=1 - len(open_skills) / len(need.skills),
        partners=tuple(partners),
        uncovered=tuple(open_skills),
    )


def uncertified(
    need: Need, own: Offer | None, team: Complementarity | None, matches: Sequence[Match]
) -> tuple[str, ...]:
    """Return the certifications asked for that neither we nor a partner in the team names.

    Parameters
    ----------
    need : Need
    own : Offer or None
    team : Complementarity or None
    matches : sequence of Match
        With all partners in the team.
    """
    partners = set() if team is None else {one.msp_id for one in team.partners}
    missing = [set(one.certifications_missing) for one in matches if one.msp_id in partners]
    return tuple(
        asked
        for asked in need.request.certifications
        if not (own is not None and asked in own.certificates)
        and all(asked in one for one in missing)
    )
