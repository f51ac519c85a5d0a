"""What an operator who breaks the rules may ask of a member in vain."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh_fl.errors import MeshError, PlanError, ProtocolError
from mesh_fl.messages import Ask, Pending, Refusal, Reply
from mesh_fl.simulate.audit.canaries import NAMES
from mesh_fl.simulate.audit.finding import Check, Finding, Setting
from mesh_fl.simulate.audit.subject import SURVIVORS, Subject, changed, two_attempts
from mesh_fl.statements import Call
from mesh_fl.verification import recounter, sha256

WIDTH = 64


def check_second_opening(_: Setting) -> Finding:
    """Have the sum of one attempt opened, and then that of another attempt at the same step."""
    subject = two_attempts(WIDTH)
    if not _have_opened(subject, 1):
        raise ProtocolError("expected the first sum to be opened, found that it was refused")
    return _judged(subject, ProtocolError, _have_opened(subject, 2))


def _have_opened(subject: Subject, attempt: int) -> bool:
    """Ask a member whose turn it is not to recount; tell whether it opened the sum."""
    asked = subject.contributions(attempt)
    call = next(iter(asked.values()))[0].call
    accounts = tuple(asked[name][1].account for name in call.cohort)
    pending = Pending(encrypted=subject.encrypted(attempt), call=call, accounts=accounts)
    closing = subject.signed(call, phase="close", attempt=0, pending=sha256(pending.encrypted))
    name = next(one for one in NAMES if one != recounter(NAMES, call.step))
    answer = subject.wiretap.ask(name, Ask(call=closing, pending=pending))
    return isinstance(answer, Reply) and answer.opened is not None


def check_short_cohort(_: Setting) -> Finding:
    """Ask for a contribution to a sum over fewer than the plan's survivors."""
    subject = two_attempts(WIDTH)
    call = _next_call(subject, cohort=NAMES[: SURVIVORS - 1])
    return _judged(subject, PlanError, _contributes(subject, subject.signed(call)))


def check_forged_call(_: Setting) -> Finding:
    """Ask by somebody else's signature."""
    subject = two_attempts(WIDTH)
    call = _next_call(subject).signed(Ed25519PrivateKey.generate())
    return _judged(subject, ProtocolError, _contributes(subject, call))


def _next_call(subject: Subject, **fields: object) -> Call:
    last = subject.contributions(2)[NAMES[0]][0].call
    return changed(last, **{"attempt": 3, **fields})


def _contributes(subject: Subject, call: Call) -> bool:
    subject.errors.clear()
    answer = subject.wiretap.ask(NAMES[0], Ask(call=call))
    return not isinstance(answer, Refusal)


def _judged(subject: Subject, kind: type[MeshError], done: bool) -> Finding:
    why = [type(error) for error in subject.errors]
    if not done and why[-1:] != [kind]:
        raise ProtocolError(f"expected a refusal by {kind.__name__}, found {why}: look again")
    found = "it was done" if done else f"refused by a {kind.__name__}"
    return Finding(passed=not done, expected=f"refused by a {kind.__name__}", found=found)


CHECKS = (
    Check("second-opening", "of the sums of one step only one is opened", check_second_opening),
    Check("short-cohort", "nobody joins a sum over too few", check_short_cohort),
    Check("forged-call", "only the operator's signature counts", check_forged_call),
)
