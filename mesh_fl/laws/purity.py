"""Laws of purity: the same question has the same answer, and asking changes nothing."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from mesh_fl.agent import Agent, Data
from mesh_fl.errors import AgentError
from mesh_fl.laws.case import Case, Turn, attributes
from mesh_fl.laws.elsewhere import walk_elsewhere
from mesh_fl.laws.law import BreachError, UncheckedError, law
from mesh_fl.laws.sameness import Answers, compare_answers
from mesh_fl.laws.variation import copied, lock, take
from mesh_fl.laws.walk import walk
from mesh_fl.registry import config_of

Call = tuple[str, Callable[..., object], tuple[Data, ...]]


@law("Work on copies: `x = x + 1` instead of `x += 1`, and build new dictionaries.")
def nothing_is_mutated(case: Case) -> str:
    """Write into no data, state or total, and work on read-only arrays."""
    for told, method, arguments in _calls(case):
        writable = tuple(copied(argument) for argument in arguments)
        method(*writable)
        for before, after in zip(arguments, writable, strict=True):
            _expect_untouched(before, after, told)
        locked = tuple(copied(argument) for argument in arguments)
        for argument in locked:
            lock(argument)
        try:
            method(*locked)
        except ValueError as error:
            raise BreachError(f"{told} fails on read-only arrays: {error}") from error
    return ""


@law("Take randomness out, or derive it from a field; keep nothing from call to call.")
def same_call_same_answer(case: Case) -> str:
    """Give the same answers on every call, in between others, and on a second instance."""
    few, others = case.few, take(case.many, np.arange(3))
    first = walk(case.agent, few)
    compare_answers(walk(case.agent, few), first, "on a second call")
    walk(case.agent, others)
    compare_answers(walk(case.agent, few), first, "after other data")
    twin = _twin(case)
    walk(twin, others)
    compare_answers(walk(twin, few), first, "on a second instance")
    return ""


@law("Do not rely on hash(), sets, the clock, files or the environment.")
def same_in_another_process(case: Case) -> str:
    """Give the same answers in another process with the same configuration."""
    _twin(case)
    if case.name.startswith("__main__:"):
        raise UncheckedError("the class stands in __main__, which no other process can import")
    found = walk_elsewhere(case.name, config_of(case.agent), case.few)
    compare_answers(found, walk(case.agent, case.few), "in another process")
    return ""


@law("Start from constants, or from a generator seeded by a field.")
def init_is_constant(case: Case) -> str:
    """Start from the same model on every call and on every instance."""
    first: Answers = copied(case.agent.init())
    compare_answers(case.agent.init(), first, "init on a second call")
    # What goes wrong on the walk is no fault of `init`.
    with contextlib.suppress(Exception):
        walk(case.agent, case.few)
    compare_answers(case.agent.init(), first, "init after a training")
    compare_answers(_twin(case).init(), first, "init on a second instance")
    return ""


@law("Keep what is learned in the state, and nothing in the object: no cache, no counter.")
def no_learned_state(case: Case) -> str:
    """Stay, as an object, what it was before all of this."""
    now = attributes(case.agent)
    changed = [
        name for name in now.keys() | case.born.keys() if now.get(name) != case.born.get(name)
    ]
    if changed:
        raise BreachError(f"changed since the start: {', '.join(sorted(changed))}")
    return ""


def _calls(case: Case) -> Iterator[Call]:
    agent = case.agent
    for stage, state in case.stages.items():
        total = Turn(agent, "contribute", stage, state).total(case.few)
        yield f"contribute {stage}", agent.contribute, (state, case.few)
        yield f"apply {stage}", agent.apply, (state, total)
        yield f"predict {stage}", agent.predict, (state, case.few)
        yield f"adapt {stage}", agent.adapt, (state, case.few)
        if case.measures:
            counts = Turn(agent, "measure", stage, state).total(case.few)
            yield f"measure {stage}", agent.measure, (state, case.few)
            yield f"score {stage}", agent.score, (counts,)
    if case.table is not None:
        yield "prepare", agent.prepare, (case.table,)


def _expect_untouched(before: Data, after: Data, told: str) -> None:
    if list(before) != list(after):
        raise BreachError(f"{told} changes the names {list(before)} to {list(after)}")
    for name, values in before.items():
        if values.tobytes() != after[name].tobytes() or values.shape != after[name].shape:
            raise BreachError(f"{told} changes {name!r}")


def _twin(case: Case) -> Agent:
    try:
        return case.rebuilt()
    except AgentError as error:
        # A law of its own tells why.
        raise UncheckedError("the agent cannot be built from its configuration") from error
