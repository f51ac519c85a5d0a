"""What the network tells of a figure: in the segment that is asked for, or else over all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mesh_fl.agents._histogram import Histogram
from mesh_fl.agents.market.distribution import Distribution
from mesh_fl.agents.market.figures import Figure

UNTRAINED = "no training has told the network's figures yet"
HIDDEN = "not enough data: the noise hides what the network told"


@dataclass(frozen=True)
class Network:
    """A figure over the network.

    Parameters
    ----------
    figure : Figure
    released : Histogram or None
        None before any training.
    segments : tuple of str
        Those that are told apart.
    segment : str
        As it was asked for.
    """

    figure: Figure
    released: Histogram | None
    segments: tuple[str, ...]
    segment: str

    @cached_property
    def distribution(self) -> Distribution | None:
        """In the segment if it can be seen there, else over all; None if neither can."""
        return next((one for one in self._distributions() if one.is_seen), None)

    @property
    def place(self) -> int | None:
        """The place of the segment that the distribution is of; None for all together."""
        place = self._asked
        if self.distribution is None or place is None:
            return None
        return place if list(self.distribution.groups) == [place] else None

    @property
    def told_segment(self) -> str | None:
        """The segment that the distribution is of; None for all together."""
        return None if self.place is None else self.segments[self.place]

    @property
    def why_hidden(self) -> str:
        """Why there is no distribution."""
        if self.released is None:
            return UNTRAINED
        overall = Distribution(self.figure, self.released, self._all)
        return f"{HIDDEN}; {takes(overall.needed)} in all"

    @property
    def why_no_segment(self) -> str:
        """Why the distribution is not of a segment."""
        if not self.segment:
            return "no industry segment was asked for: all are taken together"
        if self._asked is None:
            known = ", ".join(self.segments[:20]) or "none"
            return f"the network tells these segments apart: {known}; all are taken together"
        if self.released is None:
            return UNTRAINED
        asked = Distribution(self.figure, self.released, (self._asked,))
        return f"not enough data in this segment: {takes(asked.needed)}; all are taken together"

    @property
    def _all(self) -> Sequence[int]:
        return range(len(self.segments) + 1)

    @property
    def _asked(self) -> int | None:
        lowered = [one.lower() for one in self.segments]
        wanted = self.segment.lower()
        return lowered.index(wanted) if wanted in lowered else None

    def _distributions(self) -> Iterator[Distribution]:
        if self.released is None:
            return
        if self._asked is not None:
            yield Distribution(self.figure, self.released, (self._asked,))
        yield Distribution(self.figure, self.released, self._all)


def takes(records: float, what: str = "records") -> str:
    """Say how many records it would take, to two digits: the noise leaves no more."""
    return f"with this noise it takes about {rounded(records):,} {what}"


def rounded(count: float) -> int:
    """Round to two digits."""
    digits = max(0, len(str(int(count))) - 2)
    return int(round(count, -digits))
