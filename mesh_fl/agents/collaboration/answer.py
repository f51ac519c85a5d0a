"""What collaboration answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.collaboration.revenue import RevenueSharing


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """What one known fact adds to the log-odds of acceptance, against not knowing it."""

    because: str
    contribution: float


class Match(Answer):
    """A member of the directory that could help.

    Attributes
    ----------
    msp_id : str
        The handle of its card.
    name : str or None
        None while it is hidden.
    name_source : str
        Nothing here holds a name against the roster; `introductions ask` does.
    match_score : float
        How likely an introduction is accepted by the weights that `score_source` tells, 0 to 1.
    cosine : float or None
        How alike the requirements and its profile are.
    skills, missing : tuple of str
        Of the skills needed, what it has and what it lacks.
    adds : tuple of str or None
        What it has and our own profile lacks.
    certifications_missing : tuple of str
        Of those asked for.
    location : str or None
        Its regions.
    capacity_h_month : float or None
    reasons : tuple of Reason
        The largest contribution (of either sign) first.
    ask : str
        The command that asks for an introduction.
    unavailable : dict of str to str
        Why each field that is None could not be computed.
    """

    msp_id: str
    name: str | None
    name_source: Literal["claimed by the card", "hidden"]
    match_score: float
    cosine: float | None
    skills: tuple[str, ...]
    missing: tuple[str, ...]
    adds: tuple[str, ...] | None
    certifications_missing: tuple[str, ...]
    location: str | None
    capacity_h_month: float | None
    reasons: tuple[Reason, ...]
    ask: str
    unavailable: dict[str, str]


class Helper(Answer):
    """Who covers which of the skills needed."""

    msp_id: str
    name: str | None
    skills: tuple[str, ...]


class Complementarity(Answer):
    """How the skills needed are covered together.

    Attributes
    ----------
    own : tuple of str
        Of the skills needed, those of our own profile.
    covered_alone, covered_together : float
        Share of the skills needed that we have, and that we have with all partners named.
    partners : tuple of Helper
        The fewest that a greedy search finds, each with what it adds to those before it.
    uncovered : tuple of str
        What nobody here has.
    """

    own: tuple[str, ...]
    covered_alone: float
    covered_together: float
    partners: tuple[Helper, ...]
    uncovered: tuple[str, ...]


class Figure(Answer):
    """A released figure, and where it lies with probability .9: the noise is what is uncertain."""

    value: float
    low: float
    high: float


class SkillBalance(Answer):
    """How a skill stands in the network.

    Attributes
    ----------
    supply, demand : Figure or None
        Share of the technicians' skills, and of the needs.
    gap_low, gap_high : float or None
        Bounds of demand less supply, with probability .9.
    verdict : str or None
        Scarce or plentiful where the gap is twice as wide as its bounds, else even: with fifty
        skills, some gaps lie outside their bounds by chance.
    """

    skill: str
    supply: Figure | None
    demand: Figure | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    verdict: Literal["scarce", "plentiful", "even"] | None


class Network(Answer):
    """How many records the map rests on; None where the noise hides them."""

    technicians: Figure | None
    needs: Figure | None
    introductions: Figure | None


class CollaborationAnswer(Answer):
    """Partners for a task, what they add, and how to share what it earns.

    Attributes
    ----------
    needed_skills : tuple of str
        As they were told, or read off the requirements.
    matches : tuple of Match
        The best first.
    top_match_score : float or None
    score_source : str
        Where the weights behind every match_score come from.
    complementarity : Complementarity or None
    skill_map : tuple of SkillBalance
        Skills that stand out of the noise, the scarcest first.
    network : Network
    proposal : str or None
        A draft in Markdown, of facts that were given; what is not known is listed as open.
    revenue_sharing : RevenueSharing or None
    directory_size : int
        Profiles that were compared.
    problems : tuple of str
        What was left out, and why.
    model_used : str
    unavailable : dict of str to str
        Why each field that is None or empty could not be computed.
    """

    needed_skills: tuple[str, ...]
    matches: tuple[Match, ...]
    top_match_score: float | None
    score_source: str
    complementarity: Complementarity | None
    skill_map: tuple[SkillBalance, ...]
    network: Network
    proposal: str | None
    revenue_sharing: RevenueSharing | None
    directory_size: int
    problems: tuple[str, ...]
    model_used: str
    unavailable: dict[str, str]
