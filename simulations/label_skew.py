"""How skewed labels slow federated averaging down: Dirichlet splits of made-up records.

Run it: python simulations/label_skew.py --rounds 30 --seeds 5
"""

import argparse
import json
import sys

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.mlp import Mlp
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Shards
from mesh_fl.simulate.splits import dirichlet
from mesh_fl.simulate.statistics import summarise
from mesh_fl.terminal import show_table

FEATURES, CLASSES, CLIENTS, RECORDS = 16, 8, 50, 40
ALPHAS = (0.05, 0.2, 1.0, 100.0)


def clusters(random: np.random.Generator, count: int) -> Data:
    """Draw records around one centre for each class; the centres are always the same."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    y = random.integers(0, CLASSES, count)
    return {"x": centres[y] + 1.2 * random.normal(size=(count, FEATURES)), "y": y}


def accuracy(alpha: float, rounds: int, seed: int) -> float:
    """Return the accuracy on records of nobody, after some rounds of ten clients each."""
    random = np.random.default_rng([seed, 7])
    data, unseen = clusters(random, CLIENTS * RECORDS), clusters(random, 2000)
    shards = Shards.deal(data, dirichlet(data["y"], CLIENTS, alpha, random))
    agent = Mlp(inputs=FEATURES, hidden=(32,), classes=CLASSES, clients=10, epochs=3, seed=seed)
    exact = Exact(rounds=rounds, clipped=False)
    state = simulate(agent, exact, shards, cohort=10, seed=seed).state
    return agent.evaluate(state, unseen)["accuracy"]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    found = {
        alpha: summarise([accuracy(alpha, chosen.rounds, seed) for seed in range(chosen.seeds)])
        for alpha in ALPHAS
    }
    if chosen.json:
        print(json.dumps({str(alpha): [one.mean, one.error] for alpha, one in found.items()}))
        return
    rows = [[f"{alpha:g}", f"{one.mean:.3f} ± {one.error:.3f}"] for alpha, one in found.items()]
    title = f"accuracy after {chosen.rounds} rounds, {CLIENTS} clients x {RECORDS} records"
    show_table(title, ["Dirichlet alpha (small: a class or two a client)", "accuracy"], rows)


if __name__ == "__main__":
    main(sys.argv[1:])
