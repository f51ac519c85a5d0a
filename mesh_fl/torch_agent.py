"""An agent from any torch module and a loss: its rows are per-record gradients.

Abadi et al. 2016, "Deep Learning with Differential Privacy", with the per-record gradients of
Opacus (Yousefpour et al. 2021, arXiv 2109.12298). torch and Opacus are imported when first used.
"""

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.layout import Layout, size

if TYPE_CHECKING:
    from torch import Tensor, nn

VELOCITY = "velocity/"
"""Prefix of the momentum blocks; torch never puts a slash into a parameter's name."""


@dataclass(frozen=True, kw_only=True)
class TorchAgent(Agent):
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

    inputs: ClassVar[tuple[str, ...]] = ("x",)

    records: float
    clip: float = 1.0
    learning_rate: float = 0.5
    momentum: float = 0.9
    seed: int = 0
    chunk_records: int = 256

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

    @abstractmethod
    def module(self) -> "nn.Module":
        """Return a new module; its random start is seeded by `seed`."""

    @abstractmethod
    def loss(self, output: "Tensor", data: Mapping[str, "Tensor"]) -> "Tensor":
        """Return one loss per record, shape (n,), as with ``reduction="none"``."""

    def init(self) -> State:
        """Return the module's first parameters, and velocities of zero."""
        parameters = {name: _array(value) for name, value in _trained(self._module()).items()}
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
        rows = np.zeros((_count(data), size(self.layout(state))))
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

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        """Return the module's output in evaluation mode, shape (n, ...)."""
        import torch

        module = self._module(state).eval()
        with torch.no_grad():
            parts = [
                self._forward(module, _tensors(part)) for _, part in self._parts(data, least=1)
            ]
        return np.concatenate([_array(part) for part in parts])

    def _gradients(self, state: State, data: Data) -> NDArray[np.float64]:
        import torch
        from opacus.grad_sample import GradSampleModule

        tensors = _tensors(data)
        module = GradSampleModule(self._module(state), loss_reduction="sum")
        losses = self.loss(self._forward(module, tensors), tensors)
        if losses.shape != (_count(data),):
            raise AgentError(
                f"{type(self).__name__}.loss: expected one loss for each of {_count(data)} records,"
                f' got shape {tuple(losses.shape)}: use reduction="none" and add up all but axis 0'
            )
        with warnings.catch_warnings():
            # Inputs need no gradient of their own, which torch mistakes for an oversight.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            torch.autograd.backward([losses.sum()])
        parts = [_sample(p, _count(data)) for p in _trained(module).values()]
        return np.concatenate(parts, axis=1)

    def _forward(self, module: "nn.Module", tensors: Mapping[str, "Tensor"]) -> "Tensor":
        missing = [name for name in self.inputs if name not in tensors]
        if missing:
            raise AgentError(
                f"{type(self).__name__}: expected arrays of numbers {', '.join(self.inputs)}, "
                f"found {', '.join(tensors) or 'none'}: prepare them, or set `inputs`"
            )
        output: Tensor = module(*(tensors[name] for name in self.inputs))
        return output

    def _parts(self, data: Data, least: int = 0) -> Iterator[tuple[int, Data]]:
        """Cut the data into chunks; `least` = 1 gives an empty one where there is nothing."""
        stop = max(_count(data), least)
        for start in range(0, stop, self.chunk_records):
            end = start + self.chunk_records
            yield start, {name: values[start:end] for name, values in data.items()}

    def _module(self, state: State | None = None) -> "nn.Module":
        """Build the module in float64, in training mode but for dropout, and fill it."""
        _require_torch()
        import torch

        # Whoever else draws from torch's generator gets what it would have got without us.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            module = self.module().to(torch.float64).train()
        _refuse_mixing(module, type(self).__name__)
        _still_dropout(module)
        if state is not None:
            for name, parameter in _trained(module).items():
                parameter.data.copy_(torch.tensor(state[name]))
        return module


def _require_torch() -> None:
    try:
        import opacus  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise AgentError(
            f"a torch agent needs torch and Opacus, and {error.name} cannot be imported: "
            "pip install mesh_fl[torch]"
        ) from error


def _refuse_mixing(module: "nn.Module", name: str) -> None:
    """Refuse layers that mix records, or whose gradients cannot be told apart by record."""
    from opacus.validators import ModuleValidator

    tracking = [
        f"{path}: track_running_stats keeps an average over records; switch it off"
        for path, part in module.named_modules()
        if getattr(part, "track_running_stats", False)
    ]
    problems = [str(error) for error in ModuleValidator.validate(module, strict=False)]
    if problems or tracking:
        told = "\n".join(f"  {problem}" for problem in problems or tracking)
        raise AgentError(
            f"{name}: expected a module that handles each record by itself, found\n{told}\n"
            "Replace these layers, such as BatchNorm by GroupNorm."
        )


def _still_dropout(module: "nn.Module") -> None:
    from torch import nn

    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    for part in module.modules():
        if isinstance(part, (*kinds, nn.AlphaDropout, nn.FeatureAlphaDropout)):
            part.eval()


def _trained(module: "nn.Module") -> dict[str, "nn.Parameter"]:
    """Return the parameters that are trained, by name, in order."""
    inner = getattr(module, "_module", module)
    return {name: p for name, p in inner.named_parameters() if p.requires_grad}


def _sample(parameter: "nn.Parameter", records: int) -> NDArray[np.float64]:
    """Return one row per record of a parameter's gradient; zeros where it took no part."""
    gradient = getattr(parameter, "grad_sample", None)
    if gradient is None:
        return np.zeros((records, parameter.numel()))
    return _array(gradient).reshape(records, -1)


def _tensors(data: Data) -> dict[str, "Tensor"]:
    """Return the numeric arrays as tensors: real numbers as float64, whole ones as int64."""
    import torch

    kinds = {"f": torch.float64, "i": torch.int64, "u": torch.int64, "b": torch.bool}
    return {
        name: torch.tensor(np.asarray(values), dtype=kinds[values.dtype.kind])
        for name, values in data.items()
        if values.dtype.kind in kinds
    }


def _array(tensor: "Tensor") -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().numpy().copy()
    return array


def _count(data: Data) -> int:
    return len(next(iter(data.values())))
