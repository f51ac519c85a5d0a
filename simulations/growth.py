"""How time and memory of a simulation grow with clients, records and parameters.

One of them grows at a time, from a training of a hundred records a client and a perceptron of
2,762 parameters; every point is measured in a process of its own.

Run it: python simulations/growth.py --plot growth.png
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.errors import ConfigError, MeshError
from mesh_fl.mlp import Mlp
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Shards
from mesh_fl.terminal import ERROR, show_table

FEATURES, CLASSES = 32, 10
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Point:
    """A size to measure.

    Parameters
    ----------
    clients, records, hidden : int
        Clients, records of each, and hidden units of the model.
    cohort : int, optional
        Clients in a round; everybody when left out.
    """

    clients: int = 1000
    records: int = 100
    hidden: int = 64
    cohort: int | None = None

    @property
    def parameters(self) -> int:
        """Length of the model."""
        return (FEATURES + 1) * self.hidden + (self.hidden + 1) * CLASSES


@dataclass(frozen=True)
class Cost:
    """What a point took.

    Parameters
    ----------
    setup_s : float
        To lay out the data.
    round_s : float
        Median of the rounds after the first.
    ms_per_client_round : float
    peak_mb : float
        Of the whole process; a megabyte is 10**6 bytes.
    """

    setup_s: float
    round_s: float
    ms_per_client_round: float
    peak_mb: float


@dataclass(frozen=True)
class Series:
    """Points along which one size grows.

    Parameters
    ----------
    title : str
    axis : str
        The attribute of a point that grows.
    points : tuple of Point
    """

    title: str
    axis: str
    points: tuple[Point, ...]

    @property
    def sizes(self) -> list[int]:
        return [getattr(point, self.axis) for point in self.points]


def series(quick: bool) -> tuple[Series, ...]:
    """Return what is measured; with `quick`, what is small."""
    less = 10 if quick else 1
    clients = [number // less for number in (100, 1000, 10_000)]
    middle = clients[1]
    records = (10, 30, 100) if quick else (10, 30, 100, 300, 1000)
    hidden = (16, 64) if quick else (16, 64, 256, 1024)
    return (
        Series("clients, all in each round", "clients", tuple(Point(n) for n in clients)),
        Series("clients, 10 in each round", "clients", tuple(Point(n, cohort=10) for n in clients)),
        Series("records a client", "records", tuple(Point(middle, records=n) for n in records)),
        Series("parameters", "parameters", tuple(Point(middle, hidden=n) for n in hidden)),
    )


def cost(point: Point, rounds: int) -> Cost:
    """Train in this process, which should have done nothing before."""
    began = time.perf_counter()
    agent = Mlp(
        inputs=FEATURES,
        hidden=(point.hidden,),
        classes=CLASSES,
        clients=point.cohort or point.clients,
    )
    shards = dealt(point)
    marks = [time.perf_counter()]
    simulate(
        agent,
        Exact(rounds=rounds + 1, clipped=False),
        shards,
        cohort=point.cohort,
        seed=0,
        on_round=lambda _: marks.append(time.perf_counter()),
    )
    round_s = float(np.median(np.diff(marks[1:])))
    asked = min(point.cohort or point.clients, point.clients)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
    return Cost(marks[0] - began, round_s, 1000 * round_s / asked, peak / 1e6)


def dealt(point: Point) -> Shards:
    """Return records of no meaning: what they say does not change what they cost."""
    source = np.random.default_rng(0)
    count = point.clients * point.records
    data: Data = {
        "x": source.standard_normal((count, FEATURES), dtype=np.float32),
        "y": source.integers(CLASSES, size=count),
    }
    names = tuple(f"client-{number}" for number in range(point.clients))
    return Shards(names, data, (point.records,) * point.clients)


def measure(lines: Sequence[Series], rounds: int) -> list[list[Cost]]:
    """Measure all points, each in a fresh process of one thread, one after the other."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        return [[pool.submit(cost, p, rounds).result() for p in line.points] for line in lines]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return b of the best fit a * size**b: 1 means that twice the size takes twice the cost."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def show(lines: Sequence[Series], costs: Sequence[Sequence[Cost]]) -> None:
    for line, found in zip(lines, costs, strict=True):
        rows = [
            (size, *(float(f"{value:.3g}") for value in asdict(one).values()))
            for size, one in zip(line.sizes, found, strict=True)
        ]
        power = exponent(line.sizes, [one.round_s for one in found])
        title = f"{line.title}: seconds a round ~ {line.axis} ** {power:.2f}"
        show_table(title, (line.axis, "setup s", "round s", "ms a client-round", "peak MB"), rows)


def draw(lines: Sequence[Series], costs: Sequence[Sequence[Cost]], file: Path) -> None:
    """Draw time and memory on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for line, found in zip(lines, costs, strict=True):
        left.loglog(line.sizes, [one.round_s for one in found], "o-", label=line.title)
        right.loglog(line.sizes, [one.peak_mb for one in found], "o-", label=line.title)
    for axes, words in ((left, "seconds a round"), (right, "peak memory, MB")):
        axes.set_xlabel("clients, records a client, or parameters")
        axes.set_ylabel(words)
        axes.grid(which="both", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(file, dpi=150)


def main(arguments: list[str]) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--rounds", type=int, default=5, help="timed ones, after a first")
    parser.add_argument("--quick", action="store_true", help="fewer clients, small sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them (PNG)")
    terms = parser.parse_args(arguments)
    if terms.plot and find_spec("matplotlib") is None:
        raise ConfigError(
            "expected matplotlib for a plot: `pip install matplotlib`, or leave the plot out"
        )
    lines = series(terms.quick)
    with ERROR.status("measuring"):
        costs = measure(lines, terms.rounds)
    show(lines, costs)
    if terms.json:
        found = [
            {**asdict(line), "sizes": line.sizes, "costs": [asdict(one) for one in own]}
            for line, own in zip(lines, costs, strict=True)
        ]
        terms.json.write_text(json.dumps(found, indent=2) + "\n")
    if terms.plot:
        draw(lines, costs, terms.plot)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MeshError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
