import contextlib
from typing import get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_network import FOUNDERS, changed, plan_of

from mesh_fl.errors import ProtocolError
from mesh_fl.messages import (
    Advertise,
    Ask,
    Confirm,
    Confirmed,
    Convene,
    Convened,
    Deal,
    Enrol,
    Enrolled,
    KeyMade,
    Keys,
    MakeKey,
    Pending,
    Refusal,
    Reply,
    Reveal,
    Revealing,
    Shares,
    ToMember,
    ToServer,
    decode,
    encode,
)
from mesh_fl.privacy.circle import Advertised
from mesh_fl.privacy.pipeline import Opened, Sealed
from mesh_fl.privacy.robust import Revealed
from mesh_fl.statements import Account, Call, Charter, KeyNotice, Presence, Statement

PLAN = plan_of()
TRAINING = "0123456789abcdef" * 2

CALL = Call(
    training=TRAINING,
    agent="centre",
    plan=PLAN.digest,
    phase="train",
    step=2,
    attempt=3,
    cohort=("ash", "birch"),
    epoch="e" * 64,
    model="d" * 64,
    seen=0,
    pending="5" * 64,
).signed(FOUNDERS.operator)
ACCOUNT = Account(
    by="ash",
    training=TRAINING,
    plan=PLAN.digest,
    step=2,
    attempt=3,
    call=CALL.digest,
    operator=CALL.signature,
    sealed="5" * 64,
    model="d" * 64,
    slice="",
    lines=3,
    head="f" * 64,
).signed(FOUNDERS.signing["ash"])
PRESENCE = Presence(
    by="ash",
    training=TRAINING,
    plan=PLAN.digest,
    roster=FOUNDERS.roster.head,
    epoch=1,
    sealing="a" * 64,
    masking="b" * 64,
    lines=1,
    head="f" * 64,
).signed(FOUNDERS.signing["ash"])
NOTICE = KeyNotice(
    by="ash", training=TRAINING, epoch=1, presences="9" * 64, fingerprint="8" * 64
).signed(FOUNDERS.signing["ash"])
CHARTER = Charter(presences=(PRESENCE,), notice=NOTICE)
KEYS = Advertised(masking=bytes(32), sealing=b"\1" * 32, commitment=b"\2" * 32, signature="s")

ENROL = Enrol(training=TRAINING, plan=PLAN, roster=FOUNDERS.roster.dumps(), latest=ACCOUNT)
PENDING = Pending(
    encrypted=b"\0\1", call=changed(CALL, step=1, attempt=1, pending=""), accounts=(ACCOUNT,)
)
ASK = Ask(call=CALL, pending=PENDING)
REPLY = Reply(
    sealed=Sealed(ciphertext=b"\2"),
    opened=Opened(digest="d" * 64, size=3, first=0, step=5, values=bytes(8)),
    account=ACCOUNT,
)
MESSAGES: dict[str, ToMember | ToServer] = {
    "enrol": ENROL,
    "first enrol": ENROL.model_copy(update={"latest": None}),
    "enrol after an epoch began": ENROL.model_copy(update={"latest": PRESENCE}),
    "enrolled": Enrolled(step=2),
    "convene": Convene(training=TRAINING, epoch=1),
    "convened": Convened(presence=PRESENCE),
    "make key": MakeKey(training=TRAINING, epoch=1, presences=(PRESENCE,)),
    "key made": KeyMade(sealed_keys={"ash": b"\1"}, notice=NOTICE),
    "ask": ASK,
    "ask with everything": ASK.model_copy(
        update={
            "missed": (b"\1", b"\2"),
            "witnesses": (ACCOUNT,),
            "recount": (b"\3",),
            "dealt": {"ash": b"\4"},
            "revealed": {"ash": Revealed(seeds={}, keys={})},
            "charter": CHARTER,
            "sealed_key": b"\5",
            "model": b"\6",
            "receipt": "r",
        }
    ),
    "first ask": ASK.model_copy(update={"pending": None}),
    "reply": REPLY,
    "last reply": REPLY.model_copy(update={"sealed": None}),
    "refusal": Refusal(cause="budget", lasting=True),
    "advertise": Advertise(training=TRAINING, step=1, attempt=1),
    "keys": Keys(keys=KEYS),
    "deal": Deal(training=TRAINING, attempt=1, keys={"ash": KEYS}),
    "shares": Shares(shares={"ash": b"\7"}),
    "confirm": Confirm(training=TRAINING, attempt=1, survivors=("ash",)),
    "confirmed": Confirmed(signature="s"),
    "reveal": Reveal(training=TRAINING, attempt=1, confirmations={"ash": "s"}),
    "revealing": Revealing(revealed=Revealed(seeds={}, keys={})),
}


def test_every_kind_of_message_is_tried() -> None:
    kinds = {type(message) for message in MESSAGES.values()}
    assert kinds == {*get_args(ToMember), *get_args(ToServer)}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_messages_survive_the_wire(message: ToMember | ToServer) -> None:
    again = decode(encode(message))
    assert again == message
    assert type(again) is type(message)
    assert encode(again) == encode(message)


def test_a_plan_keeps_its_digest_on_the_wire() -> None:
    again = decode(encode(ENROL))
    assert isinstance(again, Enrol)
    assert again.plan.digest == PLAN.digest


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_truncated_message_is_refused(message: ToMember | ToServer) -> None:
    whole = encode(message)
    for length in {0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
        with pytest.raises(ProtocolError):
            decode(whole[:length])
    with pytest.raises(ProtocolError):
        decode(whole + b"\0")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(blob)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    whole = bytearray(encode(data.draw(st.sampled_from(list(MESSAGES.values())))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        assert decode(bytes(whole)).type


def packed(message: ToMember | ToServer, **fields: object) -> bytes:
    return bytes(msgpack.packb({**message.model_dump(), **fields}))


def within(statement: Statement, **fields: object) -> dict[str, object]:
    return {**statement.model_dump(), **fields}


WRONG: dict[str, tuple[ToMember | ToServer, dict[str, object], str]] = {
    "unknown field": (ASK, {"surplus": 1}, "surplus"),
    "unknown type": (ASK, {"type": "gossip"}, "gossip|message"),
    "text for a number": (ASK, {"call": within(CALL, step="2")}, "step"),
    "fraction for a number": (ASK, {"call": within(CALL, step=2.5)}, "step"),
    "truth for a number": (ASK, {"call": within(CALL, attempt=True)}, "attempt"),
    "step zero": (ASK, {"call": within(CALL, step=0)}, "step"),
    "negative attempt": (ASK, {"call": within(CALL, attempt=-1)}, "attempt"),
    "negative seen": (ASK, {"call": within(CALL, seen=-1)}, "seen"),
    "unknown phase": (ASK, {"call": within(CALL, phase="peek")}, "phase"),
    "a number in the cohort": (ASK, {"call": within(CALL, cohort=["ash", 3])}, "cohort"),
    "a call about more": (ASK, {"call": within(CALL, rows="all")}, "rows"),
    "no call": (ASK, {"call": None}, "call"),
    "text for bytes": (ASK, {"model": "model"}, "model"),
    "bytes for text": (ASK, {"receipt": b"d"}, "receipt"),
    "a total as numbers": (ASK, {"missed": [[1, 2]]}, "missed"),
    "pending of step zero": (
        ASK,
        {"pending": {**PENDING.model_dump(), "call": within(CALL, step=0)}},
        "pending",
    ),
    "a pending of more": (ASK, {"pending": {**PENDING.model_dump(), "rows": b""}}, "rows"),
    "raw rows": (REPLY, {"rows": [1.0, 2.0]}, "rows"),
    "raw rows for sealed ones": (REPLY, {"sealed": [1, 2]}, "sealed"),
    "rows beside sealed ones": (REPLY, {"sealed": {"ciphertext": b"", "rows": b""}}, "rows"),
    "values as numbers": (
        REPLY,
        {"opened": {**dict(REPLY.opened or ()), "values": [1, 2]}},
        "values",
    ),
    "an account of more": (REPLY, {"account": within(ACCOUNT, rows="3")}, "rows"),
    "no account": (REPLY, {"account": None}, "account"),
    "a ledger of less than nothing": (REPLY, {"account": within(ACCOUNT, lines=-1)}, "lines"),
    "a training that is a path": (ENROL, {"training": "../../etc/passwd"}, "training"),
    "a training in capitals": (ENROL, {"training": TRAINING.upper()}, "training"),
    "a call for a training that is a path": (
        ASK,
        {"call": within(CALL, training="../ledger")},
        "training",
    ),
    "a plan without noise": (ENROL, {"plan": {}}, "plan"),
    "an impossible plan": (
        ENROL,
        {"plan": {**PLAN.model_dump(), "colluders": 9}},
        "colluders < survivors",
    ),
    "a plan with infinite noise": (
        ENROL,
        {"plan": {**PLAN.model_dump(), "multiplier": float("inf")}},
        "multiplier",
    ),
    "epoch zero": (MESSAGES["convene"], {"epoch": 0}, "epoch"),
    "a short key": (
        MESSAGES["convened"],
        {"presence": within(PRESENCE, sealing="a" * 62)},
        "sealing",
    ),
    "a key that is no number": (
        MESSAGES["convened"],
        {"presence": within(PRESENCE, masking="x" * 64)},
        "masking",
    ),
    "keys that are text": (MESSAGES["key made"], {"sealed_keys": {"ash": "key"}}, "sealed_keys"),
    "a refusal in words": (MESSAGES["refusal"], {"reason": "Acme Ltd in row 3"}, "reason"),
    "a refusal for another cause": (MESSAGES["refusal"], {"cause": "Acme Ltd"}, "cause"),
    "a refusal that may last": (MESSAGES["refusal"], {"lasting": 1}, "lasting"),
}


@pytest.mark.parametrize("case", WRONG)
def test_malformed_messages_say_where(case: str) -> None:
    message, fields, where = WRONG[case]
    with pytest.raises(ProtocolError, match=where):
        decode(packed(message, **fields))


def test_a_missing_field_is_named() -> None:
    fields = ASK.model_dump()
    del fields["call"]["seen"]
    with pytest.raises(ProtocolError, match=r"malformed at ask\.call\.seen.*same version"):
        decode(msgpack.packb(fields))


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, {"type": None}, {1: 2}], ids=str)
def test_what_is_no_message_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError):
        decode(msgpack.packb(value))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode(b"\x91" * 100_000)


def test_the_wire_contents_never_appear_in_an_error() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(packed(MESSAGES["key made"], sealed_keys={"ash": "secret words"}))
    assert "secret" not in str(caught.value)


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ASK.receipt = "r"  # type: ignore[misc]
