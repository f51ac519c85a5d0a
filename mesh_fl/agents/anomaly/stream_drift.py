"""Whether the level of a stream has moved: at once where it is plain, slowly where it is not."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from mesh_fl.agents.anomaly.drift import DriftDetector, DriftState
from mesh_fl.agents.anomaly.stream_level import Level
from mesh_fl.agents.anomaly.stream_state import StreamState

RUN = 12
"""Readings one after the other, far out on one side, that are a new level."""

REACH_SD = 4.0
"""Standard deviations on either side of the level that drift is looked for in."""

SETTLED = 256.0
"""Forecasts after which a level may be compared with."""


@dataclass(frozen=True)
class Moved:
    """A level, before and after it moved; without season."""

    before: float
    after: float


class MovedState(StreamState):
    """What is known of moves as JSON can hold it."""

    run: list[float] = Field(max_length=RUN)
    reference: float
    reach: Annotated[float, Field(ge=0)]
    detector: DriftState | None


class MovedLevel:
    """Compares readings with the level that was usual.

    A run of readings far out on one side is a new level. Small moves are noticed by an adaptive
    window over readings, while the slow level fits best: in a random walk every level is new.
    """

    __slots__ = ("_detector", "_reach", "_reference", "_run")

    def __init__(self) -> None:
        self._run: list[float] = []
        self._reference = 0.0
        self._reach = 0.0
        self._detector: DriftDetector | None = None

    def look(self, reading: float, level: Level, sd: float, is_far: bool) -> Moved | None:
        """Return the move that is noticed with a reading, if any."""
        if is_far and (not self._run or (reading > level.value) == (self._run[0] > level.value)):
            self._run.append(reading)
            if len(self._run) == RUN:
                after = sorted(self._run)[RUN // 2]
                self._forget()
                return Moved(level.value, after)
        elif self._run or is_far:
            self._run = [reading] if is_far else []
        return self._look_slowly(reading, level, sd)

    def state(self) -> MovedState:
        """Return everything as JSON can hold it."""
        return MovedState(
            run=self._run,
            reference=self._reference,
            reach=self._reach,
            detector=None if self._detector is None else self._detector.state(),
        )

    @classmethod
    def read(cls, state: MovedState) -> "MovedLevel":
        """Return it from such a state."""
        moved = cls()
        moved._run = list(state.run)
        moved._reference, moved._reach = state.reference, state.reach
        if state.detector is not None and state.reach > 0:
            moved._detector = DriftDetector.read(state.detector)
        return moved

    def _look_slowly(self, reading: float, level: Level, sd: float) -> Moved | None:
        if not level.is_slowest:
            self._detector = None
            return None
        if self._detector is None:
            if level.errors.count >= SETTLED and sd > 0:
                self._reference, self._reach = level.value, REACH_SD * sd
                self._detector = DriftDetector()
            return None
        drift = self._detector.add(0.5 + (reading - self._reference) / (2 * self._reach))
        if drift is None:
            return None
        before, after = (
            self._reference + 2 * self._reach * (one - 0.5) for one in (drift.before, drift.after)
        )
        self._forget()
        return Moved(before, after)

    def _forget(self) -> None:
        self._run = []
        self._detector = None
