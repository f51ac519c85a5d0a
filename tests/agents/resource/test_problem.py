import dataclasses
import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_problems import spans

from mesh_fl.agents.resource.problem import Problem, Task, Technician, merged
from mesh_fl.errors import DataError

TASK, TECHNICIAN = Task("t", 1.0), Technician("p")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"hours": 0.0}, "hours: expected above 0"),
        ({"hours": math.nan}, "hours: expected above 0 to 10,000, found nan"),
        ({"hours": 1e9}, "hours: expected"),
        ({"hours": True}, "hours: expected"),
        ({"priority": 0}, "priority: expected 1, the most urgent, to 4, found 0"),
        ({"priority": 5}, "priority"),
        ({"due_h": math.inf}, "due_h: expected"),
        ({"release_h": math.nan}, "release_h: expected"),
        ({"latest_start_h": -math.inf}, "latest_start_h: expected"),
        ({"weight": 0.0}, "weight: expected above 0"),
        ({"task_id": ""}, "expected a task_id"),
    ],
)
def test_bad_tasks_are_told(changed: dict[str, object], told: str) -> None:
    task = dataclasses.replace(TASK, **changed)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(DataError, match=told):
        Problem((task,), (TECHNICIAN,), 40.0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"technician_id": ""}, "expected a technician_id"),
        ({"cost_h": -1.0}, "cost_h: expected 0 to"),
        ({"level": 5.0}, "level: expected 0 to 4, found 5.0"),
        ({"busy": ((2.0, 1.0),)}, "busy: expected rising"),
        ({"available": ((0.0, math.inf),)}, "available: expected rising, finite"),
    ],
)
def test_bad_technicians_are_told(changed: dict[str, object], told: str) -> None:
    technician = dataclasses.replace(TECHNICIAN, **changed)  # type: ignore[arg-type] # on purpose
    with pytest.raises(DataError, match=told):
        Problem((TASK,), (technician,), 40.0)


@pytest.mark.parametrize("horizon", [-1.0, math.nan, math.inf, 1e6])
def test_bad_horizons_are_told(horizon: float) -> None:
    with pytest.raises(DataError, match="horizon_h: expected 0 to 10,000"):
        Problem((TASK,), (TECHNICIAN,), horizon)


def test_ids_stand_once_and_sizes_are_bounded() -> None:
    with pytest.raises(DataError, match=re.escape("task_id: expected each once, found 't' 2")):
        Problem((TASK, TASK), (TECHNICIAN,), 40.0)
    with pytest.raises(DataError, match="technician_id: expected each once"):
        Problem((TASK,), (TECHNICIAN, TECHNICIAN), 40.0)
    with pytest.raises(DataError, match="at most 5,000, found 5,001"):
        Problem((TASK,) * 5001, (TECHNICIAN,), 40.0)


@given(spans(), spans(), st.floats(0, 30))
@settings(max_examples=120, deadline=None)
def test_free_time_is_available_and_not_busy(
    available: tuple[tuple[float, float], ...],
    busy: tuple[tuple[float, float], ...],
    horizon: float,
) -> None:
    free = Technician("p", busy=busy, available=available).free(horizon)
    edges = sorted({0.0, horizon, *(edge for span in (*available, *busy) for edge in span)})
    for low, high in itertools.pairwise(edges):
        middle = (low + high) / 2
        if not low < middle < high:
            continue
        there = not available or any(start < middle < end for start, end in available)
        taken = any(start < middle < end for start, end in busy)
        wanted = there and not taken and 0 < middle < horizon
        assert any(start < middle < end for start, end in free) == wanted


def test_spans_that_touch_are_one() -> None:
    assert merged([(5.0, 6.0), (1.0, 2.0), (2.0, 3.0), (-4.0, 0.5)], 5.5) == [
        (0.0, 0.5),
        (1.0, 3.0),
        (5.0, 5.5),
    ]


def test_minutes_are_never_too_tight() -> None:
    person = Technician("p", available=((0.013, 1.009),))
    grid = Problem((Task("t", 1.001, release_h=0.001, due_h=0.999),), (person,), 2.0).grid
    assert grid.work.tolist() == [61]
    assert grid.earliest.tolist() == [1]
    assert grid.due.tolist() == [59]
    assert grid.windows[0].tolist() == [[1, 60]]
    # A third of an hour is twenty minutes, and not twenty-one.
    assert Problem((Task("t", 1 / 3),), (), 2.0).grid.work.tolist() == [20]
