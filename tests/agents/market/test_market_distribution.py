import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.agents._histogram import EMPTY, LEVEL, Histogram
from mesh_fl.agents.market.burdens import changed
from mesh_fl.agents.market.comparisons import change_told
from mesh_fl.agents.market.distribution import Distribution, records_needed
from mesh_fl.agents.market.figures import RATE_PER_SEAT, Figure
from mesh_fl.agents.market.wording import is_denied, pattern_of

LINEAR = Figure(name="hours", title="hours", low=-2, high=8, bins=5)


def released(figure: Figure, values, sd: float, random) -> Distribution:
    counts = np.bincount(figure.places(values), minlength=figure.bins)
    block = np.concatenate([counts, np.zeros(EMPTY)])
    noised = block + random.normal(0, sd, len(block))
    return Distribution(figure, Histogram.of(noised), (0,))


def test_values_fall_into_their_bins() -> None:
    values = np.array([-9, -2, -0.1, 0, 7.9, 8, 99, np.nan, np.inf])
    assert LINEAR.places(values).tolist() == [0, 0, 0, 1, 4, 4, 4, -1, -1]
    assert RATE_PER_SEAT.places(np.array([0.0, -5.0, 1e-9])).tolist() == [-1, -1, 0]


@given(st.floats(10, 1000))
def test_a_value_is_found_again_from_its_position(value: float) -> None:
    place = int(RATE_PER_SEAT.places(np.array([value]))[0])
    position = place + RATE_PER_SEAT.within(value)
    assert RATE_PER_SEAT.between(position) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [{"low": 5.0, "high": 5.0}, {"scale": "log", "low": 0.0}, {"bins": 1}, {"name": "A b"}],
)
def test_a_figure_that_has_no_bins_is_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        Figure(**({"name": "a", "title": "a", "low": 1.0, "high": 2.0} | wrong))


def test_bands_hold_at_least_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    values = random.lognormal(np.log(100), 0.4, 20_000)
    values[:3000] = 99.0  # many have the very same price
    below, median = float(np.mean(values < 99.0)), float(np.median(values))
    tries, held = 300, np.zeros(2)
    for _ in range(tries):
        one = released(RATE_PER_SEAT, values, 40.0, random)
        share, middle = one.percentile(99.0), one.quantile(0.5)
        held += [share.low <= below <= share.high, middle.low <= median <= middle.high]
    slack = 4 * math.sqrt(LEVEL * (1 - LEVEL) / tries)
    assert (held / tries >= LEVEL - slack).all()


def test_without_noise_quantiles_are_right_within_a_bin() -> None:
    random = np.random.default_rng(2)
    values = random.uniform(-2, 8, 10_000)
    one = released(LINEAR, values, 0.0, random)
    for share in (0.1, 0.5, 0.9):
        found = one.quantile(share)
        assert found.value == pytest.approx(np.quantile(values, share), abs=0.2)
        assert found.low <= found.value <= found.high
        assert one.percentile(found.value).value == pytest.approx(share, abs=1e-6)


def test_what_the_noise_hides_is_not_seen() -> None:
    random = np.random.default_rng(3)
    values = random.uniform(-2, 8, 100)
    assert not released(LINEAR, values, 60.0, random).is_seen
    assert released(LINEAR, np.repeat(values, 100), 60.0, random).is_seen


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("profit was 13.1 million, compared with 8.7 million", 1),
        ("profit fell from 13.1 to 8.7", -1),
        ("costs rose to 12 from 10", -1),
        ("our bill went up from 90 to 130 a seat", -1),
        ("the share price rose to 12 from 10", 1),
        ("a loss of 2.1 million, compared to a profit of 1.4 million", -1),
        ("a profit of 1.4 million, compared to a loss of 2.1 million", 1),
        ("sales of 1,200,000 against 900,000", 1),
        ("from 2008 to 2009 nothing happened", 0),
        ("nothing is compared", 0),
    ],
)
def test_comparisons_are_read(text: str, direction: int) -> None:
    assert change_told(text) == direction


def test_words_are_whole_and_may_be_denied() -> None:
    pattern = pattern_of(("help*", "bad"))
    assert [match[0] for match in pattern.finditer("HELPFUL, badge, bad")] == ["HELPFUL", "bad"]
    assert is_denied("not very helpful", 9)
    assert not is_denied("It did not work. helpful", 17)


@pytest.mark.parametrize(
    ("text", "is_turned"),
    [
        ("complaints fell", True),
        ("the number of tickets per month has fallen", True),
        ("lower fees", True),
        ("we fell over your fees", False),
        ("costs were stable and sales fell", False),
        ("sales fell because of costs", False),
        ("the share price fell", False),
        ("the price fell", True),
    ],
)
def test_a_change_is_that_of_a_burden(text: str, is_turned: bool) -> None:
    assert bool(changed(text, pattern_of(("fell", "fallen", "lower"))).changes) is is_turned


@pytest.mark.parametrize(
    ("text", "word", "denied"),
    [
        ("never been so disappointed", "disappointed", False),
        ("it has never been better", "better", False),
        ("it is not better", "better", True),
        ("never helpful", "helpful", True),
        ("not only helpful", "helpful", False),
        ("nobody was helpful", "helpful", True),
    ],
)
def test_never_so_stresses_a_word(text: str, word: str, denied: bool) -> None:
    assert is_denied(text, text.index(word)) is denied


@pytest.mark.parametrize("cells", [50, 150])
def test_as_many_records_as_it_takes_are_seen_and_half_of_them_are_not(cells: int) -> None:
    random = np.random.default_rng(5)
    needed = records_needed(30.0, cells)

    def seen(records: float) -> float:
        even = np.full(cells, records / cells)
        return np.mean(
            [
                Distribution(RATE_PER_SEAT, Histogram(noised, 30.0), range(cells // 50)).is_seen
                for noised in even + random.normal(0, 30.0, (200, cells))
            ]
        )

    assert seen(1.15 * needed) > 0.8
    assert seen(0.5 * needed) < 0.2
