import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.errors import DataError
from mesh_fl.simulate.statistics import FEWEST_SEEDS, Mean, paired, summarise, verdict

figures = st.floats(-10, 10).map(lambda value: round(value, 6))
PUBLIC = [0.50, 0.50, 0.50, 0.50, 0.50]
ALONE = [0.80, 0.82, 0.78, 0.81, 0.79]


def shifted(values: list[float], by: float, wobble: float = 0.0) -> list[float]:
    return [value + by + wobble * (-1) ** place for place, value in enumerate(values)]


def test_known_answers() -> None:
    found = summarise([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5
    assert found.error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert paired([3.0, 5.0], [1.0, 1.0]) == Mean(3.0, pytest.approx(1.0))


def test_one_run_tells_no_error() -> None:
    found = summarise([0.8])
    assert found.mean == 0.8
    assert math.isnan(found.error)
    assert not found.positive
    assert str(found) == "0.8000"


@given(st.lists(figures, min_size=2, max_size=20))
def test_it_is_what_numpy_says(values: list[float]) -> None:
    found = summarise(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.error == pytest.approx(np.std(values, ddof=1) / len(values) ** 0.5, abs=1e-12)


@given(st.lists(figures, min_size=2, max_size=9), figures)
def test_what_seeds_have_in_common_cancels_out(values: list[float], by: float) -> None:
    gap = paired(shifted(values, by), values)
    assert gap.mean == pytest.approx(by, abs=1e-9)
    assert gap.error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [math.inf], [1.0, -math.inf]])
def test_what_is_no_figure_is_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="expected a finite figure from every seed"):
        summarise(values)


def test_pairs_need_the_same_seeds() -> None:
    with pytest.raises(DataError, match="same seeds, found 2 and 1"):
        paired([1.0, 2.0], [1.0])


class TestVerdict:
    def test_beating_both_by_far_is_a_gain(self) -> None:
        better = shifted(ALONE, 0.02)
        assert verdict(PUBLIC, ALONE, better, ALONE, True) == "gain"
        assert verdict(PUBLIC, ALONE, ALONE, better, True) == "gain"

    def test_beating_one_of_them_is_none(self) -> None:
        better = shifted(ALONE, 0.02)
        assert verdict(better, ALONE, better, better, True) == "no gain at this crowd"
        assert verdict(PUBLIC, better, better, better, True) == "no gain at this crowd"

    def test_one_model_must_beat_both(self) -> None:
        """The federated one beats what is public, the adapted one what is learnt alone: neither."""
        public, alone = [0.7, 0.7, 0.7, 0.7, 0.7], [0.5, 0.9, 0.5, 0.9, 0.5]
        federated, adapted = shifted(public, 0.1), shifted(alone, 0.01)
        assert verdict(public, alone, federated, adapted, True) == "no gain at this crowd"

    def test_less_than_two_errors_is_none(self) -> None:
        """Differences of .02 ± .06 alternating: an error of .0294, then a third of it."""
        loose, tight = shifted(ALONE, 0.02, 0.06), shifted(ALONE, 0.02, 0.01)
        assert verdict(PUBLIC, ALONE, loose, loose, True) == "no gain at this crowd"
        assert verdict(PUBLIC, ALONE, tight, tight, True) == "gain"

    def test_equal_is_none(self) -> None:
        assert verdict(ALONE, ALONE, ALONE, ALONE, True) == "no gain at this crowd"

    def test_lower_may_be_better(self) -> None:
        less = shifted(ALONE, -0.02)
        high = shifted(ALONE, 0.3)
        assert verdict(high, ALONE, less, less, False) == "gain"
        assert verdict(PUBLIC, ALONE, less, less, True) == "no gain at this crowd"

    def test_few_seeds_settle_nothing(self) -> None:
        few = FEWEST_SEEDS - 1
        better = shifted(ALONE, 0.1)
        told = verdict(PUBLIC[:few], ALONE[:few], better[:few], better[:few], True)
        assert told == "too few seeds"

    @given(st.lists(st.tuples(*[figures] * 4), min_size=5, max_size=8))
    def test_turning_all_signs_turns_nothing(self, runs: list[tuple[float, ...]]) -> None:
        columns = [list(column) for column in zip(*runs, strict=True)]
        turned = [[-value for value in column] for column in columns]
        assert verdict(*columns, True) == verdict(*turned, False)  # type: ignore[arg-type]
