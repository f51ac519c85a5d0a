"""What a member checks before it believes anything that the operator passes on."""

import hashlib
from collections.abc import Iterable, Sequence

from mesh_fl.errors import PlanError, ProtocolError
from mesh_fl.keyring import unusable
from mesh_fl.messages import Pending
from mesh_fl.privacy.plan import Plan
from mesh_fl.roster import Roster
from mesh_fl.statements import Account, Call, Charter, Statement, presences_digest


def sha256(blob: bytes) -> str:
    """Return the SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(blob).hexdigest()


def check_call(call: Call, pending: Pending | None, plan: Plan, roster: Roster) -> None:
    """Refuse a call that the operator did not sign, or that is not about our plan.

    Raises
    ------
    ProtocolError
        If the signature, the plan or the sum that came along is another.
    PlanError
        If the cohort is too small or strange.
    """
    if not call.verifies(roster.operator):
        raise ProtocolError("the call is not signed by the operator that the roster names")
    if (call.plan, call.agent) != (plan.digest, plan.agent):
        raise ProtocolError("the call names another plan than the one that we consented to")
    if call.pending != (sha256(pending.encrypted) if pending else ""):
        raise ProtocolError("the call was signed for another sum than the one that came along")
    check_cohort(call, plan, roster)


def check_cohort(call: Call, plan: Plan, roster: Roster) -> None:
    """Refuse a cohort that is too small for the plan's noise, or names strangers.

    Raises
    ------
    PlanError
        Naming the strangers, or the number of members.
    """
    cohort = set(call.cohort)
    if len(cohort) != len(call.cohort) or not cohort <= set(plan.caps):
        raise PlanError("the cohort names a member twice, or one that the plan does not know")
    if strangers := cohort - roster.cards.keys():
        raise PlanError(
            f"the cohort names {', '.join(sorted(strangers))}, who is not on the roster that the "
            "members signed: refused, because the operator may have made it up"
        )
    # Closing adds nothing to any sum, so it may be answered by however many are left.
    if call.phase != "close" and len(cohort) < plan.survivors:
        raise PlanError(
            f"the cohort has {len(cohort)} members, the plan's noise needs {plan.survivors}"
        )


def check_charter(charter: Charter, training: str, plan: Plan, roster: Roster) -> None:
    """Refuse an epoch whose keys are not those of enough members on the roster.

    Raises
    ------
    ProtocolError
        If a presence or the key notice is forged, repeated, or about something else.
    PlanError
        If too few members are present.
    """
    epoch = charter.notice.epoch
    for one in charter.presences:
        _signed_by(one, one.by, roster)
        if (one.training, one.plan, one.epoch) != (training, plan.digest, epoch):
            raise ProtocolError(f"the presence of {one.by} is of another training or epoch")
        if one.roster != roster.head:
            raise ProtocolError(f"{one.by} saw another roster than we did: the operator forked it")
    names = [one.by for one in charter.presences]
    if names != sorted(set(names)) or charter.notice.by not in names:
        raise ProtocolError("the charter names a member twice, or a stranger made its key")
    if faulty := unusable(charter.presences):
        raise ProtocolError(f"keys of {', '.join(faulty)} are degenerate, or stated twice")
    if len(names) < plan.survivors:
        raise PlanError(f"the epoch has {len(names)} members, the plan needs {plan.survivors}")
    _signed_by(charter.notice, charter.notice.by, roster)
    terms = (charter.notice.training, charter.notice.presences)
    if terms != (training, presences_digest(charter.presences)):
        raise ProtocolError("the epoch's key was made for other members or another training")


def check_pending(pending: Pending, call: Call, plan: Plan, roster: Roster) -> None:
    """Refuse to open anything but the sum of one whole cohort that was asked the same.

    Raises
    ------
    ProtocolError
        If an account is missing, forged or about another call, or the sum is of another step.
    PlanError
        If it is the sum of too few.
    """
    past = pending.call
    if (past.training, past.plan) != (call.training, call.plan):
        raise ProtocolError("the pending sum is of another training or plan")
    if past.step > len(plan.schedule) or past.phase != plan.schedule[past.step - 1]:
        raise ProtocolError(f"the pending sum is of no release of the plan (step {past.step})")
    if not past.verifies(roster.operator):
        raise ProtocolError("what the pending sum was asked for is not signed by the operator")
    check_cohort(past, plan, roster)
    names = tuple(one.by for one in pending.accounts)
    # In a large cohort whoever dropped out is not in the sum.
    expected = tuple(name for name in past.cohort if name in names) if past.circle else past.cohort
    if names != expected or len(names) < plan.survivors:
        raise ProtocolError(
            f"the pending sum comes with accounts of {len(names)} members, expected one of each of "
            f"its {len(past.cohort)}, and no fewer than {plan.survivors}"
        )
    for one in pending.accounts:
        _signed_by(one, one.by, roster)
        if (one.call, one.step, one.attempt) != (past.digest, past.step, past.attempt):
            raise ProtocolError(
                f"{one.by} answered another call than the others: the operator asked members "
                "different things, or the account is forged"
            )
        if not one.sealed:
            raise ProtocolError(f"the account of {one.by} holds no contribution")


def check_witnesses(
    witnesses: Iterable[Account], call: Call, model: str, plan: Plan, roster: Roster
) -> None:
    """Believe a model that we did not follow only if more than T members signed for it.

    Raises
    ------
    ProtocolError
        If too few did.
    """
    found = {
        one.by
        for one in witnesses
        if (one.training, one.plan, one.model) == (call.training, call.plan, model)
        and one.by in roster.cards
        and one.verifies(roster.key_of(one.by))
    }
    if len(found) <= plan.colluders:
        raise ProtocolError(
            f"expected more than {plan.colluders} members' signatures on the model that we "
            f"missed, found {len(found)}"
        )


def check_recount(pending: Pending, recount: Sequence[bytes]) -> None:
    """Compare ciphertexts with what their members signed for.

    Raises
    ------
    ProtocolError
        If one is missing, or not the one that its member signed for.
    """
    if len(recount) != len(pending.accounts):
        raise ProtocolError(
            f"it is our turn to add up all {len(pending.accounts)} contributions again, and "
            f"{len(recount)} came along"
        )
    for one, ciphertext in zip(pending.accounts, recount, strict=True):
        if sha256(ciphertext) != one.sealed:
            raise ProtocolError(f"the operator added another contribution than {one.by} sealed")


def recounter(cohort: Sequence[str], step: int) -> str:
    """Return whose turn it is to add up everything again."""
    return sorted(cohort)[step % len(cohort)]


def _signed_by(statement: Statement, name: str, roster: Roster) -> None:
    if name not in roster.cards:
        raise ProtocolError(f"{name} is not on the roster that the members signed")
    if not statement.verifies(roster.key_of(name)):
        raise ProtocolError(f"a statement of {name} ({statement.tag}) has a forged signature")
