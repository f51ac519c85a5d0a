"""One workload, four engines side by side: this project, pfl-research, Flower, NVIDIA FLARE.

Each runs in a process of its own, the peers in virtual environments that are made when first
needed. Expect a quarter of an hour for all with three repeats, and a few more the first time.

Run it: python simulations/peers/run.py --only floor,mesh_fl,pfl --repeats 3
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import chart
from comparison import Row, compare, show
from engines import ENGINES, Engine, chosen
from side_by_side import Failure, Run, run_all
from workload import PARAMETERS, Task

from mesh_fl.errors import MeshError
from mesh_fl.terminal import ERROR

ENVIRONMENTS = Path(__file__).parents[2] / ".peers"
QUICK_ROUNDS = 5


def parse(arguments: list[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument(
        "--only", default="", help=f"some of {','.join(engine.name for engine in ENGINES)}"
    )
    parser.add_argument("--rounds", type=_positive, help="of each engine; else 20, fast ones 100")
    parser.add_argument("--repeats", type=_positive, default=3)
    parser.add_argument(
        "--dp",
        action=argparse.BooleanOptionalAction,
        help="only with clipping and noise, or only without; else both",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them (PNG)")
    parser.add_argument(
        "--quick", action="store_true", help="one repeat, few rounds, nothing to install"
    )
    parser.add_argument(
        "--envs", type=Path, default=ENVIRONMENTS, metavar="FOLDER", help="of virtual environments"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {number}")
    return number


def main(arguments: list[str]) -> int:
    """Compare; the exit status is 1 if an engine failed."""
    terms = parse(arguments)
    if terms.plot:
        chart.require()
    engines = chosen(terms.only, terms.quick)
    rounds = terms.rounds or (QUICK_ROUNDS if terms.quick else 0)
    modes = (False, True) if terms.dp is None else (terms.dp,)
    tasks = [Task(rounds=rounds, private=private) for private in modes]
    repeats = 1 if terms.quick else terms.repeats
    runs, failures = run_all(engines, tasks, repeats, terms.envs, _tell)
    rows = compare(runs)
    show(rows, engines)
    _explain(engines, runs, failures)
    if terms.json:
        terms.json.write_text(json.dumps(_figures(tasks, rows, runs, failures), indent=2) + "\n")
    if terms.plot:
        chart.draw(rows, engines, terms.plot)
    return 1 if failures else 0


def _tell(text: str) -> None:
    ERROR.print(text, markup=False)


def _explain(engines: Sequence[Engine], runs: Sequence[Run], failures: Sequence[Failure]) -> None:
    """Tell what the figures rest on, and what is missing."""
    for engine in engines:
        if any(run.private for run in runs if run.engine == engine.name):
            print(f"{engine.title}, noised: {engine.private}")
        if engine.note:
            print(f"{engine.title}: {engine.note}")
    disturbed = [run for run in runs if run.disturbed]
    if disturbed:
        names = ", ".join(sorted({run.engine for run in disturbed}))
        most = max(run.others_cpu_s for run in disturbed)
        _tell(f"warning: other processes took up to {most:.1f} s of CPU during runs of {names}")
    for failure in failures:
        _tell(f"{failure.engine}{', private' * failure.private} failed: {failure.message}")


def _figures(
    tasks: Sequence[Task], rows: Sequence[Row], runs: Sequence[Run], failures: Sequence[Failure]
) -> dict[str, object]:
    machine = {
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    return {
        "parameters": PARAMETERS,
        "machine": machine,
        "tasks": [asdict(task) for task in tasks],
        "rows": [asdict(row) for row in rows],
        "runs": [asdict(run) for run in runs],
        "failures": [asdict(failure) for failure in failures],
    }


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MeshError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
