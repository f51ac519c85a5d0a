"""Several ways through the same task, in turns, so that what disturbs one disturbs all."""

import json
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median

from mesh_fl.simulate.speed import builtin, floor
from mesh_fl.simulate.speed.workload import Outcome, Task

Train = Callable[[Task], Outcome]

BYTES_A_KIB = 1024


def ways(kind: str) -> Mapping[str, tuple[Train, bool]]:
    """Return what to run by its name, and whether privately."""
    if kind == "torch":
        from mesh_fl.simulate.speed import torch_module

        return {"torch": (torch_module.train, False)}
    if kind == "startup":
        return {"builtin": (builtin.train, False)}
    return {
        "floor": (floor.train, False),
        "builtin": (builtin.train, False),
        "builtin_dp": (builtin.train, True),
        "floor_dp": (floor.train, True),
    }


def measure(kind: str, task: Task, repeats: int) -> dict[str, object]:
    """Run each way so often, in turns.

    Returns
    -------
    dict
        By way: "ms", the median over repeats of milliseconds per client-round over all rounds;
        "first_round_s", of the first run of all; "accuracy", the median. And "began", the
        `time.monotonic()` of the very first round, and "peak_mb" of this process.
    """
    runs: dict[str, list[Outcome]] = {}
    for _ in range(repeats):
        for name, (train, private) in ways(kind).items():
            runs.setdefault(name, []).append(train(replace(task, private=private)))
    first = next(iter(runs.values()))[0]
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        **{name: _told(found, task) for name, found in runs.items()},
        "began": first.marks[0],
        "peak_mb": peak_kib * BYTES_A_KIB / 1e6,
    }


def _told(outcomes: list[Outcome], task: Task) -> dict[str, float]:
    each = task.rounds * task.cohort
    return {
        "ms": median(1000 * (one.marks[-1] - one.marks[0]) / each for one in outcomes),
        "first_round_s": outcomes[0].marks[1] - outcomes[0].marks[0],
        "accuracy": median(one.accuracy for one in outcomes),
    }


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(measure(asked["kind"], Task(**asked["task"]), asked["repeats"])))  # noqa: T201
