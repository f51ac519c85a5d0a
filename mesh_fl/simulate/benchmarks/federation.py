"""How near a clip comes that is chosen from a network's noised row lengths, over other agents."""

import json
import math
from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.clip import exact_clip
from mesh_fl.agents.federation.steering import counting_rounds
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.registry import config_of
from mesh_fl.simulate.benchmarks import compliance, health, query, threat
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark
from mesh_fl.simulate.trial import Workload

CLIP_ERROR = Metric("clip_error", higher_is_better=False)

LOOKED_AT = (
    "telco",
    "mlc_churn",
    "cve_severity",
    "clinc150",
    "attack_controls",
    "requirement_controls",
)

SPARES = 2
"""Of the plans that benchmarks are trained by."""


def benchmarks() -> tuple[Benchmark, ...]:
    """Return one benchmark for each data set on which another agent takes steps or counts."""
    return tuple(_lengths_of(one) for one in looked_at())


def looked_at() -> Iterator[Benchmark]:
    """Yield the benchmarks of other agents whose rows are looked at: the first of each data set."""
    modules = (health, threat, query, compliance)
    found: dict[str, Benchmark] = {}
    for module in modules:
        for one in module.benchmarks():
            found.setdefault(one.dataset, one)
    yield from (found[name] for name in LOOKED_AT if name in found)


def own_clip_error(train: Data, test: Data, seed: int) -> float:
    """Return how far the clip lies that one's own records choose; far off if all are idle."""
    own, wanted = (exact_clip(data["norm"].astype(np.float64)) for data in (train, test))
    return abs(math.log(own / wanted)) if math.isfinite(own) else 1.0


def plain_config(workload: Workload) -> dict[str, object]:
    """Return the configuration of a workload's agent as a plan would hold it, but for the crowd."""
    agent = configure(workload.agent, workload.config, {"anybody": workload.records})
    found: dict[str, object] = json.loads(config_of(agent))
    return {name: value for name, value in found.items() if name not in ("records", "clients")}


def _lengths_of(other: Benchmark) -> Benchmark:
    return Benchmark(
        workload=partial(_workload, other),
        dataset=f"{other.dataset}_lengths",
        members=other.members,
        records=other.records,
        baseline=Baseline(
            "the rule, alone", own_clip_error, "The same rule on the lengths of one's own records."
        ),
        source=f"Lengths of the first rows of these records: {other.source}. What is compared with "
        "is the clip that all of them choose without noise; the rule was chosen on other splits",
    )


@cache
def _workload(other: Benchmark) -> Workload:
    seen = other.workload()
    target_config = plain_config(seen)
    config = {"target": seen.agent, "target_config": target_config}
    agent = FederatedLearning(
        target=seen.agent, target_config=target_config, records=float(seen.records)
    )
    data = agent.lengths_of(seen.data)
    rounds = counting_rounds(SPARES)
    dataset = f"lengths of {seen.dataset}"
    return Workload(dataset, "federation", config, data, CLIP_ERROR, rounds=rounds, test=data)
