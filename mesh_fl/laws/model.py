"""Laws of the model: configuration, state, predictions, quality, adaptation, preparation."""

import dataclasses
import json
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State, Total
from mesh_fl.laws.case import Case, Turn, attributes, noisy
from mesh_fl.laws.law import BreachError, UncheckedError, law
from mesh_fl.laws.sameness import compare_answers, compare_rows
from mesh_fl.laws.variation import Index, copied, copied_floats, count, take
from mesh_fl.layout import size
from mesh_fl.privacy.clipping import choose_scale
from mesh_fl.registry import config_of
from mesh_fl.state import dump_state, load_state


@law("Make the class a frozen keyword-only dataclass at the top of a module, with plain fields.")
def configuration_survives_json(case: Case) -> str:
    """Be a frozen dataclass that comes back from its JSON, by the registry, as it was."""
    parameters = getattr(case.agent, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise BreachError(f"{type(case.agent).__name__} is no frozen dataclass")
    text = config_of(case.agent)
    twin = case.rebuilt()
    if config_of(twin) != text:
        raise BreachError(f"{text} comes back as {config_of(twin)}")
    # A whole number in a float field comes back as a float: equal, though written differently.
    if twin != case.agent:
        found, expected = attributes(twin), attributes(case.agent)
        changed = [name for name in expected if found.get(name) != expected[name]]
        raise BreachError(f"another value comes back for {', '.join(changed) or 'the agent'}")
    return f"{len(json.loads(text))} fields"


@law("Give `clip` and `measure_clip` as finite numbers above 0, `unit` as record or client.")
def limits_are_sound(case: Case) -> str:
    """Keep clips finite and above 0, so that the pipeline can scale them, and the unit known."""
    agent = case.agent
    if agent.unit not in ("record", "client"):
        raise BreachError(f"expected unit 'record' or 'client', got {agent.unit!r}")
    clips = {"clip": (agent.clip, size(agent.layout(agent.init())))}
    if case.measures:
        clips["measure_clip"] = (agent.measure_clip, size(agent.measure_layout()))
    for name, (clip, dimension) in clips.items():
        if isinstance(clip, bool) or not isinstance(clip, int | float):
            raise BreachError(f"expected {name} to be a number, got {clip!r}")
        choose_scale(clip, dimension)
    return ""


@law("Guard divisions, logarithms and roots in `apply`; return every block, in the same order.")
def state_stays_sound(case: Case) -> str:
    """Return from `apply` the same float64 blocks, all finite, whatever the noise."""
    first = case.agent.init()
    _expect_state(first, first, "init")
    if not first:
        raise BreachError("init: the state has no block")
    for stage, state in case.stages.items():
        for told, total in _totals(case, Turn(case.agent, "contribute", stage, state)):
            after = case.agent.apply(copied_floats(state), total)
            _expect_state(after, first, f"apply {stage}, {told}")
    return ""


@law("Use text for block names and plain arrays for blocks: everything else is lost.")
def state_survives_the_wire(case: Case) -> str:
    """Stay the same model when it is sent: in its blocks and in the rows it leads to."""
    for stage, state in case.stages.items():
        sent = load_state(dump_state(state), case.agent.init())
        compare_answers(sent, state, f"sent {stage}")
    for turn in case.turns():
        there = load_state(dump_state(turn.state), case.agent.init())
        sent_turn = dataclasses.replace(turn, state=there)
        compare_rows(turn, sent_turn.rows(case.few), turn.rows(case.few), "with the sent state")
    return ""


@law("Return an array with one answer for each record, also from `init()`.")
def predicts_before_learning(case: Case) -> str:
    """Give one answer a record, with an untrained model as well as a trained one."""
    for stage, state in case.stages.items():
        _expect_answers(case, state, f"predict {stage}")
    return ""


@law("Take a negative count as zero, and return NaN where there is nothing to tell.")
def score_reads_noise(case: Case) -> str:
    """Read finite figures from a noisy total, and raise nothing on an empty one."""
    if not case.measures:
        raise UncheckedError("the agent declares no measure")
    for turn in case.turns():
        if turn.method != "measure":
            continue
        exact = turn.total(case.many)
        for told, total in _disturbed(exact, case.generator()):
            _score(case, total, f"{turn}, {told}", finite=True)
        for told, total in _extremes(exact):
            _score(case, total, f"{turn}, {told}", finite=False)
    return ""


@law("Return `{**state, ...}`: new values for blocks of the same shape, and blocks of your own.")
def adapt_keeps_the_blocks(case: Case) -> str:
    """Keep the name and shape of every block in `adapt`, and predict with the result."""
    for stage, state in case.stages.items():
        adapted = case.agent.adapt(copied_floats(state), copied(case.few))
        lost = [name for name in state if name not in adapted]
        if lost:
            raise BreachError(f"adapt {stage}: lost {', '.join(lost)}")
        _expect_state({name: adapted[name] for name in state}, state, f"adapt {stage}")
        _expect_answers(case, adapted, f"predict adapted {stage}")
    return ""


@law("Use declared bounds and levels in `prepare`; fit nothing on the table.")
def prepare_is_record_by_record(case: Case) -> str:
    """Prepare a record of a table alike, whatever other records stand around it."""
    if not case.agent.schema or case.table is None:
        raise UncheckedError("the agent declares no schema" if case.table else "no table is given")
    whole = case.agent.prepare(copied(case.table))
    everyone = np.arange(count(case.table))
    some = np.unique(np.linspace(0, len(everyone) - 1, 8).astype(np.int64))
    choices: list[tuple[str, Index]] = [
        ("in another order", case.generator().permutation(everyone))
    ]
    choices += [(f"record {record} alone", everyone[record : record + 1]) for record in some]
    choices += [(f"without record {record}", np.delete(everyone, record)) for record in some]
    for told, index in choices:
        found = case.agent.prepare(take(case.table, index))
        compare_answers(found, take(whole, index), f"prepare {told}")
    return ""


def _totals(case: Case, turn: Turn) -> Iterator[tuple[str, Total]]:
    random = case.generator()
    exact = turn.total(case.few)
    yield "exact total", exact
    yield "noisy total", noisy(exact, 5 * case.agent.clip, random)
    yield "total drowned in noise", noisy(exact, 300 * case.agent.clip, random)
    yield from _extremes(exact)


def _disturbed(exact: Total, random: np.random.Generator) -> Iterator[tuple[str, Total]]:
    sigma = 0.05 * max(float(np.abs(block).max(initial=0.0)) for block in exact.values())
    for _ in range(5):
        yield "noisy total", noisy(exact, sigma, random)
    smallest = min(float(block.min(initial=np.inf)) for block in exact.values())
    below = {name: np.where(block == smallest, -sigma, block) for name, block in exact.items()}
    yield "least count below zero", below


def _extremes(exact: Total) -> Iterator[tuple[str, Total]]:
    yield "total of zeros", {name: np.zeros_like(block) for name, block in exact.items()}
    yield "negative total", {name: -np.abs(block) - 1 for name, block in exact.items()}


def _expect_state(state: State, like: State, told: str) -> None:
    if list(state) != list(like):
        raise BreachError(f"{told}: expected the blocks {list(like)}, got {list(state)}")
    for name, block in state.items():
        if not isinstance(block, np.ndarray) or block.dtype != np.float64:
            kind = getattr(block, "dtype", type(block).__name__)
            raise BreachError(f"{told}: expected {name!r} to be a float64 array, got {kind}")
        if block.shape != like[name].shape:
            raise BreachError(f"{told}: {name!r} went from {like[name].shape} to {block.shape}")
        if not np.isfinite(block).all():
            raise BreachError(f"{told}: {name!r} holds NaN or infinity")


def _expect_answers(case: Case, state: State, told: str) -> None:
    answers: NDArray[np.generic] = case.agent.predict(copied_floats(state), copied(case.few))
    if not isinstance(answers, np.ndarray) or answers.shape[:1] != (count(case.few),):
        found = getattr(answers, "shape", type(answers).__name__)
        raise BreachError(f"{told}: expected {count(case.few)} answers in an array, got {found}")


def _score(case: Case, total: Total, told: str, *, finite: bool) -> None:
    for name, figure in case.agent.score(total).items():
        number = float(figure)
        if math.isinf(number) or (finite and math.isnan(number)):
            raise BreachError(f"score of {told}: {name} is {number}")
