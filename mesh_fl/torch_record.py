"""A computation of tensors, written down as it runs.

`make_fx` of torch does this too. It imports the compiler of torch, which takes seconds.
"""

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mesh_fl.torch_flops import flops_of_operation
from mesh_fl.torch_watch import Operation, watch

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.fx import Node
    from torch.fx.node import Argument

Form: TypeAlias = "tuple[tuple[int, ...], tuple[int, ...], torch.dtype]"
"""Shape, strides and kind of a tensor: where all three agree, nobody can tell two apart."""

KEPT_BYTES = 1 << 16
"""Constants above this size are computed anew at each run: a trace may be kept for long."""


def record(function: "Callable[..., Sequence[Tensor]]", example: "Sequence[Tensor]") -> "Recording":
    """Run a function and write down what it does.

    Parameters
    ----------
    function : callable
        From tensors to tensors.
    example : sequence of Tensor
        What to call it with.

    Returns
    -------
    Recording
        What it did, to be done again to other tensors of these shapes.

    Raises
    ------
    ValueError
        If it writes into a tensor, draws random numbers, or looks at values: a second run would
        differ.
    """
    recording = Recording(example)
    with watch(recording.add):
        results = function(*example)
    recording.graph.output([recording.node_of(result) for result in results])
    return recording


class Seen(NamedTuple):
    """A tensor, and what it came from.

    It is kept, since another one could be given its identity.
    """

    tensor: "Tensor"
    node: "Node"


class Recording:
    """A node for each operation that was done.

    Operations on nothing but constants are constants themselves, if they are small.

    Parameters
    ----------
    example : sequence of Tensor
        The arguments.

    Attributes
    ----------
    graph : torch.fx.Graph
        Each node has the form of its tensor in `meta`, under "form".
    constants : dict of str to Tensor
        What the graph takes from elsewhere, by name.
    flops : int
        Floating-point operations of products.
    """

    def __init__(self, example: "Sequence[Tensor]") -> None:
        from torch.fx import Graph

        self.graph = Graph()
        self.constants: dict[str, Tensor] = {}
        self.flops = 0
        self._seen: dict[int, Seen] = {}
        self._memory: set[int] = set()
        for place, tensor in enumerate(example):
            self._see(tensor, self.graph.placeholder(f"argument_{place}"))

    def add(self, operation: Operation) -> None:
        """Add an operation.

        Raises
        ------
        ValueError
            If it has side effects, or gives anything but tensors.
        """
        from torch.fx.node import map_aggregate

        _expect_pure(operation)
        known = [self._is_seen(one) for one in _tensors((operation.args, operation.kwargs))]
        if any(known) or not _is_small(operation.result):
            args = map_aggregate(operation.args, self._argument)
            kwargs = map_aggregate(operation.kwargs, self._argument)
            node = self.graph.call_function(operation.target, args, kwargs)
            self._name(node, operation.result)
            self.flops += flops_of_operation(operation)

    def node_of(self, tensor: "Tensor") -> "Node":
        """Return the node of a tensor; one that was not seen before is a constant.

        Raises
        ------
        ValueError
            If it shares its memory with one that was seen: it depends on it in an unknown way.
        """
        if not self._is_seen(tensor):
            name = f"constant_{len(self.constants)}"
            self.constants[name] = tensor.detach()
            self._see(tensor, self.graph.get_attr(name))
        return self._seen[id(tensor)].node

    def _is_seen(self, tensor: "Tensor") -> bool:
        if id(tensor) in self._seen:
            return True
        if _address(tensor) in self._memory:
            raise ValueError("expected every view to be an operation, found one made unseen")
        return False

    def _argument(self, value: "Argument") -> "Argument":
        import torch

        return self.node_of(value) if isinstance(value, torch.Tensor) else value

    def _name(self, node: "Node", result: object) -> None:
        """Remember of which node a result is, or each part of it."""
        import torch

        if isinstance(result, torch.Tensor):
            self._see(result, node)
        elif isinstance(result, tuple | list):
            for place, part in enumerate(result):
                if part is not None:
                    self._name(self.graph.call_function(operator.getitem, (node, place)), part)
        else:
            raise ValueError(f"expected operations that give tensors, found {node.target}")

    def _see(self, tensor: "Tensor", node: "Node") -> None:
        node.meta["form"] = tuple(tensor.shape), tensor.stride(), tensor.dtype
        self._seen[id(tensor)] = Seen(tensor, node)
        if node.op != "get_attr" and _address(tensor):
            self._memory.add(_address(tensor))


def _expect_pure(operation: Operation) -> None:
    import torch

    random = torch.Tag.nondeterministic_seeded in operation.target.tags
    if random or operation.target._schema.is_mutable:
        raise ValueError(f"expected operations without side effects, found {operation.target}")


def _tensors(values: object) -> "list[Tensor]":
    import torch
    from torch.utils._pytree import tree_leaves

    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def _is_small(result: object) -> bool:
    sizes = (tensor.untyped_storage().nbytes() for tensor in _tensors(result))
    return sum(sizes) <= KEPT_BYTES


def _address(tensor: "Tensor") -> int:
    """Return where its memory begins; 0 where it has none."""
    return tensor.untyped_storage().data_ptr()
