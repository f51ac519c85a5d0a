"""The walk of one round, on one page: what a member does, then what the server does.

::

    server                                         member
    ask(step, last encrypted sum)            →     verify who asks, whom, and for which sum
                                                   open the sum, apply it: the new model
                                                   charge the ledger, durably
                                                   rows → clip → sum → noise → mask → encrypt → sign
    assemble the opened total, apply it      ←     reply(sealed rows, slice of the total, account)
    add the sealed rows, still encrypted
"""

from collections.abc import Mapping

from mesh_fl.agent import Rows
from mesh_fl.errors import (
    AgentError,
    BudgetError,
    ConfigError,
    DataError,
    EncryptionError,
    LedgerError,
    MeshError,
    PeerError,
    PrivacyError,
)
from mesh_fl.large_cohort import advertise, confirm, deal, reveal
from mesh_fl.member import Member
from mesh_fl.messages import (
    Advertise,
    Ask,
    Cause,
    Confirm,
    Convene,
    Deal,
    Enrol,
    MakeKey,
    Pending,
    Refusal,
    Reply,
    Reveal,
    ToMember,
    ToServer,
)
from mesh_fl.opening import catch_up, compare_model
from mesh_fl.privacy.pipeline import Cipher, Opened, Sealed, add, fills, seal
from mesh_fl.privacy.plan import Kind, Plan, Release
from mesh_fl.seat import Seat
from mesh_fl.statements import Call
from mesh_fl.verification import sha256

CAUSES: tuple[tuple[type[MeshError], Cause, bool], ...] = (
    (PeerError, "peer", False),
    (BudgetError, "budget", True),
    (LedgerError, "ledger", True),
    (EncryptionError, "key", False),
    (PrivacyError, "plan", True),
    (DataError, "data", True),
    (AgentError, "agent", True),
    # A full disk or an unreadable file can be mended while the server runs on.
    (ConfigError, "setup", False),
    (MeshError, "order", False),
)
"""What the server is told of an error, and whether it lasts; the first that fits."""


def respond(message: ToMember, member: Member) -> ToServer:
    """Answer whatever the server sent; an error becomes a `Refusal` without its words."""
    try:
        match message:
            case Enrol():
                return member.enrol(message)
            case Convene():
                return member.convene(message)
            case MakeKey():
                return member.make_key(message)
            case Advertise():
                return advertise(message, member)
            case Deal():
                return deal(message, member)
            case Confirm():
                return confirm(message, member)
            case Reveal():
                return reveal(message, member)
            case Ask():
                return client_turn(message, member)
    except MeshError as error:
        member.on_error(error)
        cause, lasting = next((c, lasts) for kind, c, lasts in CAUSES if isinstance(error, kind))
        about = error.member if isinstance(error, PeerError) else ""
        return Refusal(cause=cause, lasting=lasting, about=about)


def client_turn(ask: Ask, member: Member) -> Reply:
    """Answer an ask: verify, open, apply, charge, contribute.

    Raises
    ------
    PrivacyError, ProtocolError
        Before any data is touched, if the ask is older, forged, bound to something else, over the
        budget, or over a cohort that is too small.
    """
    seat, call = member.seat(ask), ask.call
    opened = catch_up(ask, seat, member)
    member.on_model(seat)
    if call.phase == "close":
        compare_model(ask, seat)
        if ask.model is not None and ask.pending is None:
            seat.keyring.forget()
        return _reply(None, opened, call, seat, member)
    stored = member.stored_reply(call)
    if stored and not member.charge(call, seat):
        return stored
    # Before the charge: nobody pays for an attempt that it takes no part in.
    hide = member.hide(ask, seat)
    member.charge(call, seat)
    kind = seat.plan.schedule[call.step - 1]
    sealed = seal(
        rows_of(kind, seat),
        seat.plan.release(kind),
        seat.cipher,
        member.source,
        hide,
    )
    reply = _reply(sealed, opened, call, seat, member)
    member.store_reply(reply)
    return reply


def _reply(
    sealed: Sealed | None, opened: Opened | None, call: Call, seat: Seat, member: Member
) -> Reply:
    digests = sha256(sealed.ciphertext) if sealed else "", sha256(opened.values) if opened else ""
    return Reply(sealed=sealed, opened=opened, account=member.account(call, seat, *digests))


def rows_of(kind: Kind, seat: Seat) -> Rows:
    """Return what the seat's agent contributes or measures."""
    make = seat.agent.contribute if kind == "train" else seat.agent.measure
    try:
        rows = make(seat.state, seat.dataset.data)
    except Exception as error:
        raise AgentError(
            f"{seat.name}: agent {seat.plan.agent} failed in {make.__name__}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if rows.shape[0] != seat.rows:
        raise AgentError(
            f"{seat.name}: agent {seat.plan.agent}: expected {seat.rows} rows from "
            f"{make.__name__}, got {rows.shape[0]}: run `mesh-sim check` on it"
        )
    return rows


def fits(reply: Reply, ask: Ask, name: str, plan: Plan, key: bytes) -> bool:
    """Tell whether a reply holds all that an ask wanted of a member, signed and in its place."""
    account, call, opened = reply.account, ask.call, reply.opened
    terms = (account.by, account.training, account.plan, account.step, account.attempt)
    if terms != (name, call.training, call.plan, call.step, call.attempt):
        return False
    if (account.call, account.operator) != (call.digest, call.signature):
        return False
    if not account.verifies(key):
        return False
    if account.sealed != (sha256(reply.sealed.ciphertext) if reply.sealed else ""):
        return False
    if account.slice != (sha256(opened.values) if opened else ""):
        return False
    if (reply.sealed is None) != (call.phase == "close") or (opened is None) != (not call.pending):
        return False
    if ask.pending is None or opened is None:
        return True
    size = plan.release(ask.pending.kind).dimension
    placed = fills(opened, size, call.cohort.index(name), len(call.cohort))
    return placed and opened.digest == account.model


def server_turn(
    ask: Ask, replies: Mapping[str, Reply], plan: Plan, cipher: Cipher
) -> Pending | tuple[str, ...]:
    """Add up what a whole cohort sealed.

    Returns
    -------
    Pending or tuple of str
        The encrypted sum; or the members whose contribution is missing or cannot be added.
    """
    call, release = ask.call, plan.release(plan.schedule[ask.call.step - 1])
    sealed = {
        name: one
        for name in call.cohort
        if name in replies and (one := replies[name].sealed) is not None
    }
    missing = tuple(name for name in call.cohort if name not in sealed)
    # In a large cohort masks come off without those who dropped out.
    if len(sealed) < plan.survivors or (missing and not call.circle):
        return missing
    try:
        whole = add(list(sealed.values()), release, cipher)
    except EncryptionError:
        faulty = tuple(name for name, one in sealed.items() if not _adds(one, release, cipher))
        if not call.circle or not faulty:
            return faulty
        sound = {name: replies[name] for name in sealed if name not in faulty}
        return server_turn(ask, sound, plan, cipher)
    accounts = tuple(replies[name].account for name in sealed)
    return Pending(encrypted=whole, call=call, accounts=accounts)


def _adds(sealed: Sealed, release: Release, cipher: Cipher) -> bool:
    try:
        add([sealed], release, cipher)
    except EncryptionError:
        return False
    return True
