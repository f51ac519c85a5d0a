"""A member's place in one training: the agreed plan, the key, and the model so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgpack

from mesh_fl.agent import Agent, Data, State
from mesh_fl.errors import PlanError, ProtocolError
from mesh_fl.layout import size
from mesh_fl.privacy.ledger import RecordSet
from mesh_fl.privacy.pipeline import Cipher
from mesh_fl.privacy.plan import Plan
from mesh_fl.state import dump_state, first_digest, load_state
from mesh_fl.store import Blobs


@dataclass(frozen=True)
class Dataset:
    """A member's records, ready for one agent.

    Parameters
    ----------
    data : Data
        Arrays by record.
    table : str
        The records' table: agents that read the same table share one budget.
    ids : tuple of str
        One id a record, all different.
    """

    data: Data
    table: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Holding:
    """What a member brings to one agent.

    Parameters
    ----------
    build : callable
        Makes the agent from the plan's configuration, by code that is installed here.
    dataset : callable
        Reads this member's records for that agent.
    """

    build: Callable[[Mapping[str, object]], Agent]
    dataset: Callable[[Agent], Dataset]


class Seat:
    """Where a member stands in a training.

    Model and digest are stored as one blob, so a crash never parts them.

    Attributes
    ----------
    rows : int
        Rows that the agent must make: one a record, or one in all where the unit is the client.
    cost_factor : int
        How many times its cost a release is charged to each record.
    digest : str
        Of the model: the chain of the initial state and all integer totals so far.
    step : int
        Releases that the model has seen.
    state : State
        The model.
    """

    def __init__(
        self,
        name: str,
        training: str,
        plan: Plan,
        agent: Agent,
        dataset: Dataset,
        records: RecordSet,
        rows: int,
        cost_factor: int,
        cipher: Cipher,
        blobs: Blobs,
    ) -> None:
        self.name = name
        self.training = training
        self.plan = plan
        self.agent = agent
        self.dataset = dataset
        self.records = records
        self.rows = rows
        self.cost_factor = cost_factor
        self.cipher = cipher
        self._blobs = blobs
        self._initial = agent.init()
        self.state: State = self._initial
        self.digest, self.step = first_digest(plan.digest, self._initial), 0
        if stored := blobs.get(f"{training}.model"):
            self._restore(stored)

    def start_from(self, digest: str, step: int, state: bytes | None) -> None:
        """Make sure that we stand where an ask starts from.

        Raises
        ------
        ProtocolError
            If we stand elsewhere and the ask does not bring the model along.
        """
        if self.digest == digest:
            return
        if state is None:
            raise ProtocolError("we missed a round and need the model sent along")
        self.advance(load_state(state, self._initial), digest, step)

    def advance(self, state: State, digest: str, step: int) -> None:
        """Take the next model, durably."""
        head = {"state": dump_state(state), "digest": digest, "step": step}
        self._blobs[f"{self.training}.model"] = msgpack.packb(head)
        self.state, self.digest, self.step = state, digest, step

    def _restore(self, stored: bytes) -> None:
        try:
            head = msgpack.unpackb(stored)
            state = load_state(head["state"], self._initial)
            digest, step = str(head["digest"]), int(head["step"])
        except (ProtocolError, ValueError, KeyError, TypeError, msgpack.UnpackException):
            # A damaged copy is as good as none: the server sends the model along.
            return
        self.state, self.digest, self.step = state, digest, step


def refuse_misfit(plan: Plan, agent: Agent) -> None:
    """Refuse a plan whose terms are not those of the agent that it names.

    Raises
    ------
    PlanError
        Naming the term, the plan's value and the agent's.
    """
    measured = size(agent.measure_layout())
    terms = (
        ("unit", plan.unit, agent.unit),
        ("dimension", plan.dimension, size(agent.layout(agent.init()))),
        ("clip", plan.clip, agent.clip),
        ("measure_dimension", plan.measure_dimension, measured),
        ("measure_clip", plan.measure_clip, agent.measure_clip),
    )
    for term, found, own in terms:
        if found != own:
            raise PlanError(
                f"the plan has {term} = {found}, agent {plan.agent} installed here has {own}: "
                "install the version of the agent that the operator plans with"
            )
