"""An agent from any torch module and a loss: its rows are per-record gradients.

Abadi et al. 2016, "Deep Learning with Differential Privacy", with the per-record gradients of
Opacus (Yousefpour et al. 2021, arXiv 2109.12298). torch and Opacus are imported when first used.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data, Rows, State, Total
from mesh_fl.errors import ConfigError
from mesh_fl.layout import Layout, size
from mesh_fl.torch_flops import flops_of, threads_for
from mesh_fl.torch_module import (
    Tensors,
    TorchModel,
    array_of,
    count_of,
    refuse,
    tracking,
    trained,
)

if TYPE_CHECKING:
    from torch import nn

VELOCITY = "velocity/"
"""Prefix of the momentum blocks; torch never puts a slash into a parameter's name."""


@dataclass(frozen=True, kw_only=True)
class TorchAgent(TorchModel):
    """Trains a torch module by summed clipped gradients with momentum.

    Subclasses are frozen keyword-only dataclasses that give `module` and `loss`. The module
    computes in float64: in float32 a row would change by 1e-7 with the records next to it. Dropout
    is off, since a row may not be random. Only parameters that require a gradient are trained and
    travel; everything else must come out of `module` the same at every member.

    Parameters
    ----------
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a record's gradient over all parameters.
    learning_rate : float
        Step size on the mean gradient.
    momentum : float
        Share of the last step that is kept.
    seed : int
        Of the initial parameters.
    chunk_records : int
        Records whose gradients are in memory at once.
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "opacus")

    records: float
    clip: float = 1.0
    learning_rate: float = 0.5
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        for name, sound, expected in self._rules():
            if not sound:
                found = getattr(self, name)
                raise ConfigError(
                    f"{type(self).__name__}, {name}: expected {expected}, got {found!r}"
                )

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        for name in ("records", "clip", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"
        yield "chunk_records", self.chunk_records >= 1, "at least 1"

    def init(self) -> State:
        """Return the module's first parameters, and velocities of zero."""
        parameters = {name: array_of(p) for name, p in trained(self.build_module()).items()}
        at_rest = {VELOCITY + name: np.zeros_like(value) for name, value in parameters.items()}
        return {**parameters, **at_rest}

    def layout(self, state: State) -> Layout:
        """Return the trained parameters' blocks."""
        return {n: value.shape for n, value in state.items() if not n.startswith(VELOCITY)}

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each record's gradient, flattened in the order of the layout.

        Raises
        ------
        AgentError
            If the loss is not one number per record.
        """
        rows = np.zeros((count_of(data), size(self.layout(state))))
        for start, part in self._parts(data):
            gradients = self._gradients(state, part)
            rows[start : start + len(gradients)] = gradients
        return rows

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum on the mean gradient."""
        velocity = {
            name: self.momentum * state[VELOCITY + name] - self.learning_rate * block / self.records
            for name, block in total.items()
        }
        moved = {name: state[name] + step for name, step in velocity.items()}
        return {**moved, **{VELOCITY + name: step for name, step in velocity.items()}}

    def _gradients(self, state: State, data: Data) -> NDArray[np.float64]:
        module, tensors = self.build_module(state), self.tensors_of(data)
        with threads_for(self._flops(module, tensors)):
            self._backward(module, tensors)
        parts = [_sample(p, count_of(data)) for p in trained(module).values()]
        return np.concatenate(parts, axis=1)

    def _flops(self, module: "nn.Module", tensors: Tensors) -> int:
        """Return what gradients take: twice as much as the way forward, which is added."""
        one = {name: values[:1] for name, values in tensors.items()}
        return 3 * len(next(iter(tensors.values()))) * flops_of(lambda: self._output(module, one))

    def _backward(self, module: "nn.Module", tensors: Tensors) -> None:
        """Leave each record's gradient with the parameters."""
        import torch
        from opacus.grad_sample import GradSampleModule

        losses = self.losses_of(GradSampleModule(module, loss_reduction="sum"), tensors)
        with warnings.catch_warnings():
            # Inputs need no gradient of their own, which torch mistakes for an oversight.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            torch.autograd.backward([losses.sum()])

    def _refuse_layers(self, module: "nn.Module") -> None:
        """Refuse layers that mix records, or whose gradients cannot be told apart by record."""
        from opacus.validators import ModuleValidator

        problems = [str(error) for error in ModuleValidator.validate(module, strict=False)]
        refuse(type(self).__name__, problems or tracking(module))


def _sample(parameter: "nn.Parameter", records: int) -> NDArray[np.float64]:
    """Return one row per record of a parameter's gradient; zeros where it took no part."""
    gradient = getattr(parameter, "grad_sample", None)
    if gradient is None:
        return np.zeros((records, parameter.numel()))
    return array_of(gradient).reshape(records, -1)
