"""Tickets as they come to a queue: replayed, or made up by the hour of the week."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.dispatching_crew import WEEK_H, Calendar, Crew
from mesh_fl.agents.resource.dispatching_hours import HoursModel
from mesh_fl.agents.resource.problem import URGENCY
from mesh_fl.errors import ConfigError, DataError

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

SHARES = {1: 0.05, 2: 0.2, 3: 0.5, 4: 0.25}
"""Of made-up tickets, by priority."""

AGREED_H = {1: 8.0, 2: 24.0, 3: 72.0, 4: 168.0}
"""Within which made-up tickets are due, by priority, in hours of the clock."""

SHIFTS = tuple((24.0 * day + 9, 24.0 * day + 17) for day in range(5))
"""Working hours of a week that begins on Monday at midnight."""

QUIET = 0.05
"""Tickets in an hour at night or the weekend, for one from 8 to 18 on a working day."""

MOST_TECHNICIANS, MOST_WEEKS = 200, 520


@dataclass(frozen=True)
class Known:
    """What is known of tickets as they are opened; arrays of shape (n,), in order of opening.

    Parameters
    ----------
    opened_h : ndarray
        Hours from a common zero.
    predicted_h : ndarray
        Hours of work as predicted.
    weight : ndarray
        How much each one's waiting counts.
    due_h : ndarray
        Infinite where nothing is due.
    skill : ndarray of int
        The column of `Crew.can` that is needed.
    """

    opened_h: Vector
    predicted_h: Vector
    weight: Vector
    due_h: Vector
    skill: Places


@dataclass(frozen=True)
class Arrivals:
    """Tickets with what nobody knows until they are done.

    Parameters
    ----------
    known : Known
    hours : ndarray, shape (n,)
        Of work that each takes.

    Raises
    ------
    DataError
        If shapes differ, tickets are not in order, or a figure is not finite or not above 0.
    """

    known: Known
    hours: Vector = field(repr=False)

    def __post_init__(self) -> None:
        known, shape = self.known, self.hours.shape
        arrays = (known.opened_h, known.predicted_h, known.weight, known.due_h, known.skill)
        if any(array.shape != shape or array.ndim != 1 for array in arrays):
            raise DataError("arrivals: expected arrays with one entry a ticket, found others")
        if not np.isfinite(known.opened_h).all() or (np.diff(known.opened_h) < 0).any():
            raise DataError("arrivals: expected tickets in order of opening; sort them")
        for name, one in (("predicted", known.predicted_h), ("true", self.hours)):
            if not (np.isfinite(one) & (one > 0)).all():
                raise DataError(f"arrivals: expected {name} hours above 0; leave others out")
        if np.isnan(known.due_h).any() or not (np.isfinite(known.weight)).all():
            raise DataError("arrivals: expected due times and finite weights, found NaN")


@dataclass(frozen=True, kw_only=True)
class QueueSetting:
    """A made-up queue: technicians on shifts, some with a speciality, and tickets in working hours.

    Parameters
    ----------
    technicians : int
    load : float
        Work that comes over hours there are.
    weeks : int
        That tickets come.
    margin_weeks : int
        At either end that count in no figure: the queue begins empty, and nobody comes after the
        end.
    specialities : int
        That some tickets need one of; technicians share them out in turn.
    specialists : int, optional
        So many technicians have a speciality, the others none; by default all.
    special_share : float
        Of the tickets that need a speciality.
    agreed : float
        By which agreed times are longer than `AGREED_H`.
    hours : HoursModel
        How long tickets take, and how well that is predicted.
    """

    technicians: int = 5
    load: float = 0.85
    weeks: int = 12
    margin_weeks: int = 2
    specialities: int = 2
    specialists: int | None = None
    special_share: float = 0.2
    agreed: float = 1.0
    hours: HoursModel = field(default_factory=HoursModel.usual)

    def __post_init__(self) -> None:
        rules = (
            ("technicians", 1 <= self.technicians <= MOST_TECHNICIANS, f"1 to {MOST_TECHNICIANS}"),
            ("load", 0 < self.load <= 2, "a share above 0, at most 2"),
            ("weeks", 1 <= self.weeks <= MOST_WEEKS, f"1 to {MOST_WEEKS}"),
            ("margin_weeks", 0 <= 2 * self.margin_weeks < self.weeks, "less than half the weeks"),
            (
                "specialities",
                0 <= self.specialities <= self.technicians,
                "one a technician at most",
            ),
            (
                "specialists",
                self.specialists is None
                or self.specialities <= self.specialists <= self.technicians,
                "one a speciality, and no more than technicians",
            ),
            ("special_share", 0 <= self.special_share <= 1, "a share from 0 to 1"),
            ("agreed", 0 < self.agreed <= 100, "a factor above 0, at most 100"),
        )
        for name, sound, expected in rules:
            if not sound:
                raise ConfigError(f"{name}: expected {expected}, found {getattr(self, name)!r}")

    @cached_property
    def crew(self) -> Crew:
        """The technicians; those who come first have a speciality each, in turn."""
        can = np.zeros((self.technicians, 1 + self.specialities), dtype=np.bool_)
        can[:, 0] = True
        specialists = self.technicians if self.specialists is None else self.specialists
        for one in range(specialists if self.specialities else 0):
            can[one, 1 + one % self.specialities] = True
        # Long enough for what is left at the end; what comes after is work without a pause.
        calendar = Calendar.weekly(SHIFTS, 2 * self.weeks + 8)
        return Crew(can, (calendar,) * self.technicians)

    @property
    def a_week(self) -> float:
        """Tickets that come in a week, on average."""
        working = sum(end - start for start, end in SHIFTS)
        return self.load * self.technicians * working / self.hours.mean_h

    @property
    def counted_h(self) -> tuple[float, float]:
        """Between which hours tickets are opened that count."""
        return self.margin_weeks * WEEK_H, (self.weeks - self.margin_weeks) * WEEK_H


def made_up_arrivals(setting: QueueSetting, seed: int) -> Arrivals:
    """Return tickets of a Poisson process whose rate follows the hour of the week.

    Everything depends on the seed and the setting alone, so that all policies meet the same
    tickets (common random numbers).
    """
    random = np.random.default_rng([seed, 0x0D15])
    rates = np.tile(setting.a_week * _profile(), setting.weeks)
    hours = np.repeat(np.arange(len(rates)), random.poisson(rates)).astype(np.float64)
    opened = np.sort(hours + random.random(len(hours)))
    predicted, true = setting.hours.draw(random, len(opened))
    priority = random.choice(list(SHARES), len(opened), p=list(SHARES.values()))
    needs = random.random(len(opened)) < setting.special_share
    which = 1 + random.integers(0, max(1, setting.specialities), len(opened))
    known = Known(
        opened_h=opened,
        predicted_h=predicted,
        weight=np.vectorize(URGENCY.__getitem__, otypes=[float])(priority),
        due_h=opened + setting.agreed * np.vectorize(AGREED_H.get, otypes=[float])(priority),
        skill=np.where(needs & (setting.specialities > 0), which, 0).astype(np.int64),
    )
    return Arrivals(known, true)


def _profile() -> Vector:
    """Return the share of a week's tickets that each of its hours has, shape (168,)."""
    hour = np.arange(int(WEEK_H))
    is_busy = (hour < 5 * 24) & (hour % 24 >= 8) & (hour % 24 < 18)
    rate = np.where(is_busy, 1.0, QUIET)
    return np.asarray(rate / rate.sum())
