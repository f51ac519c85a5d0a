import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import cast
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from mesh_fl.agent import Rows
from mesh_fl.errors import AgentError, PlanError
from mesh_fl.privacy import clipping
from mesh_fl.privacy.clipping import choose_scale, integer_bound, sum_rows

Sum = Callable[[NDArray[np.float64]], NDArray[np.int64]]

any_float = st.floats(width=64) | st.sampled_from(
    [0.0, -0.0, 5e-324, 2.2e-308, 1e-160, 0.5, 1.0, 1e160, 1e308, -1.7e308, math.inf, math.nan]
)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 6))
any_rows = hnp.arrays(np.float64, shapes, elements=any_float)
finite_rows = hnp.arrays(np.float64, shapes, elements=st.floats(-50, 50))
clips = st.floats(1e-3, 1e3)
coarse_scales = st.floats(1e-3, 8.0)


def within(moved: NDArray[np.int64], bound: float) -> bool:
    return sum(int(x) ** 2 for x in moved) <= Fraction(bound) ** 2


def obeys_the_bound(total: Sum, rows: NDArray[np.float64], bound: float) -> bool:
    """Tell whether every record moves the sum by no more than the bound."""
    whole = total(rows)
    return all(
        within(whole - total(np.delete(rows, index, axis=0)), bound) for index in range(len(rows))
    )


@given(rows=any_rows, clip=clips, scale=coarse_scales | st.none())
@example(rows=np.array([[1.5], [1.5]]), clip=1.5, scale=1.0)
@example(rows=np.full((2, 4), 1e308), clip=1.0, scale=None)
@example(rows=np.array([[5e-324, 5e-324]]), clip=1e-3, scale=None)
@example(rows=np.array([[0.5] * 6]), clip=1e3, scale=1.0)
def test_one_record_moves_the_sum_by_at_most_the_bound(
    rows: NDArray[np.float64], clip: float, scale: float | None
) -> None:
    dimension = rows.shape[1]
    chosen = choose_scale(clip, dimension) if scale is None else scale
    bound = integer_bound(clip, chosen, dimension)
    assert obeys_the_bound(lambda part: sum_rows(part, clip, chosen, dimension), rows, bound)


def test_a_sum_without_clipping_would_be_caught() -> None:
    clip, rows = 1.0, np.array([[0.3, 0.4], [2.0, 0.0]])
    scale = choose_scale(clip, 2)
    bound = integer_bound(clip, scale, 2)

    def unclipped(part: NDArray[np.float64]) -> NDArray[np.int64]:
        return cast(NDArray[np.int64], np.rint(scale * part).sum(axis=0).astype(np.int64))

    def clipped_by_coordinate(part: NDArray[np.float64]) -> NDArray[np.int64]:
        return unclipped(np.clip(part, -clip, clip))

    assert not obeys_the_bound(unclipped, rows, bound)
    assert not obeys_the_bound(clipped_by_coordinate, np.ones((1, 2)), bound)
    assert obeys_the_bound(lambda part: sum_rows(part, clip, scale, 2), rows, bound)


def test_the_bound_is_nearly_reached() -> None:
    scale = choose_scale(1.0, 1)
    assert sum_rows(np.array([[1e308]]), 1.0, scale, 1) == [256]
    assert sum_rows(np.array([[7.0]]), 1.5, 1.0, 1) == [2]
    assert integer_bound(1.5, 1.0, 1) == 2.0


def test_a_row_beyond_the_bound_counts_as_zero() -> None:
    """The last defence, should float arithmetic ever produce too long a row."""
    scale = choose_scale(1.0, 2)

    def wrong(chunk: clipping._Chunk, clip: float, scale: float) -> NDArray[np.float64]:
        broken = np.array([[10.0, 20.0], [512.0, 30.0], [1e100, 0.0], [7.0, 7.0]])
        return broken.reshape(chunk.value.shape)

    for rows in (np.ones((4, 2)), csr_array(np.ones((4, 2)))):
        with mock.patch.object(clipping, "_integers", wrong):
            total = sum_rows(rows, 1.0, scale, 2)
        assert total.tolist() == [10 + 7, 20 + 7]


@pytest.mark.parametrize("dimension", [2, 3, 7, 100])
@pytest.mark.parametrize("scale", [1.0, 3.7, 1000.0])
def test_honest_rows_survive_the_last_defence(dimension: int, scale: float) -> None:
    directions = np.random.default_rng(dimension).normal(size=(200, dimension)) * 1e6
    totals = [sum_rows(row[None], 50.0, scale, dimension) for row in directions]
    lengths = np.linalg.norm(np.array(totals, dtype=np.float64), axis=1)
    assert np.all(np.abs(lengths - 50.0 * scale) <= math.sqrt(dimension) / 2)


def test_known_answer() -> None:
    scale = choose_scale(5.0, 2)
    assert scale == 512 / 5
    assert sum_rows(np.array([[3.0, 4.0]]), 5.0, scale, 2).tolist() == [307, 410]
    assert sum_rows(np.array([[-30.0, 40.0]]), 5.0, scale, 2).tolist() == [-307, 410]
    assert sum_rows(np.array([[0.0, 1e-9]]), 5.0, scale, 2).tolist() == [0, 0]
    assert sum_rows(np.array([[3.0, 4.0], [-30.0, 40.0]]), 5.0, scale, 2).tolist() == [0, 820]


@pytest.mark.parametrize("size", [1e308, 1e200, 1e-200, 5e-324])
def test_extreme_rows_keep_their_direction(size: float) -> None:
    clip = min(1.0, size)
    scale = choose_scale(1.0, 2)
    expected = round(scale * math.sqrt(0.5)) if size > 1 else 0
    assert sum_rows(np.array([[size, -size]]), clip, scale, 2).tolist() == [expected, -expected]


@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_invalid])
def test_subclasses_of_arrays_get_no_rules_of_their_own(
    kind: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    """A masked value would neither lengthen a row nor spoil it, and still be added up."""
    rows = np.array([[0.01, 1e4], [1.0, math.nan], [math.nan, math.nan], [0.3, 0.4]])
    scale = choose_scale(1.0, 2)
    assert np.array_equal(sum_rows(kind(rows), 1.0, scale, 2), sum_rows(rows, 1.0, scale, 2))


@given(rows=finite_rows)
def test_rows_within_the_clip_are_only_rounded(rows: NDArray[np.float64]) -> None:
    dimension = rows.shape[1]
    clip = 50 * math.sqrt(dimension) + 1
    scale = choose_scale(clip, dimension)
    total = sum_rows(rows, clip, scale, dimension)
    assert total.tolist() == np.rint(scale * rows).sum(axis=0).tolist()
    assert np.all(np.abs(total - scale * rows.sum(axis=0)) <= len(rows) / 2 + 1e-6)


def test_rounding_is_unbiased_over_many_records() -> None:
    rows = np.random.default_rng(0).uniform(-0.05, 0.05, size=(20_000, 5))
    scale = choose_scale(1.0, 5)
    error = sum_rows(rows, 1.0, scale, 5) - scale * rows.sum(axis=0)
    assert np.all(np.abs(error) < 4.5 * math.sqrt(20_000 / 12))


@given(rows=any_rows, clip=clips, seed=st.randoms(use_true_random=False))
def test_order_and_division_among_clients_do_not_matter(
    rows: NDArray[np.float64], clip: float, seed: random.Random
) -> None:
    dimension = rows.shape[1]
    scale = choose_scale(clip, dimension)
    whole = sum_rows(rows, clip, scale, dimension)
    order = seed.sample(range(len(rows)), len(rows))
    cut = seed.randrange(len(rows) + 1)
    parts = [sum_rows(rows[part], clip, scale, dimension) for part in (order[:cut], order[cut:])]
    assert np.array_equal(whole, parts[0] + parts[1])
    assert np.array_equal(whole, sum(sum_rows(row[None], clip, scale, dimension) for row in rows))


@given(rows=any_rows, entries=st.integers(1, 20), sparse=st.booleans())
def test_chunks_do_not_matter(rows: NDArray[np.float64], entries: int, sparse: bool) -> None:
    dimension = rows.shape[1]
    scale = choose_scale(1.0, dimension)
    given_rows = csr_array(rows) if sparse else rows
    whole = sum_rows(given_rows, 1.0, scale, dimension)
    with mock.patch.object(clipping, "_CHUNK_ENTRIES", entries):
        assert np.array_equal(whole, sum_rows(given_rows, 1.0, scale, dimension))


def test_many_chunks_of_real_size() -> None:
    rows = np.random.default_rng(1).normal(size=(9000, 64))
    scale = choose_scale(1.0, 64)
    halves = sum_rows(rows[::2], 1.0, scale, 64) + sum_rows(rows[1::2], 1.0, scale, 64)
    assert rows.size > 2 * clipping._CHUNK_ENTRIES
    assert np.array_equal(sum_rows(rows, 1.0, scale, 64), halves)


@given(rows=any_rows, clip=clips)
def test_sparse_equals_dense(rows: NDArray[np.float64], clip: float) -> None:
    dimension = rows.shape[1]
    scale = choose_scale(clip, dimension)
    dense = sum_rows(rows, clip, scale, dimension)
    assert np.array_equal(dense, sum_rows(csr_array(rows), clip, scale, dimension))
    assert np.array_equal(dense, sum_rows(np.asfortranarray(rows), clip, scale, dimension))


def test_a_rows_length_is_the_same_to_the_last_bit_however_it_is_stored() -> None:
    random = np.random.default_rng(2)
    rows = random.normal(size=(50, 300)) * (random.random((50, 300)) < 0.5)

    def lengths(stored: Rows) -> NDArray[np.float64]:
        (chunk,) = clipping._chunks(stored, 300)
        return chunk.squared(chunk.value)

    assert np.array_equal(lengths(rows), lengths(csr_array(rows)))
    assert np.array_equal(lengths(rows)[7:8], lengths(rows[7:8]))
    pairwise = np.array([np.sum(row[row != 0] ** 2) for row in rows])
    assert not np.array_equal(lengths(rows), pairwise), "the data show no order of addition"


@given(rows=any_rows, where=st.integers(0, 5), bad=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_row_that_is_not_finite_changes_nothing(
    rows: NDArray[np.float64], where: int, bad: float
) -> None:
    dimension = rows.shape[1]
    scale = choose_scale(1.0, dimension)
    row = np.ones((1, dimension))
    row[0, where % dimension] = bad
    longer = np.insert(rows, where % (len(rows) + 1), row, axis=0)
    assert np.array_equal(
        sum_rows(longer, 1.0, scale, dimension), sum_rows(rows, 1.0, scale, dimension)
    )
    assert not sum_rows(csr_array(row), 1.0, scale, dimension).any()


class TestSparse:
    scale = choose_scale(1.0, 4)

    def sum(self, rows: csr_array[np.float64]) -> list[int]:
        return [int(x) for x in sum_rows(rows, 1.0, self.scale, 4)]

    def raw(
        self, data: list[float], indices: list[int], indptr: list[int]
    ) -> csr_array[np.float64]:
        """Build without the checks that the constructor would make."""
        rows = csr_array((len(indptr) - 1, 4))
        rows.data, rows.indices = np.array(data), np.array(indices, dtype=np.int32)
        rows.indptr = np.array(indptr, dtype=np.int32)
        return rows

    @pytest.mark.parametrize("claim", [True, False])
    def test_duplicates_are_added_before_clipping(self, claim: bool) -> None:
        rows = self.raw([0.9, 0.9, 3.0], [1, 1, 2], [0, 2, 3])
        rows.has_canonical_format = claim
        assert self.sum(rows) == [0, 512, 512, 0]

    def test_duplicates_that_cancel(self) -> None:
        assert self.sum(self.raw([5.0, 0.5, -5.0], [3, 0, 3], [0, 3])) == [256, 0, 0, 0]

    def test_duplicates_that_overflow(self) -> None:
        assert self.sum(self.raw([1e308, 1e308, 1.0], [1, 1, 0], [0, 2, 3])) == [512, 0, 0, 0]

    def test_the_input_stays_as_it_was(self) -> None:
        rows = self.raw([2.0, 0.0, 1.0, 7.0], [3, 1, 0, 0], [0, 3, 3, 4])
        before = rows.copy()
        assert self.sum(rows) == [229 + 512, 0, 0, 458]
        assert np.array_equal(rows.data, before.data)
        assert np.array_equal(rows.indices, before.indices)
        assert np.array_equal(rows.indptr, before.indptr)

    def test_other_sparse_formats_are_read(self) -> None:
        rows = coo_array(([1.0, 1.0], ([0, 1], [1, 2])), shape=(2, 4))
        assert self.sum(cast(csr_array[np.float64], rows)) == [0, 512, 512, 0]

    @pytest.mark.parametrize(
        ("indices", "indptr"),
        [([4], [0, 1]), ([-1], [0, 1]), ([0], [0, 5]), ([0], [0, 1, 0, 1]), ([0], [1, 1])],
    )
    def test_indices_that_reach_outside_are_refused(
        self, indices: list[int], indptr: list[int]
    ) -> None:
        with pytest.raises(AgentError, match="expected a valid sparse array"):
            self.sum(self.raw([1.0], indices, indptr))


def test_the_dense_input_stays_as_it_was() -> None:
    rows = np.array([[3.0, math.nan], [1e308, 4.0]])
    before = rows.copy()
    rows.flags.writeable = False
    sum_rows(rows, 1.0, choose_scale(1.0, 2), 2)
    assert np.array_equal(rows, before, equal_nan=True)


@pytest.mark.parametrize("rows", [np.empty((0, 3)), csr_array((0, 3)), csr_array((5, 3))])
def test_nothing_adds_up_to_zero(rows: NDArray[np.float64]) -> None:
    total = sum_rows(rows, 1.0, choose_scale(1.0, 3), 3)
    assert total.dtype == np.int64
    assert total.tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.bool_])
def test_other_real_types_are_read(dtype: type[np.generic]) -> None:
    rows = np.array([[1, 0, 0], [0, 1, 0]]).astype(dtype)
    assert sum_rows(rows, 1.0, 512.0, 3).tolist() == [512, 512, 0]
    assert sum_rows(csr_array(rows), 1.0, 512.0, 3).tolist() == [512, 512, 0]


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 4), (1, 2, 3), ()])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(AgentError, match=r"expected rows of shape \(n, 3\), got \("):
        sum_rows(np.zeros(shape), 1.0, 512.0, 3)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([[1.0]], "got list"),
        (np.ones((1, 1), dtype=complex), "got dtype complex128"),
        (np.array([["a"]], dtype=object), "got dtype object"),
        (csr_array(np.ones((1, 1), dtype=complex)), "got dtype complex128"),
    ],
)
def test_what_is_no_matrix_of_reals_is_refused(rows: NDArray[np.float64], found: str) -> None:
    with pytest.raises(AgentError, match=found):
        sum_rows(rows, 1.0, 512.0, 1)


@given(clip=st.floats(1e-6, 1e6), dimension=st.integers(1, 10**6))
def test_chosen_scale_is_the_smallest_fine_power_of_two(clip: float, dimension: int) -> None:
    scale = choose_scale(clip, dimension)
    units = scale * clip
    exponent = round(math.log2(units))
    assert units == pytest.approx(2.0**exponent, rel=1e-15)
    assert 4**exponent >= 2**16 * dimension > 4 ** (exponent - 1)
    assert integer_bound(clip, scale, dimension) <= units * 1.002


@given(clip=clips, scale=st.floats(1, 100), dimension=st.integers(1, 10**6))
def test_bound_formula(clip: float, scale: float, dimension: int) -> None:
    bound = integer_bound(clip, scale, dimension)
    assert bound == pytest.approx(scale * clip + 0.5 * dimension**0.5, rel=1e-14)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_impossible_settings_are_refused(bad: float) -> None:
    with pytest.raises(PlanError, match="expected clip to be"):
        choose_scale(bad, 3)
    with pytest.raises(PlanError, match="expected clip to be"):
        sum_rows(np.zeros((1, 3)), bad, 1.0, 3)
    with pytest.raises(PlanError, match="expected scale to be"):
        integer_bound(1.0, bad, 3)


@pytest.mark.parametrize("dimension", [0, -1])
def test_an_impossible_dimension_is_refused(dimension: int) -> None:
    with pytest.raises(PlanError, match="row length of at least 1"):
        integer_bound(1.0, 1.0, dimension)
    with pytest.raises(PlanError, match="row length of at least 1"):
        choose_scale(1.0, dimension)


def test_a_scale_beyond_exact_arithmetic_is_refused() -> None:
    with pytest.raises(PlanError, match="lower the scale"):
        integer_bound(1.0, 2.0**26, 1)
    with pytest.raises(PlanError, match="expected scale to be a finite number"):
        choose_scale(5e-324, 1)
