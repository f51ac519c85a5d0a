"""How long tasks take, as a model says, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents.resource.answer import Reason
from mesh_fl.agents.resource.durations import Durations
from mesh_fl.agents.resource.spread import log_sd
from mesh_fl.agents.resource.tasks import Told
from mesh_fl.schema import Table, column_of

Vector = NDArray[np.float64]

MOST_REASONS = 3
LEAST_FACTOR = 1.05
"""Less moves no plan."""


@dataclass(frozen=True)
class Predicted:
    """Hours of some tasks; each shape (n,).

    Parameters
    ----------
    p50, p90 : ndarray
    why : tuple of tuple of Reason
    log_sd : float
        Standard deviation of the logarithm of hours around the prediction.
    """

    p50: Vector
    p90: Vector
    why: tuple[tuple[Reason, ...], ...]
    log_sd: float


def predict(durations: Durations, state: State, told: Sequence[Told]) -> Predicted:
    """Say how long tasks take.

    Raises
    ------
    DataError
        If a task's input cannot be read.
    """
    table = _table(durations, told)
    cells = durations.inputs.place(table)
    middle, high = np.sort(state["spread"])[1:]
    return Predicted(
        p50=durations.hours(state, cells, float(middle)),
        p90=durations.hours(state, cells, float(high)),
        why=tuple(_why(durations, state, table, cells)),
        log_sd=log_sd(state["spread"]),
    )


def _table(durations: Durations, told: Sequence[Told]) -> Table:
    declared = durations.inputs.declared
    return {
        one.name: column_of(one, [task.inputs.get(one.name, one.parse(None)) for task in told])
        for one in declared
    }


def _why(
    durations: Durations, state: State, table: Table, cells: NDArray[np.int64]
) -> Iterator[tuple[Reason, ...]]:
    inputs = durations.inputs
    logs = inputs.factors(cells, state["weights"])[:, :-1]
    factors = np.exp(np.clip(logs, -50, 50))
    least = np.log(LEAST_FACTOR)
    strongest = np.argsort(-np.abs(logs), axis=1, kind="stable")[:, :MOST_REASONS]
    for task, groups in enumerate(strongest.tolist()):
        yield tuple(
            Reason(
                because=inputs.told(table, task, group, int(cells[task, group])),
                factor=float(factors[task, group]),
            )
            for group in groups
            if abs(logs[task, group]) >= least
        )
