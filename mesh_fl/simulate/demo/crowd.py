"""Many small MSPs, simulated with the members, messages and noise of a deployment."""

from dataclasses import dataclass
from statistics import fmean

from mesh_fl.planning import make_plan
from mesh_fl.privacy.plan import Plan
from mesh_fl.simulate.demo.quality import compare
from mesh_fl.simulate.demo.telco import CROWD, deal, demo_agent, load_telco, prepare
from mesh_fl.simulate.network import rehearse

CAP = 64
SURVIVORS, COLLUDERS = 90, 10


@dataclass(frozen=True)
class CrowdResult:
    """Mean test AUC over the members of a simulated crowd.

    Parameters
    ----------
    alone, federated, adapted, pooled : float
        As in `Comparison`; means over members.
    epsilon : float
        The promise that was kept.
    members, rounds : int
        How many took part, how often.
    """

    alone: float
    federated: float
    adapted: float
    pooled: float
    epsilon: float
    members: int
    rounds: int


def crowd(seed: int, sizes: tuple[int, ...] = CROWD, epsilon: float = 0.1) -> CrowdResult:
    """Train one crowd on one split.

    Parameters
    ----------
    seed : int
        Of the split and of the noise.
    sizes : tuple of int
        Customers of each member.
    epsilon : float
        The total promise.
    """
    split = deal(load_telco(), sizes, seed)
    caps = dict.fromkeys(split.members, CAP)
    agent = demo_agent(caps)
    shards = {name: prepare(agent, customers) for name, customers in split.members.items()}
    test = prepare(agent, split.test)
    plan = crowd_plan(caps, epsilon)
    outcome = rehearse(agent, plan, shards, seed=seed)
    found = compare(agent, outcome.state, shards, test)
    return CrowdResult(
        alone=fmean(found.alone),
        federated=found.federated,
        adapted=fmean(found.adapted),
        pooled=found.pooled,
        epsilon=plan.epsilon,
        members=len(shards),
        rounds=plan.rounds,
    )


def crowd_plan(caps: dict[str, int], epsilon: float) -> Plan:
    """Return the plan of a crowd: nine in ten must survive, one in ten may collude."""
    members = len(caps)
    return make_plan(
        demo_agent(caps),
        "health",
        caps,
        rounds=16,
        survivors=max(2, members * SURVIVORS // 100),
        colluders=members * COLLUDERS // 100,
        epsilon=epsilon,
    )
