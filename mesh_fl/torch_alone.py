"""Local steps of one client after the other, by torch's plain backward pass.

This is what is right for every module; `torch_together` is faster for most.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.errors import AgentError
from mesh_fl.local_steps import Steps
from mesh_fl.torch_module import SEEDING, Tensors, TorchModel, trained
from mesh_fl.torch_watch import Operation, watch

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
            for step, (places, weights) in enumerate(_minibatches(steps, client)):
                taken = {name: values[places] for name, values in data.items()}
                # Looking at every operation takes as long as the operations: one step tells enough.
                with without_chance(model) if client == step == 0 else nullcontext():
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
    """Refuse a module that remembers records in its buffers."""
    before = {name: (buffer, buffer._version) for name, buffer in module.named_buffers()}
    yield
    for name, buffer in module.named_buffers():
        kept, version = before.get(name, (None, 0))
        if buffer is not kept or buffer._version != version:
            raise AgentError(
                f"{type(model).__name__}: expected buffers that stay as they are, found that "
                f"{name} changes as records go by: no other member would hear of it"
            )


@contextmanager
def without_chance(model: TorchModel) -> Iterator[None]:
    """Refuse what draws from torch's generator; other threads may draw from it as they like.

    That it has moved is no proof, since it is everybody's; nor is an operation that could draw,
    since attention without dropout is one. Both together are.

    Raises
    ------
    AgentError
        At the end, if random numbers were drawn.
    """
    import torch

    suspects: set[str] = set()

    def see(operation: Operation) -> None:
        if torch.Tag.nondeterministic_seeded in operation.target.tags:
            suspects.add(str(operation.target))

    with SEEDING:
        before = torch.get_rng_state()
        with watch(see):
            yield
        if suspects and not torch.equal(torch.get_rng_state(), before):
            torch.set_rng_state(before)
            raise AgentError(
                f"{type(model).__name__}: expected steps that are the same each time, found that "
                f"the module or its loss draws random numbers ({', '.join(sorted(suspects))}): "
                "take these out"
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
