"""How good the clip is that row lengths choose, beside every other clip.

For each public data set an agent is trained with clips in steps of 10 %, with the same splits and
directions of noise; "best" is the clip with the best mean quality over all seeds. Beside it stand
the clip that the rule takes of exact lengths, of noised ones, and the configured one.

Run it: python simulations/clip_sweep.py telco --seeds 10
A sweep of texts takes hours; with the best clip known from one, this takes minutes:
python simulations/clip_sweep.py clinc150 --clip 0.77
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, State
from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.clip import exact_clip
from mesh_fl.agents.federation.norms import row_norms
from mesh_fl.layout import size, unpack
from mesh_fl.planning import make_plan
from mesh_fl.privacy.plan import Plan
from mesh_fl.simulate.benchmarks.benchmark import Benchmark
from mesh_fl.simulate.benchmarks.federation import looked_at, plain_config
from mesh_fl.simulate.engine import simulate
from mesh_fl.simulate.statistics import paired
from mesh_fl.simulate.trial import Crowd
from mesh_fl.terminal import show_table

Vector = NDArray[np.float64]

STEPS = 1.1 ** np.arange(-24, 12)
"""Clips tried, times the configured one: from a tenth to nearly three times."""

EPSILON = 0.1
EPSILON_OF_LENGTHS = 0.0143
"""Three percent of the budget of 0.1, as squared mu counts it."""


@dataclass(frozen=True)
class Swept:
    """One split.

    Parameters
    ----------
    quality : ndarray, shape (clips,)
    clips, led_to : dict of str to float
        "exact", "noised" and "configured", and the quality of each.
    """

    quality: Vector
    clips: Mapping[str, float]
    led_to: Mapping[str, float]


def sweep(benchmark: Benchmark, seed: int, tried: Sequence[float]) -> Swept:
    workload = benchmark.workload()
    crowd = Crowd.gather(workload, benchmark.members, benchmark.records, seed, benchmark.deal)
    agent, sign = crowd.agent, workload.metric.sign
    plan = crowd.plan(EPSILON)

    def quality(clip: float) -> float:
        return sign * crowd.quality(trained(agent, crowd, plan, clip, seed))

    clips = chosen(crowd, seed)
    grid = tried or (STEPS * agent.clip).tolist()
    led_to = {name: quality(clip) for name, clip in clips.items()}
    return Swept(np.array([quality(clip) for clip in grid]), clips, led_to)


def trained(agent: Agent, crowd: Crowd, plan: Plan, clip: float, seed: int) -> State:
    """Train by sums of float rows: a sweep has no use for integers."""
    random, state = np.random.default_rng([seed, 77]), agent.init()
    honest = plan.survivors - plan.colluders
    sigma = (plan.multiplier or 0.0) * math.sqrt(len(crowd.shards) / honest) * clip
    for _ in range(plan.rounds):
        rows = agent.contribute(state, crowd.shards.data)
        total = rows.T @ np.minimum(1.0, clip / np.maximum(row_norms(rows), 1e-300))
        layout = agent.layout(state)
        noise = sigma * random.standard_normal(size(layout))
        state = agent.apply(state, unpack(layout, np.asarray(total).ravel() + noise))
    return state


def chosen(crowd: Crowd, seed: int) -> dict[str, float]:
    config = plain_config(crowd.workload)
    counting = FederatedLearning(
        target=crowd.workload.agent, target_config=config, records=float(sum(crowd.caps.values()))
    )
    shards = {name: counting.lengths_of(crowd.shards[k]) for k, name in enumerate(crowd.caps)}
    terms = crowd.plan(EPSILON)
    plan = make_plan(
        counting,
        "federation",
        crowd.caps,
        rounds=8,
        measures=0,
        survivors=terms.survivors,
        colluders=terms.colluders,
        epsilon=EPSILON_OF_LENGTHS,
    )
    state = simulate(counting, plan, shards, seed=seed).state
    norms = np.concatenate([shard["norm"].astype(np.float64) for shard in shards.values()])
    return {
        "exact": exact_clip(norms),
        "noised": counting.chosen(state),
        "configured": float(crowd.agent.clip),
    }


def row(benchmark: Benchmark, swept: Sequence[Swept], tried: Sequence[float]) -> list[str]:
    grid = tried or (STEPS * swept[0].clips["configured"]).tolist()
    quality = np.array([one.quality for one in swept])
    best = int(quality.mean(axis=0).argmax())
    cells = [benchmark.dataset, f"{grid[best]:.3f}", f"{abs(quality[:, best].mean()):.4f}"]
    for name in ("exact", "noised", "configured"):
        gap = paired([one.led_to[name] for one in swept], quality[:, best].tolist())
        cells += [f"{np.mean([one.clips[name] for one in swept]):.3f}", str(gap)]
    return cells


def main() -> None:
    known = {one.dataset: one for one in looked_at()}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", nargs="+", choices=list(known))
    parser.add_argument("--clip", type=float, action="append", default=[])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=5000)
    told = parser.parse_args()
    seeds = range(told.first_seed, told.first_seed + told.seeds)
    rows = [
        row(known[name], [sweep(known[name], seed, told.clip) for seed in seeds], told.clip)
        for name in told.dataset
    ]
    head = ["data", "best clip", "quality"]
    for name in ("exact", "noised", "configured"):
        head += [f"{name} clip", "less than best by"]
    show_table("clips", head, rows)


if __name__ == "__main__":
    main()
