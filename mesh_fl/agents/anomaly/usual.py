"""What is usual among one's own records: their cells and words, the tail of their scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.density import Density
from mesh_fl.agents.anomaly.own_forest import OwnForest
from mesh_fl.agents.anomaly.tail import Tail
from mesh_fl.agents.anomaly.traits import Trait
from mesh_fl.agents.anomaly.words import Within, Words
from mesh_fl.schema import Table

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.int64]

LONGEST_VALUE = 200
"""Characters of a value that an answer repeats."""


@dataclass(frozen=True)
class Sample:
    """Records as they are judged.

    Parameters
    ----------
    table : Table
        As they were told.
    places : ndarray, shape (n, traits)
    words : sequence of ndarray or None
        For each trait the numbers of its words, shape (n,); None where none are told apart.
    """

    table: Table = field(repr=False)
    places: Places = field(repr=False)
    words: Sequence[Places | None] = field(repr=False)


@dataclass(frozen=True)
class Usual:
    """What new records are judged by.

    Parameters
    ----------
    traits : tuple of Trait
    density : Density
    sample : Sample
        One's own records; none of them where only a tail is at hand.
    known : tuple of Words or None
        The words of each trait; none of them are told apart where only a tail is at hand.
    kept_tail : Tail or None
        Of the scores of whole records, where there are no records.
    source : str
        Where they come from.
    until : int
        The place among all one's own records that they end before.
    forest : OwnForest or None
    why_no_forest : str
    """

    traits: tuple[Trait, ...]
    density: Density
    sample: Sample
    known: tuple[Words | None, ...]
    kept_tail: Tail | None
    source: str
    until: int = 0
    forest: OwnForest | None = None
    why_no_forest: str = ""
    _tails: dict[bytes, Tail] = field(default_factory=dict, repr=False)

    @property
    def records(self) -> int:
        """How many records say what is usual."""
        return 0 if self.whole_tail is None else self.whole_tail.records

    @cached_property
    def whole_tail(self) -> Tail | None:
        """The scores of one's own records, each judged by the others; None without any."""
        if not len(self.sample.places):
            return self.kept_tail
        return self._tail(np.ones(len(self.traits), dtype=np.bool_))

    def tail(self, told: NDArray[np.bool_]) -> Tail | None:
        """Return the scores of one's own records by some of their traits only.

        Parameters
        ----------
        told : ndarray of bool, shape (traits,)

        Returns
        -------
        Tail or None
            None where that cannot be known.
        """
        if told.all():
            return self.whole_tail
        if not len(self.sample.places):
            return None
        key = told.tobytes()
        if key not in self._tails:
            self._tails[key] = self._tail(told)
        return self._tails[key]

    def surprises(self, records: Sample) -> Matrix:
        """Return how surprising new records are in each block; shape (n, blocks)."""
        cells = self.density.blocks.find(records.places)
        return self.density.surprises(cells) + self._within(records, 0.0)

    def told_mostly(self, trait: int) -> str | None:
        """Return what most of the records tell of a trait; None where nothing is known."""
        return self._mostly[trait]

    def share(self, records: Sample, row: int, trait: int) -> float:
        """Return the share of one's own records that tell the same, or of the model's cell."""
        place, words, own = int(records.places[row, trait]), records.words[trait], self._divided
        if not len(self.sample.places):
            blocks = self.density.blocks
            if place < 0 or blocks.splits is not None:
                return 0.0
            return self.density.share_of(int(blocks.starts[trait]) + place)
        within = own[trait]
        if within is None or words is None or place < 0:
            return float(self._counts[trait][place]) / len(self.sample.places)
        return (
            float(within.of_words[words[row]]) / len(self.sample.places) if words[row] >= 0 else 0.0
        )

    @cached_property
    def _counts(self) -> tuple[Vector, ...]:
        """How many records fall into each cell of each trait; those that tell nothing come last."""
        parts = zip(self.traits, self.sample.places.T, strict=True)
        return tuple(
            np.bincount(np.where(places < 0, one.cells, places), minlength=one.cells + 1).astype(
                np.float64
            )
            for one, places in parts
        )

    @cached_property
    def own_chances(self) -> Vector:
        """The chances of one's own records, each judged by the others."""
        every = np.ones(len(self.traits), dtype=np.bool_)
        tail = self.whole_tail
        if tail is None or not len(self.sample.places):
            return np.zeros(0)
        return tail.chances(self._left_out(every))

    def _tail(self, told: NDArray[np.bool_]) -> Tail:
        return Tail.of(self._left_out(told))

    def _left_out(self, told: NDArray[np.bool_]) -> Vector:
        """Return the scores of one's own records by some traits, each judged by the others."""
        places = np.where(told, self.sample.places, -1)
        records = Sample(self.sample.table, places, self.sample.words)
        cells = self.density.blocks.find(places)
        surprises = self.density.left_out(cells) + self._within(records, 1.0)
        scores: Vector = surprises.mean(axis=1)
        return scores

    def _within(self, records: Sample, left_out: float) -> Matrix:
        """Return what the words add to the surprise of their cells; trees know cells only."""
        found = np.zeros((len(records.places), len(self.density.blocks.sizes)))
        if self.density.blocks.splits is not None:
            return found
        for trait, (within, words) in enumerate(zip(self._divided, records.words, strict=True)):
            if within is not None and words is not None:
                found[:, trait] = within.surprises(words, records.places[:, trait], left_out)
        return found

    @cached_property
    def _divided(self) -> tuple[Within | None, ...]:
        parts = zip(self.traits, self.known, self.sample.words, self.sample.places.T, strict=True)
        return tuple(
            None
            if known is None or words is None
            else Within.of(words, places, len(known.numbers), one.cells)
            for one, known, words, places in parts
        )

    @cached_property
    def _mostly(self) -> tuple[str | None, ...]:
        return tuple(self._most(trait) for trait in range(len(self.traits)))

    def _most(self, trait: int) -> str | None:
        column, one = self.sample.places[:, trait], self.traits[trait]
        if not (column >= 0).any():
            return None
        words = self.sample.words[trait]
        counted = column if words is None else words
        most = int(np.bincount(counted[column >= 0]).argmax())
        row = int(np.flatnonzero((counted == most) & (column >= 0))[-1])
        return one.called(int(column[row])) or written(one, self.sample.table, row, -1)


def written(trait: Trait, table: Table, row: int, cell: int) -> str:
    """Return what a record tells of a trait, for people."""
    if trait.kind == "moment" or trait.column not in table:
        return trait.called(cell) if cell >= 0 else ""
    value = table[trait.column][row]
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return str(value)[:LONGEST_VALUE]
