"""One step of gradient descent of many clients at once, traced.

The gradient of one client's step is mapped over the clients by `torch.func.vmap`. Both cost more
than the computation where models are small, so what they do is traced once for each shape, and
then only repeated.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from mesh_fl.torch_alone import gradients_of, steady, without_chance
from mesh_fl.torch_graph import as_compiled, compile_graph
from mesh_fl.torch_losses import mapped_losses
from mesh_fl.torch_module import TorchModel, trained
from mesh_fl.torch_record import record

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Stack: TypeAlias = "tuple[Tensor, ...]"
"""One tensor for each parameter or array; axis 0 is the client."""

Example: TypeAlias = "tuple[Stack, Stack, Tensor]"
"""Parameters, arrays of records, and weights."""


@dataclass(frozen=True)
class Shape:
    """What a trace depends on.

    Parameters
    ----------
    clients, batch : int
        Places for clients, and for records in a minibatch.
    names : tuple of str
        Trained parameters, in order.
    arrays : tuple
        Name, shape for one record, and kind.
    """

    clients: int
    batch: int
    names: tuple[str, ...]
    arrays: "tuple[tuple[str, tuple[int, ...], torch.dtype], ...]"

    def named(self, arrays: "Sequence[Tensor]") -> "dict[str, Tensor]":
        """Return the arrays of records by name."""
        return {name: values for (name, *_), values in zip(self.arrays, arrays, strict=True)}


@dataclass(frozen=True)
class Step:
    """A traced step.

    Parameters
    ----------
    gradients : callable
        From stacked parameters, arrays of records and weights to stacked gradients.
    flops : int
        Floating-point operations of its products.
    """

    gradients: "Callable[..., list[Tensor]]"
    flops: int


@lru_cache(maxsize=64)
def traced_step(model: TorchModel, shape: Shape) -> Step | None:
    """Trace one step of all clients; None, with a warning, where torch cannot.

    Raises
    ------
    AgentError
        If the module draws random numbers or changes its buffers, or its loss is not by record.
    """
    module = model.build_module()
    example = _example(module, shape)
    with steady(model, module), without_chance(model):
        expected = _plain(model, module, shape, example)
    with steady(model, module):
        try:
            return _trace(model, module, shape, example, expected)
        except Exception as error:  # of whichever kind: without a trace it is slower, and as right
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            warnings.warn(
                f"{type(model).__name__}: clients learn one after the other, which is slower, "
                f"since torch cannot map this module over them: {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None


def _trace(
    model: TorchModel,
    module: "nn.Module",
    shape: Shape,
    example: Example,
    expected: "Sequence[Tensor]",
) -> Step:
    """Trace it, and compare what it gives for one client with the plain gradient."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    flat = [*example[0], *example[1], example[2]]
    # Plain attention, since vmap would take the fused one client by client.
    plain_attention = sdpa_kernel(SDPBackend.MATH)
    with plain_attention, mapped_losses(), _unchecked_writes(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recording = record(_gradients_of_all(model, module, shape), flat)
    gradients = compile_graph(recording, flat)
    with torch.inference_mode(), as_compiled():
        found = [stack[-1] for stack in gradients(*flat)]
    for name, one, plain in zip(shape.names, found, expected, strict=True):
        if not torch.allclose(one, plain, rtol=1e-3, atol=1e-5, equal_nan=True):
            raise ValueError(f"expected the plain gradient, found another one of {name}")
    return Step(gradients, recording.flops)


def _gradients_of_all(
    model: TorchModel, module: "nn.Module", shape: Shape
) -> "Callable[..., Sequence[Tensor]]":
    """Return a step of all clients, as torch computes it without a trace."""
    import torch
    from torch.func import functional_call, functionalize, vjp, vmap

    def gradients(parameters: Stack, arrays: Stack, weights: "Tensor") -> Stack:
        def by_parameters(own: Stack) -> Stack:
            def call(*inputs: "Tensor") -> "Tensor":
                output: Tensor = functional_call(
                    module, dict(zip(shape.names, own, strict=True)), inputs
                )
                return output

            loss = (model.losses_of(call, shape.named(arrays)) * weights).sum()
            return torch.autograd.grad(
                loss, own, create_graph=True, allow_unused=True, materialize_grads=True
            )

        # As `torch.func.grad`, which would import torch's compiler.
        found: Stack = vjp(by_parameters, parameters)[0]
        return found

    mapped = functionalize(vmap(gradients), remove="mutations")
    count = len(shape.names)
    return lambda *flat: mapped(flat[:count], flat[count:-1], flat[-1])


@contextmanager
def _unchecked_writes() -> Iterator[None]:
    """Keep `functionalize` from trying each write on a tensor without values before.

    That imports torch's compiler. What it would find wrong, the plain gradient has found before.
    """
    name = "TORCH_DISABLE_FUNCTIONALIZATION_META_REFERENCE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _plain(
    model: TorchModel, module: "nn.Module", shape: Shape, example: Example
) -> "Sequence[Tensor]":
    """Return the gradient of the client in the last place."""
    parameters, arrays, weights = example
    own = trained(module)
    for name, values in zip(shape.names, parameters, strict=True):
        own[name].data.copy_(values[-1])
    data = shape.named([values[-1] for values in arrays])
    return gradients_of(model, module, shape.names, data, weights[-1])


def _example(module: "nn.Module", shape: Shape) -> Example:
    """Make up parameters near the initial ones, records and weights; whole numbers are 0."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def some(*sizes: int) -> "Tensor":
        return torch.rand(sizes, generator=generator)

    own = trained(module)
    parameters = [own[name].detach() for name in shape.names]
    near = tuple(p + 0.1 * some(shape.clients, *p.shape) for p in parameters)
    arrays = tuple(
        some(shape.clients, shape.batch, *form).to(dtype) for _, form, dtype in shape.arrays
    )
    return near, arrays, some(shape.clients, shape.batch)
