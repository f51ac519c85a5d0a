"""A member of the network: its data, its keys, its budget, and its seats in trainings."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh_fl.agent import Agent
from mesh_fl.errors import (
    BudgetError,
    EncryptionError,
    LedgerError,
    MeshError,
    PlanError,
    ProtocolError,
)
from mesh_fl.messages import (
    Ask,
    Convene,
    Convened,
    Enrol,
    Enrolled,
    KeyMade,
    MakeKey,
    Reply,
    decode,
    encode,
)
from mesh_fl.peers import Peers
from mesh_fl.privacy.circle import terms_of
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.ledger import Charge, Ledger, RecordSet
from mesh_fl.privacy.noise import Source, SystemSource
from mesh_fl.privacy.pipeline import CipherFactory, Hide, unmasked
from mesh_fl.privacy.plan import Plan
from mesh_fl.privacy.signing import public_bytes
from mesh_fl.roster import Roster
from mesh_fl.seat import Dataset, Holding, Seat, refuse_misfit
from mesh_fl.statements import Account, Call, Charter, KeyNotice, Presence, presences_digest
from mesh_fl.store import Blobs
from mesh_fl.verification import check_call, check_charter

CLIENT_UNIT_FACTOR = 4
"""One record can move a client's row from one side to the other: twice the clip, four times mu²."""

_log = logging.getLogger(__name__)


def _ignore(_: object) -> None:
    return None


def _log_error(error: MeshError) -> None:
    _log.warning("refused: %s", error)


@dataclass
class Member:
    """One member's side of every training that it takes part in.

    Parameters
    ----------
    name : str
        As the roster has it.
    signing : Ed25519PrivateKey
        Signs everything that we say; its public half is on the roster.
    roster : Roster
        The newest that we believe in.
    holdings : dict of str to Holding
        The agents that it opted into, by name.
    ledger : Ledger
        What its records have spent.
    blobs : Blobs
        Where consents, keys, models and replies are kept.
    source : Source
        Of noise; the operating system's generator outside of tests.
    make_cipher : CipherFactory
        BFV outside of simulations.
    masked : bool
        Whether contributions are masked; False in simulations only.
    on_model : callable
        Told whenever a seat may have a newer model.
    on_roster : callable
        Given a newer roster, to keep.
    on_error : callable
        Told why something was refused; the server hears only the kind of cause.
    """

    name: str
    signing: Ed25519PrivateKey
    roster: Roster
    holdings: Mapping[str, Holding]
    ledger: Ledger
    blobs: Blobs
    source: Source = field(default_factory=SystemSource)
    make_cipher: CipherFactory = Bfv
    masked: bool = True
    on_model: Callable[[Seat], None] = _ignore
    on_roster: Callable[[Roster], None] = _ignore
    on_error: Callable[[MeshError], None] = _log_error
    _seats: dict[str, Seat] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Remember the others' ledgers."""
        self.peers = Peers(self.blobs)

    def enrol(self, enrol: Enrol) -> Enrolled:
        """Consent to a plan as a whole.

        Raises
        ------
        PrivacyError
            If the plan is laxer than our policy, our records cannot pay for all of it, or our
            ledger is older than what we ourselves have signed.
        ProtocolError
            If the roster does not follow from ours, or does not list us.
        """
        earlier = self._consent(enrol.training)
        if earlier is not None and earlier.plan.digest != enrol.plan.digest:
            raise PlanError(
                "this training began with another plan: a new plan needs a new training"
            )
        self._follow(enrol.roster)
        if enrol.plan.colluders > self.roster.colluders:
            raise PlanError(
                f"the plan withstands {enrol.plan.colluders} colluders, but more than "
                f"{self.roster.colluders} members may admit others: so many could be invented"
            )
        self._refuse_restored(enrol.latest)
        seat = self._take_seat(enrol)
        self._refuse_unaffordable(enrol, seat)
        self.blobs[f"{enrol.training}.consent"] = encode(
            enrol.model_copy(update={"roster": b"", "latest": None})
        )
        self._seats[enrol.training] = seat
        return Enrolled(step=seat.step)

    def convene(self, convene: Convene) -> Convened:
        """Make keys for an epoch and sign their public halves."""
        seat = self.resume(convene.training)
        sealing, masking = seat.keyring.convene(convene.epoch)
        presence = Presence(
            by=self.name,
            training=convene.training,
            plan=seat.plan.digest,
            roster=self.roster.head,
            epoch=convene.epoch,
            sealing=sealing,
            masking=masking,
            lines=self.ledger.lines,
            head=self.ledger.head,
        )
        return Convened(presence=presence.signed(self.signing))

    def make_key(self, order: MakeKey) -> KeyMade:
        """Make an epoch's key, for members on the roster only.

        Raises
        ------
        ProtocolError, PlanError
            If a presence is forged, or too few are there.
        """
        seat = self.resume(order.training)
        unsigned = KeyNotice(
            by=self.name,
            training=order.training,
            epoch=order.epoch,
            presences=presences_digest(order.presences),
            fingerprint="",
        )
        drafted = Charter(presences=order.presences, notice=unsigned.signed(self.signing))
        check_charter(drafted, order.training, seat.plan, self.roster)
        sealed, notice = seat.keyring.make_key(unsigned, order.presences)
        return KeyMade(sealed_keys=sealed, notice=notice.signed(self.signing))

    def seat(self, ask: Ask) -> Seat:
        """Return our seat in the training of an ask, if the ask keeps to the plan.

        Raises
        ------
        PlanError
            If the cohort is too small or strange.
        ProtocolError
            If we never consented to that training, the operator did not sign the call, or step,
            phase and epoch are not those that come next.
        """
        seat = self.resume(ask.call.training)
        check_call(ask.call, ask.pending, seat.plan, self.roster)
        if seat.name not in ask.call.cohort:
            raise PlanError(f"we ({seat.name}) are not in the cohort that we are asked to join")
        _refuse_step(ask, seat)
        # With the last model no keys are needed any more, and there may be none left.
        if ask.model is None or ask.pending is not None:
            self._enter_epoch(ask, seat)
        self._keep_receipt(ask, seat)
        return seat

    def charge(self, call: Call, seat: Seat) -> bool:
        """Charge an attempt, durably; False if it was charged before."""
        if call.phase == "close":
            raise ProtocolError("a closing ask is never charged")
        charge = Charge(
            training=call.training,
            agent=seat.plan.agent,
            plan=call.plan,
            step=call.step,
            attempt=call.attempt,
            ask=call.binding(seat.digest),
            records=seat.records.digest,
            cost=seat.plan.cost(call.phase) * seat.cost_factor,
            table=seat.dataset.table,
            parts=seat.parts.digest if len(seat.parts) else "",
            part_tables=json.dumps(sorted(seat.dataset.parts)) if len(seat.parts) else "",
        )
        return self.ledger.charge(charge, seat.records, seat.parts)

    def account(self, call: Call, seat: Seat, sealed: str = "", handed_over: str = "") -> Account:
        """Return our signed word on a reply: digests of what is sealed and handed over."""
        unsigned = Account(
            by=self.name,
            training=call.training,
            plan=call.plan,
            step=call.step,
            attempt=call.attempt,
            call=call.digest,
            operator=call.signature,
            sealed=sealed,
            model=seat.digest,
            slice=handed_over,
            lines=self.ledger.lines,
            head=self.ledger.head,
        )
        return unsigned.signed(self.signing)

    def stored_reply(self, call: Call) -> Reply | None:
        """Return what we answered to this very attempt, or None if a crash came before."""
        reply = self._last_reply(call.training)
        if reply is None or (reply.account.step, reply.account.attempt) != (
            call.step,
            call.attempt,
        ):
            return None
        return reply

    def store_reply(self, reply: Reply) -> None:
        """Keep a reply, durably, before it is sent: the same attempt gets the same bytes."""
        self.blobs[f"{reply.account.training}.reply"] = encode(reply)

    def trainings(self) -> tuple[str, ...]:
        """Return the ids of all trainings that we were charged for, oldest first."""
        return tuple(dict.fromkeys(charge.training for charge in self.ledger.charges))

    def resume(self, training: str) -> Seat:
        """Return our seat in a training that we consented to, also after a restart.

        Raises
        ------
        ProtocolError
            If we never consented to it.
        """
        if training not in self._seats:
            consent = self._consent(training)
            if consent is None:
                raise ProtocolError(f"we are not enrolled in training {training}")
            self._seats[training] = self._take_seat(consent)
        return self._seats[training]

    def _follow(self, blob: bytes) -> None:
        """Take a newer roster; never an older one, nor one that forked off."""
        if blob == self.roster.dumps():
            return
        roster = Roster.loads(blob)
        if not roster.follows(self.roster):
            raise ProtocolError(
                f"the operator's roster (head {roster.head[:12]}) does not follow from ours "
                f"({self.roster.head[:12]}): refused; compare it with other members"
            )
        if roster.key_of(self.name) != public_bytes(self.signing):
            raise ProtocolError(f"the roster lists another signing key for {self.name} than ours")
        self.roster = roster
        self.on_roster(roster)

    def _refuse_restored(self, latest: Account | Presence | None) -> None:
        if latest is None:
            return
        if not latest.verifies(public_bytes(self.signing)):
            raise ProtocolError("the operator holds a word of ours that we did not sign")
        if not self.ledger.holds(latest.lines, latest.head):
            raise LedgerError(
                f"we signed for a ledger of {latest.lines} lines that ends in {latest.head[:12]}, "
                f"and ours has {self.ledger.lines}: it was restored from a backup; put the newest "
                "copy back"
            )

    def hide(self, ask: Ask, seat: Seat) -> Hide:
        """Return what adds our masks for one attempt.

        Raises
        ------
        ProtocolError
            If it is no attempt of ours, or too few of a large cohort dealt to us.
        """
        call = ask.call
        if not self.masked:
            return unmasked
        modulus = seat.plan.parameters.plain_modulus
        if not call.circle:
            return seat.term.hide(self.name, call, seat.digest, modulus)
        attempt = seat.part_in(call.attempt).attempt
        terms = terms_of(seat.plan, call.training, call.step, call.attempt, call.epoch)
        ours = attempt.circle
        if ours is None or (ours.digest, ours.terms) != (call.circle, terms):
            raise ProtocolError("the call is for another circle of keys than the one we dealt in")
        try:
            attempt.receive(ask.dealt, call.cohort)
        except EncryptionError as error:
            # The server would take it for a sum that we cannot open, and give that up.
            raise ProtocolError(str(error)) from None
        return lambda slots: attempt.hide(slots, modulus)

    def _enter_epoch(self, ask: Ask, seat: Seat) -> None:
        term = seat.keyring.term
        if term is None or term.charter.digest != ask.call.epoch:
            if ask.charter is None or ask.sealed_key is None:
                raise ProtocolError("we need the charter of the epoch that the call names")
            if ask.charter.digest != ask.call.epoch:
                raise ProtocolError("the call names another epoch than the charter that came along")
            check_charter(ask.charter, ask.call.training, seat.plan, self.roster)
            self.peers.note(ask.charter.presences, self.roster)
            term = seat.keyring.enter(ask.charter, ask.sealed_key)
        if strangers := set(ask.call.cohort) - term.charter.members:
            raise PlanError(f"{', '.join(sorted(strangers))} take no part in this epoch")

    def _keep_receipt(self, ask: Ask, seat: Seat) -> None:
        """Keep the operator's word that it has our last reply: proof that we did not drop out."""
        last = self._last_reply(seat.training)
        if not ask.receipt or last is None:
            return
        if last.account.receipted(ask.receipt, self.roster.operator):
            self.blobs[f"{seat.training}.receipt"] = ask.receipt.encode()
        else:
            _log.warning("the operator's receipt is not for what we sent last")

    def _last_reply(self, training: str) -> Reply | None:
        blob = self.blobs.get(f"{training}.reply")
        reply = decode(blob) if blob else None
        return reply if isinstance(reply, Reply) else None

    def _read(self, plan: Plan) -> tuple[Agent, Dataset, RecordSet]:
        holding = self.holdings.get(plan.agent)
        if holding is None:
            raise PlanError(
                f"we did not opt into agent {plan.agent!r}: add [agents.{plan.agent}] to "
                "client.toml to take part"
            )
        agent = holding.build(json.loads(plan.config))
        refuse_misfit(plan, agent)
        dataset = holding.dataset(agent)
        records = self.ledger.records(dataset.table, dataset.ids)
        # On every start: records may have grown beyond our cap, our policy may be stricter.
        self.ledger.policy.admit(plan, self.name, _rows(agent, records))
        return agent, dataset, records

    def _refuse_unaffordable(self, enrol: Enrol, seat: Seat) -> None:
        records = seat.records
        paid = self.ledger.paid_for(enrol.training)
        price = enrol.plan.total_cost * _cost_factor(enrol.plan)
        still = max(0.0, price - paid)
        if not self.ledger.affords(records, still):
            raise BudgetError(
                f"a record of ours has spent epsilon = {self.ledger.epsilon_spent(records):.4g} of "
                f"its lifetime {self.ledger.policy.epsilon:g}, and this plan asks for "
                f"{enrol.plan.epsilon:g} more; at most {self.ledger.epsilon_left(records):.4g} is "
                "left for another plan (see `mesh-client budget`)"
            )
        self.ledger.refuse_parts(seat.parts, still, seat.plan.agent)

    def _consent(self, training: str) -> Enrol | None:
        blob = self.blobs.get(f"{training}.consent")
        consent = decode(blob) if blob else None
        return consent if isinstance(consent, Enrol) else None

    def _take_seat(self, consent: Enrol) -> Seat:
        agent, dataset, records = self._read(consent.plan)
        return Seat(
            name=self.name,
            training=consent.training,
            plan=consent.plan,
            agent=agent,
            dataset=dataset,
            records=records,
            parts=self.ledger.parts(dataset.parts),
            rows=_rows(agent, records),
            cost_factor=_cost_factor(consent.plan),
            make_cipher=self.make_cipher,
            blobs=self.blobs,
        )


def _rows(agent: Agent, records: RecordSet) -> int:
    return 1 if agent.unit == "client" else len(records)


def _cost_factor(plan: Plan) -> int:
    return CLIENT_UNIT_FACTOR if plan.unit == "client" else 1


def _refuse_step(ask: Ask, seat: Seat) -> None:
    plan, call = seat.plan, ask.call
    after = call.seen + (ask.pending is not None)
    if not seat.step <= after <= len(plan.schedule):
        raise ProtocolError(
            f"expected a model of step {seat.step} to {len(plan.schedule)}, got that of {after}"
        )
    if ask.pending is not None and ask.pending.step != after:
        raise ProtocolError(f"expected the sum of step {after}, got that of {ask.pending.step}")
    if seat.step == after and ask.pending and seat.opened not in ("", call.pending):
        raise ProtocolError(f"another sum of step {after} was opened: refused to open a second one")
    if seat.step < after and ask.pending and seat.opened == call.pending:
        raise ProtocolError(f"the sum of step {after} is that of step {seat.step}, shown again")
    if call.phase == "close":
        return
    if call.step != after + 1 or call.step > len(plan.schedule):
        raise ProtocolError(f"expected step {after + 1}, got {call.step} of {len(plan.schedule)}")
    if plan.schedule[call.step - 1] != call.phase:
        raise ProtocolError(f"step {call.step} of the plan is not to {call.phase}")
    if call.attempt < 1:
        raise ProtocolError("attempts are counted from 1")
