"""Drift: whether the mean of a stream has changed, by a window that adapts (ADWIN).

Bifet and Gavalda, Learning from time-changing data with adaptive windowing, SDM 2007 (ADWIN2): the
window grows while all of its cuts look alike, and loses its older part when one does not. Rows of
buckets that double keep the memory logarithmic in what was seen.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from mesh_fl.agents.anomaly.stream_state import StreamState

DELTA = 1e-3
"""Chance, at most, with which one look at independent values of an unchanged mean tells drift."""

LOOK_EVERY = 32
BUCKETS_A_ROW = 5
FEWEST_ON_A_SIDE = 16

MOST_ROWS = 24
"""Rows of buckets: the window holds at most some 80 million values."""

Positive = Annotated[float, Field(ge=0, le=1e18)]
Bucket = tuple[Positive, Positive]


@dataclass(frozen=True)
class Drift:
    """A mean that has changed.

    Parameters
    ----------
    before, after : float
        Means of the older and the newer part.
    values : int
        How many there are in the newer part: so long ago the change was.
    """

    before: float
    after: float
    values: int


class DriftState(StreamState):
    """A window as JSON can hold it."""

    delta: Annotated[float, Field(gt=0, lt=1)]
    seen: Annotated[int, Field(ge=0)]
    rows: list[list[Bucket]] = Field(max_length=MOST_ROWS)


class DriftDetector:
    """Notices when the mean of values between 0 and 1 changes, in constant memory.

    Of independent values with the same mean one look in 1 / `delta` at most tells drift (theorem
    3.1 of the paper); far fewer do, for its bound is not tight. Values that depend on each other
    tell more.

    Parameters
    ----------
    delta : float
        Chance of a false alarm a look; there is one every 32 values.
    """

    __slots__ = ("_rows", "_seen", "delta")

    def __init__(self, delta: float = DELTA) -> None:
        self.delta = delta
        self._seen = 0
        self._rows: list[list[Bucket]] = [[]]

    def add(self, value: float) -> Drift | None:
        """Add a value; return the drift that is noticed with it.

        Parameters
        ----------
        value : float
            Taken as 0 or 1 where it is beyond.
        """
        self._insert(max(0.0, min(value, 1.0)))
        self._seen += 1
        if self._seen % LOOK_EVERY:
            return None
        first = last = self._look()
        while last is not None:
            last = self._look()
            if last is not None and first is not None:
                first = Drift(first.before, last.after, last.values)
        return first

    @property
    def width(self) -> int:
        """How many values the window holds."""
        return sum(len(row) << power for power, row in enumerate(self._rows))

    def state(self) -> DriftState:
        """Return everything as JSON can hold it."""
        return DriftState(delta=self.delta, seen=self._seen, rows=self._rows)

    @classmethod
    def read(cls, state: DriftState) -> "DriftDetector":
        """Return it from such a state."""
        detector = cls(state.delta)
        detector._seen = state.seen
        detector._rows = [list(row) for row in state.rows] or [[]]
        return detector

    def _insert(self, value: float) -> None:
        """Put a value into the first row; two buckets of a full row make one of the next."""
        self._rows[0].append((value, 0.0))
        for power, row in enumerate(self._rows):
            if len(row) <= BUCKETS_A_ROW:
                return
            if power + 1 == MOST_ROWS:
                del row[0]
                return
            if power + 1 == len(self._rows):
                self._rows.append([])
            self._rows[power + 1].append(_joined(row.pop(0), row.pop(0), 1 << power))

    def _look(self) -> Drift | None:
        """Drop the older part where it differs from the newer one, at the clearest cut."""
        width = self.width
        if width < 2 * FEWEST_ON_A_SIDE:
            return None
        whole, older = _Part(), _Part()
        for _, _, bucket, count in self._oldest_first():
            whole.take(bucket, count)
        doubt = math.log(2 * math.log(width) / self.delta)
        clearest, found = 1.0, None
        for power, place, bucket, count in self._oldest_first():
            older.take(bucket, count)
            newer = width - older.count
            if min(older.count, newer) < FEWEST_ON_A_SIDE:
                continue
            before, after = older.total / older.count, (whole.total - older.total) / newer
            clear = abs(before - after) / _bound(older.count, newer, whole.variance, doubt)
            if clear > clearest:
                clearest, found = clear, (power, place, Drift(before, after, newer))
        if found is None:
            return None
        self._drop(*found[:2])
        return found[2]

    def _oldest_first(self) -> Iterator[tuple[int, int, Bucket, int]]:
        """Yield each bucket with its row, its place there, and how many values it holds."""
        for power, row in reversed(list(enumerate(self._rows))):
            for place, bucket in enumerate(row):
                yield power, place, bucket, 1 << power

    def _drop(self, power: int, place: int) -> None:
        """Forget a bucket and all that are older."""
        del self._rows[power][: place + 1]
        del self._rows[power + 1 :]


class _Part:
    """A part of the window: how many values, their sum, and their squared deviations."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.squares = 0.0

    def take(self, bucket: Bucket, count: int) -> None:
        total, squares = bucket
        if self.count:
            apart = total / count - self.total / self.count
            squares += apart * apart * count * self.count / (count + self.count)
        self.squares += squares
        self.total += total
        self.count += count

    @property
    def variance(self) -> float:
        return self.squares / self.count


def _joined(one: Bucket, other: Bucket, count: int) -> Bucket:
    apart = (one[0] - other[0]) / count
    return one[0] + other[0], one[1] + other[1] + apart * apart * count / 2


def _bound(older: int, newer: int, variance: float, doubt: float) -> float:
    """Return how far two means of one mean may be apart (equation 3.1 of the paper)."""
    harmonic = 1 / (1 / older + 1 / newer)
    return math.sqrt(2 / harmonic * variance * doubt) + 2 / (3 * harmonic) * doubt
