"""A member's place in one training: the agreed plan, the keys, and the model so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgpack

from mesh_fl.agent import Agent, Data, State
from mesh_fl.errors import PlanError, ProtocolError
from mesh_fl.keyring import Keyring, Term
from mesh_fl.layout import size
from mesh_fl.messages import Advertise, Deal, Shares
from mesh_fl.privacy.ledger import RecordSet
from mesh_fl.privacy.pipeline import Cipher, CipherFactory
from mesh_fl.privacy.plan import Plan
from mesh_fl.privacy.robust import Attempt
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
    parts : mapping of str to tuple of str
        Ids of rows of other tables that the records were made of, by table.
    own : Data, optional
        All records of the member, where some are dealt to other agents: what stays here may be
        fitted to them. Those of `data` when None.
    """

    data: Data
    table: str
    ids: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: Data | None = None

    @property
    def at_home(self) -> Data:
        """What may be fitted to as long as it stays here: all records."""
        return self.data if self.own is None else self.own


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


@dataclass
class Part:
    """Our part in one attempt of a large cohort, in memory only: a crash ends it.

    Parameters
    ----------
    order : Advertise
        That began it.
    attempt : Attempt
        Our keys.
    dealt : tuple of Deal and Shares, or None
        What we answered: messages may arrive twice.
    """

    order: Advertise
    attempt: Attempt
    dealt: tuple[Deal, Shares] | None = None


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
    opened : str
        SHA-256 of the last encrypted sum that was opened, or empty.
    keyring : Keyring
        Our keys of this training.
    part : Part or None
        In the last attempt of a large cohort.
    """

    def __init__(
        self,
        name: str,
        training: str,
        plan: Plan,
        agent: Agent,
        dataset: Dataset,
        records: RecordSet,
        parts: RecordSet,
        rows: int,
        cost_factor: int,
        make_cipher: CipherFactory,
        blobs: Blobs,
    ) -> None:
        self.name = name
        self.training = training
        self.plan = plan
        self.agent = agent
        self.dataset = dataset
        self.records = records
        self.parts = parts
        self.rows = rows
        self.cost_factor = cost_factor
        self._make_cipher = make_cipher
        self._cipher: tuple[str, Cipher] | None = None
        self.keyring = Keyring(name, training, plan.parameters, blobs)
        self.opened = ""
        self.part: Part | None = None
        self._blobs = blobs
        self._initial = agent.init()
        self.state: State = self._initial
        self.digest, self.step = first_digest(plan.digest, self._initial), 0
        if stored := blobs.get(f"{training}.model"):
            self._restore(stored)

    @property
    def term(self) -> Term:
        """The epoch that we stand in.

        Raises
        ------
        ProtocolError
            If none has begun.
        """
        term = self.keyring.term
        if term is None:
            raise ProtocolError("no epoch has begun: there is no key yet")
        return term

    def part_in(self, attempt: int) -> Part:
        """Return our part of an attempt in a large cohort.

        Raises
        ------
        ProtocolError
            If we have none.
        """
        if self.part is None or self.part.order.attempt != attempt:
            raise ProtocolError(f"we have no keys for attempt {attempt}: we dropped out of it")
        return self.part

    @property
    def cipher(self) -> Cipher:
        """Encryption under the epoch's key."""
        term = self.term
        if self._cipher is None or self._cipher[0] != term.charter.digest:
            made = self._make_cipher(self.plan.parameters, term.secret_key)
            self._cipher = (term.charter.digest, made)
        return self._cipher[1]

    def advance(self, state: State, digest: str, step: int, opened: str = "") -> None:
        """Take the next model, durably."""
        head = {"state": dump_state(state), "digest": digest, "step": step, "opened": opened}
        self._blobs[f"{self.training}.model"] = msgpack.packb(head)
        self.state, self.digest, self.step, self.opened = state, digest, step, opened

    def keep_scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Keep what a measure found over the network; it is public, and serves people only."""
        found = {**self.scores, step: dict(scores)}
        self._blobs[f"{self.training}.scores"] = msgpack.packb(found)

    @property
    def scores(self) -> dict[int, dict[str, float]]:
        """What measures found so far, by the release."""
        stored = self._blobs.get(f"{self.training}.scores")
        try:
            found: dict[int, dict[str, float]] = (
                msgpack.unpackb(stored, strict_map_key=False) if stored else {}
            )
        except (ValueError, msgpack.UnpackException):
            return {}
        return found

    def _restore(self, stored: bytes) -> None:
        try:
            head = msgpack.unpackb(stored)
            state = load_state(head["state"], self._initial)
            place = str(head["digest"]), int(head["step"]), str(head["opened"])
        except (ProtocolError, ValueError, KeyError, TypeError, msgpack.UnpackException):
            # A damaged copy is as good as none: the server sends what was missed along.
            return
        self.state, (self.digest, self.step, self.opened) = state, place


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
