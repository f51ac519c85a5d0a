"""A member in front of an ask that nobody sent yet, and an operator that may send another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from small_network import KilledError, Network, Wire, recalled, resigned, steps_of

from mesh_fl.member import Member
from mesh_fl.messages import Ask, Pending, Reply, ToMember, ToServer, decode, encode
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.round import respond, server_turn
from mesh_fl.verification import sha256


def stopped_at(step: int, **options: Any) -> tuple[Network, dict[str, Ask]]:  # noqa: ANN401
    """A network whose server died when it was about to ask for a step, and the unsent asks."""
    network = Network(**{"make_cipher": Bfv, **options})
    unsent: dict[str, Ask] = {}

    def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
        if step in steps_of(messages):
            unsent.update((n, m) for n, m in messages.items() if isinstance(m, Ask))
            raise KilledError

    network.wire.before = before
    with pytest.raises(KilledError):
        network.training().run()
    network.wire.before = lambda wire, messages: None
    return network, unsent


class Mark:
    """One member in front of its next ask; `forged` changes the ask, and signs it again."""

    def __init__(self, step: int = 2, name: str = "ash", **options: Any) -> None:  # noqa: ANN401
        self.network, self.unsent = stopped_at(step, **options)
        self.name = name
        self.ask = self.unsent[name]

    @property
    def member(self) -> Member:
        return self.network.wire.people[self.name]

    @property
    def pending(self) -> Pending:
        assert self.ask.pending is not None
        return self.ask.pending

    def forged(self, **fields: object) -> ToServer:
        """The member's answer; fields of the call are signed for by the operator."""
        call = {name: fields.pop(name) for name in tuple(fields) if name in self.call_fields}
        ask = self.ask.model_copy(update=fields)
        return self.sent(ask.model_copy(update={"call": recalled(ask.call, **call)}))

    def sent(self, message: ToMember) -> ToServer:
        return respond(decode(encode(message)), self.member)

    @property
    def call_fields(self) -> frozenset[str]:
        # The sum itself is a field of the ask; its hash, `pending`, one of the call.
        return frozenset(type(self.ask.call).model_fields) - {"pending"}

    @property
    def charged(self) -> int:
        return len(self.network.homes[self.name].ledger().charges)

    @property
    def why(self) -> str:
        """What the member told its own log last; the server hears the kind of cause only."""
        return str(self.network.homes[self.name].errors[-1])

    @property
    def place(self) -> tuple[str, int]:
        seat = self.member.resume(self.ask.call.training)
        return seat.digest, seat.step

    def with_accounts(self, **lies: Mapping[str, object]) -> Pending:
        """The pending sum, with what some members signed for instead."""
        accounts = tuple(
            resigned(one, **lies[one.by]) if one.by in lies else one
            for one in self.pending.accounts
        )
        return self.pending.model_copy(update={"accounts": accounts})

    def asked(self, **fields: object) -> dict[str, Reply]:
        """What all members reply, when they are asked something else."""
        asks = {
            name: ask.model_copy(update={"call": recalled(ask.call, **fields)})
            for name, ask in self.unsent.items()
        }
        answers = {name: respond(ask, self.network.wire.people[name]) for name, ask in asks.items()}
        return {name: one for name, one in answers.items() if isinstance(one, Reply)}

    def summed(self, **fields: object) -> "Summed":
        """The sum of another attempt, added up by the operator."""
        replies = self.asked(**fields)
        call = recalled(self.ask.call, **fields)
        ask = self.ask.model_copy(update={"call": call})
        plan = self.network.plan
        pending = server_turn(ask, replies, plan, self.network.make_cipher(plan.parameters, None))
        assert isinstance(pending, Pending), pending
        sealed = [reply.sealed.ciphertext for reply in replies.values() if reply.sealed]
        return Summed(pending, tuple(sealed))

    def shows(self, summed: "Summed", name: str = "ash", **fields: object) -> ToServer:
        """A member's answer when it is asked to open a sum and to go on."""
        encrypted = summed.pending.encrypted
        terms = {"step": summed.pending.step + 1, "attempt": 9, "pending": sha256(encrypted)}
        call = recalled(self.ask.call, **{**terms, **fields})
        ask = Ask(call=call, pending=summed.pending, recount=summed.parts)
        return respond(decode(encode(ask)), self.network.wire.people[name])


@dataclass(frozen=True)
class Summed:
    """A sum, and what it is said to be made of."""

    pending: Pending
    parts: tuple[bytes, ...]
