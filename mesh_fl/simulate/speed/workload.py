"""The one workload that every engine runs: numpy only, the same from the same seed everywhere."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FEATURES, HIDDEN, CLASSES = 32, 64, 10
SHAPES = ((FEATURES, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))
PARAMETERS = sum(int(np.prod(shape)) for shape in SHAPES)

_CENTRES, _TEST, _START, _CLIENT = range(4)

Shard = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Features (n, 32) and labels (n,)."""

Weights = tuple[NDArray[np.float32], ...]
"""Of a multilayer perceptron with one hidden layer: shapes as in `SHAPES`."""


@dataclass(frozen=True)
class Task:
    """What an engine is asked to do.

    Parameters
    ----------
    clients, records, tests : int
        How many there are, how many examples each has, and how many are kept for testing.
    cohort : int
        Clients in a round, sampled anew.
    rounds, batch, learning_rate
        Each client takes one epoch of plain SGD a round.
    private : bool
        Clip each client's update to L2 norm `clip`, and add Gaussian noise of standard deviation
        `sigma` to their sum.
    seed : int
        Of data and start.
    """

    clients: int = 100
    records: int = 100
    tests: int = 2000
    cohort: int = 10
    rounds: int = 20
    batch: int = 10
    learning_rate: float = 0.1
    private: bool = False
    clip: float = 1.0
    sigma: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What an engine says when it is done.

    Parameters
    ----------
    marks : list of float
        `time.monotonic()` when the first round began and after rounds, the last one included.
    accuracy : float
        Of the final model on the test examples.
    """

    marks: list[float] = field(repr=False)
    accuracy: float


def shard(task: Task, client: int) -> Shard:
    """Return what one client has: its labels are skewed by a Dirichlet(1) draw of its own."""
    source = np.random.default_rng((task.seed, _CLIENT, client))
    skew = source.dirichlet(np.ones(CLASSES))
    labels = source.choice(CLASSES, size=task.records, p=skew)
    return _examples(task, labels, source)


def shards(task: Task) -> list[Shard]:
    """Return what all clients have."""
    return [shard(task, client) for client in range(task.clients)]


def test_set(task: Task) -> Shard:
    """Return examples of all classes alike."""
    source = np.random.default_rng((task.seed, _TEST))
    return _examples(task, source.integers(CLASSES, size=task.tests), source)


def _examples(task: Task, labels: NDArray[np.int64], source: np.random.Generator) -> Shard:
    centres = np.random.default_rng((task.seed, _CENTRES)).normal(
        scale=0.6, size=(CLASSES, FEATURES)
    )
    features = centres[labels] + source.normal(size=(len(labels), FEATURES))
    return features.astype(np.float32), labels.astype(np.int64)


def start(task: Task) -> Weights:
    """Return the peers' model before round 1: uniform within 1/sqrt(inputs), biases 0.

    Our own agents start themselves, as their users' would.
    """
    source = np.random.default_rng((task.seed, _START))
    return tuple(
        source.uniform(-1, 1, shape).astype(np.float32)
        * np.float32(shape[0] ** -0.5 * (len(shape) > 1))
        for shape in SHAPES
    )


def accuracy(weights: Weights, task: Task) -> float:
    """Return how many of the test examples a model puts into the right class."""
    features, labels = test_set(task)
    hidden = np.maximum(features @ weights[0] + weights[1], 0)
    return float(((hidden @ weights[2] + weights[3]).argmax(axis=1) == labels).mean())


def digest(task: Task) -> str:
    """Return the SHA-256 of everything that the engines are given."""
    found = hashlib.sha256()
    for arrays in (*shards(task), test_set(task), start(task)):
        for array in arrays:
            found.update(array.tobytes())
    return found.hexdigest()


def answer(train: Callable[[Task], Outcome]) -> None:
    """Do the task in the file of the first argument; tell in the file of the second."""
    task = read_task(sys.argv[1])
    outcome = train(task)
    told = {**asdict(outcome), "digest": digest(task)}
    Path(sys.argv[2]).write_text(json.dumps(told))


def read_task(file: str) -> Task:
    """Return the task that a JSON file describes."""
    return Task(**json.loads(Path(file).read_text()))


def now() -> float:
    """Return a time that can be compared between processes of one machine."""
    return time.monotonic()
