import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from mesh_fl.errors import EncryptionError, ProtocolError
from mesh_fl.privacy.encryption import Bfv, Parameters, generate_key
from mesh_fl.privacy.noise import SeededSource, SystemSource
from mesh_fl.privacy.pipeline import (
    Opened,
    Sealed,
    add,
    assemble,
    hand_over,
    next_digest,
    open_sum,
    rescale,
    seal,
)
from mesh_fl.privacy.plan import Plan, Release

MEMBERS = 5
COORDINATES = 21_000

# Seeds are fixed, so a p-value cannot fluctuate; a wrong scale lies far below this.
PLAUSIBLE, IMPLAUSIBLE = 1e-3, 1e-6


def plan_of(dimension: int) -> Plan:
    return Plan(
        agent="sums",
        config="{}",
        dimension=dimension,
        measure_dimension=0,
        clip=1.0,
        measure_clip=1.0,
        rounds=10,
        measures=0,
        measure_share=0.0,
        spares=1,
        epsilon=0.1,
        delta=1e-5,
        survivors=4,
        colluders=1,
        caps={f"m{k}": 64 for k in range(MEMBERS)},
    ).calibrate()


LARGE = plan_of(COORDINATES)


class NoNoise:
    """Words for which the sampler always returns zero: the sum without its noise."""

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.repeat(np.array([0, 1 << 63, 0], dtype=np.uint64), count // 3)


@pytest.fixture(scope="module")
def residuals() -> dict[str, NDArray[np.int64]]:
    release = LARGE.release("train")
    cipher = Bfv(LARGE.parameters, generate_key(LARGE.parameters))
    rng = np.random.default_rng(3)
    rows = [rng.normal(size=(8, COORDINATES)) for _ in range(MEMBERS)]
    sealed = [seal(one, release, cipher, SeededSource(70 + k)) for k, one in enumerate(rows)]
    exact = [seal(one, release, cipher, NoNoise()) for one in rows]
    without_key = Bfv(LARGE.parameters)
    noise = open_sum(add(sealed, release, without_key), release, cipher, MEMBERS)
    noise -= open_sum(add(exact, release, without_key), release, cipher, MEMBERS)
    share = open_sum(sealed[2].ciphertext, release, cipher, 1)
    share -= open_sum(exact[2].ciphertext, release, cipher, 1)
    return {"sum": noise, "without colluder": noise - share}


class TestNoiseOfTheDecryptedSum:
    """Five members share noise for four survivors, one of whom may collude, under real BFV."""

    release = LARGE.release("train")

    @property
    def whole(self) -> float:
        return self.release.sigma * math.sqrt(5 / 3)

    def test_the_sum_has_five_thirds_of_the_variance(
        self, residuals: dict[str, NDArray[np.int64]]
    ) -> None:
        assert cells_p_value(residuals["sum"], self.whole) > PLAUSIBLE
        assert shape_p_value(residuals["sum"], self.whole) > PLAUSIBLE
        assert spread_p_value(residuals["sum"], self.whole) > PLAUSIBLE

    @pytest.mark.parametrize("factor", [0.9, 2 / 3, 3 / 2, 0.95, 1.05])
    def test_another_scale_is_rejected(
        self, residuals: dict[str, NDArray[np.int64]], factor: float
    ) -> None:
        assert spread_p_value(residuals["sum"], factor * self.whole) < IMPLAUSIBLE
        if not 0.92 < factor < 1.08:
            assert cells_p_value(residuals["sum"], factor * self.whole) < IMPLAUSIBLE
            assert shape_p_value(residuals["sum"], factor * self.whole) < IMPLAUSIBLE

    @pytest.mark.parametrize("wrong", [1.0, math.sqrt(4 / 3), math.sqrt(5), math.sqrt(5) / 3])
    def test_a_dropped_share_or_a_wrong_division_is_rejected(
        self, residuals: dict[str, NDArray[np.int64]], wrong: float
    ) -> None:
        assert cells_p_value(residuals["sum"], wrong * self.release.sigma) < IMPLAUSIBLE

    def test_what_is_left_without_the_colluder_is_at_least_sigma(
        self, residuals: dict[str, NDArray[np.int64]]
    ) -> None:
        left = residuals["without colluder"]
        assert cells_p_value(left, self.release.sigma * math.sqrt(4 / 3)) > PLAUSIBLE
        assert left.std() > self.release.sigma

    def test_four_survivors_without_the_colluder_keep_sigma_exactly(self) -> None:
        nothing = np.empty((0, COORDINATES))
        sealed = [seal(nothing, self.release, Plain(), SeededSource(k)) for k in range(3)]
        noise = open_sum(add(sealed, self.release, Plain()), self.release, Plain(), 3)
        assert cells_p_value(noise, self.release.sigma) > PLAUSIBLE
        for factor in (0.9, 2 / 3, 3 / 2):
            assert cells_p_value(noise, factor * self.release.sigma) < IMPLAUSIBLE

    def test_noise_is_mean_zero_and_uncorrelated_with_its_neighbour(
        self, residuals: dict[str, NDArray[np.int64]]
    ) -> None:
        noise = residuals["sum"]
        assert abs(noise.mean()) < 4 * self.whole / math.sqrt(noise.size)
        assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 4 / math.sqrt(noise.size)


class Plain:
    def encrypt(self, values: NDArray[np.int64]) -> bytes:
        return values.tobytes()

    def add(self, ciphertexts: list[bytes], size: int) -> bytes:
        return sum(np.frombuffer(one, np.int64) for one in ciphertexts).tobytes()  # type: ignore[union-attr]

    def decrypt(self, ciphertext: bytes, size: int) -> NDArray[np.int64]:
        return np.frombuffer(ciphertext, np.int64)


def cells_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Chi-square of 50 equally likely cells."""
    cells = np.floor(50 * stats.norm.cdf(residuals, scale=sigma)).astype(int)
    return float(stats.chisquare(np.bincount(np.minimum(cells, 49), minlength=50)).pvalue)


def shape_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Kolmogorov and Smirnov: the whole distribution."""
    return float(stats.kstest(residuals / sigma, "norm").pvalue)


def spread_p_value(residuals: NDArray[np.int64], sigma: float) -> float:
    """Two-sided p-value of the sum of squares."""
    law, squares = stats.chi2(residuals.size), float(np.sum((residuals / sigma) ** 2))
    return 2 * float(min(law.cdf(squares), law.sf(squares)))


SMALL = plan_of(6)
WILD = st.floats(-1e300, 1e300) | st.sampled_from([0.0, math.nan, math.inf, -math.inf, 5e-324])


class TestSensitivity:
    @settings(max_examples=80, deadline=None)
    @given(
        rows=arrays(np.float64, st.tuples(st.integers(1, 6), st.just(6)), elements=WILD),
        other=arrays(np.float64, (1, 6), elements=WILD),
        data=st.data(),
    )
    def test_one_record_moves_the_integer_sum_by_at_most_the_bound(
        self, rows: NDArray[np.float64], other: NDArray[np.float64], data: st.DataObject
    ) -> None:
        release = SMALL.release("train")
        place = data.draw(st.integers(0, len(rows) - 1))
        without = np.delete(rows, place, axis=0)
        assert moved(rows, without, release) <= release.sensitivity
        assert moved(np.vstack([rows, other]), rows, release) <= release.sensitivity
        assert moved(np.vstack([without, other]), rows, release) <= 2 * release.sensitivity

    def test_the_bound_is_nearly_reached(self) -> None:
        """A bound that is far too large would waste noise; half of it would be no bound."""
        release = SMALL.release("train")
        row = np.array([[1.0, 0, 0, 0, 0, 0]])
        assert moved(row, row[:0], release) > 0.99 * release.sensitivity


def moved(rows: NDArray[np.float64], others: NDArray[np.float64], release: Release) -> float:
    sums = [
        open_sum(seal(one, release, Plain(), NoNoise()).ciphertext, release, Plain(), 1)
        for one in (rows, others)
    ]
    return float(np.linalg.norm((sums[0] - sums[1]).astype(float)))


class TestSealing:
    def test_sealing_twice_shares_no_noise_and_no_bytes(self) -> None:
        release = SMALL.release("train")
        cipher = Bfv(SMALL.parameters, generate_key(SMALL.parameters))
        rows = np.ones((3, 6))
        sealed = [seal(rows, release, cipher, SystemSource()) for _ in range(2)]
        opened = [open_sum(one.ciphertext, release, cipher, 1) for one in sealed]
        assert sealed[0] != sealed[1]
        assert np.count_nonzero(opened[0] == opened[1]) == 0

    def test_the_sum_of_sealed_rows_is_exact(self) -> None:
        release = SMALL.release("train")
        cipher = Bfv(SMALL.parameters, generate_key(SMALL.parameters))
        rows = np.random.default_rng(0).normal(size=(9, 6))
        shards = [rows[:2], rows[2:3], rows[3:]]
        sealed = [seal(one, release, cipher, NoNoise()) for one in shards]
        total = open_sum(add(sealed, release, cipher), release, cipher, 3)
        whole = seal(rows, release, Plain(), NoNoise()).ciphertext
        whole = open_sum(whole, release, Plain(), 1)
        np.testing.assert_array_equal(total, whole)
        clipped = rows * np.minimum(1, 1 / np.linalg.norm(rows, axis=1))[:, None]
        np.testing.assert_allclose(
            rescale(total, release), clipped.sum(axis=0), atol=4.5 / release.scale
        )

    def test_the_worst_case_survives_encryption(self) -> None:
        """Every record of every member pulls the same way, and noise comes on top."""
        release = SMALL.release("train")
        cipher = Bfv(SMALL.parameters, generate_key(SMALL.parameters))
        most = (release.bound // MEMBERS) * np.array([1, -1, 1, -1, 1, -1])
        slots = release.packing.pack(np.append(most, [1, 1]))
        sealed = [Sealed(ciphertext=cipher.encrypt(slots)) for _ in range(MEMBERS)]
        np.testing.assert_array_equal(
            open_sum(add(sealed, release, cipher), release, cipher, MEMBERS), MEMBERS * most
        )

    def test_damaged_and_foreign_ciphertexts_are_refused(self) -> None:
        release = SMALL.release("train")
        cipher = Bfv(SMALL.parameters, generate_key(SMALL.parameters))
        good = seal(np.ones((1, 6)), release, cipher, SystemSource())
        whole = good.ciphertext
        for blob in (b"", whole[:-1], whole + b"\0", whole[:40] + b"\xff" + whole[41:]):
            with pytest.raises(EncryptionError):
                add([good, Sealed(ciphertext=blob)], release, cipher)
            with pytest.raises(EncryptionError):
                open_sum(blob, release, cipher, 1)
        other = Bfv(SMALL.parameters, generate_key(SMALL.parameters))
        with pytest.raises(EncryptionError):
            open_sum(whole, release, other, 1)
        with pytest.raises(EncryptionError):
            open_sum(whole, release, Bfv(SMALL.parameters), 1)
        with pytest.raises(EncryptionError):
            add([good] * (SMALL.parameters.most_additions + 1), release, cipher)
        assert Parameters.for_range(10**6, 5) != SMALL.parameters


class TestTally:
    """Values that are 1 in every contribution tell how many are in a sum without masks."""

    release = SMALL.release("train")
    cipher = Bfv(SMALL.parameters, generate_key(SMALL.parameters))

    def sealed(self, count: int) -> list[Sealed]:
        rows = np.ones((2, 6))
        return [seal(rows, self.release, self.cipher, SystemSource()) for _ in range(count)]

    @pytest.mark.parametrize("members", [1, 3, 5])
    def test_a_sum_opens_for_as_many_as_are_in_it(self, members: int) -> None:
        whole = add(self.sealed(members), self.release, self.cipher)
        assert open_sum(whole, self.release, self.cipher, members).shape == (6,)
        for wrong in (0, members - 1, members + 1, 2 * members):
            with pytest.raises(EncryptionError, match=f"sum of {wrong} members"):
                open_sum(whole, self.release, self.cipher, wrong)

    def test_one_that_still_wears_a_mask_does_not(self) -> None:
        modulus = SMALL.parameters.plain_modulus
        rng = np.random.default_rng(4)
        hide = lambda slots: (slots + rng.integers(0, modulus, len(slots))) % modulus  # noqa: E731
        masked = seal(np.ones((2, 6)), self.release, self.cipher, SystemSource(), hide)
        whole = add([*self.sealed(2), masked], self.release, self.cipher)
        with pytest.raises(EncryptionError, match="masks do not cancel"):
            open_sum(whole, self.release, self.cipher, 3)

    @pytest.mark.parametrize("place", [0, 1])
    def test_either_of_its_values_alone_betrays_it(self, place: int) -> None:
        values = np.concatenate([np.zeros(6, np.int64), np.ones(2, np.int64)])
        values[6 + place] = 0
        blob = self.cipher.encrypt(self.release.packing.pack(values))
        with pytest.raises(EncryptionError, match="masks do not cancel"):
            open_sum(blob, self.release, self.cipher, 1)


totals = arrays(np.int64, st.integers(1, 60), elements=st.integers(-(2**62), 2**62))


def slices_of(total: NDArray[np.int64], members: int, digest: str) -> list[Opened]:
    return [hand_over(total, digest, place, members) for place in range(members)]


class TestSlices:
    @given(total=totals, members=st.integers(1, 80), data=st.data())
    def test_round_trip_for_any_cohort_in_any_order(
        self, total: NDArray[np.int64], members: int, data: st.DataObject
    ) -> None:
        slices = slices_of(total, members, next_digest("before", total))
        slices = data.draw(st.permutations(slices))
        np.testing.assert_array_equal(assemble(slices, len(total)), total)
        assert sum(len(one.values) for one in slices) == 8 * len(total)

    @given(total=totals, members=st.integers(2, 10), data=st.data())
    def test_a_changed_bit_leads_to_another_digest(
        self, total: NDArray[np.int64], members: int, data: st.DataObject
    ) -> None:
        slices = slices_of(total, members, next_digest("before", total))
        victim = data.draw(st.sampled_from([k for k, one in enumerate(slices) if one.values]))
        values = bytearray(slices[victim].values)
        values[data.draw(st.integers(0, len(values) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        slices[victim] = slices[victim].model_copy(update={"values": bytes(values)})
        found = assemble(slices, len(total))
        assert next_digest("before", found) != slices[victim].digest

    @pytest.mark.parametrize(
        "damage",
        [
            {"size": 11},
            {"size": 0},
            {"size": -10},
            {"first": 3},
            {"first": -1},
            {"first": 0},
            {"step": 0},
            {"step": -3},
            {"step": 2},
            {"step": 10**18},
            {"step": 2**80},
            {"first": 2**80, "step": 2**81},
            {"values": b""},
            {"values": bytes(23)},
            {"values": bytes(32)},
        ],
        ids=str,
    )
    def test_every_damage_to_a_slice_is_refused(self, damage: dict[str, object]) -> None:
        total = np.arange(10, dtype=np.int64)
        slices = slices_of(total, 3, next_digest("before", total))
        slices[1] = slices[1].model_copy(update=damage)
        with pytest.raises(ProtocolError):
            assemble(slices, 10)

    @pytest.mark.parametrize("missing", [0, 1, 2])
    def test_a_missing_slice_is_refused(self, missing: int) -> None:
        total = np.zeros(10, dtype=np.int64)
        slices = slices_of(total, 3, next_digest("before", total))
        del slices[missing]
        with pytest.raises(ProtocolError, match="values of the total are missing"):
            assemble(slices, 10)

    def test_no_slices_at_all_are_refused(self) -> None:
        with pytest.raises(ProtocolError, match="10 of 10"):
            assemble([], 10)

    def test_another_length_is_refused(self) -> None:
        total = np.arange(10, dtype=np.int64)
        slices = slices_of(total, 3, next_digest("before", total))
        with pytest.raises(ProtocolError):
            assemble(slices, 9)

    @given(total=totals)
    def test_digests_bind_total_and_predecessor(self, total: NDArray[np.int64]) -> None:
        other = total.copy()
        other[0] += 1
        chained = {
            next_digest("a", total),
            next_digest("b", total),
            next_digest("a", other),
            next_digest("a", np.append(total, 0)),
        }
        assert len(chained) == 4
        assert next_digest("a", total.astype(">i8")) == next_digest("a", total)
