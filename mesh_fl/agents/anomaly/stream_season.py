"""The season of a stream: of a given period or one that is found; it is followed slowly."""

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mesh_fl.agents.anomaly.baseline_season import SEASONS_SEEN, found_period, phases
from mesh_fl.agents.anomaly.stream_state import StreamState
from mesh_fl.errors import ConfigError

Vector = NDArray[np.float64]

LONGEST = 2000
"""Readings in a season, at most."""

SEARCHED_AT = (256, 1024)
"""Readings after which a season is searched where none is told."""

MOST_FIRST = SEASONS_SEEN * LONGEST

SPEED = 0.1
"""Part of an error that moves the season."""

LATEST_TIME_S = 1e12
SHORTEST_STEP_S = 1e-6

Tick = tuple[int, float]


class SeasonState(StreamState):
    """A season as JSON can hold it."""

    told: Annotated[int, Field(ge=2, le=LONGEST)] | None
    step_s: Annotated[float, Field(gt=0)] | None
    ticks: Annotated[int, Field(ge=0)]
    values: list[float] = Field(max_length=LONGEST)
    lift: float
    first: list[Tick] | None = Field(max_length=MOST_FIRST)


class Season:
    """What a reading's place in the season adds to the level.

    Parameters
    ----------
    told : int or None
        Readings in a season; found when left out.
    step_s : float or None
        Seconds between readings.

    Raises
    ------
    ConfigError
        If one of them is impossible.
    """

    __slots__ = ("_first", "_lift", "_step_s", "_ticks", "_told", "_values")

    def __init__(self, told: int | None, step_s: float | None) -> None:
        if told is not None and not 2 <= told <= LONGEST:
            raise ConfigError(f"expected a period of 2 to {LONGEST} readings, found {told}")
        if step_s is not None and not SHORTEST_STEP_S <= step_s < math.inf:
            raise ConfigError(
                f"expected a step of {SHORTEST_STEP_S:g} seconds or more, found {step_s}"
            )
        self._told = told
        self._step_s = step_s
        self._ticks = 0
        self._values: list[float] = []
        self._lift = 0.0
        self._first: list[Tick] | None = []

    @property
    def period(self) -> int | None:
        """How many readings are in a season, as far as is known."""
        return len(self._values) or None

    def tick(self, ts: float | None) -> int:
        """Return how many steps a reading is after the first, or after 1970."""
        tick = self._ticks
        self._ticks += 1
        if self._step_s is None or ts is None or not abs(ts) < LATEST_TIME_S:
            return tick
        return math.floor(ts / self._step_s)

    def at(self, tick: int) -> float:
        """Return what a place in the season adds."""
        return self._values[tick % len(self._values)] - self._lift if self._values else 0.0

    def follow(self, tick: int, error: float) -> None:
        """Move towards a reading that was so far from its forecast."""
        if self._values:
            self._values[tick % len(self._values)] += SPEED * error
            # The season's mean stays what it was: moving that is the level's part.
            self._lift += SPEED * error / len(self._values)

    def remember(self, tick: int, value: float) -> list[float] | None:
        """Remember one of the first readings.

        Returns
        -------
        list of float or None
            The readings so far without their season, when it was found with this one.
        """
        if self._first is None:
            return None
        self._first.append((tick, value))
        count = len(self._first)
        searched_at = (SEASONS_SEEN * self._told,) if self._told else SEARCHED_AT
        if count not in searched_at:
            return None
        found = self._find(self._first)
        if count == searched_at[-1]:
            self._first = None
        return found

    def state(self) -> SeasonState:
        """Return everything as JSON can hold it."""
        return SeasonState(
            told=self._told,
            step_s=self._step_s,
            ticks=self._ticks,
            values=self._values,
            lift=self._lift,
            first=self._first,
        )

    @classmethod
    def read(cls, state: SeasonState) -> "Season":
        """Return it from such a state."""
        season = cls(state.told, state.step_s)
        season._ticks = state.ticks
        season._values, season._lift = list(state.values), state.lift
        season._first = None if state.first is None else list(state.first)
        return season

    def _find(self, first: list[Tick]) -> list[float] | None:
        ticks = np.array([one[0] for one in first])
        values = np.array([one[1] for one in first])
        if not 0 <= ticks[-1] - ticks[0] < 2 * len(ticks) or (np.diff(ticks) <= 0).any():
            ticks = np.arange(ticks[-1] - len(ticks) + 1, ticks[-1] + 1)
        grid = np.interp(np.arange(ticks[0], ticks[-1] + 1), ticks, values).astype(np.float64)
        period = self._told or found_period(grid)
        if period is None or period > LONGEST or period == self.period:
            return None
        season = phases(grid, period)
        start = int(ticks[0]) % period
        self._values, self._lift = np.roll(season[:period], start).tolist(), 0.0
        rest: list[float] = (values - season[ticks - ticks[0]]).tolist()
        return rest
