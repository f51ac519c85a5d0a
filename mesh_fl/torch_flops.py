"""Floating-point operations of products, and the threads that are worth waking for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mesh_fl.torch_watch import Operation, watch

SMALL_FLOPS = 1 << 25
"""About a millisecond of one core."""


@contextmanager
def threads_for(flops: int) -> Iterator[None]:
    """Leave small work to one thread: others would take longer to wake than there is to do."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if flops < SMALL_FLOPS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def flops_of(function: Callable[[], object]) -> int:
    """Run a function without gradients, and count what its products take."""
    import torch

    counted: list[int] = []
    with torch.no_grad(), watch(lambda operation: counted.append(flops_of_operation(operation))):
        function()
    return sum(counted)


def flops_of_operation(operation: Operation) -> int:
    """Return what one operation took; 0 where it is no product."""
    from torch.utils.flop_counter import flop_registry

    count = flop_registry.get(operation.target.overloadpacket)
    if count is None:
        return 0
    return int(count(*operation.args, **operation.kwargs, out_val=operation.result))
