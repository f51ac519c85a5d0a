"""What is usual at a member: its own events where it has any, else what its model kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mesh_fl.agent import State
from mesh_fl.agents.anomaly.books import Books, Events
from mesh_fl.agents.anomaly.own_forest import EXTRA, FEWEST, OwnForest
from mesh_fl.agents.anomaly.traits import CYCLE_HOURS, HOUR_S, Trait
from mesh_fl.agents.anomaly.usual import Sample, Usual
from mesh_fl.errors import ConfigError

if TYPE_CHECKING:
    from mesh_fl.agents.anomaly.agent import AnomalyDetection

FEWEST_BEFORE = 100
"""Events before a stretch of time that can say what is usual in it."""

MOST_BEFORE = 50_000
"""Events that are looked at, the latest of them."""

FEW_EVENTS = f"fewer than {FEWEST} events of your own"


def usual_of(agent: "AnomalyDetection", state: State, books: Books, until: float) -> Usual:
    """Return what the events up to a moment have for usual.

    Where there is no event at all it is what the model has: the network's cells and, after `adapt`,
    those of one's own records.
    """
    events = books.events
    if events is None or not len(events.ids):
        return _of_model(agent, state)
    stretch = stretch_before(events, until, cycle_s(agent.traits))
    # A state is told by its cells: objects may come and go at one address.
    key = ("usual", state["cells"].tobytes(), stretch.start, stretch.stop)
    return books.kept(key, lambda: _of_events(agent, state, books, events, stretch))


def cycle_s(traits: Sequence[Trait]) -> int:
    """Return the seconds of the longest cycle that traits look at; 0 where there is none."""
    hours = (CYCLE_HOURS[one.cycle] for one in traits if one.kind == "moment")
    return HOUR_S * max(hours, default=0)


def stretch_before(events: Events, moment: float, cycle_s: int) -> slice:
    """Return the latest events up to a moment; all of them where those would be too few.

    They span whole cycles where there is one: a weekday that was seen three times beside others
    that were seen four times would look rare.
    """
    stop = events.between(-np.inf, moment).stop
    if stop < FEWEST_BEFORE:
        return slice(max(0, len(events.ids) - MOST_BEFORE), len(events.ids))
    start = max(0, stop - MOST_BEFORE)
    timed = events.ts[start:stop]
    # Every event before the moment tells its time: those that tell none come last.
    cycles = (moment - timed[0]) // cycle_s if cycle_s else 0
    whole = start + int(np.searchsorted(timed, moment - cycles * cycle_s, side="right"))
    return slice(whole if cycles >= 1 and stop - whole >= FEWEST_BEFORE else start, stop)


def _of_events(
    agent: "AnomalyDetection", state: State, books: Books, events: Events, stretch: slice
) -> Usual:
    sample = events.part(stretch)
    density = agent.blended(state, agent.blocks.counts(agent.blocks.find(sample.places)))
    forest, why = books.kept("forest", lambda: _forest(agent, events))
    return Usual(
        traits=agent.traits,
        density=density,
        sample=sample,
        known=events.words,
        kept_tail=None,
        source=f"{len(sample.places)} events of your own",
        until=stretch.stop,
        forest=forest,
        why_no_forest=why,
    )


def _forest(agent: "AnomalyDetection", events: Events) -> tuple[OwnForest | None, str]:
    if len(events.ids) < FEWEST:
        return None, FEW_EVENTS
    cells = tuple(one.cells for one in agent.traits)
    try:
        return OwnForest.fit(cells, events.places, events.at), ""
    except ConfigError:
        return None, EXTRA


def _of_model(agent: "AnomalyDetection", state: State) -> Usual:
    tail, nothing = agent.tail(state), (None,) * len(agent.traits)
    return Usual(
        traits=agent.traits,
        density=agent.density(state),
        sample=Sample({}, np.zeros((0, len(nothing)), dtype=np.int64), nothing),
        known=nothing,
        kept_tail=tail,
        source="the records that your model was adapted to" if tail else "nothing of your own",
        why_no_forest="no events of your own",
    )
