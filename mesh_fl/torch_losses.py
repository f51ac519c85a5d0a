"""Losses in operations that torch maps over clients by itself.

It maps `nll_loss` and the gradient of `mse_loss` by decompositions in Python, which import sympy:
half a second in the middle of a first round.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Losses: TypeAlias = "Callable[..., Tensor]"

PLAIN = {"size_average": None, "reduce": None, "reduction": "none", "label_smoothing": 0.0}
"""What is replaced; anything else torch does as always."""


def mapped_losses() -> AbstractContextManager[object]:
    """Replace these losses while active, where one is asked for each record."""
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    replaced: dict[Losses, Losses] = {
        functional.cross_entropy: _cross_entropy,
        functional.nll_loss: _picked,
        functional.mse_loss: _squared,
    }

    class Replacing(TorchFunctionMode):
        def __torch_function__(
            self,
            function: Losses,
            types: object,
            args: "tuple[Tensor, ...]" = (),
            kwargs: Mapping[str, object] | None = None,
        ) -> "Tensor":
            given = dict(kwargs or {})
            ours = replaced.get(function)
            if ours and _is_plain(function is functional.mse_loss, args[0], args[1], given):
                return ours(*args, **given)
            return function(*args, **given)

    return Replacing()


def _is_plain(
    numbers: bool, output: "Tensor", wanted: "Tensor", given: Mapping[str, object]
) -> bool:
    """Tell whether it is numbers of one shape, or classes, and nothing more is asked for."""
    plain = all(given.get(name, value) == value for name, value in PLAIN.items())
    sound = output.shape == wanted.shape if numbers else not wanted.is_floating_point()
    return plain and sound and given["weight"] is None


def _cross_entropy(scores: "Tensor", classes: "Tensor", **given: int) -> "Tensor":
    return _picked(scores.log_softmax(min(1, scores.ndim - 1)), classes, **given)


def _picked(logarithms: "Tensor", classes: "Tensor", *, ignore_index: int, **_: object) -> "Tensor":
    """Return minus the logarithm of each record's class; 0 for the class that is ignored."""
    axis = min(1, logarithms.ndim - 1)
    index = classes.unsqueeze(axis)
    counted = index != ignore_index
    picked = logarithms.gather(axis, index.where(counted, 0)).where(counted, 0)
    return -picked.squeeze(axis)


def _squared(output: "Tensor", wanted: "Tensor", **_: object) -> "Tensor":
    return (output - wanted).square()
