"""Attempts of large cohorts, whose sums open though members drop out: both sides.

The cryptography is in `mesh_fl.privacy.robust` (Bell et al. 2020, eprint 2020/704); here are its
four exchanges around the ask.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.enrolment import Enrolment
from mesh_fl.errors import EncryptionError, MeshError, ProtocolError
from mesh_fl.exchange import Exchange
from mesh_fl.member import Member
from mesh_fl.messages import (
    Advertise,
    Confirm,
    Confirmed,
    Deal,
    Keys,
    Pending,
    Reveal,
    Revealing,
    Shares,
    ToMember,
    ToServer,
)
from mesh_fl.privacy.circle import Advertised, Circle, Terms, terms_of
from mesh_fl.privacy.pipeline import Cipher, slots_of, unmask
from mesh_fl.privacy.recovery import correction
from mesh_fl.privacy.robust import Attempt, Revealed
from mesh_fl.privacy.signing import verifies
from mesh_fl.seat import Part, Seat


def advertise(order: Advertise, member: Member) -> Keys:
    """Make keys for an attempt, once: we were not charged for it, and began no later one."""
    seat = member.resume(order.training)
    if seat.part is None or seat.part.order != order:
        seat.part = _begin(order, seat, member)
    return Keys(keys=seat.part.attempt.advertise())


def _begin(order: Advertise, seat: Seat, member: Member) -> Part:
    last = member.ledger.last(order.training)
    latest = max(last.attempt if last else 0, seat.part.order.attempt if seat.part else 0)
    if order.attempt <= latest:
        raise ProtocolError(
            f"expected an attempt after {latest}, which has begun or is over, got {order.attempt}"
        )
    epoch = seat.term.charter
    terms = terms_of(seat.plan, order.training, order.step, order.attempt, epoch.digest)
    keys = {name: member.roster.key_of(name) for name in epoch.members}
    return Part(order, Attempt(member.name, member.signing, keys, terms))


def deal(order: Deal, member: Member) -> Shares:
    """Share our secrets with our neighbours among those who advertised."""
    part = member.resume(order.training).part_in(order.attempt)
    if part.dealt is None or part.dealt[0] != order:
        part.dealt = order, Shares(shares=part.attempt.deal(order.keys))
    return part.dealt[1]


def confirm(order: Confirm, member: Member) -> Confirmed:
    """Sign who survived, once."""
    attempt = member.resume(order.training).part_in(order.attempt).attempt
    return Confirmed(signature=attempt.confirm(order.survivors))


def reveal(order: Reveal, member: Member) -> Revealing:
    """Give away one share of each neighbour, if enough members confirmed the same survivors."""
    attempt = member.resume(order.training).part_in(order.attempt).attempt
    return Revealing(revealed=attempt.reveal(order.confirmations))


@dataclass(frozen=True)
class Gathered:
    """What a large cohort did before it was asked.

    Parameters
    ----------
    circle : Circle
        Its keys and neighbours.
    shares : dict of str to dict of str to bytes
        What each member that dealt sealed to each of its neighbours.
    """

    circle: Circle
    shares: Mapping[str, Mapping[str, bytes]]

    @property
    def dealers(self) -> tuple[str, ...]:
        """The members to be asked."""
        return tuple(sorted(self.shares))

    @property
    def able(self) -> tuple[str, ...]:
        """Those of them who hold enough shares to go on."""
        fewest = self.circle.threshold
        return tuple(name for name in self.dealers if len(self.dealt[name]) >= fewest)

    @cached_property
    def dealt(self) -> dict[str, dict[str, bytes]]:
        """What was sealed to each member by the neighbours that dealt."""
        return {
            name: {dealer: sealed[name] for dealer, sealed in self.shares.items() if name in sealed}
            for name in self.shares
        }


@dataclass
class LargeCohort:
    """The server's side of such attempts.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the training stands.
    exchange : Exchange
        How to reach the members.
    enrolment : Enrolment
        Told who fell silent or refused.
    timeout_s : float
        How long members may take for each answer.
    """

    checkpoint: Checkpoint
    exchange: Exchange
    enrolment: Enrolment
    timeout_s: float

    def gather(self, cohort: Collection[str], step: int) -> Gathered | None:
        """Have a cohort make keys and deal shares; None where too few did."""
        at = self.checkpoint
        epoch = at.charter.digest if at.charter else ""
        terms = terms_of(at.plan, at.training, step, at.attempt, epoch)
        order = Advertise(training=at.training, step=step, attempt=at.attempt)
        keys = {
            name: answer.keys
            for name, answer in self._send(dict.fromkeys(cohort, order)).items()
            if isinstance(answer, Keys) and self._stands(name, answer.keys, terms)
        }
        try:
            circle = Circle.of(keys, terms)
        except MeshError:
            return None
        asked = Deal(training=at.training, attempt=at.attempt, keys=keys)
        shares = {
            name: answer.shares
            for name, answer in self._send(dict.fromkeys(keys, asked)).items()
            if isinstance(answer, Shares) and answer.shares.keys() == set(circle.neighbours[name])
        }
        gathered = Gathered(circle, shares)
        return gathered if len(gathered.able) >= circle.quorum else None

    def unmasked(
        self, gathered: Gathered, pending: Pending, cipher: Cipher
    ) -> tuple[Pending, dict[str, Revealed]] | None:
        """Take the masks off a sum that stays encrypted; None where too few members revealed."""
        survivors = [one.by for one in pending.accounts]
        revealed = self.reveal(gathered, survivors)
        if revealed is None:
            return None
        plan = self.checkpoint.plan
        modulus, slots = plan.parameters.plain_modulus, slots_of(plan.release(pending.kind))
        try:
            masks = correction(
                gathered.circle, gathered.dealers, survivors, revealed, modulus, slots
            )
        except EncryptionError:
            return None
        whole = unmask(pending.encrypted, masks.residues, cipher, modulus)
        return pending.model_copy(update={"encrypted": whole}), revealed

    def reveal(self, gathered: Gathered, survivors: Collection[str]) -> dict[str, Revealed] | None:
        """Have the survivors confirm each other and reveal shares; None where too few did."""
        at, circle = self.checkpoint, gathered.circle
        told = circle.survived(gathered.dealers, survivors)
        order = Confirm(
            training=at.training, attempt=at.attempt, survivors=tuple(sorted(survivors))
        )
        confirmations = {
            name: answer.signature
            for name, answer in self._send(dict.fromkeys(survivors, order)).items()
            if isinstance(answer, Confirmed)
            and verifies(self.enrolment.roster.key_of(name), "survivors", told, answer.signature)
        }
        if len(confirmations) < circle.quorum:
            return None
        last = Reveal(training=at.training, attempt=at.attempt, confirmations=confirmations)
        return {
            name: answer.revealed
            for name, answer in self._send(dict.fromkeys(confirmations, last)).items()
            if isinstance(answer, Revealing)
        }

    def _stands(self, name: str, keys: Advertised, terms: Terms) -> bool:
        public = self.enrolment.roster.key_of(name)
        return keys.usable() and keys.stands(name, terms.context, public)

    def _send(self, messages: Mapping[str, ToMember]) -> Mapping[str, ToServer]:
        answers = self.exchange.send(messages, self.timeout_s)
        self.enrolment.note(answers)
        self.enrolment.lost([name for name in messages if name not in answers])
        return answers
