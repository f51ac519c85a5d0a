"""How a simulation goes: who takes part, what is promised, and what runs."""

import math
import secrets
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

from mesh_fl.errors import ConfigError
from mesh_fl.simulate.conduct import Conduct
from mesh_fl.simulate.engine import Noise
from mesh_fl.simulate.trial import SURVIVORS

Engine = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a simulation goes.

    Parameters
    ----------
    clients : int
    records : int, optional
        Of each client, on average; as many as there are when left out.
    epsilon : float
        Total promise; infinite for clipped sums without noise.
    split : str, optional
        As `deal_of` reads it; the data set's own when left out.
    cohort : int, optional
        Clients drawn for each round; everybody when left out.
    survivors : int, optional
        Clients whose answers suffice; nine in ten of those expected when left out.
    spares : int
        Attempts that may come to nothing before the budget is spent.
    conduct : Conduct
        Who is away, falls silent, is late.
    encrypted : bool
        Whether members, masks and BFV run too.
    engine : {"local", "ray"}
        This process, or Flower's simulation runtime.
    nodes : int, optional
        Of that runtime; the processors of this machine when left out.
    seed : int
        Of split, conduct and noise.
    noise : {"one draw", "shares"}
        See `simulate`; encrypted rounds always have shares.

    Raises
    ------
    ConfigError
        If parts of it exclude each other.
    """

    clients: int
    records: int | None = None
    epsilon: float = 0.1
    split: str | None = None
    cohort: int | None = None
    survivors: int | None = None
    spares: int = 2
    conduct: Conduct = field(default_factory=Conduct)
    encrypted: bool = False
    engine: Engine = "local"
    nodes: int | None = None
    seed: int = 0
    noise: Noise = "one draw"

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if not self.epsilon > 0:
            raise ConfigError(f"--epsilon: expected a number above 0, or inf, found {self.epsilon}")
        if self.cohort is not None and self.cohort > self.clients:
            raise ConfigError(
                f"--cohort: expected at most the {self.clients} clients, found {self.cohort}"
            )
        if self.nodes is not None and self.engine != "ray":
            raise ConfigError("--nodes is for --engine ray: leave one out, or give both")
        if self.encrypted:
            self._refuse_encrypted()

    def _refuse_encrypted(self) -> None:
        for option, chosen, why in (
            ("--cohort", self.cohort is not None, "a deployment asks every member in every round"),
            ("--epsilon inf", math.isinf(self.epsilon), "members refuse to train without noise"),
            ("--engine ray", self.engine == "ray", "members run in this process"),
        ):
            if chosen:
                raise ConfigError(f"--encrypted excludes {option}, since {why}: leave one out")

    @property
    def asked(self) -> int:
        """Clients that a round asks at most."""
        return self.cohort or self.clients

    @property
    def enough(self) -> int:
        """Clients whose answers a plan shall settle for."""
        here = min(self.asked, self.clients * (1 - self.conduct.absent))
        answers = here * (1 - self.conduct.dropout) * _share_in_time(self.conduct)
        return self.survivors or max(2, int(SURVIVORS * answers))


def fresh_seed() -> int:
    """Return a seed that nobody chose; it is told, so that the run can be repeated."""
    return secrets.randbits(32)


def _share_in_time(conduct: Conduct) -> float:
    """Return the share of answers that come before the timeout; times are log-normal."""
    if conduct.median_s == 0 or math.isinf(conduct.timeout_s):
        return 1.0
    if conduct.spread == 0 or conduct.timeout_s == 0:
        return float(conduct.median_s <= conduct.timeout_s)
    return NormalDist().cdf(math.log(conduct.timeout_s / conduct.median_s) / conduct.spread)
