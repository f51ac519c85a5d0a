"""Queues by hand, and what an order saves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.resource.flow_time import BATCHES, TICKETS, batches, savings, stays


def test_stays_by_hand() -> None:
    assert stays(np.array([[3.0, 1, 2, 2]]), technicians=2).tolist() == [[3, 1, 3, 5]]
    assert stays(np.array([[3.0, 1, 2]]), technicians=1).tolist() == [[3, 4, 6]]
    assert stays(np.array([[3.0, 1]]), technicians=5).tolist() == [[3, 1]]


def test_batches_hold_each_ticket_once_and_are_the_same_every_time() -> None:
    drawn = batches(100)
    assert drawn.shape == (BATCHES, TICKETS)
    assert all(len(set(one)) == TICKETS for one in drawn.tolist())
    assert (drawn == batches(100)).all()
    assert set(drawn.ravel().tolist()) == set(range(100))


def test_knowing_the_hours_saves_most_and_knowing_nothing_saves_nothing() -> None:
    random = np.random.default_rng(3)
    hours = random.lognormal(0, 1.5, 2000)
    known = savings(hours, hours)
    rough = savings(hours * random.lognormal(0, 1.5, 2000), hours)
    nothing = savings(random.random(2000), hours)
    backwards = savings(-hours, hours)
    assert known.stay > rough.stay > 0.05 > abs(nothing.stay)
    assert backwards.stay < -0.3
    assert known.wait > known.stay  # the work itself cannot be saved
    assert savings(np.zeros(2000), hours).stay == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_shortest_first_is_best_for_one_technician(seed: int, technicians: int) -> None:
    random = np.random.default_rng(seed)
    hours = random.exponential(size=(3, 12))
    shortest = stays(np.sort(hours, axis=1), technicians).mean()
    assert shortest <= stays(hours, technicians).mean() + 1e-9


def test_few_tickets_make_no_batch() -> None:
    found = savings(np.zeros(TICKETS - 1), np.ones(TICKETS - 1))
    assert math.isnan(found.stay)
    assert math.isnan(found.wait)
    assert savings(np.arange(TICKETS * 1.0), np.ones(TICKETS)).stay == pytest.approx(0.0)
