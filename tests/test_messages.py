import contextlib

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_network import plan_of

from mesh_fl.errors import ProtocolError
from mesh_fl.messages import (
    Ask,
    Enrol,
    Enrolled,
    Pending,
    Refusal,
    Reply,
    ToMember,
    ToServer,
    decode,
    encode,
)
from mesh_fl.privacy.pipeline import Opened, Sealed

PLAN = plan_of()
TRAINING = "0123456789abcdef" * 2

ENROL = Enrol(training=TRAINING, plan=PLAN, sealed_key=b"\0\xff", seal_to={"ash": bytes(32)})
ASK = Ask(
    training=TRAINING,
    plan=PLAN.digest,
    phase="train",
    step=2,
    attempt=3,
    cohort=("ash", "birch"),
    digest="d" * 64,
    seen=0,
    pending=Pending(step=1, encrypted=b"\0\1"),
    state=None,
)
REPLY = Reply(
    training=TRAINING,
    step=2,
    attempt=3,
    sealed=Sealed(ciphertext=b"\2"),
    opened=Opened(digest="d" * 64, size=3, first=0, step=5, values=bytes(8)),
)
MESSAGES: dict[str, ToMember | ToServer] = {
    "enrol": ENROL,
    "enrol without a key": ENROL.model_copy(update={"sealed_key": None, "seal_to": {}}),
    "enrolled": Enrolled(sealed_keys={"ash": b"\1"}),
    "ask": ASK,
    "first ask": ASK.model_copy(update={"pending": None, "state": b"model"}),
    "reply": REPLY,
    "last reply": REPLY.model_copy(update={"sealed": None}),
    "refusal": Refusal(cause="budget", lasting=True),
}


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


WRONG: dict[str, tuple[ToMember | ToServer, dict[str, object], str]] = {
    "unknown field": (ASK, {"surplus": 1}, "surplus"),
    "unknown type": (ASK, {"type": "gossip"}, "gossip|message"),
    "text for a number": (ASK, {"step": "2"}, "step"),
    "fraction for a number": (ASK, {"step": 2.5}, "step"),
    "truth for a number": (ASK, {"attempt": True}, "attempt"),
    "step zero": (ASK, {"step": 0}, "step"),
    "negative attempt": (ASK, {"attempt": -1}, "attempt"),
    "negative seen": (ASK, {"seen": -1}, "seen"),
    "unknown phase": (ASK, {"phase": "peek"}, "phase"),
    "text for bytes": (ASK, {"state": "model"}, "state"),
    "bytes for text": (ASK, {"digest": b"d"}, "digest"),
    "a number in the cohort": (ASK, {"cohort": ["ash", 3]}, "cohort"),
    "pending of step zero": (ASK, {"pending": {"step": 0, "encrypted": b""}}, "pending"),
    "a pending of more": (ASK, {"pending": {"step": 1, "encrypted": b"", "rows": b""}}, "rows"),
    "raw rows": (REPLY, {"rows": [1.0, 2.0]}, "rows"),
    "raw rows for sealed ones": (REPLY, {"sealed": [1, 2]}, "sealed"),
    "rows beside sealed ones": (REPLY, {"sealed": {"ciphertext": b"", "rows": b""}}, "rows"),
    "values as numbers": (
        REPLY,
        {"opened": {**dict(REPLY.opened or ()), "values": [1, 2]}},
        "values",
    ),
    "a training that is a path": (ENROL, {"training": "../../etc/passwd"}, "training"),
    "a training in capitals": (ENROL, {"training": TRAINING.upper()}, "training"),
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
    "keys that are text": (MESSAGES["enrolled"], {"sealed_keys": {"ash": "key"}}, "sealed_keys"),
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
    del fields["seen"]
    with pytest.raises(ProtocolError, match=r"malformed at ask\.seen.*same version"):
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
        decode(packed(MESSAGES["enrolled"], sealed_keys={"ash": "secret words"}))
    assert "secret" not in str(caught.value)


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ASK.step = 3  # type: ignore[misc]


class TestBinding:
    @pytest.mark.parametrize(
        "other",
        [
            {"training": "f" * 32},
            {"plan": "0" * 64},
            {"phase": "measure"},
            {"step": 3},
            {"attempt": 4},
            {"cohort": ("birch", "ash")},
            {"cohort": ("ash", "birch", "elm")},
            {"cohort": ("ash,birch",)},
        ],
        ids=str,
    )
    def test_all_that_fixes_an_attempt_is_bound(self, other: dict[str, object]) -> None:
        assert ASK.model_copy(update=other).binding("d") != ASK.binding("d")

    def test_the_model_is_bound(self) -> None:
        assert ASK.binding("d") != ASK.binding("e")

    def test_how_the_model_travels_is_not(self) -> None:
        """A server that was killed may have settled the last sum before it asks again."""
        again = ASK.model_copy(update={"pending": None, "state": b"x", "seen": 1, "digest": "e"})
        assert again.binding("d") == ASK.binding("d")
