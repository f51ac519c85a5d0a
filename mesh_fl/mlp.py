"""A multilayer perceptron in numpy, trained by federated averaging: many clients in one batch.

Weights of all clients are stacked, so that a step is a handful of batched matrix products instead
of a hundred small calls a client.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data, State
from mesh_fl.errors import AgentError
from mesh_fl.fedavg import ROUND, FedAvg
from mesh_fl.layout import Layout
from mesh_fl.local_steps import Steps

Floats = NDArray[np.float32]

LEAST_LOGIT = np.float32(-50.0)
"""Odds of 2e-22 count as no smaller."""


@dataclass(frozen=True, kw_only=True)
class Mlp(FedAvg):
    """Classifies by layers of rectified units and a softmax (Glorot, Bordes and Bengio 2011).

    Data are "x", shape (n, inputs), and "y", whole numbers below `classes`. It computes in float32.

    Parameters
    ----------
    inputs : int
        Numbers of a record.
    hidden : tuple of int
        Units of each hidden layer; empty for softmax regression.
    classes : int
    """

    inputs: int
    hidden: tuple[int, ...] = (64,)
    classes: int = 2
    measure_clip: float = 2**0.5

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        yield from super()._rules()
        yield "inputs", self.inputs >= 1, "at least 1"
        yield "hidden", min(self.hidden, default=1) >= 1, "at least 1 unit a layer"
        yield "classes", self.classes >= 2, "at least 2"

    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        """Return a matrix a layer; its last row is the bias, which starts at zero."""
        generator = np.random.default_rng(self.seed)
        widths = (self.inputs, *self.hidden, self.classes)
        layers = {}
        for number, (wide, out) in enumerate(pairwise(widths)):
            bound = wide**-0.5
            weights = generator.uniform(-bound, bound, (wide, out))
            layers[f"layer-{number}"] = np.vstack([weights, np.zeros((1, out))])
        return layers

    def local_steps(self, state: State, data: Data, steps: Steps) -> NDArray[np.float64]:
        """Train some clients at once: see `FedAvg.local_steps`."""
        x, y = _labelled(self, data)
        start = _layers(state)
        records = _Records.of(x, y, self.classes, steps)
        scratch = _Scratch.of(start, *steps.weights.shape[1:])
        active = scratch
        for step in steps:
            if steps.active[step] < active.clients:
                active = active.first(steps.active[step])
            active.descend(records, step, self.learning_rate)
        changed = [own - one for own, one in zip(scratch.weights, start, strict=True)]
        return np.concatenate([one.reshape(len(one), -1) for one in changed], axis=1)

    def predict(self, state: State, data: Data) -> NDArray[np.int64]:
        """Return the likeliest class of each record."""
        return np.asarray(self._logits(state, data).argmax(axis=1), dtype=np.int64)

    def measure_layout(self) -> Layout:
        """Return what is summed over clients: the share of records that is right, and a one."""
        return {"right": (), "clients": ()}

    def measure(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the one row of a client."""
        _, y = _labelled(self, data)
        right = float((self.predict(state, data) == y).mean()) if len(y) else 0.0
        return np.array([[right, 1.0]])

    def score(self, total: Mapping[str, NDArray[np.float64]]) -> Mapping[str, float]:
        """Return "accuracy", as a mean over clients."""
        share = float(total["right"]) / max(float(total["clients"]), 1.0)
        return {"accuracy": min(max(share, 0.0), 1.0)}

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "accuracy" and "loss", the mean negative log-likelihood."""
        _, y = _labelled(self, data)
        logits = self._logits(state, data)
        likelihood = logits[np.arange(len(y)), y] - np.logaddexp.reduce(logits, axis=1)
        return {
            "accuracy": float((logits.argmax(axis=1) == y).mean()),
            "loss": float(-likelihood.mean()),
        }

    def _logits(self, state: State, data: Data) -> NDArray[np.float64]:
        *hidden, last = (block for name, block in state.items() if name != ROUND)
        x = np.asarray(data["x"], dtype=np.float64)
        for layer in hidden:
            x = np.maximum(x @ layer[:-1] + layer[-1], 0.0)
        logits: NDArray[np.float64] = x @ last[:-1] + last[-1]
        return logits


@dataclass(frozen=True)
class _Records:
    """All clients' records, and which of them each client takes at each step.

    Parameters
    ----------
    x : ndarray, shape (n, inputs + 1)
        The last column is one, for the bias.
    targets : ndarray, shape (n, classes)
        One-hot.
    steps : Steps
    """

    x: Floats
    targets: Floats
    steps: Steps

    @classmethod
    def of(cls, x: Floats, y: NDArray[np.int64], classes: int, steps: Steps) -> Self:
        """Lay records out as the steps need them."""
        wide, targets = np.ones((len(x), x.shape[1] + 1), np.float32), np.zeros((len(x), classes))
        wide[:, :-1] = x
        targets[np.arange(len(y)), y] = 1.0
        return cls(wide, targets.astype(np.float32), steps)

    def read(self, step: int, active: int, out: Floats) -> tuple[Floats, Floats]:
        """Copy the inputs of a step into `out`, and return targets and weights, both 3-d."""
        places = self.steps.records[step, :active]
        # Places are sound by construction; any mode but "raise" spares numpy a second copy.
        np.take(self.x, places, axis=0, out=out, mode="clip")
        return self.targets.take(places, axis=0), self.steps.weights[step, :active, :, None]


@dataclass(frozen=True)
class _Scratch:
    """Weights of all clients, and room for all that a step computes, so that none allocates.

    Parameters
    ----------
    weights, gradients : list of ndarray, shape (k, inputs + 1, outputs)
        By layer.
    units : list of ndarray, shape (k, batch, inputs + 1)
        What goes into each layer; the last column is one.
    outputs : list of ndarray, shape (k, batch, outputs)
        What comes out of each layer, and later how the loss changes with it.
    """

    weights: list[Floats]
    gradients: list[Floats]
    units: list[Floats]
    outputs: list[Floats]

    @classmethod
    def of(cls, start: list[Floats], clients: int, batch: int) -> Self:
        """Make room for some clients that all start from the same weights."""
        weights = [np.repeat(layer[None], clients, axis=0) for layer in start]
        wide = [np.ones((clients, batch, layer.shape[0]), np.float32) for layer in start]
        outputs = [np.empty((clients, batch, layer.shape[1]), np.float32) for layer in start]
        return cls(weights, [np.empty_like(one) for one in weights], wide, outputs)

    @property
    def clients(self) -> int:
        """How many clients there is room for."""
        return len(self.units[0])

    def first(self, clients: int) -> Self:
        """Return the room of the first clients: theirs, not a copy."""
        kinds = (self.weights, self.gradients, self.units, self.outputs)
        return type(self)(*([one[:clients] for one in kind] for kind in kinds))

    def descend(self, records: _Records, step: int, rate: float) -> None:
        """Take one step of gradient descent with all clients."""
        weights, gradients, units, outputs = (
            self.weights,
            self.gradients,
            self.units,
            self.outputs,
        )
        targets, weight = records.read(step, self.clients, units[0])
        for layer, out in enumerate(outputs):
            np.matmul(units[layer], weights[layer], out=out)
            if layer + 1 < len(outputs):
                np.maximum(out, 0.0, out=units[layer + 1][..., :-1])
        slope = _softmax_slope(outputs[-1], targets)
        # Scaled here, where there is least of it, all gradients come out as steps.
        slope *= np.float32(rate) * weight
        for layer in reversed(range(len(outputs))):
            np.matmul(units[layer].transpose(0, 2, 1), outputs[layer], out=gradients[layer])
            if layer > 0:
                positive = outputs[layer - 1] > 0
                backward = weights[layer][:, :-1].transpose(0, 2, 1)
                np.matmul(outputs[layer], backward, out=outputs[layer - 1])
                outputs[layer - 1] *= positive
            weights[layer] -= gradients[layer]


def _softmax_slope(logits: Floats, targets: Floats) -> Floats:
    """Turn logits into the slope of the negative log-likelihood, in place."""
    logits -= logits.max(axis=-1, keepdims=True)
    # Below, products would become subnormal numbers, which take a processor ten times as long.
    np.maximum(logits, LEAST_LOGIT, out=logits)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    logits -= targets
    return logits


def _layers(state: State) -> list[Floats]:
    return [block.astype(np.float32) for name, block in state.items() if name != ROUND]


def _labelled(agent: Mlp, data: Data) -> tuple[Floats, NDArray[np.int64]]:
    x = np.asarray(data["x"]).astype(np.float32, copy=False)
    y = np.asarray(data["y"]).astype(np.int64, copy=False)
    if x.ndim != 2 or x.shape[1] != agent.inputs:
        raise AgentError(f"expected x of shape (n, {agent.inputs}), got {x.shape}")
    if len(y) and not (y.min() >= 0 and y.max() < agent.classes):
        raise AgentError(f"expected y from 0 to {agent.classes - 1}, found {y.min()} to {y.max()}")
    return x, y
