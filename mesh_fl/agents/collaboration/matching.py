"""Which members fit a need, how well, and why."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.collaboration.acceptance import Fit, chance
from mesh_fl.agents.collaboration.answer import Complementarity, Match, Reason
from mesh_fl.agents.collaboration.directory import Directory, Offer
from mesh_fl.agents.collaboration.need import Need
from mesh_fl.agents.collaboration.regions import works_in
from mesh_fl.profile import Profile, today_utc

MOST_MATCHES = 10
LEAST_ALIKE = 0.3
"""Cosine from which a profile that has none of the skills is a match all the same."""

LEAST_TOLD = 0.005
"""In log-odds."""

HIDDEN = "it is hidden until it accepts an introduction"
NO_PROFILE = "no profile of our own was given: name profile under [agents.collaboration.files]"


@dataclass(frozen=True)
class Candidate:
    """A profile beside a need."""

    profile: Profile
    offer: Offer
    cosine: float | None
    need: Need
    own: Offer | None

    @cached_property
    def covered(self) -> tuple[str, ...]:
        """Of the skills needed, those that it has."""
        return tuple(skill for skill in self.need.skills if self.offer.has(skill))

    @cached_property
    def adds(self) -> tuple[str, ...] | None:
        """What it has and we lack."""
        if self.own is None:
            return None
        return tuple(skill for skill in self.offer.skills if not self.own.has(skill))

    @cached_property
    def certifications_missing(self) -> tuple[str, ...]:
        """Of those asked for."""
        held = self.offer.certificates
        return tuple(one for one in self.need.request.certifications if one not in held)

    @property
    def is_relevant(self) -> bool:
        """Whether it has anything to do with the need."""
        return bool(self.covered) or (self.cosine is not None and self.cosine >= LEAST_ALIKE)

    @cached_property
    def fit(self) -> Fit:
        """What acceptance is told by."""
        need, asked = self.need, self.need.request
        missing, adds = self.certifications_missing, self.adds
        return Fit(
            cosine=self.cosine,
            covered=len(self.covered) / len(need.skills) if need.skills else None,
            certified=1 - len(missing) / len(asked.certifications)
            if asked.certifications
            else None,
            same_region=self._same_region(),
            capacity=self._capacity(),
            added=len(adds) / len(self.offer.skills)
            if adds is not None and self.offer.skills
            else None,
        )

    def reasons(self, fit: Fit) -> tuple[str, ...]:
        """Say each feature in words, in the order of `acceptance.FEATURES`."""
        asked, capacity = self.need.request, self.profile.capacity_h_month
        certifications = len(asked.certifications)
        met = certifications - len(self.certifications_missing)
        return (
            "the profile is like the requirements"
            + ("" if fit.cosine is None else f" (cosine {fit.cosine:.2f})"),
            f"has {len(self.covered)} of {len(self.need.skills)} skills needed",
            f"has {met} of {certifications} certifications asked for",
            f"works in {asked.region}" if fit.same_region else f"does not name {asked.region}",
            f"has {capacity or 0:g} hours a month, {asked.hours or 0:g} are needed",
            f"adds {len(self.adds or ())} of its {len(self.offer.skills)} skills to ours",
        )

    def _same_region(self) -> bool | None:
        return works_in(self.need.request.region, self.profile.regions)

    def _capacity(self) -> float | None:
        hours, capacity = self.need.request.hours, self.profile.capacity_h_month
        return None if hours is None or capacity is None else capacity / hours


@dataclass(frozen=True)
class Ranked:
    """A candidate with its chance of acceptance, and what each feature adds to the log-odds."""

    candidate: Candidate
    fit: Fit
    contributions: NDArray[np.float64]
    score: float


def rank(need: Need, directory: Directory, weights: NDArray[np.float64]) -> tuple[Ranked, ...]:
    """Return all members that have to do with a need, the best first.

    Parameters
    ----------
    need : Need
    directory : Directory
    weights : ndarray, shape (7,)
        Of acceptance.
    """
    if need.is_empty or not directory.profiles:
        return ()
    candidates = [one for one in _candidates(need, directory) if one.is_relevant]
    if not candidates:
        return ()
    fits = [one.fit for one in candidates]
    x = np.array([fit.encoded() for fit in fits])
    scores = chance(weights, x)
    ranked = sorted(
        range(len(candidates)), key=lambda place: (-scores[place], candidates[place].profile.handle)
    )
    best = _one_each(ranked, [one.profile.name for one in candidates])
    return tuple(
        Ranked(candidates[place], fits[place], x[place] * weights, float(scores[place]))
        for place in best
    )


def matches_of(
    ranked: Sequence[Ranked], team: Complementarity | None, path: Path | None
) -> tuple[Match, ...]:
    """Return the `MOST_MATCHES` best, then whoever else is in the team.

    Parameters
    ----------
    ranked : sequence of Ranked
        The best first.
    team : Complementarity or None
    path : Path or None
        Of the directory.
    """
    partners = set() if team is None else {one.msp_id for one in team.partners}
    rest = (one for one in ranked[MOST_MATCHES:] if one.candidate.profile.handle in partners)
    return tuple(_match(one, path) for one in (*ranked[:MOST_MATCHES], *rest))


def _one_each(ranked: Sequence[int], names: Sequence[str | None]) -> list[int]:
    """Keep the best place of each name, and all without a name."""
    taken: set[str] = set()
    kept = []
    for place in ranked:
        name = names[place]
        if name is None or name not in taken:
            kept.append(place)
        if name is not None:
            taken.add(name)
    return kept


def _candidates(need: Need, directory: Directory) -> list[Candidate]:
    today = today_utc()
    cosines: Sequence[float | None] = [None] * len(directory.profiles)
    if need.vector is not None:
        cosines = (directory.vectors @ need.vector).astype(np.float64).tolist()
    return [
        Candidate(profile, offer, cosine, need, directory.own)
        for profile, offer, cosine in zip(
            directory.profiles, directory.offers, cosines, strict=True
        )
        # The directory may have been read some days ago.
        if not profile.is_expired(today)
    ]


def _match(ranked: Ranked, path: Path | None) -> Match:
    candidate = ranked.candidate
    profile = candidate.profile
    told = sorted(
        zip(candidate.reasons(ranked.fit), ranked.contributions.tolist(), strict=False),
        key=lambda reason: -abs(reason[1]),
    )
    return Match(
        msp_id=profile.handle,
        name=profile.name,
        name_source="hidden" if profile.name is None else "claimed by the card",
        match_score=ranked.score,
        cosine=candidate.cosine,
        skills=candidate.covered,
        missing=tuple(one for one in candidate.need.skills if one not in candidate.covered),
        adds=candidate.adds,
        certifications_missing=candidate.certifications_missing,
        location=", ".join(profile.regions) or None,
        capacity_h_month=profile.capacity_h_month,
        reasons=tuple(
            Reason(because=because, contribution=contribution)
            for because, contribution in told
            if abs(contribution) >= LEAST_TOLD
        ),
        ask=_command(profile.handle, path),
        unavailable=_unavailable(candidate),
    )


def _command(handle: str, directory: Path | None) -> str:
    path = shlex.quote(str(directory))
    return (
        f"mesh-client introductions ask HOME {handle} --directory {path} "
        '--message "..." -o request.json'
    )


def _unavailable(candidate: Candidate) -> dict[str, str]:
    profile = candidate.profile
    reasons = {
        "name": HIDDEN if profile.name is None else "",
        "cosine": (candidate.need.refusal or "") if candidate.cosine is None else "",
        "adds": NO_PROFILE if candidate.own is None else "",
        "location": "" if profile.regions else "its profile names no region",
        "capacity_h_month": "its profile tells none" if profile.capacity_h_month is None else "",
    }
    return {name: reason for name, reason in reasons.items() if reason}
