"""What a state tells: popularity and offsets, global or with a member's own records."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data, State
from mesh_fl.agents.compliance.kin import Kin
from mesh_fl.agents.compliance.offsets import (
    RESIDUAL_WEIGHT,
    TALLY_WEIGHT,
    Judged,
    Offsets,
    mean_chance,
)
from mesh_fl.agents.compliance.own import judged_of, kin_of
from mesh_fl.agents.compliance.popularity import COUNT_WEIGHT, TOPIC_WEIGHT, Counts, Popularity
from mesh_fl.agents.compliance.topics import Topics, load_topics

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """A state, read.

    Parameters
    ----------
    popularity : Popularity
    offsets : Offsets
    topics : Topics
    kin : Kin, optional
        A member's own mappings.
    knows_mappings : bool
        Whether there was a training, or a member has mappings of its own.
    """

    popularity: Popularity
    offsets: Offsets
    topics: Topics
    kin: Kin | None
    knows_mappings: bool

    @classmethod
    def of(cls, state: State, encoder: str) -> "Learned":
        """Read a state: means over its rounds, as far as their noise allows."""
        topics, rounds = load_topics(encoder), max(float(state["round"]), 1.0)
        noise = float(np.sqrt(np.mean(state["blanks"] ** 2))) / rounds
        popularity = Popularity.of(_counts(state, rounds, noise), topics)
        offsets = Offsets.of(_judged(state, rounds, noise))
        if (own := judged_of(state)) is not None:
            offsets = offsets.updated(own)
        if (kin := kin_of(state)) is not None:
            popularity = popularity.with_own(kin.counts.sum(axis=0))
        knows_mappings = state["round"] > 0 or (kin is not None and len(kin.counts) > 0)
        return cls(popularity, offsets, topics, kin, bool(knows_mappings))

    def shares(self, data: Data) -> Matrix:
        """Return each control's share among the mappings of each record's technique."""
        shares = self.popularity.scores(_floats(data, "topics"), self.topics.centre)
        if self.kin is None:
            return shares
        return self.kin.refine(shares, _floats(data, "vector"), _floats(data, "family"))

    def scores(self, data: Data, similarity_weight: float) -> Matrix:
        """Return how well each control answers each record's question: shape (n, controls).

        For a technique its share and similarity, for a text its log-odds.
        """
        public, is_technique = _floats(data, "public"), data["is_technique"].astype(bool)
        by_technique = self.shares(data) + similarity_weight * public
        return np.where(is_technique[:, None], by_technique, public + self.offsets.log_odds)


def _counts(state: State, rounds: float, noise: float) -> Counts:
    controls = state["controls"] / (COUNT_WEIGHT * rounds)
    return Counts(controls, state["topics"] / (TOPIC_WEIGHT * rounds), noise)


def _judged(state: State, rounds: float, noise: float) -> Judged:
    residuals = state["residuals"] / (RESIDUAL_WEIGHT * rounds)
    pairs, chances = state["tally"] / (TALLY_WEIGHT * rounds)
    # What noise alone could feign counts as pairs of which nothing is known.
    doubt = 1 + 2 * noise / TALLY_WEIGHT
    chance = mean_chance(float(pairs), float(chances), doubt)
    # The federation tells only how many pairs there are in all: they are taken to spread evenly.
    evenly = np.full(len(residuals), max(float(pairs), 0.0) / len(residuals))
    return Judged(residuals, evenly, chance, (noise / RESIDUAL_WEIGHT) ** 2)


def _floats(data: Data, name: str) -> Matrix:
    return data[name].astype(np.float64, copy=False)
