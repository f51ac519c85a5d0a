"""Federated averaging: a client's one row is what some local steps of gradient descent changed.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data";
with the clipped, noised sum of McMahan et al. 2018, "Learning Differentially Private Recurrent
Language Models". The unit that is protected is the client: all of a member's records together.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, State, Total
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.layout import Layout, size
from mesh_fl.local_steps import Steps, steps_of

ROUND = "round"


@dataclass(frozen=True, kw_only=True)
class FedAvg(Agent):
    """Trains a model by averaging what clients' local steps change.

    Subclasses say how a model starts (`parameters`), learns (`local_steps`) and answers
    (`predict`). Clients of a simulation learn many at a time.

    Parameters
    ----------
    clients : float
        Public number of clients in a sum; what is summed is divided by it.
    clip : float
        L2 bound of a client's change.
    learning_rate : float
        Of the local steps.
    batch, epochs : int
        Records of a minibatch, and how often a client goes through its own.
    server_rate : float
        Of the step that the average makes.
    seed : int
        Of the initial parameters and of the order of records.
    """

    unit: ClassVar[Literal["record", "client"]] = "client"
    together: ClassVar[int] = 64
    """Clients that learn at once: enough to keep the processor busy, few enough for its caches."""

    clients: float
    clip: float = 1.0
    learning_rate: float = 0.1
    batch: int = 10
    epochs: int = 1
    server_rate: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        for name, sound, expected in self._rules():
            if not sound:
                found = getattr(self, name)
                raise ConfigError(
                    f"{type(self).__name__}, {name}: expected {expected}, found {found!r}"
                )

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        for name in ("clients", "clip", "learning_rate", "server_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("batch", "epochs"):
            yield name, getattr(self, name) >= 1, "at least 1"
        yield "seed", self.seed >= 0, "at least 0"

    @abstractmethod
    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the parameters before any training, by name; none is called "round"."""

    @abstractmethod
    def local_steps(self, state: State, data: Data, steps: Steps) -> NDArray[np.float64]:
        """Train some clients, each from `state` on its own records.

        Parameters
        ----------
        state : State
        data : Data
            All clients' records, end to end.
        steps : Steps
            Which of them each client takes at each step, and with which weights.

        Returns
        -------
        ndarray, shape (k, size of the layout)
            What each client changed, in the order of `steps.clients`.
        """

    def init(self) -> State:
        """Return the initial parameters, and that no round was made."""
        return {**self.parameters(), ROUND: np.array(0.0)}

    def layout(self, state: State) -> Layout:
        """Return the parameters' blocks."""
        return {name: value.shape for name, value in state.items() if name != ROUND}

    def contribute(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the one row of a client: what its local steps changed, shape (1, dim)."""
        (row,) = self.contribute_many(state, [data])
        return row

    def contribute_many(
        self, state: State, shards: Sequence[Data]
    ) -> Sequence[NDArray[np.float64]]:
        """Return one row of shape (1, dim) for each client."""
        rows: list[NDArray[np.float64]] = []
        for start in range(0, len(shards), self.together):
            rows.extend(self._rows(state, shards[start : start + self.together])[:, None])
        return rows

    def apply(self, state: State, total: Total) -> State:
        """Move by the mean change."""
        rate = self.server_rate / self.clients
        moved = {name: state[name] + rate * block for name, block in total.items()}
        return {**moved, ROUND: np.asarray(state[ROUND] + 1)}

    def _rows(self, state: State, shards: Sequence[Data]) -> NDArray[np.float64]:
        sizes = [_count(shard) for shard in shards]
        rows = np.zeros((len(shards), size(self.layout(state))))
        if max(sizes) > 0:
            at = (self.seed, int(state[ROUND]))
            steps = steps_of(sizes, self.batch, self.epochs, at)
            data = {name: np.concatenate([s[name] for s in shards]) for name in shards[0]}
            rows[steps.clients] = self.local_steps(state, data, steps)
        return rows


def _count(shard: Data) -> int:
    if not shard:
        raise AgentError("expected arrays by record, found none")
    return len(next(iter(shard.values())))
