import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from mesh_fl.agents.federation.norms import ZERO, Grid, row_norms

ENTRIES = st.floats(-1e9, 1e9, allow_subnormal=False)
MATRICES = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 6)), elements=ENTRIES)


@given(MATRICES)
def test_lengths_are_those_of_numpy_dense_and_sparse(rows) -> None:
    expected = [math.hypot(*row) for row in rows.tolist()]
    np.testing.assert_allclose(row_norms(rows), expected, rtol=1e-9)
    np.testing.assert_allclose(row_norms(csr_array(rows)), expected, rtol=1e-9)


def test_rows_without_a_length_are_zero_as_the_pipeline_takes_them() -> None:
    rows = np.array([[np.nan, 1.0], [np.inf, 0.0], [0.0, 0.0], [3.0, 4.0]])
    assert row_norms(rows).tolist() == [0, 0, 0, 5]
    assert row_norms(csr_array(rows)).tolist() == [0, 0, 0, 5]


def test_huge_and_tiny_rows_keep_their_length() -> None:
    rows = np.array([[3e300, 4e300], [3e-300, 4e-300]])
    for found in (row_norms(rows), row_norms(csr_array(rows))):
        np.testing.assert_allclose(found, [5e300, 5e-300])


def test_entries_of_one_place_are_added_before_they_are_squared() -> None:
    twice = csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 3))
    assert row_norms(twice).tolist() == [3]
    assert twice.nnz == 2  # what was handed over is not changed


def test_no_rows_have_no_lengths() -> None:
    assert row_norms(np.zeros((0, 4))).shape == (0,)
    assert row_norms(csr_array((0, 4))).shape == (0,)


@given(st.floats(1e-3, 1e3), st.floats(1e-12, 1e12))
def test_every_length_falls_into_the_cell_whose_edges_enclose_it(unit, norm) -> None:
    grid = Grid(unit)
    place = int(grid.places(np.array([norm]))[0])
    edges = np.concatenate([[0.0], grid.edges, [np.inf]])
    assert edges[place - 1] < norm <= edges[place]
    assert 1 <= place < grid.cells


def test_zeros_and_missing_records_have_places_of_their_own() -> None:
    assert Grid(1.0).places(np.array([0.0, np.nan, -1.0])).tolist() == [ZERO, -1, ZERO]


@pytest.mark.parametrize("per_octave", [1, 3, 7])
def test_the_unit_is_an_edge_and_octaves_double(per_octave) -> None:
    grid = Grid(0.7, 2, 3, per_octave)
    assert len(grid.edges) == 5 * per_octave + 1
    assert grid.edges[2 * per_octave] == pytest.approx(0.7)
    assert grid.edges[-1] == pytest.approx(0.7 * 8)
    assert len(grid.centres) == grid.cells - 1
