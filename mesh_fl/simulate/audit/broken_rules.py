"""Rules of the ledger and of a round that are not kept."""

from typing import cast

from mesh_fl.member import Member
from mesh_fl.messages import Ask
from mesh_fl.opening import open_pending
from mesh_fl.privacy.ledger import NO_RECORDS, Charge, Ledger, RecordSet
from mesh_fl.privacy.pipeline import Opened, hand_over, next_digest
from mesh_fl.seat import Seat
from mesh_fl.simulate.audit.swap import Function
from mesh_fl.statements import Account, Presence


def charged_once_a_step(original: Function) -> Function:
    """Take a second attempt at a step for paid."""

    def charged(
        self: Ledger, charge: Charge, records: RecordSet, parts: RecordSet = NO_RECORDS
    ) -> bool:
        if any(one.step == charge.step for one in self.charges):
            return True
        return cast("bool", original(self, charge, records, parts))

    return charged


def spent_by_same_set(self: Ledger, records: RecordSet) -> float:
    """Add up what exactly these records spent together."""
    return sum(one.cost for one in self.charges if one.records == records.digest)


def opened_anew(ask: Ask, seat: Seat, member: Member) -> Opened | None:
    """Open whatever sum comes along, and forget that another one was opened."""
    if ask.pending is None:
        return None
    total = open_pending(ask, ask.pending, seat, member)
    after = next_digest(ask.call.model, total)
    return hand_over(total, after, ask.call.cohort.index(seat.name), len(ask.call.cohort))


def last_link_only(known: dict[int, str], one: Account | Presence) -> dict[int, str]:
    """Remember the newest word of a peer, whatever it says."""
    return {one.lines: one.head}


def nothing(*args: object) -> None:
    """Refuse nothing, store nothing."""


def yes(*args: object) -> bool:
    """Say yes."""
    return True


def no(*args: object) -> bool:
    """Say no."""
    return False
