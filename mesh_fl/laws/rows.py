"""Laws of the rows: what the sensitivity bound rests on."""

from collections.abc import Iterator

import numpy as np

from mesh_fl.agent import Data, Rows
from mesh_fl.laws.case import Case, Matrix, Turn, dense
from mesh_fl.laws.law import BreachError, UncheckedError, law
from mesh_fl.laws.sameness import compare_rows, expect_rows
from mesh_fl.laws.variation import copied, copied_floats, count, join, poison, take
from mesh_fl.layout import size

BAD_VALUES = (np.nan, np.inf, -np.inf, 1e300)

MANY_TOLERANCE = 1e-4
"""Relative to the largest entry: local steps may run in float32 and drift apart a little."""


@law("Return a float64 matrix or a csr_array with one row per record, as wide as the layout.")
def rows_have_the_layout(case: Case) -> str:
    """Give rows of float64, dense or CSR, of shape (records, size of the layout), in any round."""
    for turn in case.turns():
        for data in (case.few, take(case.few, np.array([0]))):
            _expect_form(turn.raw(data), _row_count(case, data), turn)
    for turn in case.turns():
        first = next(other for other in case.turns() if other.method == turn.method)
        if list(turn.layout.items()) != list(first.layout.items()):
            raise BreachError(f"{turn}: the layout changed from {first.layout} to {turn.layout}")
    return ""


@law("Look for a division by zero, a logarithm of zero or an overflow.")
def rows_are_finite(case: Case) -> str:
    """Give a finite row for every finite record: any other row counts as zero."""
    clean = np.ones(count(case.many), dtype=np.bool_)
    for values in case.many.values():
        if values.dtype.kind == "f":
            clean &= np.isfinite(values).reshape(len(values), -1).all(axis=1)
    data = take(case.many, np.flatnonzero(clean))
    for turn in case.turns():
        rows = turn.rows(data)
        lost = int((~np.isfinite(rows)).any(axis=1).sum())
        if lost:
            raise BreachError(f"{turn}: {lost} of {len(rows)} rows hold NaN or infinity")
    return ""


@law("Let a row use its own record and the state only: nothing fitted, ranked or averaged.")
def one_record_one_row(case: Case) -> str:
    """Leave every other row as it is when a record is left out, also after noisy rounds."""
    everyone = np.arange(count(case.few))
    for turn in _turns_by_record(case):
        whole = turn.rows(case.few)
        for record in everyone:
            rest = np.delete(everyone, record)
            expect_rows(turn, take(case.few, rest), whole[rest], f"without record {record}")
    return f"each of {len(everyone)} records left out in turn"


@law("Do not use a record's position, nor what came before it.")
def order_does_not_matter(case: Case) -> str:
    """Give the same rows in another order for the same records in another order."""
    order = case.generator().permutation(count(case.many))
    for turn in _turns_by_record(case):
        shuffled = take(case.many, order)
        expect_rows(turn, shuffled, turn.rows(case.many)[order], "in another order")
        reverse = order[::-1]
        expect_rows(turn, take(case.many, reverse), turn.rows(case.many)[reverse], "reversed")
    return ""


@law("Do not use the number of records or their distribution; if you need a count, sum a one.")
def shards_add_up(case: Case) -> str:
    """Give for two shards together the rows of each, also if both are the same."""
    middle = count(case.many) // 2
    for turn in _turns_by_record(case):
        whole = turn.rows(case.many)
        for start, stop in ((0, middle), (middle, len(whole)), (middle, middle + 1)):
            part = take(case.many, np.arange(start, stop))
            expect_rows(turn, part, whole[start:stop], f"records {start} to {stop - 1} alone")
        twice = join(case.many, case.many)
        expect_rows(turn, twice, np.vstack([whole, whole]), "with every record twice")
    return ""


@law("Compute every row by itself, and neither raise nor repair with the values of others.")
def bad_record_stays_alone(case: Case) -> str:
    """Survive a record of NaN, infinities or huge numbers, and change no other row for it."""
    if all(values.dtype.kind != "f" for values in case.few.values()):
        raise UncheckedError("the data hold no real numbers")
    for turn in _turns_by_record(case):
        whole = turn.rows(case.few)
        for record in {0, len(whole) // 2, len(whole) - 1}:
            for value in BAD_VALUES:
                _expect_alone(case, turn, whole, record, value)
    return ""


@law("Handle arrays of length zero: a member may have no record yet.")
def empty_shard(case: Case) -> str:
    """Give no rows and no predictions, and raise nothing, where there are no records."""
    nobody = take(case.few, np.array([], dtype=np.int64))
    for turn in case.turns():
        _expect_form(turn.raw(nobody), _row_count(case, nobody), turn)
    for stage, state in case.stages.items():
        case.agent.adapt(state, nobody)
        answers = np.asarray(case.agent.predict(state, nobody))
        if len(answers) != 0:
            raise BreachError(f"predict {stage}: {len(answers)} answers for no record")
    if case.table is not None:
        case.agent.prepare(take(case.table, np.array([], dtype=np.int64)))
    return ""


@law("Compute in `contribute_many` what `contribute` computes for each client, in the same order.")
def many_are_each(case: Case) -> str:
    """Give for several clients at once the rows that each of them gives alone."""
    shards = [take(case.few, part) for part in np.array_split(np.arange(count(case.few)), 3)]
    for stage, state in case.stages.items():
        turn = Turn(case.agent, "contribute", stage, state)
        together = case.agent.contribute_many(copied_floats(state), [copied(s) for s in shards])
        if len(together) != len(shards):
            raise BreachError(
                f"{turn}: expected rows of {len(shards)} clients, got {len(together)}"
            )
        for rows, shard in zip(together, shards, strict=True):
            alone = turn.rows(shard)
            if not _alike(dense(rows), alone):
                raise BreachError(f"{turn}: a client's rows are others beside other clients")
    return f"{len(shards)} clients"


def _alike(found: Matrix, expected: Matrix) -> bool:
    if found.shape != expected.shape:
        return False
    away = float(np.abs(found - expected).max(initial=0.0))
    return away <= MANY_TOLERANCE * float(np.abs(expected).max(initial=0.0))


def _turns_by_record(case: Case) -> Iterator[Turn]:
    if case.agent.unit == "client":
        raise UncheckedError("the one row stands for a whole client")
    return case.turns()


def _row_count(case: Case, data: Data) -> int:
    return 1 if case.agent.unit == "client" else count(data)


def _expect_form(rows: Rows, records: int, turn: Turn) -> None:
    shape = (records, size(turn.layout))
    # Not at the top: it takes a quarter of a second, and comes with every import of mesh_fl.
    from scipy.sparse import csr_array

    if not isinstance(rows, np.ndarray | csr_array):
        raise BreachError(
            f"{turn}: expected a numpy array or a scipy csr_array, got {type(rows).__name__}"
        )
    if rows.shape != shape or shape[1] < 1:
        raise BreachError(f"{turn}: expected rows of shape {shape}, got {rows.shape}")
    if rows.dtype != np.float64:
        raise BreachError(f"{turn}: expected float64, got {rows.dtype}")


def _expect_alone(case: Case, turn: Turn, whole: Matrix, record: int, value: float) -> None:
    circumstance = f"with record {record} all {value}"
    try:
        found = turn.rows(poison(case.few, record, value))
    except Exception as error:
        raise BreachError(
            f"{turn}, {circumstance}: raises {type(error).__name__}: {error}"
        ) from error
    others = np.arange(len(whole)) != record
    if found.shape == whole.shape:
        found, whole = found[others], whole[others]
    compare_rows(turn, found, whole, circumstance)
