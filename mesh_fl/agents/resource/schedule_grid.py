"""A scheduling problem in whole minutes and arrays, so that all who plan count alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mesh_fl.agents.resource.problem import Problem

Span = tuple[float, float]
Minutes = NDArray[np.int64]
Flags = NDArray[np.bool_]

HOUR_MIN = 60
NEVER_MIN = 2**40
"""Stands for no due time and no latest start."""

FUZZ_MIN = 1e-6
"""What hours that are whole minutes may miss them by, as floating point has it."""


@dataclass(frozen=True)
class Grid:
    """A problem in minutes from now; rounded so that what fits here fits there.

    Parameters
    ----------
    work : ndarray, shape (tasks,)
        Rounded up, at least 1.
    release, earliest : ndarray, shape (tasks,)
        Since when a task waits, and when it can begin: not before now, from when waiting counts.
    due, latest : ndarray, shape (tasks,)
        `NEVER_MIN` where there is none.
    weight : ndarray, shape (tasks,)
    skilled, can : ndarray, shape (tasks, technicians)
        Who has the skills, and who has a free window that is long enough besides.
    splits : ndarray, shape (tasks,)
        Which tasks go on over breaks.
    windows : tuple of ndarray, each of shape (windows, 2)
        When each technician has time.
    horizon : int
    """

    work: Minutes
    release: Minutes
    earliest: Minutes
    due: Minutes
    latest: Minutes
    weight: NDArray[np.float64]
    skilled: Flags
    can: Flags
    splits: Flags
    windows: tuple[Minutes, ...]
    horizon: int

    @cached_property
    def mean_work(self) -> float:
        """The mean of `work`."""
        return float(self.work.mean()) if len(self.work) else 0.0

    @cached_property
    def still_due(self) -> Minutes:
        """When tasks are due, or now: what is late already is late in every plan."""
        return np.maximum(self.due, 0)

    @cached_property
    def any_splits(self) -> bool:
        """Whether some task goes on over breaks."""
        return bool(self.splits.any())

    @classmethod
    def of(cls, problem: Problem) -> Grid:
        """Put a problem into minutes."""
        tasks, horizon = problem.tasks, problem.horizon_h
        work = np.maximum(_up(task.hours for task in tasks), 1)
        release = _up(task.release_h for task in tasks)
        earliest = np.maximum(release, 0)
        latest = _limits(task.latest_start_h for task in tasks)
        windows = tuple(map(_windows, problem.free))
        skilled = _skilled(problem)
        whole, parts = (skilled & fits for fits in _fits(work, earliest, latest, windows))
        splits = np.array([task.may_split for task in tasks], dtype=bool) & ~whole.any(axis=1)
        return cls(
            work=work,
            release=release,
            earliest=earliest,
            due=_limits(task.due_h for task in tasks),
            latest=latest,
            weight=np.array([task.weighs for task in tasks], dtype=float),
            skilled=skilled,
            can=np.where(splits[:, None], parts, whole),
            splits=splits,
            windows=windows,
            horizon=int(_down([horizon])[0]),
        )


def _up(hours: Iterable[float]) -> Minutes:
    minutes = np.fromiter(hours, dtype=float) * HOUR_MIN
    return np.ceil(minutes - FUZZ_MIN).astype(np.int64)


def _down(hours: Iterable[float]) -> Minutes:
    minutes = np.fromiter(hours, dtype=float) * HOUR_MIN
    return np.floor(minutes + FUZZ_MIN).astype(np.int64)


def _limits(hours: Iterable[float | None]) -> Minutes:
    told = np.array([math.nan if one is None else one for one in hours], dtype=float)
    return np.where(np.isnan(told), NEVER_MIN, _down(np.nan_to_num(told)))


def _windows(free: tuple[Span, ...]) -> Minutes:
    found = np.stack([_up(start for start, _ in free), _down(end for _, end in free)], axis=1)
    return found[found[:, 1] > found[:, 0]]


def _skilled(problem: Problem) -> Flags:
    """Tell who has the skills; each set of skills is looked at once."""
    known: dict[frozenset[str], list[bool]] = {}
    for task in problem.tasks:
        if task.skills not in known:
            known[task.skills] = [task.skills <= one.skills for one in problem.technicians]
    rows = [known[task.skills] for task in problem.tasks]
    return np.array(rows, dtype=bool).reshape(len(problem.tasks), len(problem.technicians))


def _fits(
    work: Minutes, earliest: Minutes, latest: Minutes, windows: tuple[Minutes, ...]
) -> tuple[Flags, Flags]:
    """Tell whether a task fits into one window, and into all, each (tasks, technicians)."""
    known: dict[bytes, tuple[Flags, Flags]] = {}
    for spans in windows:
        if spans.tobytes() not in known:
            known[spans.tobytes()] = _fits_one(work, earliest, latest, spans)
    found = [known[spans.tobytes()] for spans in windows]
    none = np.zeros((len(work), 0), dtype=bool)
    if not found:
        return none, none
    return np.stack([one for one, _ in found], axis=1), np.stack([one for _, one in found], axis=1)


def _fits_one(
    work: Minutes, earliest: Minutes, latest: Minutes, spans: Minutes
) -> tuple[Flags, Flags]:
    """Tell the same for the windows of one technician, each of shape (tasks,)."""
    begin = np.maximum(earliest[:, None], spans[:, 0])
    room = np.where(begin <= latest[:, None], np.maximum(0, spans[:, 1] - begin), 0)
    later = np.maximum(0, spans[:, 1] - begin).sum(axis=1)
    whole = np.asarray((room >= work[:, None]).any(axis=1))
    parts = np.asarray((later >= work) & (room > 0).any(axis=1))
    return whole, parts
