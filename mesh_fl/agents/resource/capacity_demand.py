"""The work that is expected, the people there are, and what is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mesh_fl.errors import DataError

LEAST = 1e-6
MOST = 1e9
"""Of any figure here that is not 0."""

MOST_VARIANCE_LOG = 10.0
"""Of the logarithm of hours: beyond it, a mean says nothing."""

P90 = 1.2815515655446004
"""Of a standard normal distribution."""


@dataclass(frozen=True)
class Demand:
    """The work of one skill that is expected.

    Parameters
    ----------
    skill : str
        "" for work that anybody can do.
    tasks_week : float
        That come in a week, on average.
    mean_hours, variance_hours : float
        Of the work of one task.
    arrival_scv : float
        Variance of the time between arrivals over its squared mean; 1 if they come at random.
    """

    skill: str
    tasks_week: float
    mean_hours: float
    variance_hours: float = 0.0
    arrival_scv: float = 1.0

    def __post_init__(self) -> None:
        told = {
            "tasks_week": self.tasks_week,
            "mean_hours": self.mean_hours,
            "variance_hours": self.variance_hours,
            "arrival_scv": self.arrival_scv,
        }
        for name, value in told.items():
            _refuse_outside(f"demand for {self.skill!r}: {name}", value)

    @classmethod
    def measured(cls, skill: str, tasks_week: float, hours: Sequence[float]) -> Demand:
        """Take mean and variance of tasks that were done.

        Raises
        ------
        DataError
            If there are fewer than two: their variance is not known.
        """
        if len(hours) < 2:
            raise DataError(
                f"demand for {skill!r}: expected the hours of 2 tasks or more, found "
                f"{len(hours)}; give more of them"
            )
        mean = math.fsum(hours) / len(hours)
        squares = math.fsum((one - mean) ** 2 for one in hours)
        return cls(skill, tasks_week, mean, squares / (len(hours) - 1))

    @classmethod
    def predicted(cls, skill: str, tasks_week: float, p50: float, p90: float) -> Demand:
        """Take mean and variance of a lognormal distribution with this median and ninth decile.

        Raises
        ------
        DataError
            If the decile is below the median, or either is not above 0.
        """
        if not 0 < p50 <= p90 < math.inf:
            raise DataError(
                f"demand for {skill!r}: expected 0 < P50 <= P90, found {p50!r} and {p90!r}"
            )
        variance_log = (math.log(p90 / p50) / P90) ** 2
        if variance_log > MOST_VARIANCE_LOG:
            most = p50 * math.exp(P90 * math.sqrt(MOST_VARIANCE_LOG))
            raise DataError(
                f"demand for {skill!r}: expected a P90 of {most:.4g} at most, found {p90!r}"
            )
        mean = p50 * math.exp(variance_log / 2)
        return cls(skill, tasks_week, mean, mean**2 * math.expm1(variance_log))

    def times(self, factor: float) -> Demand:
        """Return so many times the tasks."""
        return replace(self, tasks_week=factor * self.tasks_week)

    @property
    def hours_week(self) -> float:
        """Work that comes in a week; less than `LEAST` is none."""
        hours = self.tasks_week * self.mean_hours
        return hours if hours >= LEAST else 0.0

    @property
    def service_scv(self) -> float:
        """Variance of the work over its squared mean."""
        return self.variance_hours / self.mean_hours**2 if self.mean_hours >= LEAST else 0.0


@dataclass(frozen=True)
class Member:
    """A technician, for planning of whole weeks."""

    technician_id: str
    skills: frozenset[str]
    hours_week: float

    def __post_init__(self) -> None:
        _refuse_outside(f"{self.technician_id!r}: hours_week", self.hours_week)


@dataclass(frozen=True)
class Target:
    """What is wanted.

    Parameters
    ----------
    utilisation : float
        Share of the hours that are worked on tasks, at most.
    wait_h : float or None
        Mean wait for somebody to begin, in working hours, at most.
    """

    utilisation: float = 0.85
    wait_h: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.utilisation < 1:
            raise DataError(
                f"utilisation: expected above 0 and below 1, found {self.utilisation!r}"
            )
        if self.wait_h is not None:
            _refuse_outside("wait_h", self.wait_h)


def _refuse_outside(where: str, value: float) -> None:
    if not 0 <= value <= MOST:
        raise DataError(f"{where}: expected 0 to {MOST:g}, found {value!r}")
