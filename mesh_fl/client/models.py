"""The newest model of each agent, adapted to this member's data, swapped in whole."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from mesh_fl.agent import Agent, State
from mesh_fl.errors import AgentError, MeshError
from mesh_fl.member import Member
from mesh_fl.seat import Seat

_log = logging.getLogger(__name__)


class ModelCard(BaseModel):
    """Which model answered.

    Parameters
    ----------
    agent, training : str
        Which agent, from which training.
    version : str
        The training and the number of releases that the model has seen.
    round, rounds : int
        Training rounds that it has seen, and that were planned.
    adapted : bool
        Whether it was fitted to this member's own data on top; that part never leaves here.
    epsilon : float
        What the whole training promises.
    """

    model_config = ConfigDict(frozen=True)

    agent: str
    training: str
    version: str
    round: int
    rounds: int
    adapted: bool
    epsilon: float


@dataclass(frozen=True)
class Served:
    """A model as it is served: never changed, only replaced."""

    agent: Agent
    state: State
    card: ModelCard


class Models:
    """Holds the served model of each agent; replacing one is a single assignment.

    Parameters
    ----------
    on_change : callable
        Told of each new model.
    """

    def __init__(self, on_change: Callable[[ModelCard], None] = lambda card: None) -> None:
        self._served: dict[str, Served] = {}
        self._digests: dict[str, str] = {}
        self._on_change = on_change

    def served(self) -> Mapping[str, Served]:
        """Return the served models by agent."""
        return dict(self._served)

    def newest(self, agent: str) -> Served:
        """Return an agent's model.

        Raises
        ------
        AgentError
            If it was never trained.
        """
        served = self._served.get(agent)
        if served is None:
            raise AgentError(
                f"agent {agent} was never trained here: it answers after the first round that we "
                "take part in (see `mesh-client status`)"
            )
        return served

    def take(self, seat: Seat) -> None:
        """Adapt a seat's model and serve it from now on."""
        rounds = seat.plan.schedule[: seat.step].count("train")
        if rounds == 0 or self._digests.get(seat.plan.agent) == seat.digest:
            return
        state, adapted = _adapted(seat)
        card = ModelCard(
            agent=seat.plan.agent,
            training=seat.training,
            version=f"{seat.training[:8]}-{seat.step}",
            round=rounds,
            rounds=seat.plan.rounds,
            adapted=adapted,
            epsilon=seat.plan.epsilon,
        )
        self._served[seat.plan.agent] = Served(seat.agent, state, card)
        self._digests[seat.plan.agent] = seat.digest
        self._on_change(card)

    def resume(self, member: Member) -> None:
        """Serve what was served before this process was started, oldest training first."""
        for training in member.trainings():
            try:
                self.take(member.resume(training))
            except MeshError as error:
                _log.warning("the model of training %s cannot be served: %s", training, error)


def _adapted(seat: Seat) -> tuple[State, bool]:
    """Return the local model, or the global one where the agent cannot adapt it."""
    try:
        state = seat.agent.adapt(seat.state, seat.dataset.data)
    except (MeshError, ValueError, ArithmeticError) as error:
        _log.warning("the global model is served unadapted: %s: %s", type(error).__name__, error)
        return seat.state, False
    return state, type(seat.agent).adapt is not Agent.adapt
