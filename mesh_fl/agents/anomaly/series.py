"""A series of readings judged as a whole: which of them are rarer than the stated rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.alarm import Alarm, rates_from
from mesh_fl.agents.anomaly.alarm_tail import p_values
from mesh_fl.agents.anomaly.baseline import Baseline
from mesh_fl.agents.anomaly.drift_steps import Step
from mesh_fl.agents.anomaly.series_reading import read_times, read_values
from mesh_fl.agents.anomaly.severity import Rates
from mesh_fl.agents.anomaly.told_apart import told_apart

Vector = NDArray[np.float64]

FEWEST = 5
"""Readings below which nothing is usual."""

LEAST_DEVIATION = 3.0
"""Robust standard deviations below which no reading is an alarm, however rare."""


@dataclass(frozen=True, kw_only=True)
class SeriesJudgement:
    """What was found in a series.

    Parameters
    ----------
    alarms : tuple of Alarm
        In the order of time.
    readings : int
        How many there are, those that are missing not counted.
    false_alarm_rate : float
        Share of usual readings that may be alarms.
    smallest_p_value : float
        A rank among so many readings is never below it; only a tail, from 400 readings on, is.
    expected, deviations, p_values : ndarray, shape (n,)
        Of each reading; NaN where it is missing, or nothing can be said.
    period : int or None
        Readings in a season.
    slope : float
        Of the trend, a reading.
    steps : tuple of Step
        Where the level moved and stayed: drift, not alarms.
    notes : tuple of str
        What should be known to judge it.
    """

    alarms: tuple[Alarm, ...]
    readings: int
    false_alarm_rate: float
    smallest_p_value: float
    expected: Vector = field(repr=False)
    deviations: Vector = field(repr=False)
    p_values: Vector = field(repr=False)
    period: int | None
    slope: float
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def judge(
    values: Sequence[float | None] | NDArray[np.float64],
    times: Sequence[float] | NDArray[np.float64] | None = None,
    false_alarm_rate: float = 1e-3,
    period: int | None = None,
) -> SeriesJudgement:
    """Find the readings that are rarer than the stated rate.

    What is expected is a straight trend, steps, a season and a level, by medians; a reading is as
    rare as the share of all readings that are at least as far off (so of n usual readings at most
    n times the rate are alarms, whatever their distribution and however they depend on each other).
    From 400 readings on a generalised Pareto tail (Pickands 1975) judges those far out, too: it
    can tell what is rarer than one in n, and where usual readings come from two far clusters, one
    of them small, it raises about twice as many alarms as stated.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        At equal steps, oldest first; None or NaN where one is missing.
    times : sequence of float, shape (n,), optional
        In seconds since 1970, rising.
    false_alarm_rate : float
        Share of usual readings that may be alarms.
    period : int, optional
        Readings in a season; found when left out.

    Raises
    ------
    DataError
        If values or times are no numbers, or times fall.
    ConfigError
        If the rate is not above 0 and at most one half.
    """
    rates = rates_from(false_alarm_rate)
    told = read_values(values)
    moments = read_times(times, len(told))
    readings = int(np.isfinite(told).sum())
    if readings < FEWEST:
        return _nothing(told, readings, false_alarm_rate)
    found = Baseline.of(told, period)
    chances = p_values(found.sizes)
    is_far = np.abs(np.nan_to_num(found.sizes)) >= LEAST_DEVIATION
    alarms = [
        _alarm(place, told, moments, found, chances, rates)
        for place in np.flatnonzero(is_far & (chances <= false_alarm_rate)).tolist()
    ]
    return SeriesJudgement(
        alarms=tuple(alarms),
        readings=readings,
        false_alarm_rate=false_alarm_rate,
        smallest_p_value=1 / readings,
        expected=found.expected,
        deviations=found.sizes,
        p_values=chances,
        period=found.period,
        slope=found.slope,
        steps=found.steps,
        notes=tuple(_notes(told, found, readings, false_alarm_rate, period)),
    )


def _nothing(values: Vector, readings: int, rate: float) -> SeriesJudgement:
    unknown = np.full(len(values), np.nan)
    return SeriesJudgement(
        alarms=(),
        readings=readings,
        false_alarm_rate=rate,
        smallest_p_value=1.0,
        expected=unknown,
        deviations=unknown,
        p_values=unknown,
        period=None,
        slope=0.0,
        steps=(),
        notes=(f"not enough data: {readings} readings, of {FEWEST} that say what is usual",),
    )


def _alarm(
    place: int,
    values: Vector,
    times: Vector | None,
    found: Baseline,
    p_values: Vector,
    rates: Rates,
) -> Alarm:
    p_value = float(p_values[place])
    value, expected = float(values[place]), float(found.expected[place])
    deviation = float(found.sizes[place])
    shown, usual = told_apart(value, expected)
    season = f", with a season of {found.period} readings" if found.period else ""
    return Alarm(
        index=place,
        time=None if times is None else float(times[place]),
        value=value,
        expected=expected,
        deviation=deviation,
        p_value=p_value,
        severity=rates.of(p_value) or "low",
        why=f"{shown} is {abs(deviation):.1f} robust standard deviations "
        f"{'above' if deviation > 0 else 'below'} the {usual} that was expected{season}: "
        f"of usual readings at most {p_value:.2g} are so far off",
    )


def _notes(
    values: Vector, found: Baseline, readings: int, rate: float, period: int | None
) -> Iterator[str]:
    if period and found.period is None:
        yield f"a season of {period} readings was not seen often enough in {len(values)} to expect"
    if readings * rate < 1:
        place = int(np.nanargmax(np.abs(found.sizes)))
        far = abs(float(found.sizes[place])) >= LEAST_DEVIATION
        yield (
            f"{readings} readings cannot promise a rate below {1 / readings:.2g} by their ranks: "
            f"send {round(1 / rate)} or more for {rate:.2g}"
            + (f"; farthest off is reading {place}, {values[place]:.6g}" if far else "")
        )
    for one in found.steps:
        yield (
            f"the level moved from {one.before:.6g} to {one.after:.6g} about reading {one.place}, "
            "and stayed"
        )
