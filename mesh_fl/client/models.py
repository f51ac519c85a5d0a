"""The newest model of each agent, adapted to this member's data, swapped in whole."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from mesh_fl.agent import Agent, Answering, State
from mesh_fl.errors import AgentError, MeshError
from mesh_fl.member import Member
from mesh_fl.registry import build
from mesh_fl.schema import Table
from mesh_fl.seat import Holding, Seat
from mesh_fl.site import Site

_log = logging.getLogger(__name__)

PUBLIC = "public"
"""Version of a model that no training has touched: what everybody knows."""


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
    members : int
        Members that the training was planned for, whoever of them took part; 0 without one.
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
    members: int
    adapted: bool
    epsilon: float


@dataclass(frozen=True)
class Served:
    """A model as it is served: never changed, only replaced.

    Parameters
    ----------
    agent : Agent
    state : State
    card : ModelCard
    answering : callable, optional
        The agent's way to answer with this member's reference files; `Agent.answer` when None.
    """

    agent: Agent
    state: State
    card: ModelCard
    answering: Answering | None = None

    def answer(self, table: Table) -> Sequence[BaseModel]:
        """Answer for each record of a table."""
        return (self.answering or self.agent.answer)(self.state, table)


class Models:
    """Holds the served model of each agent; replacing one is a single assignment.

    Parameters
    ----------
    on_change : callable
        Told of each new model.
    site_of : callable
        What an agent has at hand here, by its name.
    """

    def __init__(
        self,
        on_change: Callable[[ModelCard], None] = lambda card: None,
        site_of: Callable[[str], Site] = lambda agent: Site(),
    ) -> None:
        self._served: dict[str, Served] = {}
        self._digests: dict[str, str] = {}
        self._on_change = on_change
        self._site_of = site_of
        self._answering: dict[str, tuple[Agent, Answering]] = {}
        self._lock = threading.Lock()

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
            members=len(seat.plan.caps),
            adapted=adapted,
            epsilon=seat.plan.epsilon,
        )
        self._digests[seat.plan.agent] = seat.digest
        self._serve(seat.agent, state, card)

    def read_files(self, name: str) -> None:
        """Read the reference files of an agent that answers before any training.

        Raises
        ------
        MeshError
            If the agent cannot be built, or a file cannot be read.
        """
        self._answering_of(name, build(name, {}))

    def take_public(self, name: str) -> None:
        """Serve what everybody knows, unless a trained model is here."""
        if name not in self._served:
            agent = build(name, {})
            self._serve(agent, agent.init(), _public_card(name, adapted=False))

    def adapt_public(self, names: Sequence[str], holdings: Mapping[str, Holding]) -> None:
        """Fit public models to our own records; a trained one that came meanwhile is kept.

        Nothing of it leaves, so it costs no budget.
        """
        for name in names:
            before = self._served.get(name)
            if name not in holdings or before is None or before.card.version != PUBLIC:
                continue
            try:
                agent = before.agent.at_home(datetime.now(UTC).date())
                state = agent.adapt(before.state, holdings[name].dataset(agent).at_home)
            except (MeshError, ValueError, ArithmeticError) as error:
                _log.warning("%s answers by public knowledge alone: %s", name, error)
                continue
            if state is not before.state:
                self._serve(
                    before.agent, state, _public_card(name, adapted=True), instead_of=before
                )

    def _serve(
        self, agent: Agent, state: State, card: ModelCard, instead_of: Served | None = None
    ) -> None:
        """Serve a model; where another is named, only if that one is still served."""
        try:
            answering = self._answering_of(card.agent, agent)
        except MeshError as error:
            _log.warning("%s answers without its reference files: %s", card.agent, error)
            answering = agent.answer
        with self._lock:
            if instead_of is not None and self._served.get(card.agent) is not instead_of:
                return
            self._served[card.agent] = Served(agent, state, card, answering)
        self._on_change(card)

    def _answering_of(self, name: str, agent: Agent) -> Answering:
        """Read the reference files once for each configuration."""
        known = self._answering.get(name)
        if known is None or known[0] != agent:
            known = agent, agent.answering(self._site_of(name))
            self._answering[name] = known
        return known[1]

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
        state = seat.agent.adapt(seat.state, seat.dataset.at_home)
    except (MeshError, ValueError, ArithmeticError) as error:
        _log.warning("the global model is served unadapted: %s: %s", type(error).__name__, error)
        return seat.state, False
    return state, type(seat.agent).adapt is not Agent.adapt


def _public_card(name: str, adapted: bool) -> ModelCard:
    return ModelCard(
        agent=name,
        training="",
        version=PUBLIC,
        round=0,
        rounds=0,
        members=0,
        adapted=adapted,
        epsilon=0.0,
    )
