"""Programs with one thing changed: an operator, or a member, that cheats by its own real keys."""

import functools
import itertools
from collections.abc import Callable, Iterator

import msgpack

from end_to_end.network import short_heartbeats
from mesh_fl import delivery, keyring, opening, round
from mesh_fl.agent import Agent
from mesh_fl.asking import Asking
from mesh_fl.card import Card
from mesh_fl.client.fleet import Fleet
from mesh_fl.enrolment import Enrolment
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Enrol
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.epoch import Epoch
from mesh_fl.privacy.pipeline import Opened, Sealed
from mesh_fl.privacy.plan import Plan
from mesh_fl.roster import Roster
from mesh_fl.server import programme
from mesh_fl.state import dump_state
from mesh_fl.statements import Account, Call, Presence
from mesh_fl.verification import sha256

Forge = Callable[[Asking, str, Ask], Ask]


def honest() -> None:
    """Change nothing but how long an honest program waits."""
    short_heartbeats()


def villain(attack: Callable[[], None]) -> Callable[[], None]:
    """What turns an honest program into a cheat just before it runs."""
    return functools.partial(_turn, attack)


def _turn(attack: Callable[[], None]) -> None:
    honest()
    attack()


# The operator.


def forging(forge: Forge) -> None:
    """Change what each member is sent."""
    honest = Asking.each

    def each(self: Asking, ask: Ask) -> dict[str, Ask]:
        return {name: forge(self, name, one) for name, one in honest(self, ask).items()}

    Asking.each = each


def resigned(asking: Asking, ask: Ask, **fields: object) -> Ask:
    """Sign another call by the operator's own key; `pending` replaces the sum, and its hash."""
    pending = fields.pop("pending", ask.pending)
    fields["pending"] = sha256(pending.encrypted) if pending else ""
    call = Call(**{**ask.call.model_dump(), **fields}).signed(asking._operator)
    return ask.model_copy(update={"call": call, "pending": pending})


def wants(ask: Ask, step: int) -> bool:
    return ask.call.step == step and ask.call.phase != "close"


def show_two_cohorts() -> None:
    """Tell two members at the first attempt that fewer are in it, and keep what all answer."""
    delivery.fits = lambda *_: True

    def forge(asking: Asking, name: str, ask: Ask) -> Ask:
        if wants(ask, 1) and name > "msp-1":
            return resigned(asking, ask, cohort=ask.call.cohort[1:])
        return ask

    forging(forge)


def open_something_else() -> None:
    """Ask for step 3 over another sum each time; then honestly."""
    first: list[Ask] = []
    tries: dict[int, Forge] = {}
    left = iter([twice(first), of_one, lone, truncated, flipped])

    def forge(asking: Asking, name: str, ask: Ask) -> Ask:
        if wants(ask, 2) and not first:
            first.append(ask)
        if not wants(ask, 3):
            return ask
        attempt = ask.call.attempt
        if attempt not in tries:
            tries[attempt] = next(left, lambda _asking, _name, ask: ask)
        return tries[attempt](asking, name, ask)

    forging(forge)


def parts_of(asking: Asking, step: int) -> list[bytes]:
    """What each member sealed for a step, as the server keeps it."""
    return list(msgpack.unpackb(asking._blobs[asking._parts(step)])[0])


def twice(first: list[Ask]) -> Forge:
    """One member's contribution, as if it were the sum of a step that was opened before."""

    def forge(asking: Asking, name: str, ask: Ask) -> Ask:
        old = first[0]
        alone = old.pending.model_copy(update={"encrypted": parts_of(asking, 1)[0]})
        fields = {"phase": "close", "attempt": 0, "step": 1, "model": old.call.model, "seen": 0}
        return resigned(asking, ask, pending=alone, **fields)

    return forge


def of_one(asking: Asking, name: str, ask: Ask) -> Ask:
    """One member's contribution, with its account alone."""
    pending = ask.pending.model_copy(
        update={
            "encrypted": parts_of(asking, ask.pending.step)[0],
            "accounts": ask.pending.accounts[:1],
        }
    )
    return resigned(asking, ask, pending=pending)


def instead(change: Callable[[Asking, Ask], bytes]) -> Forge:
    """Another ciphertext in the place of the sum, with all its accounts."""

    def forge(asking: Asking, name: str, ask: Ask) -> Ask:
        pending = ask.pending.model_copy(update={"encrypted": change(asking, ask)})
        return resigned(asking, ask, pending=pending)

    return forge


def with_flipped_bits(blob: bytes) -> bytes:
    middle = len(blob) // 2
    flipped = bytes(byte ^ 0x10 for byte in blob[middle : middle + 64])
    return blob[:middle] + flipped + blob[middle + 64 :]


lone = instead(lambda asking, ask: parts_of(asking, ask.pending.step)[0])
truncated = instead(lambda asking, ask: ask.pending.encrypted[:-1])
flipped = instead(lambda asking, ask: with_flipped_bits(ask.pending.encrypted))


def replay() -> None:
    """Send the asks of step 1 again, then ask for step 3 by the number of an old attempt."""
    old: dict[str, Ask] = {}
    third: list[int] = []

    def forge(asking: Asking, name: str, ask: Ask) -> Ask:
        if wants(ask, 1):
            old[name] = ask
        if not wants(ask, 3):
            return ask
        if ask.call.attempt not in third:
            third.append(ask.call.attempt)
        return old[name] if len(third) == 1 else resigned(asking, ask, attempt=1)

    forging(forge)


def invent_a_member(card: bytes) -> None:
    """Put a member of the operator's own on the roster, in three ways, and in a cohort."""
    mallory = Card.model_validate_json(card)
    planned, enrol = programme.plan_for, Enrolment._message

    def plan_for(*arguments: object) -> tuple[Agent, Plan]:
        agent, plan = planned(*arguments)
        caps = {**plan.caps, mallory.name: mallory.cap}
        return agent, Plan.model_validate({**plan.model_dump(), "caps": caps})

    programme.plan_for = plan_for
    operator: list[object] = []
    asking = Asking.__init__

    def begin(self: Asking, *arguments: object) -> None:
        asking(self, *arguments)
        operator.append(self._operator)

    def forged(roster: Roster) -> Iterator[bytes]:
        join = roster.propose_join([mallory])
        # An operator's signature is none of a member's.
        yield Roster((*roster.entries, join), {}).dumps()
        yield Roster((*roster.entries, join.signed("operator", operator[0])), {}).dumps()
        cards = [*roster.cards.values(), mallory]
        yield Roster.found(roster.network, operator[0], roster.colluders, cards).dumps()

    rosters: dict[str, Iterator[bytes]] = {}

    def message(self: Enrolment, name: str) -> Enrol:
        honest = enrol(self, name)
        blob = next(rosters.setdefault(name, forged(self.roster)), honest.roster)
        return honest.model_copy(update={"roster": blob})

    def forge(asking: Asking, name: str, ask: Ask) -> Ask:
        if wants(ask, 1):
            return resigned(asking, ask, cohort=(*ask.call.cohort[1:], mallory.name))
        return ask

    Asking.__init__, Enrolment._message = begin, message
    Enrolment._worth_asking = lambda self, name: True
    forging(forge)


def alter_what_others_missed() -> None:
    """Move a latecomer's first total by one unit, and the last model of all by one per cent."""
    extras, ask = Asking._extras, Asking.ask
    altered: set[str] = set()

    def moved(self: Asking, one: Ask, name: str) -> dict[str, object]:
        found = extras(self, one, name)
        missed = found["missed"]
        if missed and name not in altered:
            altered.add(name)
            found["missed"] = (bytes([missed[0][0] ^ 1]) + missed[0][1:], *missed[1:])
        return found

    def published(self: Asking, *arguments: object, **options: object) -> Ask:
        honest = ask(self, *arguments, **options)
        return honest.model_copy(update={"model": honest.model and one_per_cent_off(honest.model)})

    Asking._extras, Asking.ask = moved, published


def one_per_cent_off(model: bytes) -> bytes:
    from safetensors.numpy import load

    return dump_state({name: 1.01 * value for name, value in load(model).items()})


def hide_the_warning() -> None:
    """Tell nobody that its ledger stood elsewhere, and take its word all the same."""
    enrol = Enrolment._message
    Enrolment._message = lambda self, name: enrol(self, name).model_copy(update={"latest": None})
    Enrolment.restored = lambda self, statements: ()


def send_nonsense() -> None:
    """Cut the first messages to each member short."""
    from mesh_fl.server import exchange

    honest, counts = exchange.encode, itertools.count()
    exchange.encode = lambda message: honest(message)[: 40 if next(counts) < 4 else None]


# A member.


def lying(**fields: object) -> None:
    """Sign for something else with every contribution but the first."""
    honest, signed = Member.account, itertools.count()

    def account(self: Member, call: Call, *arguments: object, **options: object) -> Account:
        one = honest(self, call, *arguments, **options)
        lies = call.phase != "close" and next(signed) > 0
        return Account(**{**one.model_dump(), **fields}).signed(self.signing) if lies else one

    Member.account = account


def sign_another_total() -> None:
    from mesh_fl.privacy import pipeline

    honest = opening.hand_over

    def hand_over(total: object, digest: str, *place: int) -> Opened:
        return honest(total, "0" * 64, *place)

    assert pipeline.hand_over is honest
    opening.hand_over = hand_over
    lying(model="0" * 64)


def sign_for_an_older_ledger() -> None:
    lying(lines=1, head="0" * 64)


def hand_over_a_wrong_slice() -> None:
    honest = opening.hand_over

    def hand_over(*arguments: object) -> Opened:
        one = honest(*arguments)
        return one.model_copy(update={"values": bytes(len(one.values))})

    opening.hand_over = hand_over


def seal_garbage() -> None:
    """Seal a contribution and flip some bits, then one under another key; then honestly."""
    honest, counts = round.seal, itertools.count()

    def seal(rows: object, release: object, cipher: Bfv, *arguments: object) -> Sealed:
        number = next(counts)
        if number == 1:
            cipher = Bfv(cipher.parameters, generate_key(cipher.parameters))
        sealed = honest(rows, release, cipher, *arguments)
        return Sealed(ciphertext=with_flipped_bits(sealed.ciphertext)) if number == 0 else sealed

    round.seal = seal


def drop_every_other_attempt() -> None:
    honest, counts = Fleet.reply, itertools.count()

    def reply(self: Fleet, node: object, message: object, runtime_s: float) -> None:
        # Small answers are consents and keys.
        size = sum(
            len(array.data) for record in message.content.values() for array in record.values()
        )
        if size < 8000 or next(counts) % 2 == 0:
            honest(self, node, message, runtime_s)

    Fleet.reply = reply


def make_garbage_keys() -> None:
    """Seal rubbish to two, another key to one, and what SEAL takes for no key to the last."""
    honest, counts = keyring.seal_epoch, itertools.count()

    def seal(epoch: Epoch, recipient: object, context: bytes) -> bytes:
        kind = next(counts) % 4
        if kind == 2:
            epoch = Epoch("0" * 32, epoch.parameters, epoch.secret_key)
        if kind == 3:
            epoch = Epoch(epoch.epoch_id, epoch.parameters, with_flipped_bits(epoch.secret_key))
        sealed = honest(epoch, recipient, context)
        return bytes(len(sealed)) if kind < 2 else sealed

    keyring.seal_epoch = seal


def state_keys_that_nobody_can_agree_by() -> None:
    honest = Member.convene

    def convene(self: Member, order: object) -> object:
        one = honest(self, order)
        weak = Presence(**{**one.presence.model_dump(), "masking": "00" * 32})
        return one.model_copy(update={"presence": weak.signed(self.signing)})

    Member.convene = convene
