"""How often a template comes in a window of time, and whether it bursts."""

from typing import Annotated

from pydantic import Field

from mesh_fl.agents.anomaly.stream_state import StreamState

MEMORY = 0.98
"""Weight of a window beside the next one: some 50 windows count."""

FEWEST_WINDOWS = 10.0
FEWEST_IN_A_BURST = 4

PRIOR = 0.5

Sum = Annotated[float, Field(ge=0, le=1e30)]
"""Of lines in windows, and of their squares."""


class PaceState(StreamState):
    """A pace as JSON can hold it."""

    window: int | None
    now: int
    told: bool
    sums: tuple[Sum, Sum, Sum]


class Pace:
    """Counts of one template, window by window; what was long ago counts less."""

    __slots__ = ("_now", "_squares", "_sum", "_told", "_weight", "_window")

    def __init__(self) -> None:
        self._window: int | None = None
        self._now = 0
        self._told = False
        self._weight = self._sum = self._squares = 0.0

    def add(self, window: int) -> bool:
        """Count a line; whether it is time to look for a burst."""
        if self._window is None:
            self._window = window
        elif window > self._window:
            self._close(window)
        self._now += 1
        now = self._now
        # At 4, 8, 16, ...: few looks, and none comes late by more than half of a burst.
        return now >= FEWEST_IN_A_BURST and not now & (now - 1) and not self._told

    def p_value(self) -> float:
        """Return how probable so many lines in the current window are, at most.

        Counts are negative binomial: a Poisson rate that is known from the windows before (a gamma
        posterior), and spread as these were where they were spread more.
        """
        if self._weight < FEWEST_WINDOWS:
            return 1.0
        from scipy.special import betainc

        size = self._sum + PRIOR
        mean = size / self._weight
        variance = self._squares / self._weight - (self._sum / self._weight) ** 2
        more = max(0.0, variance - mean) / mean**2
        size = 1 / (1 / size + more)
        return float(betainc(self._now, size, mean / (mean + size)))

    def tell(self) -> None:
        """Remember that this window's burst was told."""
        self._told = True

    @property
    def now(self) -> int:
        """Lines in the current window."""
        return self._now

    @property
    def usual(self) -> float:
        """Lines in a usual window."""
        return self._sum / self._weight if self._weight else 0.0

    def state(self) -> PaceState:
        """Return everything as JSON can hold it."""
        sums = (self._weight, self._sum, self._squares)
        return PaceState(window=self._window, now=self._now, told=self._told, sums=sums)

    @classmethod
    def read(cls, state: PaceState) -> "Pace":
        """Return it from such a state."""
        pace = cls()
        pace._window, pace._now, pace._told = state.window, state.now, state.told
        pace._weight, pace._sum, pace._squares = state.sums
        return pace

    def _close(self, window: int) -> None:
        """Take over the window that is past, and those without a line since."""
        gone = window - (self._window or 0)
        fade = MEMORY**gone
        # Windows in between had none; their weights are a geometric series.
        between = (1 - MEMORY ** (gone - 1)) / (1 - MEMORY) if gone > 1 else 0.0
        # A told burst would make the next one usual.
        count = min(self._now, self.usual + 1) if self._told else self._now
        share = MEMORY ** (gone - 1)
        self._weight = self._weight * fade + share + between
        self._sum = self._sum * fade + share * count
        self._squares = self._squares * fade + share * count * count
        self._window, self._now, self._told = window, 0, False
