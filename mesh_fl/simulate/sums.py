"""The sum of a round without a network: a sum over clients is a sum over their records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, Rows, State
from mesh_fl.errors import AgentError, MeshError
from mesh_fl.layout import size
from mesh_fl.privacy.clipping import choose_scale, sum_rows
from mesh_fl.privacy.plan import Kind
from mesh_fl.simulate.shards import Places, Shards

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]

ENTRIES_AT_ONCE = 1 << 20
"""Of rows in memory: 8 MB, however many records there are."""

CLIENTS_AT_ONCE = 64


class Sums(Protocol):
    """Adds up what clients make of their records."""

    def integers(self, kind: Kind, state: State, clients: Places) -> Integers:
        """Return the exact sum of clipped, scaled, rounded rows: as members add them."""

    def floats(self, kind: Kind, state: State, clients: Places) -> Vector:
        """Return the plain sum of rows as they are."""


@dataclass(frozen=True)
class Rowwise:
    """How rows of a kind are clipped and scaled.

    Parameters
    ----------
    clip, scale : float
    dimension : int
    """

    clip: float
    scale: float
    dimension: int

    @classmethod
    def of(cls, agent: Agent, kind: Kind, state: State) -> "Rowwise":
        """Return what a plan for this agent would say."""
        training = kind == "train"
        dimension = size(agent.layout(state) if training else agent.measure_layout())
        clip = float(agent.clip if training else agent.measure_clip)
        return cls(clip, choose_scale(clip, dimension), dimension)

    def integers(self, rows: Rows) -> Integers:
        """Return the sum of clipped, scaled, rounded rows."""
        return sum_rows(rows, self.clip, self.scale, self.dimension)


@dataclass(frozen=True)
class LocalSums:
    """Adds up in this process, in chunks of records, or of clients where the unit is the client.

    Parameters
    ----------
    agent : Agent
    shards : Shards
    """

    agent: Agent
    shards: Shards

    def integers(self, kind: Kind, state: State, clients: Places) -> Integers:
        """Return the exact sum of clipped, scaled, rounded rows."""
        terms = Rowwise.of(self.agent, kind, state)
        total = np.zeros(terms.dimension, dtype=np.int64)
        for rows in self._rows(kind, state, clients, terms.dimension):
            total += terms.integers(rows)
        return total

    def floats(self, kind: Kind, state: State, clients: Places) -> Vector:
        """Return the plain sum of rows as they are."""
        dimension = Rowwise.of(self.agent, kind, state).dimension
        total = np.zeros(dimension)
        for rows in self._rows(kind, state, clients, dimension):
            total += np.asarray(rows.sum(axis=0, dtype=np.float64)).ravel()
        return total

    def _rows(self, kind: Kind, state: State, clients: Places, dimension: int) -> Iterator[Rows]:
        if self.agent.unit == "client":
            yield from self._rows_by_client(kind, state, clients)
        else:
            at_once = max(1, ENTRIES_AT_ONCE // dimension)
            yield from self._rows_by_record(kind, state, clients, at_once)

    def _rows_by_client(self, kind: Kind, state: State, clients: Places) -> Iterator[Rows]:
        for start in range(0, len(clients), CLIENTS_AT_ONCE):
            group = clients[start : start + CLIENTS_AT_ONCE]
            shards = [self.shards[client] for client in group]
            try:
                rows = rows_together(self.agent, kind, state, shards)
            except Exception as error:
                raise self._at_fault(kind, state, group) or _failure(
                    self.agent, kind, "some clients at once", error
                ) from error
            yield rows

    def _rows_by_record(
        self, kind: Kind, state: State, clients: Places, at_once: int
    ) -> Iterator[Rows]:
        everybody = len(clients) == len(self.shards)
        places = None if everybody else self.shards.records_of(clients)
        count = self.shards.starts[-1] if places is None else len(places)
        for start in range(0, int(count), at_once):
            stop = min(start + at_once, int(count))
            data = (
                self.shards.slice(start, stop)
                if places is None
                else self.shards.take(places[start:stop])
            )
            try:
                rows = rows_of(self.agent, kind, state, data, stop - start)
            except Exception as error:
                records = np.arange(start, stop) if places is None else places[start:stop]
                owners = np.unique(np.searchsorted(self.shards.starts, records, "right") - 1)
                raise self._at_fault(kind, state, owners) or _failure(
                    self.agent, kind, "some clients at once", error
                ) from error
            yield rows

    def _at_fault(self, kind: Kind, state: State, clients: Places) -> AgentError | None:
        """Find the first client at which the agent fails alone."""
        for client in clients:
            try:
                rows_at(self.agent, kind, state, self.shards, int(client))
            except AgentError as error:
                return error
        return None


def rows_at(agent: Agent, kind: Kind, state: State, shards: Shards, client: int) -> Rows:
    """Return the rows of one client.

    Raises
    ------
    AgentError
        If the agent fails, with stage and client.
    """
    expected = 1 if agent.unit == "client" else shards.sizes[client]
    try:
        return rows_of(agent, kind, state, shards[client], expected)
    except Exception as error:
        raise _failure(agent, kind, shards.names[client], error) from error


def rows_of(agent: Agent, kind: Kind, state: State, data: Data, expected: int) -> Rows:
    """Return the rows that an agent makes of some records.

    Raises
    ------
    AgentError
        If there are not as many as expected.
    """
    rows = agent.contribute(state, data) if kind == "train" else agent.measure(state, data)
    if not hasattr(rows, "shape"):
        raise AgentError(f"expected an array of rows, got a {type(rows).__name__}")
    if rows.shape[0] != expected:
        raise AgentError(f"expected {expected} rows, got {rows.shape[0]}: try `mesh-sim check`")
    return rows


def rows_together(agent: Agent, kind: Kind, state: State, shards: Sequence[Data]) -> Rows:
    """Return the one row of each of several clients.

    Raises
    ------
    AgentError
        If there is not one row a client.
    """
    if kind == "train":
        rows = agent.contribute_many(state, shards)
    else:
        rows = [agent.measure(state, shard) for shard in shards]
    counts = [one.shape[0] for one in rows]
    if counts != [1] * len(shards):
        raise AgentError(f"expected 1 row of each of {len(shards)} clients, got {counts}")
    dense = [one if isinstance(one, np.ndarray) else one.toarray() for one in rows]
    return np.concatenate(dense)


def _failure(agent: Agent, kind: Kind, client: str, error: Exception) -> AgentError:
    stage = "contribute" if kind == "train" else "measure"
    told = str(error) if isinstance(error, MeshError) else f"{type(error).__name__}: {error}"
    return AgentError(f"{client}: agent {type(agent).__name__} failed in {stage}: {told}")
