"""Where a value stands in the network, in numbers and in words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mesh_fl.agents._histogram import Band
from mesh_fl.agents.market.answer import Position
from mesh_fl.agents.market.distribution import Distribution
from mesh_fl.agents.market.figures import Figure
from mesh_fl.agents.market.network import Network, rounded
from mesh_fl.agents.market.own import OWN

NO_VALUE = "no value was told, and no record of your own has one"

Place = Literal["below the median", "around the median", "above the median"]

DECILES = tuple(tenth / 10 for tenth in range(1, 10))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A figure in the network, and a value to place there.

    Parameters
    ----------
    figure : Figure
    currency : str
    network : Network
        What it tells of the figure.
    value : float or None
    value_from : str or None
    refused : str
        Why a value that was told, or one of one's own, does not count.
    """

    figure: Figure
    currency: str
    network: Network
    value: float | None
    value_from: str | None
    refused: str = ""

    @property
    def distribution(self) -> Distribution | None:
        """What the value is placed in; None where the network tells nothing."""
        return self.network.distribution

    @cached_property
    def percentile(self) -> Band | None:
        """The share of the network's records below the value, 0 to 1."""
        if self.distribution is None or self.value is None:
            return None
        return self.distribution.percentile(self.value)

    @property
    def why_no_percentile(self) -> str:
        """Why there is none."""
        return self.network.why_hidden if self.distribution is None else self.refused or NO_VALUE

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
        if self.distribution is not None:
            median, records = self.distribution.quantile(0.5), self.distribution.records
            deciles = tuple(self.distribution.quantile(tenth).value for tenth in DECILES)
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
            segment=self.network.told_segment,
            standing=standing,
            is_better=self._is_better(standing),
            unavailable=dict(self._unavailable()),
        )

    def sentence(self) -> str | None:
        """Say in words where the value stands; None where that cannot be said."""
        if self.distribution is None or self.value is None or self.percentile is None:
            return None
        share, median = self.percentile, self.distribution.quantile(0.5)
        whose = "Your median" if self.value_from == OWN else "Your"
        where = f" in {self.network.told_segment}" if self.network.told_segment else ""
        better = {True: ": better than most", False: ": worse than most", None: ""}
        standing = self._standing(median)
        return (
            f"{whose} {self.figure.title} of {self.written(self.value)} is at percentile "
            f"{100 * share.value:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}] of about "
            f"{rounded(self.distribution.records.value):,} records{where}, {standing} of "
            f"{self.written(median.value)} [{median.low:,.4g}, {median.high:,.4g}]"
            f"{better[self._is_better(standing)]}."
        )

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
        if self.distribution is None:
            why = self.network.why_hidden
            yield from ((name, why) for name in ("median", "deciles", "records"))
        if self.value is None:
            yield "value", self.refused or NO_VALUE
        if self.percentile is None:
            yield "percentile", self.why_no_percentile
            yield "standing", "there is no percentile"
        if self.figure.better is None:
            yield "is_better", "nobody declared whether more of it is better"
        elif self.percentile is None or self._is_better(self._standing_now()) is None:
            yield "is_better", "the value is not clearly below or above the median"
        if self.network.told_segment is None:
            yield "segment", self.network.why_no_segment

    def _standing_now(self) -> Place | None:
        return (
            None if self.distribution is None else self._standing(self.distribution.quantile(0.5))
        )


def _percent(share: Band | None, part: str) -> float | None:
    return None if share is None else 100 * float(getattr(share, part))


def sentences(standings: Sequence[Standing]) -> tuple[str, ...]:
    """Return the positions in words."""
    return tuple(said for one in standings if (said := one.sentence()) is not None)
