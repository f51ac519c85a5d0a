"""From one row per record to an exact integer sum whose sensitivity is proved.

Each row is clipped, scaled and rounded to integers by itself, before anything is added up. Integer
addition is exact, so the sum depends neither on the order of records nor on how they are divided
into chunks or clients.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Rows
from mesh_fl.errors import AgentError, PlanError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_T = TypeVar("_T", bound=np.generic)

LARGEST_BOUND = 2.0**26

_CHUNK_ENTRIES = 1 << 14


class _Chunk(Protocol):
    """Some rows: their values, and how these belong to rows and columns."""

    @property
    def value(self) -> NDArray[np.float64]:
        """All values."""

    def spread(self, figures: NDArray[_T]) -> NDArray[_T]:
        """Return one figure a row beside each value of that row."""

    def largest(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the largest value of each row; NaN where there is one."""

    def squared(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the squares of each row, one after another.

        Strict order makes a row's length the same whether its zeros are stored or not, and whatever
        rows surround it; numpy's pairwise `sum` promises neither.
        """

    def squared_exactly(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the squares of each row, where these are exact or too large in any order."""

    def per_column(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the values of each column, in any order."""


@dataclass(frozen=True, slots=True)
class _Dense:
    """Some rows as a matrix."""

    value: NDArray[np.float64]

    def spread(self, figures: NDArray[_T]) -> NDArray[_T]:
        return figures[:, None]

    def largest(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values.max(axis=1))

    def squared(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        squares = values * values
        np.add.accumulate(squares, axis=1, out=squares)
        return squares[:, -1].copy()

    def squared_exactly(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("ij,ij->i", values, values))

    def per_column(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values.sum(axis=0))


@dataclass(frozen=True, slots=True)
class _Sparse:
    """Some rows as triplets, sorted by row and then by column."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float64]
    shape: tuple[int, int]

    def spread(self, figures: NDArray[_T]) -> NDArray[_T]:
        return figures[self.row]

    def largest(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        peak = np.zeros(self.shape[0])
        np.maximum.at(peak, self.row, values)
        return peak

    def squared(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._added(self.row, values * values, self.shape[0])

    squared_exactly = squared

    def per_column(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._added(self.column, values, self.shape[1])

    def _added(
        self, places: NDArray[np.int64], values: NDArray[np.float64], size: int
    ) -> NDArray[np.float64]:
        return np.bincount(places, values, size).astype(np.float64, copy=False)


def integer_bound(clip: float, scale: float, dimension: int) -> float:
    """Return the largest L2 norm that one row can have in the integer sum.

    Parameters
    ----------
    clip : float
        L2 bound of a row before scaling.
    scale : float
        Integer units per unit of the row.
    dimension : int
        Length of a row.

    Returns
    -------
    float
        scale * clip + sqrt(dimension) / 2: rounding moves each coordinate by at most a half.

    Raises
    ------
    PlanError
        If an argument is out of range, or the bound exceeds 2^26, above which float64 might
        not hold a squared norm exactly.

    Guarantee
    ---------
    This is the sensitivity of `sum_rows` for one record added or removed; see there.
    """
    _positive("clip", clip)
    _positive("scale", scale)
    if dimension < 1:
        raise PlanError(f"expected a row length of at least 1, found {dimension}")
    bound = scale * clip + math.sqrt(dimension) / 2
    if not bound <= LARGEST_BOUND:
        raise PlanError(
            f"expected a row of at most 2^26 integer units, found {bound:g}: lower the scale"
        )
    return bound


def choose_scale(clip: float, dimension: int) -> float:
    """Return the scale at which rounding adds less than 0.2 % to the sensitivity.

    Parameters
    ----------
    clip : float
        L2 bound of a row before scaling.
    dimension : int
        Length of a row.

    Returns
    -------
    float
        2^k / clip, with 2^k the smallest power of two that reaches 256 sqrt(dimension).

    Raises
    ------
    PlanError
        If an argument is out of range.
    """
    _positive("clip", clip)
    exponent = ((2**16 * dimension - 1).bit_length() + 1) // 2
    scale = 2.0**exponent / clip
    integer_bound(clip, scale, dimension)
    return scale


def sum_rows(rows: Rows, clip: float, scale: float, dimension: int) -> NDArray[np.int64]:
    """Clip, scale and round every row by itself, and add the integer rows up.

    Parameters
    ----------
    rows : ndarray or csr_array, shape (n, dimension)
        One row per record; never changed. Entries of a sparse row that name the same column
        twice are added first. A row with a NaN or an infinity counts as zero.
    clip : float
        L2 bound to which longer rows are shortened.
    scale : float
        Integer units per unit of the row.
    dimension : int
        Length of a row.

    Returns
    -------
    ndarray of int64, shape (dimension,)
        The exact sum. A row within `clip` enters as scale * row, rounded half to even.

    Raises
    ------
    AgentError
        If `rows` has another shape, is not real, or is no valid sparse array.
    PlanError
        If clip, scale or dimension is out of range.

    Guarantee
    ---------
    One record added or removed moves the result by an integer vector whose L2 norm is at most
    B = integer_bound(clip, scale, dimension), whatever the entries are. The proof needs no float
    analysis: a row's integers are squared and added in float64, which is exact below 2^53 and
    in no order of addition falls back below 2^53 once it got there; the sum is compared with
    floor(B^2) < 2^53, B^2 taken exactly, and a row above it counts as zero. It breaks if one
    record fills two rows, or if a row depends on other records.
    """
    bound = integer_bound(clip, scale, dimension)
    limit = math.floor(Fraction(bound) ** 2)
    total = np.zeros(dimension, dtype=np.int64)
    for chunk in _chunks(rows, dimension):
        integers = _integers(chunk, clip, scale)
        sound = chunk.squared_exactly(integers) <= limit
        if not sound.all():
            integers = np.where(chunk.spread(sound), integers, 0.0)
        # At most 2^14 rows of at most 2^26 units: far below 2^53, so float64 adds exactly.
        total += chunk.per_column(integers).astype(np.int64)
    return total


# Overflow, underflow and NaN are expected here: each ends as a clipped, a zero or an unusable row.
@np.errstate(all="ignore")
def _integers(chunk: _Chunk, clip: float, scale: float) -> NDArray[np.float64]:
    """Clip, scale and round: whole numbers, within the bound but for float error."""
    peak = chunk.largest(np.abs(chunk.value))
    usable = np.isfinite(peak)
    # Divided by a power of two near its peak, a row is changed in no digit, and neither
    # overflows nor vanishes when squared.
    unit = np.ldexp(0.5, np.frexp(np.where(usable & (peak > 0), peak, 1.0))[1])
    finite = chunk.value if usable.all() else np.where(chunk.spread(usable), chunk.value, 0.0)
    value: NDArray[np.float64] = finite / chunk.spread(unit)
    length = np.sqrt(chunk.squared(value))
    value *= chunk.spread(np.minimum(scale * unit, scale * clip / length))
    np.rint(value, out=value)
    return value


def _chunks(rows: Rows, dimension: int) -> Iterator[_Chunk]:
    """Cut the rows into chunks of about 2^14 entries, or one row if that is longer."""
    if not isinstance(rows, np.ndarray) and not _is_sparse(rows):
        raise AgentError(
            f"expected rows as a numpy array or a scipy csr_array, got {type(rows).__name__}"
        )
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise AgentError(f"expected rows of shape (n, {dimension}), got {rows.shape}")
    if rows.dtype.kind not in "fiub":
        raise AgentError(f"expected rows of real numbers, got dtype {rows.dtype}")
    return _dense_chunks(rows) if isinstance(rows, np.ndarray) else _sparse_chunks(rows)


def _is_sparse(rows: object) -> bool:
    # Loaded late, by those that have sparse rows: it takes a quarter of a second.
    from scipy.sparse import issparse

    return bool(issparse(rows))


def _dense_chunks(rows: NDArray[np.float64]) -> Iterator[_Dense]:
    # Subclasses such as masked arrays and matrices compute by rules of their own.
    rows = np.asarray(rows)
    count, dimension = rows.shape
    step = max(1, _CHUNK_ENTRIES // dimension)
    for start in range(0, count, step):
        yield _Dense(rows[start : start + step].astype(np.float64, order="C", copy=False))


def _sparse_chunks(rows: "csr_array[np.float64]") -> Iterator[_Sparse]:
    own = _checked(rows)
    start, count = 0, own.shape[0]
    while start < count:
        reach = np.searchsorted(own.indptr, own.indptr[start] + _CHUNK_ENTRIES, side="right") - 1
        stop = min(count, start + _CHUNK_ENTRIES, max(start + 1, int(reach)))
        yield _sparse_entries(own, start, stop)
        start = stop


def _checked(rows: "csr_array[np.float64]") -> "csr_array[np.float64]":
    """Wrap the same memory, and refuse indices that would reach outside of it."""
    from scipy.sparse import csr_array

    try:
        own = csr_array(rows)
        own = csr_array((own.data, own.indices, own.indptr), shape=own.shape)
        own.check_format(full_check=True)
    except ValueError as error:
        raise AgentError(f"expected a valid sparse array of rows, got one with: {error}") from error
    return own


def _sparse_entries(rows: "csr_array[np.float64]", start: int, stop: int) -> _Sparse:
    from scipy.sparse import csr_array

    first, last = rows.indptr[start], rows.indptr[stop]
    part = csr_array(
        (
            rows.data[first:last].astype(np.float64),
            rows.indices[first:last].copy(),
            rows.indptr[start : stop + 1] - first,
        ),
        shape=(stop - start, rows.shape[1]),
    )
    part.sum_duplicates()
    return _Sparse(
        row=np.repeat(np.arange(stop - start), np.diff(part.indptr)),
        column=part.indices.astype(np.int64),
        value=part.data,
        shape=(stop - start, rows.shape[1]),
    )


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise PlanError(
            f"expected {name} to be a finite number above 0, found {value}: correct the agent"
        )
