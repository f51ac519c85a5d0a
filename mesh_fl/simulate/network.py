"""A whole network in one process: the same members, messages and rounds, without a wire."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, State
from mesh_fl.card import Card
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import AgentError, MeshError
from mesh_fl.logbook import Event
from mesh_fl.member import Member
from mesh_fl.messages import ToMember, ToServer
from mesh_fl.privacy.accounting import epsilon_of, mu_of
from mesh_fl.privacy.encryption import Bfv, Parameters
from mesh_fl.privacy.ledger import Ledger
from mesh_fl.privacy.noise import SeededSource, Source, SystemSource
from mesh_fl.privacy.pipeline import CipherFactory
from mesh_fl.privacy.plan import LARGE, Plan, Policy
from mesh_fl.roster import Roster
from mesh_fl.round import respond
from mesh_fl.seat import Dataset, Holding
from mesh_fl.simulate.conduct import Conduct
from mesh_fl.simulate.flaky import FlakyExchange
from mesh_fl.store import MemoryJournal
from mesh_fl.training import Training, begin


class Clear:
    """A cipher that does not encrypt: for simulations, where nobody is to be kept out.

    Sums are the same integers as under BFV, so everything that follows is too.
    """

    def __init__(self, parameters: Parameters, secret_key: bytes | None = None) -> None:
        self._modulus = parameters.plain_modulus

    def encrypt(self, values: NDArray[np.int64]) -> bytes:
        """Return the values' bytes."""
        return values.astype("<i8").tobytes()

    def add(self, ciphertexts: Sequence[bytes], size: int) -> bytes:
        """Add vectors modulo t."""
        vectors = [np.frombuffer(one, dtype="<i8") for one in ciphertexts]
        total = np.sum(vectors, axis=0, dtype=np.int64) % self._modulus
        return total.astype("<i8").tobytes()

    def add_plain(self, ciphertext: bytes, values: NDArray[np.int64]) -> bytes:
        """Add a public vector modulo t."""
        return self.add([ciphertext, self.encrypt(values)], len(values))

    def decrypt(self, ciphertext: bytes, size: int) -> NDArray[np.int64]:
        """Return the values, centred."""
        residues = np.frombuffer(ciphertext, dtype="<i8") % self._modulus
        return np.where(residues > self._modulus // 2, residues - self._modulus, residues)


@dataclass
class LocalExchange:
    """Hands messages over within the process. Errors that are no refusal come through as raised.

    Parameters
    ----------
    people : dict of str to Member
        All members; take one out of `online` to have it fall silent.
    members : Roster
        Who is a member.
    """

    people: Mapping[str, Member]
    members: Roster
    online: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start with everybody connected."""
        self.online = self.online or set(self.people)

    def roster(self) -> Roster:
        """Return who is a member."""
        return self.members

    def connected(self) -> frozenset[str]:
        """Return who is online."""
        return frozenset(self.online)

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        """Have each member that is online respond, one after the other."""
        return {
            name: respond(message, self.people[name])
            for name, message in messages.items()
            if name in self.online
        }

    @property
    def traffic(self) -> tuple[int, int]:
        """Nothing travels."""
        return (0, 0)


@dataclass(frozen=True)
class Founders:
    """The keys of a network that exists in this process only.

    Parameters
    ----------
    operator : Ed25519PrivateKey
        Signs calls.
    signing : dict of str to Ed25519PrivateKey
        Each member's.
    identities : dict of str to EllipticCurvePrivateKey
        Who connects, in a deployment.
    roster : Roster
        All of them.
    """

    operator: Ed25519PrivateKey
    signing: Mapping[str, Ed25519PrivateKey]
    identities: Mapping[str, ec.EllipticCurvePrivateKey]
    roster: Roster

    @classmethod
    def of(cls, caps: Mapping[str, int], colluders: int) -> Self:
        """Make keys and found a network."""
        operator = Ed25519PrivateKey.generate()
        signing = {name: Ed25519PrivateKey.generate() for name in caps}
        identities = {name: ec.generate_private_key(ec.SECP384R1()) for name in caps}
        cards = [
            Card.make(name, cap, identities[name], signing[name]) for name, cap in caps.items()
        ]
        roster = Roster.found("simulated", operator, colluders, cards)
        return cls(operator, signing, identities, roster)


def member_of(
    name: str,
    agent: Agent,
    data: Data,
    policy: Policy,
    source: Source,
    founders: Founders,
    make_cipher: CipherFactory = Bfv,
    masked: bool | None = None,
) -> Member:
    """Return a member that keeps everything in memory and knows one agent under any name.

    It masks what it seals unless told otherwise, or where nothing is encrypted.
    """
    records = len(next(iter(data.values())))
    dataset = Dataset(data=data, table="simulated", ids=tuple(map(str, range(records))))
    holding = Holding(build=lambda config: agent, dataset=lambda built: dataset)
    ledger = Ledger(MemoryJournal(), {}, hashlib.sha256(name.encode()).digest(), policy)
    return Member(
        name=name,
        signing=founders.signing[name],
        roster=founders.roster,
        holdings=_Anything(holding),
        ledger=ledger,
        blobs={},
        source=source,
        make_cipher=make_cipher,
        masked=make_cipher is not Clear if masked is None else masked,
    )


class _Anything(dict[str, Holding]):
    """Answers every agent name with one holding."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding

    def get(self, key: object, default: object = None) -> Holding:
        """Return the one holding."""
        return self._holding


@dataclass(frozen=True)
class Outcome:
    """What a simulated training ended with.

    Parameters
    ----------
    checkpoint : Checkpoint
        As a server would have stored it.
    state : State
        The global model.
    members : dict of str to Member
        With their ledgers.
    waited_s : float
        Simulated time that the server waited for them.
    """

    checkpoint: Checkpoint
    state: State
    members: Mapping[str, Member]
    waited_s: float = 0.0


def rehearse(
    agent: Agent,
    plan: Plan,
    shards: Mapping[str, Data],
    *,
    seed: int | None = None,
    encrypted: bool = False,
    conduct: Conduct = Conduct(),  # noqa: B008
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Train over members in this process, by the very code of a deployment.

    Parameters
    ----------
    agent : Agent
        As the plan configures it.
    plan : Plan
        Calibrated; its caps name the members.
    shards : dict of str to Data
        Each member's prepared records.
    seed : int, optional
        Makes the noise reproducible, and who falls silent. Without it, noise comes from the
        operating system.
    encrypted : bool
        Whether to mask, and encrypt with BFV; the totals are the same integers either way.
    conduct : Conduct
        Who is away, falls silent, is late.
    on_event : callable
        Told what happens at the server.

    Returns
    -------
    Outcome

    Raises
    ------
    AgentError
        If the agent fails, with the member and the stage.
    PlanError
        If so many members are away that hardly ever enough are there.
    """
    policy = Policy(
        epsilon=_promised_to_records(plan),
        delta=plan.delta,
        survivors=plan.survivors,
        colluders=plan.colluders,
    )
    make_cipher: CipherFactory = Bfv if encrypted else Clear
    # Without masks a large cohort would be asked like a small one, and one silence end the attempt.
    masked = encrypted or (len(shards) > LARGE and not conduct.reliable)
    founders = Founders.of(plan.caps, plan.colluders)
    people = {
        name: member_of(
            name, agent, data, policy, _source(seed, number), founders, make_cipher, masked
        )
        for number, (name, data) in enumerate(shards.items())
    }
    flaky = FlakyExchange(
        LocalExchange(people, founders.roster), conduct, _conduct_of(seed), plan.survivors
    )
    training = Training(
        agent,
        begin(agent, plan),
        flaky,
        {},
        founders.operator,
        quorum=len(people) if conduct.absent == 0 else plan.survivors,
        make_cipher=make_cipher,
        masked=masked,
        on_event=on_event,
        poll_s=0.0,
    )
    for member in people.values():
        member.on_error = _raise_agent_errors
    checkpoint = training.run()
    return Outcome(checkpoint, training.state, people, flaky.waited_s)


def _promised_to_records(plan: Plan) -> float:
    """Return the epsilon of a record: a plan whose unit is the client promises its records less."""
    if plan.unit == "record":
        return plan.epsilon
    return epsilon_of(2 * mu_of(plan.epsilon, plan.delta), plan.delta)


def _raise_agent_errors(error: MeshError) -> None:
    if isinstance(error, AgentError):
        raise error


def _conduct_of(seed: int | None) -> np.random.Generator:
    return np.random.default_rng(None if seed is None else [seed, 1])


def _source(seed: int | None, number: int) -> Source:
    return SystemSource() if seed is None else SeededSource((seed << 32) + number)
