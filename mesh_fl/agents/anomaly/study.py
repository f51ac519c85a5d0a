"""One series with all that was found of it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.drift_steps import Step
from mesh_fl.agents.anomaly.level_shift import LevelShift, level_shift
from mesh_fl.agents.anomaly.series import SeriesJudgement, judge

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """A series.

    Parameters
    ----------
    name : str
    ts : ndarray or None
        When, in seconds since 1970.
    values : ndarray, shape (n,)
        NaN where one is missing.
    judgement : SeriesJudgement
    """

    name: str
    ts: Vector | None = field(repr=False)
    values: Vector = field(repr=False)
    judgement: SeriesJudgement = field(repr=False)

    @classmethod
    def of(
        cls, name: str, ts: Vector | None, values: Vector, rate: float, period: int | None
    ) -> "Study":
        """Judge a series at a rate of false alarms."""
        return cls(name, ts, values, judge(values, ts, rate, period))

    @cached_property
    def moves(self) -> tuple[Step | LevelShift, ...]:
        """Where the level moved and stayed; also where a trend would explain it as well."""
        found = self.judgement
        if found.steps or found.period is not None:
            return found.steps
        moved = level_shift(self.values)
        return () if moved is None else (moved,)

    @cached_property
    def readings_before(self) -> NDArray[np.int64]:
        """How many finite values there are before each place; shape (n + 1,)."""
        return np.concatenate([[0], np.cumsum(np.isfinite(self.values))]).astype(np.int64)


@dataclass(frozen=True)
class Asked:
    """A study, and from which reading on it was asked about.

    Parameters
    ----------
    study : Study
    since : int
    """

    study: Study
    since: int = 0

    @property
    def judged(self) -> int:
        """How many readings were asked about."""
        before = self.study.readings_before
        return int(before[-1] - before[self.since])
