"""How severe an anomaly is: by how rarely usual records are as unusual, and by nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Rates:
    """False-alarm rates, one for each severity, falling.

    Parameters
    ----------
    rates : tuple of four floats
        Share of usual records that may be called at least so severe.
    """

    rates: tuple[float, float, float, float]

    @property
    def first(self) -> float:
        """The share of usual records that may be called anomalies at all."""
        return self.rates[0]

    @property
    def by_severity(self) -> dict[str, float]:
        """The rates by name."""
        return dict(zip(SEVERITIES, self.rates, strict=True))

    def of(self, chance: float) -> Severity | None:
        """Return the severity of a chance; None for what is no anomaly."""
        reached = [one for one, rate in zip(SEVERITIES, self.rates, strict=True) if chance <= rate]
        return reached[-1] if reached else None

    def beyond(self, smallest: float) -> tuple[Severity, ...]:
        """Return the severities that cannot be told where no chance is below the smallest."""
        pairs = zip(SEVERITIES, self.rates, strict=True)
        return tuple(one for one, rate in pairs if rate < smallest)


def highest(severities: Iterable[Severity]) -> Severity | None:
    """Return the worst of some; None of none."""
    return max(severities, key=SEVERITIES.index, default=None)
