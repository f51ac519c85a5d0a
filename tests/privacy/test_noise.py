import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

import mesh_fl.privacy
from mesh_fl.errors import PlanError
from mesh_fl.privacy import noise
from mesh_fl.privacy.noise import SeededSource, SystemSource, discrete_gaussian

# Seeds are fixed, so a p-value cannot fluctuate; a broken law lies far below this.
IMPLAUSIBLE = 1e-6
SIGMA = 1e6
SAMPLES = 20_000


def normal_p_value(samples: NDArray[np.int64], sigma: float) -> float:
    """Chi-square of 50 equally likely cells; at a large sigma the lattice is invisible."""
    cells = np.floor(50 * stats.norm.cdf(samples, scale=sigma)).astype(int)
    return float(stats.chisquare(np.bincount(cells, minlength=50)).pvalue)


def spread_p_value(samples: NDArray[np.int64], sigma: float) -> float:
    """Two-sided p-value of the sum of squares, the sharpest test of a scale."""
    law = stats.chi2(samples.size)
    squares = float(np.sum((samples / sigma) ** 2))
    return 2 * float(min(law.cdf(squares), law.sf(squares)))


def lattice_p_value(samples: NDArray[np.int64], sigma: float) -> float:
    """Chi-square of every integer within four sigma, against the exact law."""
    support = np.arange(-math.ceil(40 * sigma), math.ceil(40 * sigma) + 1)
    mass = np.exp(-(support**2) / (2 * sigma**2))
    mass /= mass.sum()
    inner = np.abs(support) <= 4 * sigma
    expected = np.append(mass[inner], mass[~inner].sum()) * samples.size
    seen = [int(np.count_nonzero(samples == x)) for x in support[inner]]
    seen.append(samples.size - sum(seen))
    return float(stats.chisquare(seen, expected).pvalue)


@pytest.fixture(scope="module")
def samples() -> NDArray[np.int64]:
    return discrete_gaussian(SIGMA, SAMPLES, SeededSource(1))


def test_law_at_a_large_scale(samples: NDArray[np.int64]) -> None:
    assert normal_p_value(samples, SIGMA) > 0.001


@pytest.mark.parametrize("factor", [2 / 3, 0.9, 1.1, 3 / 2])
def test_a_wrong_scale_is_noticed(samples: NDArray[np.int64], factor: float) -> None:
    assert normal_p_value(samples, factor * SIGMA) < IMPLAUSIBLE


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_scale_off_by_a_twentieth_is_noticed(samples: NDArray[np.int64], factor: float) -> None:
    assert spread_p_value(samples, SIGMA) > 0.001
    assert spread_p_value(samples, factor * SIGMA) < 1e-15


@pytest.mark.parametrize("sigma", [1e4 + 0.5, 2.0**31, 1e12, noise.LARGEST_SIGMA])
def test_law_and_last_bits_across_the_range(sigma: float) -> None:
    drawn = discrete_gaussian(sigma, SAMPLES, SeededSource(2))
    assert normal_p_value(drawn, sigma) > 0.001
    last_bits = np.bincount(drawn & 63, minlength=64)
    assert stats.chisquare(last_bits).pvalue > 0.001


@pytest.mark.parametrize("sigma", [4.0, 4.3, 4.999999999999999, 5.0, 5.5, 6.0])
def test_law_integer_by_integer(sigma: float) -> None:
    drawn = discrete_gaussian(sigma, 300_000, SeededSource(3))
    assert lattice_p_value(drawn, sigma) > 0.001
    assert lattice_p_value(drawn, 0.98 * sigma) < IMPLAUSIBLE


def test_zero_is_not_drawn_twice_as_often() -> None:
    drawn = discrete_gaussian(4.0, 300_000, SeededSource(4))
    zeros, ones = (np.count_nonzero(np.abs(drawn) == x) for x in (0, 1))
    assert zeros / ones == pytest.approx(0.5 * math.exp(1 / 32), rel=0.03)


def test_mean_is_zero_and_sign_is_fair(samples: NDArray[np.int64]) -> None:
    assert abs(samples.mean()) < 4 * SIGMA / math.sqrt(SAMPLES)
    assert stats.binomtest(int(np.count_nonzero(samples > 0)), SAMPLES).pvalue > 0.001
    assert abs(stats.spearmanr(np.sign(samples), np.abs(samples)).statistic) < 4 / SAMPLES**0.5


def test_coordinates_are_independent() -> None:
    pairs = discrete_gaussian(SIGMA, 2 * SAMPLES, SeededSource(5)).reshape(2, SAMPLES)
    quarters = [np.digitize(side, SIGMA * stats.norm.ppf([0.25, 0.5, 0.75])) for side in pairs]
    table = np.bincount(4 * quarters[0] + quarters[1], minlength=16)
    assert stats.chisquare(table).pvalue > 0.001
    joined = pairs.ravel()
    for lag in (1, 2, 3, 9, 1 << 12):
        assert abs(np.corrcoef(joined[:-lag], joined[lag:])[0, 1]) < 4.5 / joined.size**0.5


@pytest.mark.parametrize("shares", [2, 10])
def test_shares_add_up_in_variance(shares: int) -> None:
    source = SeededSource(6)
    total = sum(discrete_gaussian(SIGMA, SAMPLES, source) for _ in range(shares))
    assert isinstance(total, np.ndarray)
    assert normal_p_value(total, SIGMA * shares**0.5) > 0.001
    assert spread_p_value(total, SIGMA * (shares - 1) ** 0.5) < IMPLAUSIBLE
    assert normal_p_value(total, SIGMA * shares) < IMPLAUSIBLE


def test_small_shares_add_up_to_one_discrete_gaussian() -> None:
    source = SeededSource(7)
    total = discrete_gaussian(4.0, 200_000, source) + discrete_gaussian(4.0, 200_000, source)
    assert lattice_p_value(total, 32**0.5) > 0.001


@pytest.mark.parametrize("size", [0, 1, 9, noise._BATCH, noise._BATCH + 1, 100_003])
def test_every_size_is_served(size: int) -> None:
    drawn = discrete_gaussian(SIGMA, size, SystemSource())
    assert drawn.shape == (size,)
    assert drawn.dtype == np.int64
    assert not drawn[:9].size or drawn[:9].any()


@given(sigma=st.floats(noise.SMALLEST_SIGMA, noise.LARGEST_SIGMA), seed=st.integers(0))
def test_every_draw_is_in_the_promised_range(sigma: float, seed: int) -> None:
    drawn = discrete_gaussian(sigma, 50, SeededSource(seed))
    assert np.abs(drawn).max() < 13 * sigma + 13 < 2**54


@pytest.mark.parametrize("sigma", [3.999, 0.0, -5.0, math.nan, math.inf, 2.0**50 + 1])
def test_impossible_scales_are_refused(sigma: float) -> None:
    with pytest.raises(PlanError, match="expected a noise scale from 4 to 2\\^50"):
        discrete_gaussian(sigma, 1, SeededSource(0))


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(PlanError, match="non-negative number of noise values, found -1"):
        discrete_gaussian(SIGMA, -1, SeededSource(0))


class ConstantSource:
    """Words chosen by the test: what the sampler does with them is a known answer."""

    def __init__(self, *words: int) -> None:
        self._words = words

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.repeat(np.array(self._words, dtype=np.uint64), count // len(self._words))


def test_known_answers() -> None:
    always, positive = 0, 2**64 - 2
    # sigma 10: t = 11, and 2^64 is 5 modulo 11.
    assert discrete_gaussian(10, 2, ConstantSource(7, positive, always)).tolist() == [7, 7]
    assert discrete_gaussian(10, 1, ConstantSource(7, positive | 1, always)).tolist() == [-7]
    assert discrete_gaussian(10, 1, ConstantSource(11 + 7, positive, always)).tolist() == [7]
    one_step = int(2**64 * math.exp(-1)) - 2**20 & ~1
    assert discrete_gaussian(10, 1, ConstantSource(7, one_step, always)).tolist() == [18]
    assert discrete_gaussian(10, 1, ConstantSource(7, one_step + 2**21, always)).tolist() == [7]


def test_rejected_candidates() -> None:
    def accepted(*words: int) -> list[int]:
        return [int(x) for x in noise._candidates(10, 1, ConstantSource(*words))]

    positive, probability = 2**64 - 2, math.exp(-7 / 11 - (7 - 100 / 11) ** 2 / 200)
    threshold = int(2**64 * probability)
    assert accepted(7, positive, threshold - 2**14) == [7]
    assert accepted(7, positive, threshold + 2**14) == []
    assert accepted(0, positive, 0) == [0]
    assert accepted(0, positive | 1, 0) == []
    assert accepted(2**64 - 6, positive, 0) == [10]
    assert accepted(2**64 - 5, positive, 0) == []


def test_equal_seeds_give_equal_noise() -> None:
    first, again, other = (discrete_gaussian(SIGMA, 1000, SeededSource(seed)) for seed in (8, 8, 9))
    assert np.array_equal(first, again)
    assert np.count_nonzero(first == other) < 5


def test_a_seeded_stream_does_not_depend_on_how_it_is_cut() -> None:
    whole, cut = SeededSource(10), SeededSource(10)
    assert np.array_equal(whole.words(12), np.concatenate([cut.words(5), cut.words(7)]))


def test_a_seeded_stream_is_pinned() -> None:
    assert SeededSource(0).words(1)[0] == 0x20B952178A7AA879


def test_two_draws_from_one_source_differ() -> None:
    source = SeededSource(11)
    first, second = (discrete_gaussian(SIGMA, 1000, source) for _ in range(2))
    assert np.count_nonzero(first == second) < 5


def test_global_seeds_do_not_reach_the_system_source() -> None:
    drawn = []
    for _ in range(2):
        np.random.seed(0)
        random.seed(0)
        drawn.append(discrete_gaussian(SIGMA, 1000, SystemSource()))
    assert np.count_nonzero(drawn[0] == drawn[1]) < 5


def test_the_system_source_is_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))
    assert SystemSource().words(2).tolist() == [0x0706050403020100, 0x0F0E0D0C0B0A0908]


def test_system_words_are_uniform() -> None:
    raw = SystemSource().words(1 << 14).view(np.uint8)
    assert stats.chisquare(np.bincount(raw, minlength=256)).pvalue > 1e-9


@pytest.mark.parametrize(
    "forbidden", ["np.random", "import random", "torch.normal", "import pickle"]
)
def test_no_other_randomness_in_the_privacy_package(forbidden: str) -> None:
    files = sorted(Path(mesh_fl.privacy.__path__[0]).glob("*.py"))
    assert any(file.name == "noise.py" for file in files)
    assert [file.name for file in files if forbidden in file.read_text()] == []
