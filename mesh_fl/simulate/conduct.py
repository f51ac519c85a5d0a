"""How simulated clients behave: who is there when asked, who falls silent, who is late."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.errors import ConfigError

Places = NDArray[np.int64]

MOST_SPREAD = 20.0


@dataclass(frozen=True)
class Turnout:
    """Who of those that were asked answered in time.

    Parameters
    ----------
    answered : ndarray of int
        Places of clients, in the order in which they were asked.
    duration_s : float
        How long the server waited, in simulated time.
    """

    answered: Places
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """Chances of absence, silence and delay; independent between clients and attempts.

    Parameters
    ----------
    absent : float
        Chance that a client is away when a round begins; it is then not asked.
    dropout : float
        Chance that a client which was asked falls silent before it has answered.
    median_s : float
        Median time that a client takes to answer, in simulated seconds.
    spread : float
        Standard deviation of the logarithm of that time: 0 makes all clients equally fast, with 1
        one in six takes more than 2.7 times the median.
    timeout_s : float
        How long the server waits; whoever takes longer counts as silent.

    Raises
    ------
    ConfigError
        If a chance is not in [0, 1), or a time is negative.
    """

    absent: float = 0.0
    dropout: float = 0.0
    median_s: float = 0.0
    spread: float = 0.0
    timeout_s: float = math.inf

    def __post_init__(self) -> None:
        """Refuse what is no chance, and no time."""
        for name in ("absent", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"{name}: expected a chance from 0 to below 1, found {getattr(self, name)}"
                )
        for name in ("median_s", "spread", "timeout_s"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name}: expected at least 0, found {getattr(self, name)}")
        if not (math.isfinite(self.median_s) and self.spread <= MOST_SPREAD):
            raise ConfigError(
                f"expected a finite median_s and a spread of at most {MOST_SPREAD:g}, found "
                f"{self.median_s} and {self.spread}"
            )

    @property
    def reliable(self) -> bool:
        """Tell whether everybody always answers at once."""
        return self.absent == self.dropout == self.median_s == 0

    def present(self, clients: Places, random: np.random.Generator) -> Places:
        """Return who is there to be asked."""
        return clients if self.absent == 0 else clients[random.random(len(clients)) >= self.absent]

    def turnout(self, asked: Places, random: np.random.Generator) -> Turnout:
        """Ask clients, and wait for the last of them or for the timeout."""
        if self.reliable or len(asked) == 0:
            return Turnout(asked, 0.0)
        takes_s = self.median_s * np.exp(self.spread * random.standard_normal(len(asked)))
        takes_s[random.random(len(asked)) < self.dropout] = math.inf
        late = takes_s > self.timeout_s
        answered = asked[~late & np.isfinite(takes_s)]
        waited_s = min(float(takes_s.max()), self.timeout_s)
        if not math.isfinite(waited_s):
            # Without a timeout, silence is noticed as soon as everybody else has answered.
            waited_s = float(takes_s[np.isfinite(takes_s)].max(initial=0.0))
        return Turnout(answered, waited_s)
