"""That every attempt is paid for before it leaves, and no record can be made to pay too little."""

import copy
import dataclasses
import json

import numpy as np

from mesh_fl.errors import BudgetError, LedgerError, MeshError, PeerError
from mesh_fl.messages import Ask, Enrol, Refusal, ToMember, encode
from mesh_fl.privacy.ledger import Charge
from mesh_fl.simulate.audit.canaries import NAMES, Canaries, canaries
from mesh_fl.simulate.audit.checks_noise import expected_sigma
from mesh_fl.simulate.audit.finding import Check, Finding, Setting
from mesh_fl.simulate.audit.subject import (
    COLLUDERS,
    SURVIVORS,
    TABLE,
    Heard,
    Subject,
    plan_of,
    two_attempts,
)

WIDTH = 64


def check_charges(_: Setting) -> Finding:
    """Look for that very attempt, at its price, in each ledger as it was when the answer left."""
    subject = two_attempts(WIDTH)
    sigma = expected_sigma(subject.plan, "train") * ((SURVIVORS - COLLUDERS) / len(NAMES)) ** 0.5
    price = (subject.release.sensitivity / sigma) ** 2
    replies = subject.replies
    paid = sum(_paid(heard, ask) >= price * (1 - 1e-9) for heard, ask, _ in replies)
    dead = sum(ask.call.attempt == 1 for _, ask, _ in replies)
    return Finding(
        passed=paid == len(replies) == 2 * dead == 2 * len(NAMES),
        expected="10 contributions, 5 of them to a dead attempt, all charged before they left",
        found=f"{len(replies)} contributions, {dead} to a dead attempt, {paid} charged",
    )


def _paid(heard: Heard, ask: Ask) -> float:
    lines = [json.loads(line) for line in heard.journal.splitlines()]
    return sum(
        float(line["cost"])
        for line in lines
        if line["kind"] == "charge" and line["attempt"] == ask.call.attempt
    )


def check_budget(_: Setting) -> Finding:
    """Ask records that have spent all of their epsilon for a second training."""
    agent = Canaries(width=WIDTH)
    subject = Subject(agent, plan_of(agent), canaries(np.arange(50))).run()
    first = len(subject.replies)
    subject.again().run()
    more, refused = len(subject.replies), _any(subject, BudgetError)
    return Finding(
        passed=first == len(NAMES) and more == 0 and refused,
        expected="5 contributions, then none: refused for want of budget",
        found=f"{first} contributions, then {more}: {_told(subject)}",
    )


def check_overlap(_: Setting) -> Finding:
    """Put a spent record among new ones, and ask whether all of them could pay once more."""
    agent = Canaries(width=WIDTH)
    subject = Subject(agent, plan_of(agent), canaries(np.arange(50))).run()
    ledger, price = subject.people[NAMES[0]].ledger, subject.plan.total_cost
    new = [f"new-{k}" for k in range(20)]
    mixed = ledger.affords(ledger.records(TABLE, [f"{NAMES[0]}-0", *new]), price)
    fresh = ledger.affords(ledger.records(TABLE, new), price)
    return Finding(
        passed=fresh and not mixed,
        expected="new records can pay, with a spent one among them they cannot",
        found=f"new records: {fresh}, with a spent one: {mixed}",
    )


def check_replay(_: Setting) -> Finding:
    """Ask for an attempt that is over, and for the same one with another cohort."""
    subject, name = two_attempts(WIDTH), NAMES[0]
    old, new = (subject.contributions(attempt)[name][0] for attempt in (1, 2))
    other = new.model_copy(update={"call": subject.signed(new.call, cohort=NAMES[:-1])})
    refused = [_refused(subject, name, ask, LedgerError) for ask in (old, other)]
    return Finding(
        passed=all(refused),
        expected="both refused by the ledger",
        found=f"older attempt refused: {refused[0]}, other cohort refused: {refused[1]}",
    )


def check_same_attempt(_: Setting) -> Finding:
    """Ask for the very same attempt again: the same bytes, and no further charge."""
    subject, name = two_attempts(WIDTH), NAMES[0]
    ask, reply = subject.contributions(2)[name]
    lines = subject.people[name].ledger.lines
    again = subject.wiretap.ask(name, ask)
    charged = subject.people[name].ledger.lines - lines
    same = encode(again) == encode(reply)
    return Finding(
        passed=same and not charged,
        expected="the same bytes, no charge",
        found=f"the same bytes: {same}, further charges: {charged}",
    )


def check_restored(_: Setting) -> Finding:
    """Put a member's home back to where it was: it must notice itself, and its peers must."""
    subject, name = two_attempts(WIDTH), NAMES[0]
    reply = subject.contributions(2)[name][1]
    restored = subject.member(name, copy.deepcopy(subject.fresh_homes[name]))
    subject.people[name] = restored
    enrol = Enrol(
        training=subject.id,
        plan=subject.plan,
        roster=subject.founders.roster.dumps(),
        latest=reply.account,
    )
    itself = _refused(subject, name, enrol, LedgerError)
    peers = _peers_refuse(subject, name)
    return Finding(
        passed=itself and peers,
        expected="the member refuses to start, and its peers refuse its older ledger",
        found=f"member refuses: {itself}, peers refuse: {peers}",
    )


def _peers_refuse(subject: Subject, name: str) -> bool:
    """Let the restored ledger grow again, to other lines than the peers remember."""
    seen = [subject.contributions(attempt)[name][1].account for attempt in (1, 2)]
    peer, restored = subject.people[NAMES[1]], subject.people[name]
    peer.peers.note(seen, peer.roster)
    records = restored.ledger.records(TABLE, ["another"])
    restored.ledger.charge(_other_charge(peer.ledger.charges[0], records.digest), records)
    grown = {"lines": restored.ledger.lines, "head": restored.ledger.head}
    try:
        peer.peers.note([seen[0].model_copy(update=grown)], peer.roster)
    except PeerError:
        return True
    return False


def _other_charge(charge: Charge, records: str) -> Charge:
    return dataclasses.replace(charge, training="0" * 32, records=records)


def _refused(subject: Subject, name: str, message: ToMember, kind: type[MeshError]) -> bool:
    subject.errors.clear()
    refused = isinstance(subject.wiretap.ask(name, message), Refusal)
    if refused and not _any(subject, kind):
        raise LedgerError(f"expected a refusal by {kind.__name__}, found {subject.errors}")
    return refused


def _any(subject: Subject, kind: type[MeshError]) -> bool:
    return any(isinstance(error, kind) for error in subject.errors)


def _told(subject: Subject) -> str:
    return type(subject.errors[0]).__name__ if subject.errors else "no refusal"


CHECKS = (
    Check("charges", "every attempt is charged before it leaves, dead ones too", check_charges),
    Check("budget", "a record that has spent its epsilon is asked in vain", check_budget),
    Check("overlap", "a record takes its spend along into other sets", check_overlap),
    Check("replay", "an attempt stands for one ask, and is never gone back to", check_replay),
    Check("same-attempt", "the same attempt has the same bytes", check_same_attempt),
    Check("restored", "a ledger put back from a backup is noticed", check_restored),
)
