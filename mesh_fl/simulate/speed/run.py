"""`mesh-sim speed`: this engine beside a numpy floor, on the workload of the comparison."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from typing import cast

import typer

from mesh_fl.errors import MeshError
from mesh_fl.simulate.speed.workload import PARAMETERS, Task
from mesh_fl.terminal import show_json, show_table

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CROWD, RECORDS = 10_000, 100
TIMEOUT_S = 600.0

Told = Mapping[str, Mapping[str, float]]


def speed(rounds: int, repeats: int, tell: Callable[[str], None]) -> dict[str, float | int | None]:
    """Measure this engine, each kind of run in processes of its own, one thread each.

    Parameters
    ----------
    rounds : int
        Of a run, of ten clients each.
    repeats : int
        Medians are over so many.
    tell : callable
        Told what is being measured.

    Returns
    -------
    dict
        Milliseconds per client-round over all rounds of a run; `dp_ratio`, with privacy over
        without; `startup_s`, from the start of a process to its first round; `peak_mb`, of a
        process that runs the built-in perceptron; `record_round_s`, a plan and one private round of
        10,000 clients with 100 records each. What needs torch is None without it.
    """
    task = Task(rounds=rounds)
    tell("numpy: floor and built-in, in turns")
    numpy_ways = cast(Told, _ask("numpy", task, repeats))
    tell("start-up and memory")
    began = time.monotonic()
    started = _ask("startup", task, 1)
    tell(f"one record-level round of {CROWD:,} clients with {RECORDS} records")
    large = _told(["-m", "mesh_fl.simulate.speed.record_round", str(CROWD), str(RECORDS)])
    torch: Mapping[str, float] = {}
    if find_spec("torch"):
        tell("a user's torch module")
        torch = cast(Told, _ask("torch", task, repeats))["torch"]
    builtin, private, floor = (numpy_ways[name] for name in ("builtin", "builtin_dp", "floor"))
    return {
        "builtin_ms_per_client_round": builtin["ms"],
        "torch_ms_per_client_round": torch.get("ms"),
        "floor_ms_per_client_round": floor["ms"],
        "builtin_over_floor": builtin["ms"] / floor["ms"],
        "dp_ratio": private["ms"] / builtin["ms"],
        "startup_s": cast(float, started["began"]) - began,
        "peak_mb": cast(float, started["peak_mb"]),
        "torch_first_round_s": torch.get("first_round_s"),
        "builtin_accuracy": builtin["accuracy"],
        "torch_accuracy": torch.get("accuracy"),
        "floor_accuracy": floor["accuracy"],
        "builtin_dp_accuracy": private["accuracy"],
        "floor_dp_accuracy": numpy_ways["floor_dp"]["accuracy"],
        "record_round_s": cast(float, large["seconds"]),
        "record_round_peak_mb": cast(float, large["peak_mb"]),
        "rounds": rounds,
        "repeats": repeats,
    }


def show(rounds: int, repeats: int, as_json: bool) -> None:
    """Measure, and print a table or JSON."""
    found = speed(rounds, repeats, partial(typer.echo, err=True))
    if as_json:
        show_json(found)
        return
    rows = [[name.replace("_", " "), _figure(value)] for name, value in found.items()]
    title = f"FedAvg, 10 of 100 clients x 100 records a round, {PARAMETERS:,} parameters, 1 thread"
    show_table(title, ["", ""], rows)


def _figure(value: float | int | None) -> str:
    if value is None:
        return "needs torch: pip install 'mesh_fl[torch]'"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _ask(kind: str, task: Task, repeats: int) -> Mapping[str, object]:
    asked = json.dumps({"kind": kind, "task": asdict(task), "repeats": repeats})
    return _told(["-m", "mesh_fl.simulate.speed.interleaved", asked])


def _told(arguments: list[str]) -> Mapping[str, object]:
    environment = {**os.environ, **ONE_THREAD}
    run = subprocess.run(  # noqa: S603  # our own modules, by our own interpreter
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if run.returncode:
        raise MeshError(f"{' '.join(arguments[:2])} failed:\n{run.stderr[-2000:]}")
    found: dict[str, object] = json.loads(run.stdout)
    return found
