"""How clients sound about prices, as far as the texts at hand tell."""

import math
from dataclasses import dataclass

import numpy as np

from mesh_fl.agents.market.answer import Reason
from mesh_fl.agents.market.sentiment import SIGNS
from mesh_fl.agents.market.topics import topics
from mesh_fl.agents.market.trends import Judged, spread

PRICE_TOPIC = "price"

FEWEST = 5
"""Texts about prices below which no mood is told: a few are somebody's, not everybody's."""

UNHAPPY = -0.2
"""Sentiment score below which clients are taken for unhappy with the price."""


@dataclass(frozen=True)
class Mood:
    """How texts about prices sound on average.

    Parameters
    ----------
    score : float
        -1 to 1; a text that is likeliest neutral counts as 0.
    error : float
        Its standard error.
    texts, complaints : int
        How many there are, and how many of them are likeliest negative.
    """

    score: float
    error: float
    texts: int
    complaints: int

    @property
    def is_told(self) -> bool:
        """Whether there are texts enough."""
        return self.texts >= FEWEST

    @property
    def is_unhappy(self) -> bool:
        """Whether they complain, beyond what chance may do."""
        return self.is_told and self.score + self.error < UNHAPPY

    @property
    def reason(self) -> Reason:
        """The score as a reason."""
        said = "sound unhappy" if self.is_unhappy else "do not sound unhappy"
        if not self.is_told:
            said = f"are too few to tell a mood, which takes {FEWEST}"
        return Reason(
            because=f"the texts at hand about prices ({self.texts}, {self.complaints} of them "
            f"complaints) {said}",
            value=self.score,
            low=max(-1.0, self.score - self.error),
            high=min(1.0, self.score + self.error),
            source="sentiment, with its standard error",
        )


def mood_of(texts: Judged) -> Mood | None:
    """Return how the texts about prices sound; None where there is none."""
    place = [one.name for one in topics()].index(PRICE_TOPIC)
    about = texts.topic == place
    if not about.any():
        return None
    signs = texts.sign[about]
    scores = np.where(signs == SIGNS.index("neutral"), 0.0, texts.score[about])
    return Mood(
        score=float(scores.mean()),
        error=spread(scores) / math.sqrt(len(scores)),
        texts=len(scores),
        complaints=int((signs == SIGNS.index("negative")).sum()),
    )
