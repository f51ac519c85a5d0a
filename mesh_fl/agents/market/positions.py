"""Where a value stands in the network, in numbers and in words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mesh_fl.agents._histogram import Band, Histogram
from mesh_fl.agents.market.answer import Position
from mesh_fl.agents.market.distribution import Distribution
from mesh_fl.agents.market.figures import Figure

UNTRAINED = "no training has told the network's figures yet"
HIDDEN = "not enough data: the noise hides what the network told"
NO_VALUE = "no value was told, and no record of your own has one"

Place = Literal["below the median", "around the median", "above the median"]

OWN = "median of your own records"

DECILES = tuple(tenth / 10 for tenth in range(1, 10))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A figure in the network, and a value to place there.

    Parameters
    ----------
    figure : Figure
    currency : str
    released : Histogram or None
        None before any training.
    segments : tuple of str
    segment : str
        As it was asked for.
    value : float or None
    value_from : str or None
    refused : str
        Why a value that was told does not count.
    """

    figure: Figure
    currency: str
    released: Histogram | None
    segments: tuple[str, ...]
    segment: str
    value: float | None
    value_from: str | None
    refused: str = ""

    @cached_property
    def network(self) -> Distribution | None:
        """The distribution in the segment if it can be seen there, else over all; None if not."""
        return next((one for one in self._distributions() if one.is_seen), None)

    @cached_property
    def percentile(self) -> Band | None:
        """The share of the network's records below the value, 0 to 1."""
        if self.network is None or self.value is None:
            return None
        return self.network.percentile(self.value)

    @property
    def unit(self) -> str:
        """The figure's unit, with the currency of a price."""
        return self.figure.unit_in(self.currency)

    def written(self, value: float) -> str:
        """Write a value of the figure with its unit."""
        digits = f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
        return f"{digits} {self.unit}".strip()

    def position(self) -> Position:
        """Return all there is to say, each None with its reason."""
        share, median, records = self.percentile, None, None
        deciles: tuple[float, ...] = ()
        if self.network is not None:
            median, records = self.network.quantile(0.5), self.network.records
            deciles = tuple(self.network.quantile(tenth).value for tenth in DECILES)
        standing = None if median is None or self.value is None else self._standing(median)
        return Position(
            figure=self.figure.name,
            title=self.figure.title,
            unit=self.unit,
            value=self.value,
            value_from=self.value_from,
            percentile=_percent(share, "value"),
            percentile_low=_percent(share, "low"),
            percentile_high=_percent(share, "high"),
            median=median.value if median else None,
            median_low=median.low if median else None,
            median_high=median.high if median else None,
            deciles=deciles,
            records=records.value if records else None,
            records_low=records.low if records else None,
            records_high=records.high if records else None,
            segment=self._told_segment(),
            standing=standing,
            is_better=self._is_better(standing),
            unavailable=dict(self._unavailable()),
        )

    def sentence(self) -> str | None:
        """Say in words where the value stands; None where that cannot be said."""
        if self.network is None or self.value is None or self.percentile is None:
            return None
        share, median = self.percentile, self.network.quantile(0.5)
        whose = "Your median" if self.value_from == OWN else "Your"
        where = f" in {self._told_segment()}" if self._told_segment() else ""
        better = {True: ": better than most", False: ": worse than most", None: ""}
        standing = self._standing(median)
        return (
            f"{whose} {self.figure.title} of {self.written(self.value)} is at percentile "
            f"{100 * share.value:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}] of about "
            f"{_rounded(self.network.records.value):,} records{where}, {standing} of "
            f"{self.written(median.value)} [{median.low:,.4g}, {median.high:,.4g}]"
            f"{better[self._is_better(standing)]}."
        )

    def _distributions(self) -> Iterator[Distribution]:
        if self.released is None:
            return
        if (place := self._place()) is not None:
            yield Distribution(self.figure, self.released, (place,))
        yield Distribution(self.figure, self.released, range(len(self.segments) + 1))

    def _place(self) -> int | None:
        lowered = [one.lower() for one in self.segments]
        wanted = self.segment.lower()
        return lowered.index(wanted) if wanted in lowered else None

    def _told_segment(self) -> str | None:
        place = self._place()
        if self.network is None or place is None or list(self.network.groups) != [place]:
            return None
        return self.segments[place]

    def _standing(self, median: Band) -> Place:
        value = self.value if self.value is not None else math.nan
        if value < median.low:
            return "below the median"
        return "above the median" if value > median.high else "around the median"

    def _is_better(self, standing: Place | None) -> bool | None:
        if self.figure.better is None or standing in (None, "around the median"):
            return None
        return (standing == "above the median") == (self.figure.better == "higher")

    def _unavailable(self) -> Iterator[tuple[str, str]]:
        if self.network is None:
            why = UNTRAINED if self.released is None else HIDDEN
            yield from ((name, why) for name in ("median", "deciles", "records"))
        if self.value is None:
            yield "value", self.refused or NO_VALUE
        if self.percentile is None:
            why = UNTRAINED if self.released is None else HIDDEN
            yield "percentile", why if self.network is None else self.refused or NO_VALUE
            yield "standing", "there is no percentile"
        if self.figure.better is None:
            yield "is_better", "nobody declared whether more of it is better"
        elif self.percentile is None or self._is_better(self._standing_now()) is None:
            yield "is_better", "the value is not clearly below or above the median"
        if self._told_segment() is None:
            yield "segment", self._no_segment()

    def _standing_now(self) -> Place | None:
        return None if self.network is None else self._standing(self.network.quantile(0.5))

    def _no_segment(self) -> str:
        if not self.segment:
            return "no industry segment was asked for: all are taken together"
        if self._place() is None:
            known = ", ".join(self.segments[:20]) or "none"
            return f"the network tells these segments apart: {known}; all are taken together"
        return "not enough data in this segment: all are taken together"


def _percent(share: Band | None, part: str) -> float | None:
    return None if share is None else 100 * float(getattr(share, part))


def _rounded(count: float) -> int:
    """Round to two digits: the noise leaves no more."""
    digits = max(0, len(str(int(count))) - 2)
    return int(round(count, -digits))


def sentences(standings: Sequence[Standing]) -> tuple[str, ...]:
    """Return the positions in words."""
    return tuple(said for one in standings if (said := one.sentence()) is not None)
