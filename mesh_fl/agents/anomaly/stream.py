"""A stream of readings judged one by one, in constant memory.

Each reading is compared with what was forecast of it from those before; it is as rare as forecasts
that were so far off have been (a conformal p-value), beyond those by a generalised Pareto tail.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated, Literal

from pydantic import Field

from mesh_fl.agents.anomaly.alarm import rates_from
from mesh_fl.agents.anomaly.alarm_tail import FEWEST as FEWEST_FOR_A_TAIL
from mesh_fl.agents.anomaly.drift import DELTA
from mesh_fl.agents.anomaly.series_reading import LARGEST, SMALLEST
from mesh_fl.agents.anomaly.severity import Severity
from mesh_fl.agents.anomaly.stream_drift import MovedLevel, MovedState
from mesh_fl.agents.anomaly.stream_level import Level, LevelState, best, levels_from
from mesh_fl.agents.anomaly.stream_season import Season, SeasonState
from mesh_fl.agents.anomaly.stream_state import StreamState
from mesh_fl.agents.anomaly.told_apart import told_apart

START = 32
"""Readings that the first levels are made of."""

REFRESH_EVERY = 256
"""Readings after which quantiles are computed anew; more often in the beginning."""

LEAST_DEVIATION = 3.0
"""Robust standard deviations below which no reading is an alarm, however rare."""

ALWAYS_RANKED = 0.04
"""Rates up to which readings within the 95 % quantile need no rank."""


@dataclass(frozen=True)
class Reading:
    """A reading that is told of.

    Parameters
    ----------
    kind : "alarm" or "drift"
        Rarer than the stated rate; or the level is another one from now on.
    index : int
        Counted from 0 over the whole stream.
    time : float or None
    value, expected : float
        Of a drift: the level after and before it.
    deviation : float or None
        In robust standard deviations; None where hardly any reading differed before.
    p_value : float
        Of an alarm: how probable a usual reading is as far off, at most. Of a drift: with which
        chance, at most, one look at an unchanged level tells it.
    severity : str or None
        Of an alarm, by its p-value alone.
    why : str
    """

    kind: Literal["alarm", "drift"]
    index: int
    time: float | None
    value: float
    expected: float
    deviation: float | None
    p_value: float
    severity: Severity | None
    why: str


class OneState(StreamState):
    """A stream as JSON can hold it."""

    false_alarm_rate: float
    count: Annotated[int, Field(ge=0)]
    missing: Annotated[int, Field(ge=0)]
    start: list[float] = Field(max_length=START)
    levels: list[LevelState]
    best: Annotated[int, Field(ge=0, le=2)]
    season: SeasonState
    moved: MovedState


class Stream:
    """Judges one series, reading by reading.

    Parameters
    ----------
    false_alarm_rate : float
        Share of usual readings that may be alarms.
    period : int, optional
        Readings in a season, up to 2000; found when left out.
    step_s : float, optional
        Seconds between readings: places in the season then go by the time, so that missing readings
        do not shift it. By the order of arrival when left out.

    Raises
    ------
    ConfigError
        If the rate is not above 0 and at most one half, or period or step are impossible.
    """

    def __init__(
        self,
        false_alarm_rate: float = 1e-3,
        period: int | None = None,
        step_s: float | None = None,
    ) -> None:
        self._rates = rates_from(false_alarm_rate)
        self._rate = false_alarm_rate
        self._count = 0
        self._missing = 0
        self._start: list[float] = []
        self._levels: list[Level] = []
        self._best = 0
        self._season = Season(period, step_s)
        self._moved = MovedLevel()

    def add(self, ts: float | None, value: float | None) -> Reading | None:
        """Judge a reading; return it if it is an alarm, or if the level moved with it.

        Parameters
        ----------
        ts : float or None
            In seconds since 1970.
        value : float or None
            None, NaN and what is beyond 1e150 count as missing; what is below 1e-150 is 0.
        """
        tick = self._season.tick(ts)
        if value is None or not -LARGEST <= value <= LARGEST:
            self._missing += 1
            return None
        if abs(value) < SMALLEST:
            value = 0.0
        told = None
        if self._levels:
            told = self._judge(ts, value, tick)
        else:
            self._begin(value)
        self._count += 1
        rest = self._season.remember(tick, value)
        if rest is not None:
            # Errors without the season tell nothing of errors with it.
            self._begin_from(rest[-START:])
        return told

    def add_many(
        self, ts: Sequence[float | None] | None, values: Iterable[float | None]
    ) -> list[Reading]:
        """Judge readings, oldest first; the same as `add` one by one."""
        times = repeat(None) if ts is None else ts
        found = (self.add(*one) for one in zip(times, values, strict=ts is not None))
        return [one for one in found if one is not None]

    @property
    def readings(self) -> int:
        """How many readings were judged or learned from."""
        return self._count

    @property
    def missing(self) -> int:
        """How many values were none."""
        return self._missing

    @property
    def period(self) -> int | None:
        """How many readings are in a season; None where there is none, or not yet."""
        return self._season.period

    @property
    def not_enough(self) -> str | None:
        """Why nothing can be an alarm yet; None from when on something can."""
        known = self._levels[self._best].errors if self._levels else None
        count = int(known.count) if known else 0
        enough = 1 / (1 + count) <= self._rate or (known is not None and known.tail is not None)
        if enough:
            return None
        wanted = math.ceil(1 / self._rate) - 1
        tail = f", or {FEWEST_FOR_A_TAIL} that differ" if wanted > FEWEST_FOR_A_TAIL else ""
        return (
            f"not enough data: {count} forecasts so far, of {wanted} that a false alarm rate of "
            f"{self._rate:.2g} takes{tail}"
        )

    def state(self) -> OneState:
        """Return everything as JSON can hold it; `read` goes on exactly from there."""
        return OneState(
            false_alarm_rate=self._rate,
            count=self._count,
            missing=self._missing,
            start=self._start,
            levels=[one.state() for one in self._levels],
            best=self._best,
            season=self._season.state(),
            moved=self._moved.state(),
        )

    @classmethod
    def read(cls, state: OneState) -> "Stream":
        """Return a stream from its state."""
        stream = cls(state.false_alarm_rate)
        stream._count = state.count
        stream._missing = state.missing
        stream._start = list(state.start)
        stream._levels = [Level.read(one) for one in state.levels]
        stream._best = min(state.best, max(0, len(state.levels) - 1))
        stream._season = Season.read(state.season)
        stream._moved = MovedLevel.read(state.moved)
        return stream

    def _judge(self, ts: float | None, value: float, tick: int) -> Reading | None:
        usual = self._season.at(tick)
        level = self._levels[self._best]
        told = self._told(ts, value, level, usual)
        self._season.follow(tick, level.bounded(value - usual - level.value))
        for one in self._levels:
            one.follow(value - usual)
        if self._is_time_to_refresh():
            self._refresh()
        return told

    def _told(self, ts: float | None, value: float, level: Level, usual: float) -> Reading | None:
        error = value - usual - level.value
        sd = level.errors.sd
        is_far = abs(error) >= LEAST_DEVIATION * sd and error != 0
        moved = self._moved.look(value - usual, level, sd, is_far)
        if moved is not None:
            for one in self._levels:
                one.move_to(moved.after)
            return self._drift(ts, moved.before + usual, moved.after + usual, sd)
        if not is_far or (abs(error) <= level.errors.far and self._rate <= ALWAYS_RANKED):
            return None
        p_value = level.errors.p_value(abs(error))
        if p_value > self._rate:
            return None
        return self._alarm(ts, value, level.value + usual, sd, p_value)

    def _alarm(
        self, ts: float | None, value: float, expected: float, sd: float, p_value: float
    ) -> Reading:
        deviation = (value - expected) / sd if sd else None
        shown, usual = told_apart(value, expected)
        off = "" if deviation is None else f"{abs(deviation):.1f} robust standard deviations "
        return Reading(
            kind="alarm",
            index=self._count,
            time=ts,
            value=value,
            expected=expected,
            deviation=deviation,
            p_value=p_value,
            severity=self._rates.of(p_value),
            why=f"{shown} is {off}{'above' if value > expected else 'below'} the "
            f"{usual} that was forecast: of usual readings at most {p_value:.2g} are so "
            "far off",
        )

    def _drift(self, ts: float | None, before: float, after: float, sd: float) -> Reading:
        return Reading(
            kind="drift",
            index=self._count,
            time=ts,
            value=after,
            expected=before,
            deviation=(after - before) / sd if sd else None,
            p_value=DELTA,
            severity=None,
            why=f"the level moved from {before:.6g} to {after:.6g}: what comes is compared with "
            "the new one",
        )

    def _begin(self, value: float) -> None:
        """Gather the first readings, and make levels of them."""
        self._start.append(value)
        if len(self._start) == START:
            self._begin_from(self._start)
            self._start = []

    def _begin_from(self, readings: Sequence[float]) -> None:
        middle = sorted(readings)[len(readings) // 2]
        apart = sum(abs(one - middle) for one in readings) / len(readings)
        self._levels = levels_from(middle, apart or abs(middle) or 1.0)
        self._moved = MovedLevel()
        for one in readings:
            for level in self._levels:
                level.follow(one)
        self._refresh()

    def _is_time_to_refresh(self) -> bool:
        every = REFRESH_EVERY if self._count > 4 * REFRESH_EVERY else START
        return self._count % every == 0

    def _refresh(self) -> None:
        for level in self._levels:
            level.errors.refresh()
        self._best = best(self._levels)
