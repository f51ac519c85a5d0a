"""What is attacked: five real members and an operator, every word of whom the auditor hears.

The auditor plays the strongest coalition that masks are to withstand: it is the operator, and it
holds the key of the epoch.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data
from mesh_fl.errors import MeshError
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Reply, ToMember, ToServer
from mesh_fl.planning import make_plan
from mesh_fl.privacy.ledger import Ledger
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.pipeline import Sealed, add, open_sum, slots_of
from mesh_fl.privacy.plan import Plan, Policy, Release
from mesh_fl.round import respond
from mesh_fl.seat import Dataset, Holding, Seat
from mesh_fl.simulate.audit.canaries import NAMES, Canaries, canaries
from mesh_fl.simulate.network import Founders, LocalExchange
from mesh_fl.statements import Call
from mesh_fl.store import MemoryJournal
from mesh_fl.training import Training, begin

SURVIVORS, COLLUDERS = 4, 1
AGENT, TABLE = "canaries", "canaries"

_MOST_TURNS = 300


@dataclass(frozen=True)
class Terms:
    """What of a plan differs between attacks; by default it is one training release."""

    rounds: int = 1
    measures: int = 0
    measure_share: float = 0.07
    spares: int = 0


def plan_of(agent: Agent, terms: Terms = Terms(), cap: int = 64) -> Plan:
    """Return a plan for the five."""
    caps = dict.fromkeys(NAMES, cap)
    return make_plan(
        agent,
        AGENT,
        caps,
        rounds=terms.rounds,
        measures=terms.measures,
        measure_share=terms.measure_share,
        spares=terms.spares,
        survivors=SURVIVORS,
        colluders=COLLUDERS,
    )


@dataclass
class Heard:
    """One answer of a member, and its ledger's lines as they were when the answer left."""

    name: str
    message: ToMember
    answer: ToServer
    journal: bytes


@dataclass
class Home:
    """What of a member lasts."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    blobs: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Wiretap(LocalExchange):
    """Hears everything; `loses` decides which answers never arrive."""

    homes: Mapping[str, Home] = field(default_factory=dict)
    loses: Callable[[str, ToMember], bool] = lambda name, message: False
    heard: list[Heard] = field(default_factory=list)

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        """Have everybody answer, and write it down."""
        answers = {name: self.ask(name, message) for name, message in messages.items()}
        return {n: answer for n, answer in answers.items() if not self.loses(n, messages[n])}

    def ask(self, name: str, message: ToMember) -> ToServer:
        """Have one member answer."""
        answer = respond(message, self.people[name])
        self.heard.append(Heard(name, message, answer, self.homes[name].journal.read()))
        return answer


class Subject:
    """A network of five that trains by the code of a deployment, BFV and masks included.

    Parameters
    ----------
    agent : Agent
        What is trained.
    plan : Plan
        Of `plan_of`.
    shards : dict of str to Data
        Each member's records.

    Attributes
    ----------
    errors : list of MeshError
        Why members refused.
    """

    def __init__(self, agent: Agent, plan: Plan, shards: Mapping[str, Data]) -> None:
        self.agent, self.plan, self.shards = agent, plan, shards
        self.errors: list[MeshError] = []
        self.founders = Founders.of(plan.caps, plan.colluders)
        self.homes = {name: Home() for name in shards}
        self.people = {name: self.member(name, home) for name, home in self.homes.items()}
        self.fresh_homes = copy.deepcopy(self.homes)
        self.wiretap = Wiretap(self.people, self.founders.roster, homes=self.homes)
        self.training, self.blobs = self._training()

    def member(self, name: str, home: Home) -> Member:
        """Start a member on what its home holds."""
        data = self.shards[name]
        ids = tuple(f"{name}-{k}" for k in range(len(next(iter(data.values())))))
        policy = Policy(delta=self.plan.delta, survivors=SURVIVORS, colluders=COLLUDERS)
        key = hashlib.sha256(name.encode()).digest()
        return Member(
            name=name,
            signing=self.founders.signing[name],
            roster=self.founders.roster,
            holdings={AGENT: Holding(lambda _: self.agent, lambda _: Dataset(data, TABLE, ids))},
            ledger=Ledger(home.journal, home.blobs, key, policy),
            blobs=home.blobs,
            source=SystemSource(),
            on_error=self.errors.append,
        )

    def run(self, *, opened: int | None = None, sealed: int | None = None) -> "Subject":
        """Train until so many releases are opened or sealed, or to the end."""
        turns = iter(range(_MOST_TURNS))
        at = self.training.checkpoint

        def stopped() -> bool:
            enough = opened is not None and at.applied >= opened
            return enough or (sealed is not None and at.step >= sealed) or next(turns, None) is None

        self.training.stopped = stopped
        self.training.run()
        return self

    def again(self) -> "Subject":
        """Begin another training over the same records."""
        self.training, self.blobs = self._training()
        return self

    @property
    def id(self) -> str:
        """The training's id."""
        return self.training.checkpoint.training

    @property
    def totals(self) -> list[NDArray[np.int64]]:
        """What was opened, in order."""
        opened = range(self.training.checkpoint.applied)
        blobs = [self.blobs[f"{self.id}.total.{step}"] for step in opened]
        return [np.frombuffer(blob, dtype="<i8").astype(np.int64) for blob in blobs]

    @property
    def replies(self) -> list[tuple[Heard, Ask, Reply]]:
        """Every answer that holds a contribution, arrived or not."""
        return [
            (one, one.message, one.answer)
            for one in self.wiretap.heard
            if isinstance(one.message, Ask)
            and isinstance(one.answer, Reply)
            and one.answer.sealed is not None
            and one.message.call.training == self.id
        ]

    def seat(self, name: str) -> Seat:
        """Return a member's seat, with the key of the epoch."""
        return self.people[name].resume(self.id)

    def contributions(self, attempt: int) -> dict[str, tuple[Ask, Reply]]:
        """Return what everybody was asked and sealed in one attempt."""
        return {
            heard.name: (ask, reply)
            for heard, ask, reply in self.replies
            if ask.call.attempt == attempt
        }

    def residues(self, attempt: int) -> dict[str, NDArray[np.int64]]:
        """Decrypt what each member sealed, as whoever holds the epoch's key can."""
        size = slots_of(self.release)
        return {
            name: self.seat(name).cipher.decrypt(_sealed(reply).ciphertext, size) % self.modulus
            for name, (_, reply) in self.contributions(attempt).items()
        }

    def encrypted(self, attempt: int) -> bytes:
        """Add up what the whole cohort sealed in one attempt."""
        parts = [_sealed(reply) for _, reply in self.contributions(attempt).values()]
        return add(parts, self.release, self.seat(NAMES[0]).cipher)

    def open(self, attempt: int) -> NDArray[np.int64]:
        """Open the sum of one attempt, dead or not."""
        cipher = self.seat(NAMES[0]).cipher
        return open_sum(self.encrypted(attempt), self.release, cipher, len(NAMES))

    def signed(self, call: Call, **fields: object) -> Call:
        """Return a call with other fields, signed by the operator."""
        return changed(call, **fields).signed(self.founders.operator)

    @property
    def release(self) -> Release:
        """The plan's training release."""
        return self.plan.release("train")

    @property
    def modulus(self) -> int:
        """What masks are uniform below."""
        return self.plan.parameters.plain_modulus

    def _training(self) -> tuple[Training, dict[str, bytes]]:
        blobs: dict[str, bytes] = {}
        checkpoint = begin(self.agent, self.plan)
        operator = self.founders.operator
        training = Training(
            self.agent, checkpoint, self.wiretap, blobs, operator, quorum=len(NAMES), poll_s=0.001
        )
        return training, blobs


def changed(call: Call, **fields: object) -> Call:
    """Return a call with other fields, and without a signature."""
    return Call.model_validate({**call.model_dump(), "signature": "", **fields})


def two_attempts(width: int) -> Subject:
    """Return a network whose first attempt died on the way, and whose second awaits its opening."""
    agent = Canaries(width=width)
    subject = Subject(agent, plan_of(agent, Terms(spares=2)), canaries(np.arange(50)))
    lost = NAMES[-1]

    def loses(name: str, message: ToMember) -> bool:
        return name == lost and isinstance(message, Ask) and message.call.attempt == 1

    subject.wiretap.loses = loses
    return subject.run(sealed=1)


def _sealed(reply: Reply) -> Sealed:
    return reply.sealed or Sealed(ciphertext=b"")
