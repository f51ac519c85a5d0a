"""What a benchmark is, and how an agent's benchmarks are found.

A package registers them as entry points of the group `mesh_fl.benchmarks`: the name is that of the
agent, the value a `module:function` that returns them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from mesh_fl.agent import Data
from mesh_fl.errors import ConfigError, MeshError
from mesh_fl.simulate.splits import Deal, at_random
from mesh_fl.simulate.trial import Workload

GROUP = "mesh_fl.benchmarks"
DATA_VARIABLE = "MESH_DATA"


@dataclass(frozen=True)
class Baseline:
    """What an MSP would use otherwise.

    Parameters
    ----------
    name : str
        As in a table's head.
    quality : callable
        Given records, the test records and a seed: the benchmark's figure of a model fitted on the
        former. It is fitted on each member's own records, and once on everybody's.
    remark : str
        What should be known to judge it.
    """

    name: str
    quality: Callable[[Data, Data, int], float]
    remark: str = ""


@dataclass(frozen=True)
class Benchmark:
    """An agent's task on real data; everything about it is settled before test data are seen.

    Parameters
    ----------
    workload : callable
        Loads the data. The same arrays may be returned twice.
    dataset : str
        Its short name, as on a command line. The first benchmark of a data set stands for it.
    members, records : int
        How many clients of how many records each.
    baseline : Baseline
    source : str
        Where the data come from, their licence, and whether settings were chosen on them.
    deal : callable
        Divides records among clients.
    dealt : str
        The same in words.
    """

    workload: Callable[[], Workload]
    dataset: str
    members: int
    records: int
    baseline: Baseline
    source: str
    deal: Deal = at_random
    dealt: str = "at random"


def benchmarks_of(agent: str) -> tuple[Benchmark, ...]:
    """Return the benchmarks that installed packages bring for an agent; there may be none.

    Parameters
    ----------
    agent : str
        Its registered name.

    Raises
    ------
    ConfigError
        If a package's benchmarks cannot be used.
    """
    points = sorted(entry_points(group=GROUP, name=agent), key=lambda point: point.value)
    return tuple(benchmark for point in points for benchmark in _load(point))


def data_folder() -> Path:
    """Return the folder of the data sets that come with no package.

    Raises
    ------
    ConfigError
        If nobody said where it is.
    """
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise ConfigError(
            f"these data come with no package: set {DATA_VARIABLE} to the folder that holds them"
        )
    return Path(folder)


def _load(point: EntryPoint) -> tuple[Benchmark, ...]:
    try:
        found = point.load()()
    except MeshError:
        raise
    except Exception as error:  # a stranger's code can raise anything
        raise ConfigError(
            f"the benchmarks of {point.name} are registered as {point.value}, but cannot be "
            f"loaded: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, tuple) or not all(isinstance(one, Benchmark) for one in found):
        raise ConfigError(f"expected a tuple of benchmarks from {point.value}, found {found!r:.80}")
    return found
