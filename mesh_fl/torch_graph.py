"""A traced computation made shorter and quicker to run, with the same result.

Small tensors cost by the operation, a few microseconds each, and not by the number. What vmap and
grad leave behind has twice the operations it needs: views that change nothing, ones to multiply
by, the same mask four times.
"""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

from mesh_fl.torch_record import KEPT_BYTES, Form, Recording

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

Known: TypeAlias = "dict[Node, Tensor]"
"""Results that are the same at every run."""

Compiled: TypeAlias = "Callable[..., list[Tensor]]"


def compile_graph(recording: Recording, example: "Sequence[Tensor]") -> Compiled:
    """Return what was recorded, as a function of its tensors.

    Parameters
    ----------
    recording : Recording
        It is used up.
    example : sequence of Tensor
        What was recorded.
    """
    import torch

    _shorten(recording)
    module = torch.fx.GraphModule(recording.constants, recording.graph).eval()
    # TorchScript's interpreter takes half as long for an operation as Python does. It is on its way
    # out of torch: from then on the graph runs as it is.
    with contextlib.suppress(AttributeError, RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(module, tuple(example), check_trace=False)  # type: ignore[no-untyped-call]  # torch left it untyped
        quick: Compiled = torch.jit.freeze(script)
        return quick
    return module


def as_compiled() -> AbstractContextManager[object]:
    """Keep TorchScript from compiling once more while active.

    Its optimiser takes 0.1 s of the first two runs, and gains nothing for these graphs.
    """
    import torch

    with contextlib.suppress(AttributeError):
        return torch.jit.optimized_execution(False)  # type: ignore[attr-defined]  # it is documented
    return contextlib.nullcontext()


def _shorten(recording: Recording) -> None:
    """Replace each operation whose result is known, or is there already."""
    known: Known = {}
    seen: dict[str, Node] = {}
    for node in list(recording.graph.nodes):
        if node.op == "get_attr":
            known[node] = recording.constants[str(node.target)]
        elif node.op == "call_function":
            call = repr((node.target, node.args, sorted(node.kwargs.items())))
            other = seen.get(call) or _idle(node, known) or _fold(recording, node, known)
            seen[call] = other or node
            if other is not None:
                node.replace_all_uses_with(other)
                recording.graph.erase_node(node)
    recording.graph.eliminate_dead_code()


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


def _fold(recording: Recording, node: "Node", known: Known) -> "Node | None":
    """Compute an operation that needs nothing but constants, and put its result in its place."""
    value = _constant(node, known)
    if value is None or value.untyped_storage().nbytes() > KEPT_BYTES:
        return None
    if (tuple(value.shape), value.stride(), value.dtype) != _form(node):
        return None
    name = f"folded_{len(known)}"
    recording.constants[name] = value
    with recording.graph.inserting_before(node):
        constant: Node = recording.graph.get_attr(name)
    constant.meta = node.meta
    known[constant] = value
    return constant


def _constant(node: "Node", known: Known) -> "Tensor | None":
    import torch

    value: object = None
    if _goes_by_form(node):
        value = _constant_like(node)
    elif callable(node.target) and all(argument in known for argument in node.all_input_nodes):
        take = torch.fx.node.map_arg
        value = node.target(*take(node.args, known.get), **take(node.kwargs, known.get))
    return value if isinstance(value, torch.Tensor) else None


def _goes_by_form(node: "Node") -> bool:
    """Tell whether an operation depends on the form of its tensor alone, not on its values."""
    import torch

    aten = torch.ops.aten
    like = (aten.ones_like, aten.zeros_like, aten.full_like)
    new = (aten.new_ones, aten.new_zeros, aten.new_full)
    return getattr(node.target, "overloadpacket", None) in (*like, *new)


def _constant_like(node: "Node") -> object:
    """Return ones or zeros like a tensor of which the form alone is known."""
    import torch

    form = _form(node.all_input_nodes[0])
    if form is None or not callable(node.target) or len(node.all_input_nodes) > 1:
        return None
    shape, strides, dtype = form
    pattern = torch.empty_strided(shape, strides, dtype=dtype)
    return node.target(pattern, *node.args[1:], **node.kwargs)


def _form(node: "Node") -> "Form | None":
    """Return the form of a result; None where it is not one tensor."""
    form: Form | None = node.meta.get("form")
    return form
