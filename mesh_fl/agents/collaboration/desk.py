"""Where a request is read, matched and answered."""

from dataclasses import dataclass

from mesh_fl.agent import State
from mesh_fl.agents.collaboration.answer import CollaborationAnswer, Complementarity, Match
from mesh_fl.agents.collaboration.deal import read_deal
from mesh_fl.agents.collaboration.directory import Directory
from mesh_fl.agents.collaboration.learned import Learned
from mesh_fl.agents.collaboration.matching import matches_of, rank
from mesh_fl.agents.collaboration.need import NOTHING, Need
from mesh_fl.agents.collaboration.proposal import draft
from mesh_fl.agents.collaboration.records import Reader
from mesh_fl.agents.collaboration.request import requests_of
from mesh_fl.agents.collaboration.revenue import RevenueSharing, share_revenue
from mesh_fl.agents.collaboration.skill_map import network_of, skill_map, unseen
from mesh_fl.agents.collaboration.team import complement, uncertified
from mesh_fl.schema import Table
from mesh_fl.text.encoder import load_encoder

NO_DIRECTORY = "no directory was given: name directory under [agents.collaboration.files]"
NOBODY = "the directory holds no profile but ours, or none that has not expired"
UNLIKE = "nobody in the directory has a skill that is needed, or a profile like the requirements"
NO_SKILLS = "no skill was told or recognised in the requirements"
NO_DEAL = "no deal was given"
UNASKED = "not asked for: set propose"


@dataclass(frozen=True)
class Desk:
    """Answers with one agent's declarations and one member's directory.

    Parameters
    ----------
    reader : Reader
    directory : Directory
    introductions_needed : float
        Of the network, from which on its weights of acceptance answer.
    """

    reader: Reader
    directory: Directory
    introductions_needed: float

    def answer(self, state: State, table: Table) -> list[CollaborationAnswer]:
        """Answer each request; see `CollaborationMatching.schema`.

        Raises
        ------
        DataError
            If a deal cannot be read, or does not add up.
        """
        learned = Learned(state, self.introductions_needed)
        asked = list(requests_of(table))
        encoder = load_encoder(self.reader.encoder)
        vectors = encoder.encode([request.judged for request in asked], kept=False)
        needs = [
            Need.of(request, vector, self.reader)
            for request, vector in zip(asked, vectors, strict=True)
        ]
        return [self._answer(need, learned) for need in needs]

    def _answer(self, need: Need, learned: Learned) -> CollaborationAnswer:
        ranked = rank(need, self.directory, learned.weights)
        team = complement(need, self.directory.own, [one.candidate for one in ranked])
        matches = matches_of(ranked, team, self.directory.path)
        revenue = share_revenue(read_deal(need.request.deal)) if need.request.deal else None
        return CollaborationAnswer(
            needed_skills=need.skills,
            matches=matches,
            top_match_score=matches[0].match_score if matches else None,
            score_source=learned.source,
            complementarity=team,
            skill_map=skill_map(learned, self.reader.vocabulary.names),
            network=network_of(learned),
            proposal=self._proposal(need, team, matches, revenue),
            revenue_sharing=revenue,
            directory_size=len(self.directory.profiles),
            problems=(*_problems(need), *self.directory.problems),
            model_used=load_encoder(self.reader.encoder).name,
            unavailable={**unseen(learned), **self._unavailable(need, matches, revenue)},
        )

    def _proposal(
        self,
        need: Need,
        team: Complementarity | None,
        matches: tuple[Match, ...],
        revenue: RevenueSharing | None,
    ) -> str | None:
        if not need.request.propose:
            return None
        return draft(need, team, uncertified(need, self.directory.own, team, matches), revenue)

    def _unavailable(
        self, need: Need, matches: tuple[Match, ...], revenue: RevenueSharing | None
    ) -> dict[str, str]:
        why = "" if matches else self._no_match(need)
        reasons = {
            "matches": why,
            "top_match_score": why,
            "complementarity": "" if need.skills else NO_SKILLS,
            "needed_skills": "" if need.skills else NO_SKILLS,
            "proposal": "" if need.request.propose else UNASKED,
            "revenue_sharing": NO_DEAL if revenue is None else "",
        }
        return {name: reason for name, reason in reasons.items() if reason}

    def _no_match(self, need: Need) -> str:
        if need.is_empty:
            return NOTHING
        if self.directory.path is None:
            return NO_DIRECTORY
        return UNLIKE if self.directory.profiles else NOBODY


def _problems(need: Need) -> tuple[str, ...]:
    if need.is_empty or need.refusal is None:
        return ()
    return (f"the requirements were read for words alone: {need.refusal}",)
