"""Functions of the real code, swapped for others or listened to while a block runs."""

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

Function = Callable[..., object]


@dataclass(frozen=True)
class Swap:
    """One function and what takes its place.

    Parameters
    ----------
    place : object
        The module or class where the function is looked up.
    name : str
        By which it is looked up.
    make : callable
        Given the original, returns its replacement.
    """

    place: object
    name: str
    make: Callable[[Function], Function]

    @property
    def label(self) -> str:
        """Where it is."""
        return f"{getattr(self.place, '__name__', self.place)}.{self.name}"


def instead(place: object, name: str, function: Function) -> Swap:
    """Swap a function for one that takes no notice of it."""
    return Swap(place, name, lambda original: function)


@contextmanager
def swapped(*swaps: Swap) -> Iterator[Counter[str]]:
    """Put replacements in place, and count by label how often each is called."""
    hits = Counter({swap.label: 0 for swap in swaps})
    with ExitStack() as stack:
        for swap in swaps:
            made = swap.make(getattr(swap.place, swap.name))
            counted = _counted(made, swap.label, hits)
            stack.enter_context(patch.object(swap.place, swap.name, counted))
        yield hits


@contextmanager
def listening(place: object, name: str) -> Iterator[list[tuple[tuple[object, ...], object]]]:
    """Note the arguments and the result of every call of a function."""
    calls: list[tuple[tuple[object, ...], object]] = []

    def make(original: Function) -> Function:
        @functools.wraps(original)
        def heard(*args: object, **options: object) -> object:
            result = original(*args, **options)
            calls.append((args, result))
            return result

        return heard

    with swapped(Swap(place, name, make)):
        yield calls


def _counted(function: Function, label: str, hits: Counter[str]) -> Function:
    @functools.wraps(function)
    def counted(*args: object, **options: object) -> object:
        hits[label] += 1
        return function(*args, **options)

    return counted
