"""What a law is: a name, a sentence, a remedy, and a probe that tries to break it."""

from collections.abc import Callable
from dataclasses import dataclass

from mesh_fl.laws.case import Case

Probe = Callable[[Case], str]
"""Returns evidence that the law is kept; raises `BreachError` or `UncheckedError` if not."""


class BreachError(Exception):
    """The agent breaks the law; the message is the evidence."""


class UncheckedError(Exception):
    """The law cannot be tried on this agent and data; the message says why."""


@dataclass(frozen=True)
class Law:
    """One promise that an agent makes.

    Attributes
    ----------
    name : str
        Short, unique.
    text : str
        The law in one sentence.
    remedy : str
        What to do about a breach.
    probe : callable
        Tries to break it.
    """

    name: str
    text: str
    remedy: str
    probe: Probe


def law(remedy: str) -> Callable[[Probe], Law]:
    """Make a law of a probe: its name is the law's name, its docstring the law's sentence."""

    def declare(probe: Probe) -> Law:
        name = probe.__name__.replace("_", " ")
        return Law(name, (probe.__doc__ or name).strip(), remedy, probe)

    return declare
