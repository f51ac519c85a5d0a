"""Local steps of many clients at once: their parameters stacked, one traced step for all."""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.local_steps import Steps
from mesh_fl.torch_flops import threads_for
from mesh_fl.torch_graph import as_compiled
from mesh_fl.torch_module import Tensors, TorchModel
from mesh_fl.torch_trace import Shape, Step, traced_step

if TYPE_CHECKING:
    from torch import Tensor

STEPS_AT_ONCE = 16
"""Steps whose records are gathered by one operation; more would only take memory."""


def learn_together(
    model: TorchModel, learning_rate: float, state: State, data: Tensors, steps: Steps
) -> NDArray[np.float32] | None:
    """Train some clients at once, each from `state`; None where the module does not allow it.

    Returns
    -------
    ndarray, shape (steps.active[0], size of the layout)
        What each client with records changed, in the order of `steps.clients`.

    Raises
    ------
    AgentError
        If the module draws random numbers or changes its buffers, or its loss is not by record.
    """
    import torch

    widths = [places(active) for active in steps.active]
    traced = _traces(model, tuple(model.layout(state)), widths, data, steps)
    if traced is None:
        return None
    start = [torch.tensor(state[name], dtype=torch.float32) for name in model.layout(state)]
    with torch.inference_mode(), as_compiled(), threads_for(traced[widths[0]].flops):
        stacks = [block.repeat(widths[0], *[1] * block.ndim) for block in start]
        for width, minibatches in _runs(widths, data, steps):
            some, gradients = [stack[:width] for stack in stacks], traced[width].gradients
            for minibatch in minibatches:
                torch._foreach_add_(some, gradients(*some, *minibatch), alpha=-learning_rate)
        parts = [(end - block).flatten(1) for end, block in zip(stacks, start, strict=True)]
        changes: NDArray[np.float32] = torch.cat(parts, dim=1).numpy()
    return changes[: steps.active[0]]


def places(clients: int) -> int:
    """Return how many places to trace for some clients: a multiple of four, and few of them empty.

    Clients who are through leave one by one. A trace for every number of them would take longer
    than the places that stay empty.
    """
    apart = max(4, 1 << max(0, (clients - 1).bit_length() - 3))
    return -(-clients // apart) * apart


def _runs(
    widths: Sequence[int], data: Tensors, steps: Steps
) -> "Iterator[tuple[int, Iterator[tuple[Tensor, ...]]]]":
    """Yield the places and the minibatches of steps that follow each other with equal places."""
    import torch

    records, weights = _laid_out(steps, widths[0])
    runs = itertools.groupby(steps, key=lambda step: (widths[step], step // STEPS_AT_ONCE))
    for (width, _), run in runs:
        first, *rest = run
        span = slice(first, first + 1 + len(rest))
        index = torch.from_numpy(records[span, :width])
        taken = [
            values.index_select(0, index.flatten()).view(*index.shape, *values.shape[1:])
            for values in data.values()
        ]
        parts = [*taken, torch.from_numpy(weights[span, :width])]
        yield width, zip(*(part.unbind(0) for part in parts), strict=True)


def _laid_out(steps: Steps, width: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Cut or widen the steps; where a client has no record left, its first stands in.

    Another client's record would have no weight either, but zero times infinity is not zero.
    """
    clients = min(width, len(steps.clients))
    weights = np.zeros((len(steps.active), width, steps.weights.shape[2]), np.float32)
    weights[:, :clients] = steps.weights[:, :clients]
    records = np.zeros(weights.shape, np.int64)
    records[:, :clients] = steps.records[:1, :clients, :1]
    np.copyto(records[:, :clients], steps.records[:, :clients], where=weights[:, :clients] > 0)
    return records, weights


def _traces(
    model: TorchModel, names: tuple[str, ...], widths: Sequence[int], data: Tensors, steps: Steps
) -> dict[int, Step] | None:
    arrays = tuple((name, tuple(v.shape[1:]), v.dtype) for name, v in data.items())
    traced: dict[int, Step] = {}
    for width in dict.fromkeys(widths):
        found = traced_step(model, Shape(width, steps.weights.shape[2], names, arrays))
        if found is None:
            return None
        traced[width] = found
    return traced
