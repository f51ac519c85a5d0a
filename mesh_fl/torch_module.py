"""A torch module, its loss and its answers: what agents share that train one.

torch is imported when it is first used.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, State
from mesh_fl.errors import AgentError

if TYPE_CHECKING:
    from torch import Tensor, nn

Tensors = Mapping[str, "Tensor"]

SEEDING = threading.RLock()
"""Held by whoever sets torch's generator, or watches it: there is one for all threads."""


@dataclass(frozen=True, kw_only=True)
class TorchModel(Agent):
    """Builds a torch module, runs it and takes its loss.

    Parameters
    ----------
    seed : int
        Of the initial parameters.
    chunk_records : int
        Records that are in memory at once.

    Attributes
    ----------
    inputs : tuple of str
        Arrays that the module is called with, in this order.
    precision : {"float32", "float64"}
        What the module computes in.
    packages : tuple of str
        What has to be installed.
    """

    inputs: ClassVar[tuple[str, ...]] = ("x",)
    precision: ClassVar[Literal["float32", "float64"]] = "float64"
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    seed: int = 0
    chunk_records: int = 256

    @abstractmethod
    def module(self) -> "nn.Module":
        """Return a new module; its random start is seeded by `seed`."""

    @abstractmethod
    def loss(self, output: "Tensor", data: Tensors) -> "Tensor":
        """Return one loss per record, shape (n,), as with ``reduction="none"``."""

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        """Return the module's output in evaluation mode, shape (n, ...)."""
        module = self.build_module(state).eval()
        import torch

        with torch.no_grad():
            parts = [
                self._output(module, self.tensors_of(part)) for _, part in self._parts(data, 1)
            ]
        return np.concatenate([array_of(part) for part in parts])

    def build_module(self, state: State | None = None) -> "nn.Module":
        """Build the module, in training mode but for dropout, and fill it.

        Raises
        ------
        AgentError
            If a package is missing, or a layer mixes records.
        """
        self._require_packages()
        import torch

        # Whoever else draws from torch's generator gets what it would have got without us; a
        # member builds modules in two threads, one that trains and one that answers.
        with SEEDING, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            module = self.module().to(getattr(torch, self.precision)).train()
        self._refuse_layers(module)
        _still_dropout(module)
        if state is not None:
            for name, parameter in trained(module).items():
                parameter.data.copy_(torch.tensor(state[name]))
        return module

    def losses_of(self, module: Callable[..., "Tensor"], tensors: Tensors) -> "Tensor":
        """Run the module and return one loss per record.

        Raises
        ------
        AgentError
            If an input is missing, or the loss is not one number per record.
        """
        losses = self.loss(self._output(module, tensors), tensors)
        count = len(next(iter(tensors.values())))
        if losses.shape != (count,):
            raise AgentError(
                f"{type(self).__name__}.loss: expected one loss for each of {count} records,"
                f' got shape {tuple(losses.shape)}: use reduction="none" and add up all but axis 0'
            )
        return losses

    def tensors_of(self, data: Data) -> dict[str, "Tensor"]:
        """Return the numeric arrays as tensors, real numbers in the precision of the module."""
        import torch

        real = getattr(torch, self.precision)
        kinds = {"f": real, "i": torch.int64, "u": torch.int64, "b": torch.bool}
        return {
            name: torch.tensor(np.asarray(values), dtype=kinds[values.dtype.kind])
            for name, values in data.items()
            if values.dtype.kind in kinds
        }

    def _refuse_layers(self, module: "nn.Module") -> None:
        """Refuse what cannot be trained so."""

    def _output(self, module: Callable[..., "Tensor"], tensors: Tensors) -> "Tensor":
        missing = [name for name in self.inputs if name not in tensors]
        if missing:
            raise AgentError(
                f"{type(self).__name__}: expected arrays of numbers {', '.join(self.inputs)}, "
                f"found {', '.join(tensors) or 'none'}: prepare them, or set `inputs`"
            )
        return module(*(tensors[name] for name in self.inputs))

    def _parts(self, data: Data, least: int = 0) -> Iterator[tuple[int, Data]]:
        """Cut the data into chunks; `least` = 1 gives an empty one where there is nothing."""
        stop = max(count_of(data), least)
        for start in range(0, stop, self.chunk_records):
            end = start + self.chunk_records
            yield start, {name: values[start:end] for name, values in data.items()}

    def _require_packages(self) -> None:
        try:
            for package in self.packages:
                import_module(package)
        except ImportError as error:
            raise AgentError(
                f"a torch agent needs {' and '.join(self.packages)}, and {error.name} cannot be "
                "imported: pip install mesh_fl[torch]"
            ) from error


def trained(module: "nn.Module") -> dict[str, "nn.Parameter"]:
    """Return the parameters that are trained, by name, in order."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def array_of(tensor: "Tensor") -> NDArray[np.float64]:
    """Return a copy as an array."""
    array: NDArray[np.float64] = tensor.detach().numpy().copy()
    return array


def count_of(data: Data) -> int:
    """Return the number of records."""
    return len(next(iter(data.values())))


def refuse(module_of: str, problems: list[str]) -> None:
    """Raise where there are problems with layers."""
    if problems:
        told = "\n".join(f"  {problem}" for problem in problems)
        raise AgentError(
            f"{module_of}: expected a module that handles each record by itself, found\n{told}\n"
            "Replace these layers, such as BatchNorm by GroupNorm."
        )


def tracking(module: "nn.Module") -> list[str]:
    """Name the layers that keep an average over records."""
    return [
        f"{path}: track_running_stats keeps an average over records; switch it off"
        for path, part in module.named_modules()
        if getattr(part, "track_running_stats", False)
    ]


def _still_dropout(module: "nn.Module") -> None:
    from torch import nn

    dropout = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    alpha = (nn.AlphaDropout, nn.FeatureAlphaDropout)
    # These drop out by themselves, without a layer of their own.
    inside = (nn.MultiheadAttention, nn.RNNBase, nn.RReLU)
    for part in module.modules():
        if isinstance(part, (*dropout, *alpha, *inside)):
            part.eval()
