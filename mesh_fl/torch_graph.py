"""A traced computation made shorter and quicker to run, with the same result.

Small tensors cost by the operation, a few microseconds each, and not by the number. What vmap and
grad leave behind has twice the operations it needs: views that change nothing, ones to multiply
by, the same mask four times.
"""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.fx import GraphModule, Node

Known: TypeAlias = "dict[Node, Tensor]"
"""Results that are the same at every run."""

Form: TypeAlias = "tuple[tuple[int, ...], tuple[int, ...], torch.dtype]"
"""Shape, strides and kind of a tensor: where all three agree, nobody can tell two apart."""

Compiled: TypeAlias = "Callable[..., list[Tensor]]"

FOLDED_BYTES = 1 << 16
"""Constants above this size are computed anew: a trace may be kept for long."""


def compile_graph(traced: "GraphModule", example: "Sequence[Tensor]") -> Compiled:
    """Return what a trace computes, as a function of its tensors.

    Parameters
    ----------
    traced : GraphModule
        From `make_fx`; it is used up.
    example : sequence of Tensor
        What it was traced with, flat.

    Raises
    ------
    ValueError
        If it writes into a tensor or draws random numbers: a second run would differ.
    """
    import torch

    _expect_pure(traced)
    _shorten(traced)
    traced.graph.set_codegen(torch.fx.graph.CodeGen())
    traced.recompile()
    # TorchScript's interpreter takes half as long for an operation as Python does. It is on its way
    # out of torch: from then on the graph runs as it is.
    with contextlib.suppress(AttributeError, RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(traced.eval(), tuple(example), check_trace=False)  # type: ignore[no-untyped-call]  # torch left it untyped
        quick: Compiled = torch.jit.freeze(script)
        return quick
    return traced


def _expect_pure(traced: "GraphModule") -> None:
    import torch

    for node in traced.graph.nodes:
        operation = node.target
        if isinstance(operation, torch._ops.OpOverload):
            random = torch.Tag.nondeterministic_seeded in operation.tags
            if random or operation._schema.is_mutable:
                raise ValueError(f"expected operations without side effects, found {operation}")


def _shorten(traced: "GraphModule") -> None:
    """Replace each operation whose result is known, or is there already."""
    known: Known = {}
    seen: dict[str, Node] = {}
    for node in list(traced.graph.nodes):
        if node.op == "get_attr":
            known[node] = getattr(traced, str(node.target))
        elif node.op == "call_function":
            call = repr((node.target, node.args, sorted(node.kwargs.items())))
            other = seen.get(call) or _idle(node, known) or _fold(traced, node, known)
            seen[call] = other or node
            if other is not None:
                node.replace_all_uses_with(other)
                traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()


def _idle(node: "Node", known: Known) -> "Node | None":
    """Return the argument that an operation gives back as it is."""
    import torch
    from torch.fx import Node

    aten = torch.ops.aten
    same = (aten.expand.default, aten.view.default, aten._unsafe_view.default, aten.detach.default)
    first, *rest = node.args or (None,)
    found: object = None
    if node.target in same:
        found = first
    elif node.target in (aten.mul.Tensor, aten.mul.Scalar):
        found = rest[0] if _is_ones(first, known) else first if _is_ones(rest[0], known) else None
    elif isinstance(first, Node) and node.target is first.target is aten.transpose.int:
        found = first.args[0] if list(first.args[1:]) == rest else None
    return found if isinstance(found, Node) and _form(found) == _form(node) else None


def _is_ones(argument: object, known: Known) -> bool:
    from torch.fx import Node

    if not isinstance(argument, Node):
        return argument == 1
    return argument in known and bool((known[argument] == 1).all())


def _fold(traced: "GraphModule", node: "Node", known: Known) -> "Node | None":
    """Compute an operation that needs nothing but constants, and put its result in its place."""
    value = _constant(node, known)
    if value is None or value.untyped_storage().nbytes() > FOLDED_BYTES:
        return None
    if (tuple(value.shape), value.stride(), value.dtype) != _form(node):
        return None
    name = f"folded_{len(known)}"
    traced.register_buffer(name, value)
    with traced.graph.inserting_before(node):
        constant: Node = traced.graph.get_attr(name)
    constant.meta = node.meta
    known[constant] = value
    return constant


def _constant(node: "Node", known: Known) -> "Tensor | None":
    import torch

    aten = torch.ops.aten
    value: object = None
    if node.target in (aten.ones_like.default, aten.zeros_like.default):
        value = _constant_like(node)
    elif callable(node.target) and all(argument in known for argument in node.all_input_nodes):
        take = torch.fx.node.map_arg
        value = node.target(*take(node.args, known.get), **take(node.kwargs, known.get))
    return value if isinstance(value, torch.Tensor) else None


def _constant_like(node: "Node") -> object:
    """Return ones or zeros like a tensor of which the form alone is known."""
    import torch

    form = _form(node.all_input_nodes[0])
    if form is None or not callable(node.target):
        return None
    shape, strides, dtype = form
    return node.target(torch.empty_strided(shape, strides, dtype=dtype), **node.kwargs)


def _form(node: "Node") -> "Form | None":
    """Return the form of a result; None where it is not one tensor."""
    found = node.meta.get("tensor_meta")
    if found is None or not hasattr(found, "stride"):
        return None
    return tuple(found.shape), tuple(found.stride), found.dtype
