"""Whether a stretch of events is unlike those before as a whole: what is usual has changed."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc
from scipy.stats import hypergeom

from mesh_fl.agents.anomaly.answer import Drift

Vector = NDArray[np.float64]

RAREST = 0.1
"""Part of the events before that counts as rare."""

FALSE_RATE = 1e-3
"""Chance that a stretch of events like those before, one as good as another, is told as drift."""

FEWEST = 30


def shift(chances: Vector, before: Vector) -> Iterator[Drift]:
    """Tell of events of which too many are as surprising as the rarest tenth of those before.

    Of independent events like those before no more than a tenth is, so the count's binomial tail
    bounds the chance; a burst of one kind of event counts as a change, too. Where there are events
    of the same hours of earlier weeks, it also has to be too many beside those (Fisher's exact
    test): nights and weekends bring what other hours do not.

    Parameters
    ----------
    chances : ndarray, shape (n,)
        From `Tail.chances`, none of them of an event that the tail was made of.
    before : ndarray, shape (m,)
        Chances of the events of the same hours of earlier weeks, each judged by the others.
    """
    known = chances[np.isfinite(chances)]
    rare = int((known <= RAREST).sum())
    if len(known) < FEWEST or not rare:
        return
    chance = float(bdtrc(rare - 1, len(known), RAREST))
    if len(before) >= FEWEST:
        rare_before = int((before <= RAREST).sum())
        every = len(known) + len(before)
        beside = hypergeom.sf(rare - 1, every, rare + rare_before, len(known))
        chance = max(chance, float(beside))
    if chance <= FALSE_RATE:
        yield Drift(
            subject="events",
            chance=chance,
            since=None,
            context=f"{rare} of {len(known)} events are as surprising as the rarest "
            f"{RAREST:.0%} of those before: what is usual has changed, or one thing happens often",
        )
