import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mesh_fl.agents._histogram import (
    EMPTY,
    LEVEL,
    Histogram,
    average,
    one_hot,
    total_variation,
)

COUNTS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6))


def released(counts, sd, random) -> Histogram:
    block = np.concatenate([counts, np.zeros(EMPTY)])
    return Histogram.of(block + random.normal(0, sd, len(block)))


def test_a_record_adds_one_to_its_cell_and_nothing_to_the_empty_ones() -> None:
    rows = one_hot(np.array([2, -1, 0]), 3)
    assert rows.shape == (3, 3 + EMPTY)
    assert rows[:, :3].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert not rows[:, 3:].any()


def test_averages_are_means_of_all_releases() -> None:
    random = np.random.default_rng(1)
    releases, mean = random.normal(size=(7, 5)), np.zeros(5)
    for number, one in enumerate(releases):
        mean = average(mean, one, number)
    np.testing.assert_allclose(mean, releases.mean(axis=0))


@given(COUNTS)
def test_shares_are_a_distribution_whatever_the_noise(counts) -> None:
    shares = Histogram(counts, 1.0).shares
    assert shares.min() >= 0
    assert math.isclose(shares.sum(), 1, rel_tol=1e-9)


@given(arrays(np.float64, 20, elements=st.floats(0, 1e6)).filter(lambda one: one.sum() > 1))
def test_counts_without_noise_are_told_as_they_are(counts) -> None:
    np.testing.assert_allclose(Histogram(counts, 0.0).shares, counts / counts.sum(), atol=1e-12)


def test_no_other_distribution_is_nearer() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        counts = random.normal(1, 2, 12)
        if counts.sum() <= 0:
            continue
        wanted = counts / counts.sum()
        nearest = np.linalg.norm(Histogram(counts, 1.0).shares - wanted)
        others = random.dirichlet(np.full(12, 0.3), 500)
        assert nearest <= np.linalg.norm(others - wanted, axis=1).min() + 1e-9


def test_the_noise_is_read_off_the_empty_cells() -> None:
    random = np.random.default_rng(3)
    found = [released(np.full(50, 500.0), 30.0, random).noise_sd for _ in range(400)]
    assert np.mean(np.square(found)) == pytest.approx(900, rel=0.05)


def test_bands_hold_as_often_as_they_say() -> None:
    random = np.random.default_rng(4)
    counts = random.multinomial(27_000, random.dirichlet(np.ones(50))).astype(float)
    half = np.concatenate([np.ones(20), [0.4], np.zeros(29)])
    share, tries = float(half @ counts) / counts.sum(), 2000
    bands = [
        (one.share(half), one.records)
        for one in (released(counts, 31.0, random) for _ in range(tries))
    ]
    shares = np.mean([one.low <= share <= one.high for one, _ in bands])
    records = np.mean([one.low <= counts.sum() <= one.high for _, one in bands])
    # Five standard errors of a binomial share.
    slack = 5 * math.sqrt(LEVEL * (1 - LEVEL) / tries)
    assert abs(shares - LEVEL) < slack
    assert abs(records - LEVEL) < slack


def test_what_the_noise_hides_is_not_seen() -> None:
    random = np.random.default_rng(5)
    nobody = [released(np.zeros(50), 31.0, random).is_seen for _ in range(300)]
    assert np.mean(nobody) < 0.1
    assert released(np.full(50, 500.0), 31.0, random).is_seen


def test_total_variation_by_hand() -> None:
    assert total_variation(np.array([0.5, 0.5, 0]), np.array([0.25, 0.5, 0.25])) == 0.25
