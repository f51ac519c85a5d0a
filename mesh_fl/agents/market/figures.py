"""Figures that a network compares itself by, each with public bins."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

MOST_BINS = 1000

PRICE_WORDS = ("rate", "rates", "price", "prices", "pricing")
AGREEMENT_WORDS = ("per seat", "seat price", "per user", "per device")


class Figure(BaseModel):
    """One figure, its bounds declared by people.

    Parameters
    ----------
    name : str
        The field of a table that holds it.
    title, unit : str
        For people.
    low, high : float
        Where the bins begin and end; what lies outside is counted in the outermost bins.
    bins : int
    scale : {"linear", "log"}
        Between which numbers the bins are equally wide. On a log scale a value of 0 or below is
        taken as missing: it is a credit or a gap, not a price.
    better : {"higher", "lower"}, optional
        What is better; left out where that cannot be said, as of a price.
    is_price : bool
        Whether a price is recommended; it is then in the network's currency.
    from_agreement : bool
        Whether an agreement's amount, period and seats give it where it is not told itself.
    words : tuple of str
        Further words by which people ask for it, beside those of any price.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    unit: str = ""
    low: float
    high: float
    bins: int = Field(default=50, ge=2, le=MOST_BINS)
    scale: Literal["linear", "log"] = "linear"
    better: Literal["higher", "lower"] | None = None
    is_price: bool = False
    from_agreement: bool = False
    words: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Figure":
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low {self.low} must be below high {self.high}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: on a log scale low must be above 0, is {self.low}")
        return self

    @property
    def asked_by(self) -> tuple[str, ...]:
        """The words by which people ask for it."""
        price = PRICE_WORDS if self.is_price else ()
        agreement = AGREEMENT_WORDS if self.from_agreement else ()
        named = (self.title, self.name, self.name.replace("_", " "))
        return (*named, *price, *agreement, *self.words)

    @cached_property
    def edges(self) -> Vector:
        """Where the bins begin and end: bins + 1 rising values."""
        spaced = np.geomspace if self.scale == "log" else np.linspace
        edges: Vector = spaced(self.low, self.high, self.bins + 1)
        return edges

    def known(self, values: Vector) -> Vector:
        """Return the values, NaN where there is none that counts."""
        least = 0.0 if self.scale == "log" else -math.inf
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(values) & (values > least), values, np.nan)

    def why_unknown(self, value: float) -> str:
        """Say why a value does not count; empty where it does, or where there is none."""
        if math.isnan(value) or not np.isnan(self.known(np.array([value]))[0]):
            return ""
        expected = "a number above 0" if self.scale == "log" else "a finite number"
        return f"{self.name}: expected {expected}, found {value:g}"

    def places(self, values: Vector) -> Places:
        """Return the bin of each value, -1 where there is none."""
        known = self.known(values)
        inner = np.searchsorted(self.edges[1:-1], known, side="right")
        return np.where(np.isnan(known), -1, inner).astype(np.int64)

    def within(self, value: float) -> float:
        """Return how far a value stands into its bin, 0 to 1, on the figure's scale."""
        place = int(self.places(np.array([value]))[0])
        low, high, value = self._scaled([*self.edges[place : place + 2], value])
        return float(np.clip((value - low) / (high - low), 0, 1))

    def between(self, position: float) -> float:
        """Return the value at a position: 0 is the first edge, `bins` the last."""
        place = min(int(position), self.bins - 1)
        low, high = self._scaled(self.edges[place : place + 2].tolist())
        value = low + (position - place) * (high - low)
        return math.exp(value) if self.scale == "log" else value

    def unit_in(self, currency: str) -> str:
        """Return the unit, for a price with the currency."""
        return f"{currency} {self.unit}".strip() if self.is_price else self.unit

    def _scaled(self, values: Sequence[float]) -> list[float]:
        return [math.log(one) for one in values] if self.scale == "log" else list(values)


RATE_PER_SEAT = Figure(
    name="rate_per_seat",
    title="rate per seat",
    unit="a month",
    low=10.0,
    high=1000.0,
    scale="log",
    is_price=True,
    from_agreement=True,
)
"""What an agreement costs for each person or device, a month, in the network's currency."""
