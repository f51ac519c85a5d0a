"""One-step forecasts of a stream: levels that follow slowly, faster, and at once.

Which of them fits is read off their errors: in noise around a level the slow one, in a random walk
the one that follows at once. A spike moves none of them far.
"""

from typing import Annotated

from pydantic import Field

from mesh_fl.agents.anomaly.stream_sketch import Sketch, SketchState
from mesh_fl.agents.anomaly.stream_state import StreamState

SPEEDS = (0.02, 0.2)
"""Part of an error that moves a level."""

FARTHEST_MOVE = 2.0
"""An error counts as so many 95 % quantiles at most."""

LAST = 3
"""Readings whose median is the level that follows at once: one spike among them is ignored."""

WIDE_ENOUGH = 1.05
"""A slow level is taken if it leaves at most so many times what a fast one leaves."""


class LevelState(StreamState):
    """A level as JSON can hold it."""

    speed: Annotated[float, Field(ge=0, le=1)]
    value: float
    last: list[float] = Field(max_length=LAST)
    errors: SketchState


class Level:
    """A level and how large its errors were.

    Parameters
    ----------
    speed : float
        0 for the median of the `LAST` readings.
    value : float
    last : list of float
    errors : Sketch
    """

    __slots__ = ("errors", "last", "speed", "value")

    def __init__(self, speed: float, value: float, last: list[float], errors: Sketch) -> None:
        self.speed = speed
        self.value = value
        self.last = last
        self.errors = errors

    @property
    def is_slowest(self) -> bool:
        """Whether it is that of noise around a level."""
        return self.speed == SPEEDS[0]

    def follow(self, reading: float) -> None:
        """Count the error, and move towards a reading."""
        error = reading - self.value
        self.errors.add(abs(error))
        if self.speed:
            self.value += self.speed * self.bounded(error)
            return
        last = self.last
        last.append(reading)
        if len(last) > LAST:
            del last[0]
        self.value = sorted(last)[len(last) // 2]

    def bounded(self, error: float) -> float:
        """Return an error as far as it counts."""
        most = FARTHEST_MOVE * self.errors.far
        return max(-most, min(error, most))

    def move_to(self, value: float) -> None:
        """Begin anew at a level."""
        self.value = value
        self.last = [value]

    def state(self) -> LevelState:
        """Return everything as JSON can hold it."""
        return LevelState(
            speed=self.speed, value=self.value, last=self.last, errors=self.errors.state()
        )

    @classmethod
    def read(cls, state: LevelState) -> "Level":
        """Return it from such a state."""
        return cls(state.speed, state.value, list(state.last), Sketch.read(state.errors))


def levels_from(value: float, unit: float) -> list[Level]:
    """Return levels that begin at a value, the slowest first."""
    return [Level(one, value, [value], Sketch(unit)) for one in (*SPEEDS, 0.0)]


def best(levels: list[Level]) -> int:
    """Return which level leaves least; a slower one of those alike."""
    # Medians alone would take skewed noise for a walk.
    left = [one.errors.median + one.errors.far for one in levels]
    least = min(left)
    return next(place for place, one in enumerate(left) if one <= WIDE_ENOUGH * least)
