"""Whether the federation pays for a hundred MSPs of 56 customers, over fresh splits and noise.

Run it: python simulations/crowd_of_small_msps.py --splits 10
"""

import argparse
import json
import sys

import numpy as np

from mesh_fl.simulate.demo.crowd import CrowdResult, crowd
from mesh_fl.terminal import show_table

KINDS = ("alone", "federated", "adapted", "pooled")
PAIRS = (
    ("federated", "alone"),
    ("adapted", "alone"),
    ("adapted", "federated"),
    ("pooled", "federated"),
)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Return a mean and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)


def summary(results: list[CrowdResult]) -> dict[str, dict[str, float]]:
    """Return mean AUC by kind of model, and paired differences, with standard errors."""
    found: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        mean, error = mean_and_error([getattr(r, kind) for r in results])
        found[kind] = {"mean": mean, "standard_error": error}
    for better, worse in PAIRS:
        gaps = [getattr(r, better) - getattr(r, worse) for r in results]
        mean, error = mean_and_error(gaps)
        found[f"{better} - {worse}"] = {"mean": mean, "standard_error": error}
    return found


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=10, help="fresh splits and noise seeds")
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--customers", type=int, default=56, help="of each member, at most 64")
    parser.add_argument("--epsilon", type=float, default=0.1, help="total, of each record")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    sizes = (chosen.customers,) * chosen.members
    results = []
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.splits):
        results.append(crowd(seed, sizes, chosen.epsilon))
        print(f"split {seed}: federated {results[-1].federated:.4f}", file=sys.stderr)
    found = summary(results)
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    rows = [[k, f"{v['mean']:+.4f}", f"{v['standard_error']:.4f}"] for k, v in found.items()]
    title = f"test AUC, {chosen.members} MSPs of {chosen.customers}, epsilon = {chosen.epsilon:g}"
    show_table(f"{title}, {chosen.splits} splits", ["", "mean", "standard error"], rows)


if __name__ == "__main__":
    main(sys.argv[1:])
