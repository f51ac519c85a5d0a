"""Forecasts that could have been made months ago, each from what was known then."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.blend import PLAIN, Blend
from mesh_fl.agents.revenue.forecasters import ahead
from mesh_fl.agents.revenue.seasonality import SEASON

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

BACK = (18, 12, 6)
"""Months before a history's end at which forecasts begin."""


@dataclass(frozen=True)
class Trial:
    """A forecast of months that are known by now.

    Parameters
    ----------
    known : ndarray, shape (m,)
        What was known then.
    actual : ndarray, shape (h,)
        What came.
    forecasts : ndarray, shape (h, forecasters)
    """

    known: Vector
    actual: Vector
    forecasts: Matrix


@dataclass(frozen=True)
class Study:
    """All that forecasters say of one history, now and in the past.

    Parameters
    ----------
    blend : Blend
    history : ndarray, shape (n,)
    ahead : ndarray, shape (months, forecasters)
        Of the months to come.
    trials : list of Trial
        None of a history that was too short.
    earlier : list of list of Trial
        For each trial those that could have been made before it, by `FORECASTERS` alone: public
        weights, which bands are made of, give the others none.
    """

    blend: Blend
    history: Vector
    ahead: Matrix
    trials: list[Trial]
    earlier: list[list[Trial]]

    @classmethod
    def of(cls, history: Vector, months: int, blend: Blend = PLAIN) -> "Study":
        """Run the forecasters once, on all that was known at any of the moments."""
        backs = sorted({0, *BACK, *(one + other for one in BACK for other in BACK)})
        known = {back: history[: len(history) - back] for back in backs}
        told = [back for back in backs if back == 0 or len(known[back]) >= SEASON]
        rows = ahead([known[back] for back in told], max(months, *BACK))
        found = dict(zip(told, rows, strict=True))
        for back in {0, *BACK} & found.keys():
            found[back] = blend.completed(known[back], found[back])

        def trials(end: int) -> list[Trial]:
            return [
                Trial(known[end + back], known[end][-back:], found[end + back][:back])
                for back in BACK
                if end + back in found
            ]

        earlier = [trials(back) for back in BACK if back in found]
        return cls(blend, history, found[0][:months], trials(0), earlier)


def trials_of(histories: Sequence[Vector]) -> list[list[Trial]]:
    """Return the trials of each history; none of one that was too short, all at once."""
    prefixes = [
        (number, history[:-back], history[-back:])
        for number, history in enumerate(histories)
        for back in BACK
        if len(history) >= back + SEASON
    ]
    found: list[list[Trial]] = [[] for _ in histories]
    forecasts = ahead([known for _, known, _ in prefixes], max(BACK))
    for (number, known, actual), each in zip(prefixes, forecasts, strict=True):
        found[number].append(Trial(known, actual, each[: len(actual)]))
    return found
