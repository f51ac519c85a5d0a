"""Local steps of one client after the other, by torch's plain backward pass.

This is what is right for every module; `torch_together` is faster for most.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.errors import AgentError
from mesh_fl.local_steps import Steps
from mesh_fl.torch_module import Tensors, TorchModel, trained

if TYPE_CHECKING:
    from torch import Tensor, nn


def learn_alone(
    model: TorchModel, learning_rate: float, state: State, data: Tensors, steps: Steps
) -> NDArray[np.float32]:
    """Train some clients, each from `state`.

    Returns
    -------
    ndarray, shape (steps.active[0], size of the layout)
        What each client with records changed, in the order of `steps.clients`.

    Raises
    ------
    AgentError
        If the module draws random numbers or changes its buffers.
    """
    import torch

    module = model.build_module(state)
    names = list(model.layout(state))
    parameters: list[Tensor] = [trained(module)[name] for name in names]
    start = [parameter.detach().clone() for parameter in parameters]
    rows = []
    with steady(model, module):
        for client in range(steps.active[0]):
            with torch.no_grad():
                torch._foreach_copy_(parameters, start)
            for places, weights in _minibatches(steps, client):
                taken = {name: values[places] for name, values in data.items()}
                gradients = gradients_of(model, module, names, taken, weights)
                with torch.no_grad():
                    torch._foreach_add_(parameters, gradients, alpha=-learning_rate)
            rows.append(_change(start, parameters))
    return np.stack(rows)


def gradients_of(
    model: TorchModel,
    module: "nn.Module",
    names: Sequence[str],
    data: Tensors,
    weights: "Tensor",
) -> "tuple[Tensor, ...]":
    """Return the gradient of the weighted sum of losses by each named parameter."""
    import torch

    with torch.enable_grad():
        loss = (model.losses_of(module, data) * weights).sum()
        own = trained(module)
        parameters = [own[name] for name in names]
        return torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)


@contextmanager
def steady(model: TorchModel, module: "nn.Module") -> Iterator[None]:
    """Refuse a module whose steps are random, or that remembers records in its buffers."""
    import torch

    before = {name: (buffer, buffer._version) for name, buffer in module.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        generator = torch.get_rng_state()
        yield
        if not torch.equal(torch.get_rng_state(), generator):
            raise AgentError(
                f"{type(model).__name__}: expected steps that are the same each time, found that "
                "the module or its loss draws random numbers: take these out"
            )
    for name, buffer in module.named_buffers():
        kept, version = before.get(name, (None, 0))
        if buffer is not kept or buffer._version != version:
            raise AgentError(
                f"{type(model).__name__}: expected buffers that stay as they are, found that "
                f"{name} changes as records go by: no other member would hear of it"
            )


def _minibatches(steps: Steps, client: int) -> Iterator[tuple["Tensor", "Tensor"]]:
    """Yield a client's records and their weights, step by step, without the empty places."""
    import torch

    for step in steps:
        real = steps.weights[step, client] > 0
        if real.any():
            places = steps.records[step, client][real]
            yield torch.from_numpy(places), torch.from_numpy(steps.weights[step, client][real])


def _change(start: Sequence["Tensor"], end: Sequence["Tensor"]) -> NDArray[np.float32]:
    import torch

    parts = [(b.detach() - a).flatten() for a, b in zip(start, end, strict=True)]
    change: NDArray[np.float32] = torch.cat(parts).numpy()
    return change
