"""A short walk through all that an agent does: the same wherever and whenever it is taken."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data
from mesh_fl.laws.case import Method, Turn
from mesh_fl.laws.variation import copied, copied_floats
from mesh_fl.layout import size

ROUNDS = 2


def walk(agent: Agent, data: Data) -> dict[str, NDArray[np.generic]]:
    """Take an agent through two rounds without noise.

    Returns
    -------
    dict of ndarray
        Whatever it said, by the method that said it.
    """
    return {name: np.array(said) for name, said in _said(agent, copied(data))}


def _said(agent: Agent, data: Data) -> Iterator[tuple[str, NDArray[np.generic]]]:
    state = agent.init()
    yield from _blocks("init", state)
    for done in range(ROUNDS):
        turn = Turn(agent, "contribute", "", state)
        yield f"contribute, round {done + 1}", turn.rows(data)
        state = agent.apply(copied_floats(state), turn.total(data))
        yield from _blocks(f"apply, round {done + 1}", state)
    yield "predict", agent.predict(copied_floats(state), copied(data))
    yield from _blocks("adapt", agent.adapt(copied_floats(state), copied(data)))
    if size(agent.measure_layout()) > 0:
        measuring: Method = "measure"
        turn = Turn(agent, measuring, "", state)
        yield "measure", turn.rows(data)
        for name, figure in agent.score(turn.total(data)).items():
            yield f"score {name!r}", np.array(figure)


def _blocks(method: str, state: Data) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for name, block in state.items():
        yield f"{method} {name!r}", block
