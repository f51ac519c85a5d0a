import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents._histogram import Histogram
from mesh_fl.agents.anomaly.blocks import Blocks, trait_blocks, tree_blocks
from mesh_fl.agents.anomaly.density import Density, network_shares, worth
from mesh_fl.agents.anomaly.random_trees import random_splits
from mesh_fl.agents.anomaly.severity import Rates
from mesh_fl.agents.anomaly.tail import KEPT, Tail
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.agents.anomaly.words import Within, Words

RATES = Rates((0.01, 0.005, 0.001, 0.0001))


def test_bounds_of_a_number_have_cells_of_their_own() -> None:
    rate = Trait(name="rate", kind="number", bins=4)
    values = np.array([-1.0, 0.0, 0.1, 0.25, 0.99, 1.0, 7.0, math.nan, math.inf, -math.inf])
    assert rate.places(values).tolist() == [0, 0, 1, 2, 4, 5, 5, -1, 5, 0]
    assert rate.cells == 6
    assert rate.called(0) == "0 or less"
    assert rate.called(2) == "0.25 to 0.5"
    assert rate.called(5) == "1 or more"


def test_a_log_scale_parts_powers_of_ten() -> None:
    sent = Trait(name="bytes", kind="number", high=10**9 - 1, scale="log", bins=9)
    assert sent.places(np.array([0.0, 5.0, 50.0, 5e8, 1e12])).tolist() == [0, 1, 2, 9, 10]


def test_levels_moments_and_words() -> None:
    level = Trait(name="severity", kind="level", levels=("0", "1"))
    assert level.places(np.array([0.0, 1.0, 3.0, math.nan])).tolist() == [0, 1, 2, -1]
    texts = np.array(["1.0", " 01", "one", "1e400", ""], dtype=object)
    assert level.places(texts).tolist() == [1, 1, 2, 2, -1]
    hour = Trait(name="ts", kind="moment", bins=24)
    week = Trait(name="ts", kind="moment", cycle="week", bins=7)
    at = np.array([0.0, 3600.0 * 25, math.nan, -3600.0])
    assert hour.places(at).tolist() == [0, 1, -1, 23]
    assert week.places(at).tolist() == [3, 4, -1, 2]
    assert week.called(3).startswith("Thu")
    word = Trait(name="user", kind="words", bins=1000)
    places = word.places(np.array(["Ann ", "ann", "ANN", "bob", ""], dtype=object))
    assert len(set(places[:3].tolist())) == 1
    assert places[3] != places[0]
    assert places[4] == -1


def test_words_fall_where_they_always_did() -> None:
    """Members of any version must agree; a changed hash would mix their counts."""
    word = Trait(name="user", kind="words", bins=32)
    found = word.places(np.array(["firewall", "rmm", "backup"], dtype=object))
    assert found.tolist() == FIREWALL_RMM_BACKUP


FIREWALL_RMM_BACKUP = [18, 18, 24]


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), st.integers(1, 30))
def test_every_number_has_a_cell(values: list[float], bins: int) -> None:
    trait = Trait(name="x", kind="number", low=-5, high=1e6, scale="log", bins=bins)
    places = trait.places(np.array(values))
    assert ((places >= 0) & (places < trait.cells)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(places[order]) >= 0).all()


@given(st.text(max_size=200))
def test_any_text_has_a_cell(text: str) -> None:
    for kind in ("words", "template"):
        trait = Trait(name="x", kind=kind, bins=7)
        assert trait.places(np.array([text], dtype=object))[0] in range(-1, 7)


@given(
    st.lists(st.integers(0, 5).map(float), min_size=1, max_size=300),
    st.lists(st.floats(-1, 7), min_size=1, max_size=20),
)
def test_a_tail_counts_those_that_reach_a_score(own: list[float], asked: list[float]) -> None:
    tail = Tail.of(np.array(own))
    scores = np.array([*asked, *own])
    exact = [(1 + sum(one >= score for one in own)) / (len(own) + 1) for score in scores]
    assert tail.chances(scores) == pytest.approx(exact)


def test_a_long_tail_is_exact_at_its_end_and_never_too_low() -> None:
    random = np.random.default_rng(0)
    own = np.round(random.normal(size=30_000), 3)
    tail = Tail.of(own)
    assert len(tail.scores) == 2 * KEPT
    again = Tail.read(tail.block())
    scores = np.round(random.normal(size=2000), 3)
    rising = np.sort(own)
    exact = (1 + len(own) - np.searchsorted(rising, scores, side="left")) / (len(own) + 1)
    found = again.chances(scores)
    assert (found >= exact - 1e-12).all()
    assert found == pytest.approx(exact, abs=1 / KEPT)
    rare = exact < 0.06
    assert found[rare] == pytest.approx(exact[rare])


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_chances_of_usual_scores_keep_their_promise(count: int, seed: int) -> None:
    """Of n + 1 alike scores at most k have a chance of k / (n + 1) or less, ties or not."""
    scores = np.random.default_rng(seed).integers(0, 50, count + 1).astype(float)
    chances = np.array(
        [
            float(Tail.of(np.delete(scores, n)).chances(scores[n : n + 1])[0])
            for n in range(count + 1)
        ]
    )
    for k in (1, 2, 1 + count // 10):
        assert (chances <= k / (count + 1) + 1e-12).sum() <= k


def test_severity_is_not_claimed_beyond_what_records_show() -> None:
    few = Tail.of(np.zeros(150))
    found = few.chances(np.array([1.0]))[0]
    assert RATES.of(found) == "low"
    assert RATES.beyond(few.smallest) == ("medium", "high", "critical")
    assert RATES.of(0.02) is None
    assert RATES.of(0.0001) == "critical"
    assert RATES.beyond(1e-9) == ()


def test_constant_scores_raise_nothing() -> None:
    tail = Tail.of(np.full(5000, 3.0))
    assert tail.chances(np.array([3.0, 2.0])).tolist() == [1.0, 1.0]


def test_leaves_are_where_their_splits_lead() -> None:
    cells = (4, 7, 2)
    splits = random_splits(cells, 9, 4, 0)
    every = np.array([(a, b, c) for a in range(4) for b in range(7) for c in range(2)])
    leaves = splits.leaves_of(every)
    volumes = splits.volumes(cells).reshape(9, 16)
    for tree in range(9):
        counted = np.bincount(leaves[:, tree], minlength=16) / len(every)
        assert counted == pytest.approx(volumes[tree])
    asked = splits.asked(every[5])
    assert asked.shape == (9, 4)
    assert asked.max() < 3


def test_trees_are_the_same_for_everybody() -> None:
    one, other = (random_splits.__wrapped__((5, 5), 4, 3, 7) for _ in range(2))
    assert (one.trait == other.trait).all()
    assert (one.cut == other.cut).all()


@pytest.mark.parametrize("blocks", [trait_blocks((5, 3)), tree_blocks((5, 3), 6, 3, 0)])
def test_rows_count_each_record_once_a_block(blocks: Blocks) -> None:
    random = np.random.default_rng(0)
    places = np.stack([random.integers(0, 5, 100), random.integers(0, 3, 100)], axis=1)
    cells = blocks.find(places)
    rows = blocks.rows(cells, 2.0)
    assert np.sqrt((rows.toarray() ** 2).sum(axis=1)) == pytest.approx(np.full(100, 2.0))
    sums = np.asarray(rows.sum(axis=0)).ravel() / blocks.weight(2.0)
    assert blocks.sums(sums[: blocks.width]) == pytest.approx(np.full(len(blocks.sizes), 100))
    assert blocks.sums(blocks.even) == pytest.approx(np.ones(len(blocks.sizes)))


def test_places_that_nobody_declared_fall_nowhere() -> None:
    blocks = trait_blocks((5, 3))
    assert blocks.find(np.array([[9, -7], [2**40, 1]])).tolist() == [[-1, -1], [-1, 6]]


def test_left_out_scores_are_those_of_the_others() -> None:
    blocks = trait_blocks((4, 3))
    random = np.random.default_rng(3)
    cells = blocks.find(np.stack([random.integers(0, 4, 30), random.integers(0, 3, 30)], axis=1))
    whole = Density(blocks, blocks.even, 10.0, blocks.counts(cells), trusts_network=False)
    found = whole.left_out(cells)
    for row in range(30):
        others = blocks.counts(np.delete(cells, row, axis=0))
        exact = Density(blocks, blocks.even, 10.0, others, trusts_network=False)
        assert found[row] == pytest.approx(exact.surprises(cells[row : row + 1])[0])


def test_noise_makes_a_networks_counts_worth_less() -> None:
    blocks = trait_blocks((10, 10))
    counts = np.full(20, 100.0)
    exact, noisy = (worth(blocks, Histogram(counts, sd)) for sd in (0.0, 100.0))
    assert exact == pytest.approx(1000)
    assert 1 < noisy < 50
    assert worth(blocks, Histogram(-counts, 5.0)) == 0
    shares = network_shares(blocks, Histogram(-counts, 5.0))
    assert blocks.sums(shares) == pytest.approx([1, 1])
    assert (shares > 0).all()


def test_new_words_in_a_full_cell_are_told_apart() -> None:
    words = Words.of(np.array(["a"] * 98 + ["b", "c"], dtype=object))
    cells = np.zeros(100, dtype=np.int64)
    within = Within.of(words.of_records, cells, len(words.numbers), 1)
    asked = words.find(np.array(["a", "b", "new"], dtype=object))
    common, rare, new = within.surprises(asked, np.zeros(3, dtype=np.int64))
    assert common == pytest.approx(math.log(101 / 98))
    assert rare == pytest.approx(math.log(101))
    assert new == pytest.approx(math.log(101))
    left_out = within.surprises(words.of_records[-1:], cells[-1:], left_out=1.0)
    assert left_out == pytest.approx([math.log(100)])
    assert within.surprises(asked, np.full(3, -1)).tolist() == [0, 0, 0]
