"""A policy that was learned: a small network corrects the order of WSPT.

It is served by numpy alone. Files are safetensors, so that nothing in one is ever run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mesh_fl.agents.resource.arrivals import Known
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.policy import Chooser, Seen
from mesh_fl.agents.resource.policy_features import FEATURES, Tickets
from mesh_fl.errors import ConfigError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

HIDDEN = 16

SHAPES: Mapping[str, tuple[int, ...]] = {
    "linear": (len(FEATURES),),
    "hidden": (len(FEATURES), HIDDEN),
    "bias": (HIDDEN,),
    "out": (HIDDEN,),
}

SIZE = sum(int(np.prod(shape)) for shape in SHAPES.values())

LARGEST_BYTES = 65_536
FARTHEST = 1e6
"""Of a weight."""


@dataclass(frozen=True)
class LearnedPolicy:
    """Ranks by log(hours / weight), as WSPT does, plus a linear score and a hidden layer.

    Parameters
    ----------
    weights : ndarray, shape (SIZE,)
        All blocks of `SHAPES` in a row.

    Raises
    ------
    ConfigError
        If there are too few or many, or one is not finite.
    """

    weights: Vector = field(repr=False)
    name: str = "learned"

    def __post_init__(self) -> None:
        found = self.weights
        if found.shape != (SIZE,) or not (np.abs(found) <= FARTHEST).all():
            raise ConfigError(f"policy: expected {SIZE} finite weights, found others; train again")

    @classmethod
    def start(cls) -> "LearnedPolicy":
        """Return what learning begins with: the order of WSPT, and a network that is silent.

        The hidden weights are the same fixed numbers always; their output counts nothing yet.
        """
        blocks = {name: np.zeros(shape) for name, shape in SHAPES.items()}
        hidden = np.random.default_rng(0).normal(size=SHAPES["hidden"])
        return cls.of({**blocks, "hidden": hidden / np.sqrt(len(FEATURES))})

    @classmethod
    def of(cls, blocks: Mapping[str, NDArray[np.float64]]) -> "LearnedPolicy":
        """Return the policy of some blocks."""
        return cls(np.concatenate([blocks[name].ravel() for name in SHAPES]))

    @classmethod
    def load(cls, path: Path) -> "LearnedPolicy":
        """Read a policy.

        Raises
        ------
        ConfigError
            If the file cannot be read or holds no such policy.
        """
        try:
            if path.exists() and not path.is_file():
                raise ConfigError(f"policy: expected a file, found {path}, which is none")
            with path.open("rb") as file:
                blob = file.read(LARGEST_BYTES + 1)
            blocks = load(blob) if len(blob) <= LARGEST_BYTES else {}
        except OSError as error:
            raise ConfigError(f"policy: cannot read {path}: {error.strerror}") from None
        except (SafetensorError, ValueError, KeyError, TypeError):
            blocks = {}
        found = {name: (block.shape, str(block.dtype)) for name, block in blocks.items()}
        if found != {name: (shape, "float64") for name, shape in SHAPES.items()}:
            raise ConfigError(
                f"policy: expected a policy written by `mesh-sim dispatch --train`, found another "
                f"file in {path}; train one"
            )
        return cls.of(blocks)

    def save(self, path: Path) -> None:
        """Write it.

        Raises
        ------
        ConfigError
            If the file cannot be written.
        """
        try:
            path.write_bytes(save(dict(self.blocks)))
        except OSError as error:
            raise ConfigError(f"policy: cannot write {path}: {error.strerror}") from None

    @property
    def blocks(self) -> Mapping[str, NDArray[np.float64]]:
        """The weights by their shapes."""
        ends = np.cumsum([int(np.prod(shape)) for shape in SHAPES.values()])
        parts = np.split(self.weights, ends[:-1])
        named = zip(SHAPES.items(), parts, strict=True)
        return {name: part.reshape(shape) for (name, shape), part in named}

    def begin(self, known: Known, crew: Crew) -> Chooser:
        """Rank at each decision."""
        tickets, network = Tickets(known, crew), Network(self.blocks)

        def ranks(seen: Seen) -> Vector:
            found: Vector = tickets.log_ratio[seen.waiting] + network(tickets.features(seen))
            return found

        return ranks


class Network:
    """What is added to the order of WSPT.

    Parameters
    ----------
    blocks : mapping of str to ndarray
        As `SHAPES` has it.
    """

    def __init__(self, blocks: Mapping[str, NDArray[np.float64]]) -> None:
        # One product in place of two: there are few tickets at a time, and calls are what counts.
        self._first = np.column_stack([blocks["linear"], blocks["hidden"]])
        self._bias = np.concatenate([[0.0], blocks["bias"]])
        self._out = blocks["out"]

    def __call__(self, features: Matrix) -> Vector:
        """Return a score for each ticket, shape (tickets,); the smallest goes first."""
        found = features @ self._first + self._bias
        scores: Vector = found[:, 0] + np.tanh(found[:, 1:]) @ self._out
        return scores
