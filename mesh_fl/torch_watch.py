"""Every operation that torch performs, seen as it happens."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch._ops import OpOverload
    from torch.fx.node import Argument


class Operation(NamedTuple):
    """One operation on plain tensors, after gradients and maps are resolved into such."""

    target: "OpOverload[..., object]"
    args: "tuple[Argument, ...]"
    kwargs: "dict[str, Argument]"
    result: object


def watch(see: Callable[[Operation], None]) -> AbstractContextManager[None]:
    """Show each operation, once it is done, while active."""
    from torch.utils._python_dispatch import TorchDispatchMode

    # Torch wraps a hook that is a mode's own into one that imports its compiler: 2 s. It leaves an
    # inherited one alone.
    mode: AbstractContextManager[None] = type("Watch", (_Hook, TorchDispatchMode), {})(see)
    return mode


class _Hook:
    def __init__(self, see: Callable[[Operation], None]) -> None:
        super().__init__()
        self._see = see

    def __torch_dispatch__(
        self,
        target: "OpOverload[..., object]",
        types: object,
        args: "tuple[Argument, ...]" = (),
        kwargs: "Mapping[str, Argument] | None" = None,
    ) -> object:
        given = dict(kwargs or {})
        result = target(*args, **given)
        self._see(Operation(target, args, given, result))
        return result
