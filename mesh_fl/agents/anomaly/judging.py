"""Records judged by what is usual: how rarely any is as surprising, and which traits make it so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.anomaly.answer import Cause
from mesh_fl.agents.anomaly.usual import Sample, Usual, written

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MOST_CAUSES = 3
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Judged:
    """Some records.

    Parameters
    ----------
    usual : Usual
    records : Sample
    surprises : ndarray, shape (n, blocks)
    chances : ndarray, shape (n,)
        NaN where nothing says what is usual.
    """

    usual: Usual
    records: Sample
    surprises: Matrix = field(repr=False)
    chances: Vector = field(repr=False)

    @classmethod
    def of(cls, usual: Usual, records: Sample, by_part: bool) -> "Judged":
        """Judge records.

        Parameters
        ----------
        usual : Usual
        records : Sample
        by_part : bool
            Whether one's own records are compared by what these tell only; else something that is
            left out is itself unusual where most tell it.
        """
        surprises = usual.surprises(records)
        scores = surprises.mean(axis=1)
        if by_part:
            chances = _by_part(usual, records, scores)
        elif usual.whole_tail is None:
            chances = np.full(len(scores), np.nan)
        else:
            chances = usual.whole_tail.chances(scores)
        return cls(usual, records, surprises, chances)

    def deviation(self, row: int) -> float:
        """Return by how much a record is more surprising than usual ones, in nats a block."""
        return float(self._excess(row).mean())

    def causes(self, row: int) -> tuple[Cause, ...]:
        """Return the traits that make a record unusual, the largest share first."""
        return tuple(self._causes(row))

    def _causes(self, row: int) -> Iterator[Cause]:
        of_traits = self._of_traits(row)
        whole = float(of_traits.sum())
        for trait in np.argsort(-of_traits, kind="stable")[:MOST_CAUSES].tolist():
            share = of_traits[trait] / whole if whole > 0 else 0.0
            if share < LEAST_SHARE:
                return
            one = self.usual.traits[trait]
            place = int(self.records.places[row, trait])
            yield Cause(
                feature=one.name,
                share=float(share),
                value=written(one, self.records.table, row, place),
                value_share=self.usual.share(self.records, row, trait),
                usual=self.usual.told_mostly(trait),
            )

    def _of_traits(self, row: int) -> Vector:
        """Return what each trait adds; a tree's excess is divided among the traits that it asks."""
        excess = np.maximum(self._excess(row), 0.0)
        splits = self.usual.density.blocks.splits
        if splits is None:
            return excess
        asked = splits.asked(self.records.places[row])
        added = np.zeros(len(self.usual.traits))
        np.add.at(added, asked, np.broadcast_to(excess[:, None], asked.shape))
        return added

    def _excess(self, row: int) -> Vector:
        excess: Vector = self.surprises[row] - self.usual.density.usual
        if self.usual.density.blocks.splits is None:
            return np.where(self.records.places[row] >= 0, excess, 0.0)
        return excess


def _by_part(usual: Usual, records: Sample, scores: Vector) -> Vector:
    """Return each record's chance by the traits that it tells; NaN where that is not known."""
    chances = np.full(len(scores), np.nan)
    told, which = np.unique(records.places >= 0, axis=0, return_inverse=True)
    for number, pattern in enumerate(told):
        tail = usual.tail(pattern)
        same = which.ravel() == number
        if tail is not None and tail.records:
            chances[same] = tail.chances(scores[same])
    return chances


def in_words(causes: Sequence[Cause]) -> str:
    """Say what makes a record unusual."""
    parts = []
    for one in causes:
        told = f"{one.feature} {one.value!r}" if one.value else f"no {one.feature}"
        usual = f", the commonest is {one.usual!r}" if one.usual and one.usual != one.value else ""
        parts.append(f"{told}: {_percent(one.value_share)} of usual records have it{usual}")
    return "; ".join(parts) or "several traits together, none of them by itself"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
