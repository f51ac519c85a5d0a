"""How many members like these it would take, where so few gain nothing."""

import time
from dataclasses import dataclass
from statistics import fmean

from mesh_fl.errors import DataError, PlanError
from mesh_fl.simulate.statistics import FEWEST_SEEDS, verdict
from mesh_fl.simulate.trial import Crowd
from mesh_fl.simulate.workloads import Material

FACTORS = (2, 4, 8, 16, 32)
"""By which a crowd is enlarged, until it gains."""

FITTED = 6
"""Members whose own models are fitted in a trial."""


@dataclass(frozen=True)
class Enough:
    """What larger crowds came to.

    Parameters
    ----------
    members : int or None
        The smallest crowd tried that gains; None if none does.
    tried : int
        The largest crowd tried; 0 if there was no time or no data for any.
    """

    members: int | None
    tried: int

    @property
    def sentence(self) -> str:
        """Say it in one clause."""
        if self.members is not None:
            return f"about {self.members} such MSPs would gain"
        if self.tried:
            return f"{self.tried} such MSPs would gain nothing, either"
        return "no larger crowd could be tried"


def enough(material: Material, records: int, members: int, epsilon: float, until: float) -> Enough:
    """Enlarge a crowd until it gains, the records run out, or the time is over.

    Parameters
    ----------
    material : Material
        Public or made-up records.
    records : int
        Of each member.
    members : int
        How many there are now.
    epsilon : float
    until : float
        On the clock of `time.monotonic`; no crowd is begun after it.
    """
    tried = 0
    for factor in FACTORS:
        if time.monotonic() > until:
            break
        try:
            gains = _gains(material, members * factor, records, epsilon)
        except (DataError, PlanError):
            break
        tried = members * factor
        if gains:
            return Enough(tried, tried)
    return Enough(None, tried)


def _gains(material: Material, members: int, records: int, epsilon: float) -> bool:
    """Try a crowd; fewer members' own models tell it from being alone than a benchmark fits."""
    workload = material.workload
    public, alone, federated, adapted = ([0.0] * FEWEST_SEEDS for _ in range(4))
    for seed in range(FEWEST_SEEDS):
        crowd = Crowd.gather(workload, members, records, seed)
        some, state = crowd.some()[:FITTED], crowd.federate(epsilon)
        public[seed] = crowd.quality(crowd.agent.init())
        alone[seed] = fmean(crowd.quality(crowd.alone(data)) for data in some)
        federated[seed] = crowd.quality(state)
        adapted[seed] = fmean(crowd.quality(crowd.agent.adapt(state, data)) for data in some)
    rising = workload.metric.higher_is_better
    return verdict(public, alone, federated, adapted, rising) == "gain"
