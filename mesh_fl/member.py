"""A member of the network: its data, its keys, its budget, and its seats in trainings."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mesh_fl.agent import Agent
from mesh_fl.errors import BudgetError, MeshError, PlanError, ProtocolError
from mesh_fl.messages import Ask, Enrol, Enrolled, Reply, decode, encode
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.epoch import Epoch, new_epoch, open_epoch, seal_epoch
from mesh_fl.privacy.ledger import Charge, Ledger, RecordSet
from mesh_fl.privacy.noise import Source, SystemSource
from mesh_fl.privacy.pipeline import CipherFactory
from mesh_fl.privacy.plan import Plan
from mesh_fl.seat import Dataset, Holding, Seat, refuse_misfit
from mesh_fl.store import Blobs

CLIENT_UNIT_FACTOR = 4
"""One record can move a client's row from one side to the other: twice the clip, four times mu²."""

_log = logging.getLogger(__name__)


def _ignore(seat: Seat) -> None:
    return None


def _log_error(error: MeshError) -> None:
    _log.warning("refused: %s", error)


@dataclass
class Member:
    """One member's side of every training that it takes part in.

    Parameters
    ----------
    name : str
        As the operator registered it.
    holdings : dict of str to Holding
        The agents that it opted into, by name.
    ledger : Ledger
        What its records have spent.
    blobs : Blobs
        Where consents, models and replies are kept.
    sealing_key : X25519PrivateKey
        Opens the training keys that members seal to it.
    source : Source
        Of noise; the operating system's generator outside of tests.
    make_cipher : CipherFactory
        BFV outside of simulations.
    on_model : callable
        Told whenever a seat may have a newer model.
    on_error : callable
        Told why something was refused; the server hears only the kind of cause.
    """

    name: str
    holdings: Mapping[str, Holding]
    ledger: Ledger
    blobs: Blobs
    sealing_key: X25519PrivateKey
    source: Source = field(default_factory=SystemSource)
    make_cipher: CipherFactory = Bfv
    on_model: Callable[[Seat], None] = _ignore
    on_error: Callable[[MeshError], None] = _log_error
    _seats: dict[str, Seat] = field(default_factory=dict, init=False)

    def enrol(self, enrol: Enrol) -> Enrolled:
        """Consent to a plan as a whole, keep the training's key, and seal it to whom we are asked.

        Raises
        ------
        PrivacyError
            If the plan is laxer than our policy or our records cannot pay for all of it.
        """
        earlier = self._consent(enrol.training)
        if earlier is not None and earlier.plan.digest != enrol.plan.digest:
            raise PlanError(
                "this training began with another plan: a new plan needs a new training"
            )
        agent, dataset, records = self._read(enrol.plan)
        self._refuse_unaffordable(enrol, records)
        epoch = self._epoch(enrol)
        own = seal_epoch(epoch, self.sealing_key.public_key(), self._context(enrol.training))
        consent = enrol.model_copy(update={"sealed_key": own, "seal_to": {}})
        self.blobs[f"{enrol.training}.consent"] = encode(consent)
        self._seats[enrol.training] = self._take_seat(consent, epoch, agent, dataset, records)
        return Enrolled(sealed_keys=self._seal(epoch, enrol))

    def seat(self, ask: Ask) -> Seat:
        """Return our seat in the training of an ask, if the ask keeps to the plan.

        Raises
        ------
        PlanError
            If the cohort is too small or strange.
        ProtocolError
            If we never consented to that training, or step and phase are not the plan's.
        """
        seat = self.resume(ask.training)
        if ask.plan != seat.plan.digest:
            raise ProtocolError("the ask names another plan than the one that we consented to")
        _refuse_cohort(ask, seat)
        _refuse_step(ask, seat)
        return seat

    def charge(self, ask: Ask, seat: Seat) -> bool:
        """Charge an attempt, durably; False if it was charged before."""
        if ask.phase == "close":
            raise ProtocolError("a closing ask is never charged")
        charge = Charge(
            training=ask.training,
            agent=seat.plan.agent,
            plan=ask.plan,
            step=ask.step,
            attempt=ask.attempt,
            ask=ask.binding(seat.digest),
            records=seat.records.digest,
            cost=seat.plan.cost(ask.phase) * seat.cost_factor,
            table=seat.dataset.table,
        )
        return self.ledger.charge(charge, seat.records)

    def stored_reply(self, ask: Ask) -> Reply | None:
        """Return what we answered to this very attempt, or None if a crash came before."""
        blob = self.blobs.get(f"{ask.training}.reply")
        reply = decode(blob) if blob else None
        same = isinstance(reply, Reply) and (reply.step, reply.attempt) == (ask.step, ask.attempt)
        return reply if isinstance(reply, Reply) and same else None

    def store_reply(self, reply: Reply) -> None:
        """Keep a reply, durably, before it is sent: the same attempt gets the same bytes."""
        self.blobs[f"{reply.training}.reply"] = encode(reply)

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
            self._seats[training] = self._resume(training)
        return self._seats[training]

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

    def _refuse_unaffordable(self, enrol: Enrol, records: RecordSet) -> None:
        paid = sum(c.cost for c in self.ledger.charges if c.training == enrol.training)
        price = enrol.plan.total_cost * _cost_factor(enrol.plan)
        if not self.ledger.affords(records, max(0.0, price - paid)):
            raise BudgetError(
                f"a record of ours has spent epsilon = {self.ledger.epsilon_spent(records):.4g} of "
                f"its lifetime {self.ledger.policy.epsilon:g}, and this plan asks for "
                f"{enrol.plan.epsilon:g} more; at most {self.ledger.epsilon_left(records):.4g} is "
                "left for another plan (see `mesh-client budget`)"
            )

    def _epoch(self, enrol: Enrol) -> Epoch:
        context = self._context(enrol.training)
        if enrol.sealed_key is not None:
            return open_epoch(enrol.sealed_key, self.sealing_key, context)
        if consent := self._consent(enrol.training):
            return open_epoch(consent.sealed_key or b"", self.sealing_key, context)
        return new_epoch(enrol.plan.parameters)

    def _seal(self, epoch: Epoch, enrol: Enrol) -> dict[str, bytes]:
        return {
            name: seal_epoch(
                epoch, X25519PublicKey.from_public_bytes(key), context_of(enrol.training, name)
            )
            for name, key in enrol.seal_to.items()
        }

    def _context(self, training: str) -> bytes:
        return context_of(training, self.name)

    def _consent(self, training: str) -> Enrol | None:
        blob = self.blobs.get(f"{training}.consent")
        consent = decode(blob) if blob else None
        return consent if isinstance(consent, Enrol) else None

    def _resume(self, training: str) -> Seat:
        consent = self._consent(training)
        if consent is None:
            raise ProtocolError(f"we are not enrolled in training {training}")
        agent, dataset, records = self._read(consent.plan)
        return self._take_seat(consent, self._epoch(consent), agent, dataset, records)

    def _take_seat(
        self, consent: Enrol, epoch: Epoch, agent: Agent, dataset: Dataset, records: RecordSet
    ) -> Seat:
        return Seat(
            name=self.name,
            training=consent.training,
            plan=consent.plan,
            agent=agent,
            dataset=dataset,
            records=records,
            rows=_rows(agent, records),
            cost_factor=_cost_factor(consent.plan),
            cipher=self.make_cipher(consent.plan.parameters, epoch.secret_key),
            blobs=self.blobs,
        )


def _rows(agent: Agent, records: RecordSet) -> int:
    return 1 if agent.unit == "client" else len(records)


def _cost_factor(plan: Plan) -> int:
    return CLIENT_UNIT_FACTOR if plan.unit == "client" else 1


def context_of(training: str, recipient: str) -> bytes:
    """Return what a sealed key is bound to: it opens for one training and one member only."""
    return f"mesh_fl/epoch/{training}/{recipient}".encode()


def _refuse_cohort(ask: Ask, seat: Seat) -> None:
    cohort = set(ask.cohort)
    if len(cohort) != len(ask.cohort) or not cohort <= set(seat.plan.caps):
        raise PlanError("the cohort names a member twice, or one that the plan does not know")
    if seat.name not in cohort:
        raise PlanError(f"we ({seat.name}) are not in the cohort that we are asked to join")
    # Closing adds nothing to any sum, so it may be answered by however many are left.
    if ask.phase != "close" and len(cohort) < seat.plan.survivors:
        raise PlanError(
            f"the cohort has {len(cohort)} members, the plan's noise needs {seat.plan.survivors}"
        )


def _refuse_step(ask: Ask, seat: Seat) -> None:
    plan, after = seat.plan, ask.seen + (ask.pending is not None)
    if not seat.step <= after <= len(plan.schedule):
        raise ProtocolError(
            f"expected a model of step {seat.step} to {len(plan.schedule)}, got that of {after}"
        )
    if ask.pending is not None and ask.pending.step != after:
        raise ProtocolError(f"expected the sum of step {after}, got that of {ask.pending.step}")
    if ask.phase == "close":
        return
    if ask.step != after + 1 or ask.step > len(plan.schedule):
        raise ProtocolError(f"expected step {after + 1}, got {ask.step} of {len(plan.schedule)}")
    if plan.schedule[ask.step - 1] != ask.phase:
        raise ProtocolError(f"step {ask.step} of the plan is not to {ask.phase}")
    if ask.attempt < 1:
        raise ProtocolError("attempts are counted from 1")
