"""One step of gradient descent of many clients at once, traced.

The gradient of one client's step, `torch.func.grad`, is mapped over the clients by
`torch.func.vmap`. Both cost more than the computation where models are small, so what they do is
traced once for each shape, and then only repeated.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from mesh_fl.torch_alone import gradients_of, steady
from mesh_fl.torch_graph import compile_graph
from mesh_fl.torch_module import TorchModel, trained

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
    with steady(model, module):
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
    from torch.func import functional_call, functionalize, grad, vmap
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    def loss(parameters: Stack, arrays: Stack, weights: "Tensor") -> "Tensor":
        def call(*inputs: "Tensor") -> "Tensor":
            filled = dict(zip(shape.names, parameters, strict=True))
            output: Tensor = functional_call(module, filled, inputs)
            return output

        return (model.losses_of(call, shape.named(arrays)) * weights).sum()

    step = functionalize(vmap(grad(loss)), remove="mutations")
    flat = [*example[0], *example[1], example[2]]
    # Plain attention, since vmap would take the fused one client by client.
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = make_fx(step)(*example)
        with FlopCounterMode(display=False) as counter:
            graph(*example)
        gradients = compile_graph(graph, flat)
    with torch.inference_mode():
        for found, plain in zip(gradients(*flat), expected, strict=True):
            torch.testing.assert_close(found[-1], plain, rtol=1e-3, atol=1e-5, equal_nan=True)
    return Step(gradients, counter.get_total_flops())


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
