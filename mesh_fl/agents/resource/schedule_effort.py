"""How much a search may do: so many steps, the same on every machine, and so long by the clock."""

import time
from dataclasses import dataclass


@dataclass
class Clock:
    """Ends a search after some steps, or, on a slow machine, at a moment.

    Parameters
    ----------
    steps : int
    deadline : float
        As `time.monotonic` counts.
    was_cut : bool
        Whether it was the moment that ended it: then another run may find another plan.
    """

    steps: int
    deadline: float
    was_cut: bool = False

    def is_over(self, done: int) -> bool:
        """Tell whether to stop after so many steps."""
        if done >= self.steps:
            return True
        self.was_cut = self.was_cut or time.monotonic() >= self.deadline
        return self.was_cut

    def share(self, done: int) -> float:
        """Return how much of it is over, 0 to 1."""
        return min(1.0, done / self.steps) if self.steps > 0 else 1.0
