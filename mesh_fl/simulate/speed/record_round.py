"""How long one record-level round of a large crowd takes: logistic regression on eight weights."""

import json
import resource
import sys
import time

import numpy as np

from mesh_fl.planning import configure, make_plan
from mesh_fl.simulate.engine import simulate
from mesh_fl.simulate.shards import Shards

FEATURES = 7


def crowd(clients: int, records: int) -> Shards:
    """Make up records of a crowd."""
    random = np.random.default_rng(0)
    count = clients * records
    x = np.ones((count, FEATURES + 1))
    x[:, :FEATURES] = random.uniform(-1, 1, (count, FEATURES))
    y = (random.random(count) < 0.3).astype(np.float64)
    names = tuple(f"client-{number:05d}" for number in range(clients))
    return Shards(names, {"x": x, "y": y}, (records,) * clients)


def measure(clients: int, records: int) -> dict[str, float]:
    """Make a plan and one private round.

    Returns
    -------
    dict
        "seconds" of both together, data at hand, and "peak_mb" of this process.
    """
    shards = crowd(clients, records)
    began = time.perf_counter()
    features = [
        {"name": f"f{number}", "kind": "number", "low": -1, "high": 1} for number in range(FEATURES)
    ]
    agent = configure("health", {"features": features}, shards.caps)
    plan = make_plan(
        agent,
        "health",
        shards.caps,
        rounds=1,
        measures=0,
        spares=0,
        survivors=clients * 9 // 10,
        colluders=clients // 10,
    )
    simulate(agent, plan, shards, seed=0)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
