"""A network in one process whose members and server can be killed at any write, and go on."""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import ConfigError, MeshError
from mesh_fl.layout import Layout
from mesh_fl.logbook import Event
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Reply, ToMember, ToServer, decode, encode
from mesh_fl.planning import make_plan
from mesh_fl.privacy.ledger import Ledger
from mesh_fl.privacy.noise import SeededSource, Source, SystemSource
from mesh_fl.privacy.pipeline import CipherFactory, Opened, Sealed
from mesh_fl.privacy.plan import Plan, Policy
from mesh_fl.roster import Roster
from mesh_fl.round import respond
from mesh_fl.seat import Dataset, Holding, Seat
from mesh_fl.simulate.network import Clear, Founders
from mesh_fl.statements import Account, Call, Statement
from mesh_fl.training import Training, begin
from mesh_fl.verification import sha256

S = TypeVar("S", bound=Statement)

NAMES = ("ash", "birch", "cedar", "elm", "fir")
RECORDS = 40


@dataclass(frozen=True, kw_only=True)
class Centre(Agent):
    """Walks towards the centre of all points; its rows depend on where it stands."""

    unit: ClassVar = "record"
    clip: float = 2.0
    points: float = float(RECORDS * len(NAMES))

    def init(self) -> State:
        return {"centre": np.zeros(3), "steps": np.zeros(1)}

    def layout(self, state: State) -> Layout:
        return {"towards": (3,), "count": (1,)}

    def contribute(self, state: State, data: Data) -> Rows:
        towards = data["point"] - state["centre"]
        return np.hstack([towards, np.ones((len(towards), 1))])

    def apply(self, state: State, total: Total) -> State:
        moved = state["centre"] + np.tanh(total["towards"] / self.points)
        return {"centre": moved, "steps": state["steps"] + 1}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        return np.linalg.norm(data["point"] - state["centre"], axis=1)

    def measure_layout(self) -> Layout:
        return {"near": (1,)}

    def measure(self, state: State, data: Data) -> Rows:
        return (self.predict(state, data) < 1).astype(float)[:, None]

    def score(self, total: Total) -> Mapping[str, float]:
        return {"near": float(total["near"][0] / self.points)}


AGENT = Centre()


def plan_of(agent: Agent = AGENT, **terms: object) -> Plan:
    caps = dict.fromkeys(NAMES, 64)
    return make_plan(agent, "centre", caps, **{"rounds": 3, **terms})


FOUNDERS = Founders.of(dict.fromkeys(NAMES, 64), colluders=1)


class KilledError(Exception):
    """The process ended here; nothing after this line ran."""


@dataclass
class Fuse:
    """Ends a process at its n-th durable step, just before or just after it."""

    at: int = 0
    after: bool = False
    count: int = 0

    @contextlib.contextmanager
    def burn(self) -> Iterator[None]:
        self.count += 1
        if self.count == self.at and not self.after:
            raise KilledError
        yield
        if self.count == self.at:
            raise KilledError

    @property
    def blown(self) -> bool:
        return 0 < self.at <= self.count


@dataclass
class FragileBlobs(dict[str, bytes]):
    fuse: Fuse = field(default_factory=Fuse)
    full: bool = False

    def __setitem__(self, name: str, blob: bytes) -> None:
        if self.full:
            raise ConfigError("cannot write: No space left on device: free some space")
        with self.fuse.burn():
            super().__setitem__(name, blob)


@dataclass
class FragileJournal:
    fuse: Fuse = field(default_factory=Fuse)
    lines: bytes = b""

    def read(self) -> bytes:
        return self.lines

    def append(self, line: bytes) -> None:
        with self.fuse.burn():
            self.lines += line + b"\n"


@dataclass
class Home:
    """What of a member survives a crash; `start` makes the process."""

    name: str
    seed: int
    make_cipher: CipherFactory = Clear
    fuse: Fuse = field(default_factory=Fuse)
    records: int = RECORDS
    table: str = "points"
    agent: type[Centre] = Centre
    policy: Policy = field(default_factory=Policy)
    founders: Founders = FOUNDERS
    source: Source = field(default_factory=SystemSource)

    def __post_init__(self) -> None:
        self.blobs, self.journal = FragileBlobs(self.fuse), FragileJournal(self.fuse)
        self.errors: list[MeshError] = []
        self.roster = self.founders.roster

    @property
    def data(self) -> Data:
        return {"point": np.random.default_rng(self.seed).normal(0.5, 0.4, (self.records, 3))}

    def ledger(self) -> Ledger:
        key = hashlib.sha256(self.name.encode()).digest()
        return Ledger(self.journal, self.blobs, key, self.policy)

    def start(self) -> Member:
        ids = tuple(f"{self.name}-{k}" for k in range(self.records))
        holding = Holding(
            build=lambda config: self.agent(**config),
            dataset=lambda agent: Dataset(self.data, self.table, ids),
        )
        return Member(
            name=self.name,
            signing=self.founders.signing[self.name],
            roster=self.roster,
            holdings={"centre": holding},
            ledger=self.ledger(),
            blobs=self.blobs,
            source=self.source,
            make_cipher=self.make_cipher,
            on_roster=self.keep_roster,
            on_error=self.errors.append,
        )

    def keep_roster(self, roster: Roster) -> None:
        self.roster = roster

    def rearm(self, at: int, after: bool) -> Fuse:
        self.fuse = self.blobs.fuse = self.journal.fuse = Fuse(at, after)
        return self.fuse


@dataclass
class Wire:
    """An exchange that encodes all messages, restarts killed members, and can be tampered with.

    `change` sees every answer on its way back; what it returns arrives, nothing if None. `forge`
    sees every message on its way to a member.
    """

    homes: Mapping[str, Home]
    fuse: Fuse = field(default_factory=Fuse)
    change: Callable[[str, ToServer], ToServer | None] = lambda name, answer: answer
    forge: Callable[[str, ToMember], ToMember] = lambda name, message: message
    before: Callable[["Wire", Mapping[str, ToMember]], None] = lambda wire, messages: None
    offline: set[str] = field(default_factory=set)
    newest: Roster = FOUNDERS.roster

    def __post_init__(self) -> None:
        self.people = {name: home.start() for name, home in self.homes.items()}
        self.sent: list[tuple[str, ToMember]] = []
        self.answers: list[tuple[str, ToServer]] = []
        self.sealed: dict[tuple[str, str, int], set[bytes]] = defaultdict(set)

    def roster(self) -> Roster:
        return self.newest

    def connected(self) -> frozenset[str]:
        return frozenset(self.people.keys() - self.offline)

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        with self.fuse.burn():
            self.before(self, messages)
            answers = {name: self._deliver(name, message) for name, message in messages.items()}
        return {name: answer for name, answer in answers.items() if answer is not None}

    @property
    def traffic(self) -> tuple[int, int]:
        return (0, 0)

    def restart(self, name: str) -> None:
        while True:
            with contextlib.suppress(KilledError):
                self.people[name] = self.homes[name].start()
                return

    def _deliver(self, name: str, message: ToMember) -> ToServer | None:
        self.sent.append((name, message))
        if name in self.offline:
            return None
        try:
            forged = self.forge(name, decode(encode(message)))
            answer = respond(decode(encode(forged)), self.people[name])
        except KilledError:
            self.restart(name)
            return None
        if isinstance(answer, Reply) and answer.sealed is not None:
            key = (name, answer.account.training, answer.account.attempt)
            self.sealed[key].add(answer.sealed.ciphertext)
        arrived = self.change(name, decode(encode(answer)))
        if arrived is not None:
            self.answers.append((name, arrived))
        return arrived


@dataclass
class Network:
    """One operator and five members; `run` goes on from the stored checkpoint until the end."""

    plan: Plan = field(default_factory=plan_of)
    make_cipher: CipherFactory = Clear
    options: dict[str, object] = field(default_factory=dict)
    member_options: dict[str, dict[str, object]] = field(default_factory=dict)
    seeded: bool = False

    def __post_init__(self) -> None:
        self.homes = {name: self._home(name, number) for number, name in enumerate(NAMES)}
        self.wire = Wire(self.homes)
        self.fuse = Fuse()
        self.blobs = FragileBlobs(self.fuse)
        self.events: list[Event] = []
        self.kills = 0

    def _home(self, name: str, number: int) -> Home:
        source: Source = SeededSource(number) if self.seeded else SystemSource()
        return Home(
            name,
            number,
            **{
                "make_cipher": self.make_cipher,
                "source": source,
                **self.member_options.get(name, {}),
            },
        )

    def arm_server(self, at: int, after: bool) -> None:
        self.fuse = self.blobs.fuse = self.wire.fuse = Fuse(at, after)

    def training(self) -> Training:
        checkpoint = Checkpoint.load(self.blobs) or begin(AGENT, self.plan)
        settings = {
            "timeout_s": 1.0,
            "patience_s": 0.05,
            "poll_s": 0.001,
            "make_cipher": self.make_cipher,
            **self.options,
        }
        return Training(
            AGENT,
            checkpoint,
            self.wire,
            self.blobs,
            FOUNDERS.operator,
            on_event=self.events.append,
            **settings,
        )

    def run(self) -> Training:
        while True:
            training = self.training()
            try:
                training.run()
            except KilledError:
                self.kills += 1
                continue
            return training

    def seat(self, name: str, training: Training) -> Seat:
        return self.wire.people[name].resume(training.checkpoint.training)

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]

    def attempts(self, name: str) -> list[tuple[int, int]]:
        """(step, attempt) of everything in a member's ledger, as stored."""
        return [charge.position for charge in self.homes[name].ledger().charges]


def check_invariants(network: Network, training: Training) -> None:
    """What has to hold after any training, whoever was killed and whenever."""
    checkpoint, plan = training.checkpoint, network.plan
    assert checkpoint.spent <= plan.total_cost * (1 + 1e-9)
    for name, home in network.homes.items():
        ledger = home.ledger()
        charges = ledger.charges
        assert len({charge.attempt for charge in charges}) == len(charges)
        assert list(charges) == sorted(charges, key=lambda charge: charge.position)
        assert all(charge.attempt <= checkpoint.attempt for charge in charges)
        assert sum(charge.cost for charge in charges) <= checkpoint.spent * (1 + 1e-9)
        assert ledger.most_spent <= plan.epsilon
        for charge in charges:
            assert charge.cost == plan.cost(plan.schedule[charge.step - 1])
        seat = network.seat(name, training)
        assert seat.digest == checkpoint.digest
        assert seat.step == checkpoint.applied
        for block, value in training.state.items():
            np.testing.assert_allclose(seat.state[block], value, rtol=0, atol=1e-6)
    assert all(len(sealed) == 1 for sealed in network.wire.sealed.values())
    charters = [m.charter for _, m in network.wire.sent if isinstance(m, Ask) and m.charter]
    numbers = [charter.notice.epoch for charter in charters]
    assert numbers == sorted(numbers), "epochs never go back"
    assert len({charter.digest for charter in charters}) == len(set(numbers))
    sealed = [blob for blobs in network.wire.sealed.values() for blob in blobs]
    assert len(set(sealed)) == len(sealed)


def answer_with(answer: ToServer, **fields: object) -> ToServer:
    """A message with other fields, unchecked: as a liar would send it."""
    return answer.model_copy(update=fields)


def lie(reply: Reply, **fields: object) -> Reply:
    """A reply with other fields, and a signed account of them: as a member would lie.

    `sealed` and `opened` change the reply, and the account along with it; all others the account.
    """
    parts = {"sealed": reply.sealed, "opened": reply.opened}
    parts |= {name: fields.pop(name) for name in tuple(fields) if name in parts}
    sealed, opened = parts["sealed"], parts["opened"]
    told = {
        "sealed": sha256(sealed.ciphertext) if isinstance(sealed, Sealed) else "",
        "slice": sha256(opened.values) if isinstance(opened, Opened) else "",
    }
    return reply.model_copy(update={**parts, "account": resigned(reply.account, **told, **fields)})


def resigned(account: Account, **fields: object) -> Account:
    """An account of something else, signed by the same member."""
    by = account.by
    return changed(account, **fields).signed(FOUNDERS.signing[by])


def recalled(call: Call, **fields: object) -> Call:
    """A call for something else, signed by the operator."""
    return changed(call, **fields).signed(FOUNDERS.operator)


def changed(statement: S, **fields: object) -> S:
    """A statement with other fields, and the signature that it had before."""
    return type(statement)(**{**statement.model_dump(), **fields})


def steps_of(messages: Mapping[str, ToMember]) -> list[int]:
    """The steps that are asked for, not closing."""
    asks = [message.call for message in messages.values() if isinstance(message, Ask)]
    return [call.step for call in asks if call.phase != "close"]


def absent_from(step: int, *names: str) -> Callable[[Wire, Mapping[str, ToMember]], None]:
    """Have members fall silent when a step is asked for the first time."""

    def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
        if step in steps_of(messages):
            wire.offline |= set(names)

    return before
