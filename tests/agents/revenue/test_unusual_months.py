import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.revenue.unusual import FAR, LARGE, MOST, unusual_months, without

CALM = np.random.default_rng(0).normal(1000, 30, 60)


def spiked(*places: int, amount: float = 1e6) -> np.ndarray:
    history = CALM.copy()
    history[list(places)] = amount
    return history


@pytest.mark.parametrize("place", [0, 1, 30, 47, 58, 59])
@pytest.mark.parametrize("amount", [1e6, -1e6])
def test_one_month_far_out_is_found_wherever_it_is(place, amount) -> None:
    (found,) = unusual_months(spiked(place, amount=amount))
    assert (found.place, found.amount) == (place, amount)
    assert found.usual == pytest.approx(1000, abs=30)
    calm = without(spiked(place, amount=amount), [found])
    assert calm[place] == found.usual
    assert np.array_equal(np.delete(calm, place), np.delete(CALM, place))


def test_what_comes_each_year_is_no_surprise() -> None:
    assert unusual_months(spiked(5, 17, 29, 41, 53)) == ()
    assert len(unusual_months(spiked(5, 20))) == 2


def test_where_work_is_billed_now_and_then_nothing_stands_out() -> None:
    bills = np.zeros(60)
    bills[[3, 8, 20, 31, 54]] = 500.0
    assert unusual_months(bills) == ()


@pytest.mark.parametrize("amount", [1000 + 4.9 * 1000, 1000 + 5.2 * 1000])
def test_both_bounds_count(amount) -> None:
    is_far = amount > 1000 + (LARGE + 0.1) * 1000
    assert bool(unusual_months(spiked(30, amount=amount))) is is_far
    wild = np.random.default_rng(1).uniform(0, 2000, 60)
    wild[30] = FAR * 200
    assert unusual_months(wild) == ()


@pytest.mark.parametrize("months", [0, 1, 5])
def test_few_months_have_nothing_usual(months) -> None:
    assert unusual_months(np.append(np.zeros(months), 7e7)[1:]) == ()


@settings(max_examples=60)
@given(st.lists(st.floats(-1e15, 1e15), max_size=60))
def test_any_history_has_few(amounts) -> None:
    history = np.array(amounts)
    found = unusual_months(history)
    assert len(found) <= MOST
    assert np.isfinite(without(history, found)).all()
