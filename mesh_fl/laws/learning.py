"""Laws of learning: the agent gets better, without noise and at a modest epsilon."""

import math
from collections.abc import Callable

import numpy as np

from mesh_fl.agent import State
from mesh_fl.laws.case import Case, Turn
from mesh_fl.laws.law import BreachError, UncheckedError, law
from mesh_fl.laws.variation import copied, copied_floats, count, take
from mesh_fl.quality import FALLING, RISING, headline

LEAST_RECORDS = 200

Figure = Callable[[State], float]


@law("Check the sign and size of the step, and that rows are not far shorter than `clip`.")
def learns_without_noise(case: Case) -> str:
    """Improve the figure by rounds of exact sums, and not as much by rounds of empty totals."""
    figure = _figure(case)
    state = idle = case.agent.init()
    for _ in range(case.rounds):
        total = Turn(case.agent, "contribute", "", state).total(case.data)
        nothing = {name: np.zeros_like(block) for name, block in total.items()}
        state = case.agent.apply(copied_floats(state), total)
        idle = case.agent.apply(copied_floats(idle), nothing)
    # What comes without any data, by `init` or by the mere passing of rounds, is not learned.
    known = max((figure(case.agent.init()), figure(idle)), key=_or_worst)
    return _expect_gain(known, figure(state), case.margin)


@law("Lower `clip` to the usual length of a row, use fewer rounds, or check with more records.")
def learns_at_modest_epsilon(case: Case) -> str:
    """Improve the figure in a private training over several members."""
    figure = _figure(case)
    if count(case.data) < LEAST_RECORDS:
        raise UncheckedError(f"{count(case.data)} records; at least {LEAST_RECORDS} are needed")
    try:
        told = _expect_gain(figure(case.agent.init()), figure(_train(case)), case.margin / 2)
    except BreachError as breach:
        if case.agent.unit == "record":
            raise
        # A few clients are no crowd to hide one in: noise decides, whatever the agent does.
        raise UncheckedError(
            f"{breach}, but {case.members} clients tell little: simulate some hundreds of them"
        ) from None
    return f"{told} at epsilon = {case.epsilon:g} over {case.members} members"


def _train(case: Case) -> State:
    # A whole training needs the whole package; the other laws need only the agent.
    from mesh_fl.planning import make_plan
    from mesh_fl.simulate.engine import simulate

    places = np.arange(count(case.data))
    shards = {
        f"member-{k + 1}": take(case.data, places[k :: case.members]) for k in range(case.members)
    }
    caps = {name: count(shard) for name, shard in shards.items()}
    plan = make_plan(
        case.agent,
        case.name,
        caps,
        rounds=case.rounds,
        measures=0,
        spares=0,
        survivors=case.members,
        epsilon=case.epsilon,
    )
    outcome = simulate(case.agent, plan, shards, seed=case.seed)
    if outcome.status != "finished":
        raise BreachError(f"the training ended as {outcome.status}")
    return outcome.state


def _figure(case: Case) -> Figure:
    quality = case.quality
    if quality is not None:
        return lambda state: float(quality(case.agent, copied_floats(state), copied(case.data)))
    if not case.measures:
        raise UncheckedError("the agent declares no measure, and no quality is given")
    return lambda state: _measured(case, state)


def _measured(case: Case, state: State) -> float:
    scores = case.agent.score(Turn(case.agent, "measure", "", state).total(case.data))
    metric = headline(scores)
    if metric is None:
        known = ", ".join(RISING + FALLING)
        raise UncheckedError(f"the score has none of {known}, and no quality is given")
    return metric.sign * float(scores[metric.name])


def _expect_gain(before: float, after: float, margin: float) -> str:
    told = f"{before:.4g} became {after:.4g}"
    gain = after - before if math.isfinite(before) else math.inf
    if not math.isfinite(after) or not gain >= margin * max(abs(before), abs(after)):
        raise BreachError(f"{told}, a gain of at least {margin:.1%} was expected")
    return told


def _or_worst(figure: float) -> float:
    return figure if math.isfinite(figure) else -math.inf
