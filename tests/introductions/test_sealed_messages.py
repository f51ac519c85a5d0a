import base64
import json
import string
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from village import TODAY, Village

from mesh_fl.errors import ConfigError, EncryptionError, MeshError, ProtocolError
from mesh_fl.introductions.cards import OwnCards
from mesh_fl.introductions.reply import Reply, SealedReply, open_reply, seal_reply
from mesh_fl.introductions.request import (
    SIZES_BYTES,
    Request,
    SealedRequest,
    new_nonce,
    open_request,
    seal_request,
)
from mesh_fl.introductions.sealing import seal, unseal

ASKER, OWNER, CARD_KEY = (Ed25519PrivateKey.generate() for _ in range(3))
REPLY_KEY = X25519PrivateKey.generate()


def public(key: X25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def request(**changes: object) -> Request:
    values = {
        "handle": "a" * 32,
        "name": "acme",
        "contact": "jo@example.org",
        "requirements": "azure",
        "message": "hello",
        "asked": TODAY,
        "expires": TODAY + timedelta(days=30),
        "reply_key": public(REPLY_KEY),
        "nonce": new_nonce(),
    }
    return Request.model_validate(values | changes).signed(ASKER)


def reply(accepted: bool = True, **changes: object) -> Reply:
    values = {"request": "b" * 64, "handle": "a" * 32, "accepted": accepted}
    told = {"name": "best", "contact": "al@example.org", "message": "gladly"} if accepted else {}
    return Reply.model_validate(values | told | changes).signed(CARD_KEY, OWNER)


@pytest.fixture
def village(tmp_path) -> Village:
    return Village(tmp_path)


class TestSealing:
    @given(st.binary(max_size=200))
    def test_opens_with_its_key_and_context_only(self, plain: bytes) -> None:
        sealed = base64.b64decode(seal(plain, public(REPLY_KEY), "context", (64, 256)))
        assert unseal(sealed, REPLY_KEY, "context") == plain
        for key, context in [(REPLY_KEY, "other"), (X25519PrivateKey.generate(), "context")]:
            with pytest.raises(EncryptionError, match="does not open"):
                unseal(sealed, key, context)

    def test_lengths_are_few(self) -> None:
        lengths = {len(seal(b"x" * n, public(REPLY_KEY), "c", (64, 256))) for n in range(252)}
        assert len(lengths) == 2

    def test_too_long_is_told(self) -> None:
        with pytest.raises(EncryptionError, match="at most 60 bytes to seal, found 61"):
            seal(b"x" * 61, public(REPLY_KEY), "c", (64,))

    def test_a_degenerate_key_is_told(self) -> None:
        with pytest.raises(EncryptionError, match="degenerate"):
            seal(b"x", "0" * 64, "c", (64,))

    @pytest.mark.parametrize("sealed", [b"", b"x", b"x" * 47, b"x" * 100])
    def test_what_was_never_sealed_does_not_open(self, sealed: bytes) -> None:
        with pytest.raises(EncryptionError, match="does not open"):
            unseal(sealed, REPLY_KEY, "c")


class TestRequest:
    def test_every_changed_byte_is_refused(self, village: Village) -> None:
        card = village.card("best")
        own = OwnCards(village.home("best")).find(card.profile.handle).sealing_key
        blob = seal_request(request(handle=card.profile.handle), card.profile).dumps()
        assert open_request(SealedRequest.loads(blob), own).name == "acme"
        for place in range(len(blob)):
            for mask in (1, 32, 128):
                flipped = blob[:place] + bytes([blob[place] ^ mask]) + blob[place + 1 :]
                with pytest.raises(MeshError):
                    open_request(SealedRequest.loads(flipped), own)

    def test_every_bit_of_the_tail_is_refused(self, village: Village) -> None:
        card = village.card("best")
        own = OwnCards(village.home("best")).find(card.profile.handle).sealing_key
        blob = seal_request(request(handle=card.profile.handle), card.profile).dumps()
        for place in range(len(blob) - 12, len(blob)):
            for bit in range(8):
                flipped = blob[:place] + bytes([blob[place] ^ 1 << bit]) + blob[place + 1 :]
                with pytest.raises(MeshError):
                    open_request(SealedRequest.loads(flipped), own)

    @pytest.mark.parametrize("size_bytes", range(1, 7))
    def test_the_same_bytes_are_spelt_in_one_way(self, size_bytes: int) -> None:
        sole = base64.b64encode(b"\xa5" * size_bytes).decode()
        assert SealedRequest(handle="a" * 32, sealed=sole).sealed_bytes == b"\xa5" * size_bytes
        last = len(sole.rstrip("=")) - 1
        for letter in string.ascii_letters + string.digits + "+/":
            respelt = sole[:last] + letter + sole[last + 1 :]
            if respelt != sole and base64.b64decode(respelt) == b"\xa5" * size_bytes:
                with pytest.raises(ValidationError, match="canonical"):
                    SealedRequest(handle="a" * 32, sealed=respelt)

    def test_an_introduction_is_named_after_bytes_and_handle(self) -> None:
        made = [
            SealedRequest(handle=handle * 32, sealed=base64.b64encode(blob).decode()).digest
            for handle in "ab"
            for blob in (b"a", b"b")
        ]
        assert len(set(made)) == 4

    def test_every_cut_is_refused(self, village: Village) -> None:
        blob = seal_request(request(), village.card("best").profile).dumps()
        for length in [*range(0, len(blob), 97), len(blob) - 1]:
            with pytest.raises(ProtocolError):
                SealedRequest.loads(blob[:length])

    def test_shows_the_handle_and_one_of_four_sizes_only(self, village: Village) -> None:
        profile = village.card("best").profile
        texts = ["", "a" * 4000, "𒀀" * 4000]
        made = [seal_request(request(message=one, requirements=one), profile) for one in texts]
        assert [set(json.loads(one.dumps())) for one in made] == [{"kind", "sealed", "handle"}] * 3
        plain = {len(base64.b64decode(one.sealed)) - 48 for one in made}
        assert len(plain) == 3
        assert plain <= set(SIZES_BYTES)
        assert all(len(one.dumps()) < 64 << 10 for one in made)

    def test_space_around_it_changes_nothing(self, village: Village) -> None:
        sealed = seal_request(request(), village.card("best").profile)
        assert SealedRequest.loads(b"\n " + sealed.dumps() + b"\r\n").digest == sealed.digest

    def test_another_spelling_is_refused(self, village: Village) -> None:
        blob = seal_request(request(), village.card("best").profile).dumps()
        for respelt in (blob.replace(b'":', b'": '), json.dumps(json.loads(blob)).encode()):
            with pytest.raises(ProtocolError, match="rewritten"):
                SealedRequest.loads(respelt)

    def test_the_handle_outside_is_the_one_inside(self, village: Village) -> None:
        card = village.card("best")
        own = OwnCards(village.home("best")).find(card.profile.handle).sealing_key
        with pytest.raises(ProtocolError, match="passes it on"):
            open_request(seal_request(request(handle="c" * 32), card.profile), own)

    @pytest.mark.parametrize(
        "inside",
        [
            b"",
            b"{}",
            b"[" * 30_000,
            b'{"name": "' + b"9" * 20_000,
            b"1" * 30_000,
            b'{"message": "\\u001b[2J", "message": ""}',
            request().model_copy(update={"message": "\x1b[2J"}).model_dump_json().encode(),
            request().model_copy(update={"name": "\x1b[2J"}).model_dump_json().encode(),
            request().model_copy(update={"contact": "a" * 201}).model_dump_json().encode(),
        ],
    )
    def test_a_hostile_author_gets_nothing_to_the_terminal(self, inside: bytes) -> None:
        sealed = seal(inside, public(REPLY_KEY), f"request {'a' * 32}", SIZES_BYTES)
        with pytest.raises(ProtocolError) as caught:
            open_request(SealedRequest(handle="a" * 32, sealed=sealed), REPLY_KEY)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500

    def test_a_name_needs_its_signature(self) -> None:
        keys = {"acme": ASKER.public_key().public_bytes_raw()}
        assert request().comes_from_a_member(keys)
        assert not request().comes_from_a_member({})
        for forged in (
            request().model_copy(update={"message": "other"}),
            request().model_copy(update={"reply_key": "1" * 64}),
            request().model_copy(update={"handle": "c" * 32}),
            request().signed(OWNER),
            request().model_copy(update={"signature": ""}),
        ):
            with pytest.raises(ProtocolError, match="somebody uses that name"):
                forged.comes_from_a_member(keys)

    def test_lasts_from_its_day_to_its_last(self) -> None:
        for days in (-1, 0, 30):
            request().check_day(TODAY + timedelta(days=days))
        with pytest.raises(ProtocolError, match="expired"):
            request().check_day(TODAY + timedelta(days=31))
        with pytest.raises(ProtocolError, match="clock"):
            request().check_day(TODAY - timedelta(days=2))

    @pytest.mark.parametrize(
        "change",
        [
            {"expires": TODAY + timedelta(days=91)},
            {"expires": TODAY - timedelta(days=1)},
            {"message": "a" * 4001},
            {"message": "\x1b[2J"},
            {"contact": ""},
            {"contact": "a\nb"},
            {"name": "Acme"},
            {"name": "operator"},
            {"reply_key": "xyz"},
        ],
    )
    def test_fields_have_bounds(self, change) -> None:
        with pytest.raises(ValidationError):
            request(**change)


class TestReply:
    def test_yes_and_no_look_alike(self) -> None:
        longest = reply(contact="𒀀" * 200, message="𒀀" * 1000, name="a" * 63)
        sealed = [seal_reply(one, public(REPLY_KEY)) for one in (reply(), reply(False), longest)]
        assert len({len(one.dumps()) for one in sealed}) == 1
        assert [set(json.loads(one.dumps())) for one in sealed] == [{"kind", "sealed"}] * 3
        assert open_reply(sealed[2], REPLY_KEY) == longest

    def test_every_changed_byte_is_refused(self) -> None:
        blob = seal_reply(reply(), public(REPLY_KEY)).dumps()
        for place in range(0, len(blob), 3):
            flipped = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
            with pytest.raises(MeshError):
                open_reply(SealedReply.loads(flipped), REPLY_KEY)

    def test_a_refusal_holds_nothing_of_its_author(self) -> None:
        refusal = reply(False)
        assert (refusal.name, refusal.contact, refusal.message) == (None, "", "")
        assert refusal.member_signature == ""
        for told in ({"name": "best"}, {"contact": "x"}, {"message": "x"}):
            with pytest.raises(ValidationError, match="a refusal without"):
                reply(False, **told)
        with pytest.raises(ValidationError, match="name and contact"):
            reply(True, contact="")

    def test_a_card_answers_for_itself_alone(self, village: Village) -> None:
        card = village.card("best")
        own = OwnCards(village.home("best")).find(card.profile.handle).signing_key
        good = reply(handle=card.profile.handle).signed(own, OWNER)
        good.check_card(card)
        turned = good.model_copy(update={"accepted": False})
        for forged in (turned, reply(handle=card.profile.handle), reply().signed(own, OWNER)):
            with pytest.raises(ProtocolError, match="forged"):
                forged.check_card(card)

    def test_a_named_card_is_answered_under_its_name(self, village: Village) -> None:
        card = village.card("core", hidden=False)
        own = OwnCards(village.home("core")).find(card.profile.handle).signing_key
        with pytest.raises(ProtocolError, match="expected core"):
            reply(handle=card.profile.handle).signed(own, OWNER).check_card(card)

    def test_a_name_needs_its_signature(self) -> None:
        keys = {"best": OWNER.public_key().public_bytes_raw()}
        assert reply().comes_from_a_member(keys)
        assert not reply().comes_from_a_member({})
        assert not reply(False).comes_from_a_member(keys)
        for forged in (
            reply().signed(CARD_KEY, ASKER),
            reply().model_copy(update={"contact": "me@example.org"}),
            reply().model_copy(update={"request": "c" * 64}),
        ):
            with pytest.raises(ProtocolError, match="uses that name"):
                forged.comes_from_a_member(keys)


@pytest.mark.parametrize("kind", [SealedRequest, SealedReply])
@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"null",
        b"[" * 60_000,
        b'{"kind":1}',
        b'{"sealed":"a","sealed":"b"}',
        b"\xff",
        b'"\\ud800"',
        b" " * 70_000,
        b'{"handle":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_envelope_is_refused(kind, blob, tmp_path) -> None:
    with pytest.raises(ProtocolError):
        kind.loads(blob)
    path = tmp_path / "file.json"
    path.write_bytes(blob)
    with pytest.raises(ConfigError, match=r"file\.json"):
        kind.read(path)


def test_one_kind_is_not_taken_for_another(village: Village) -> None:
    asked = seal_request(request(), village.card("best").profile).dumps()
    answered = seal_reply(reply(), public(REPLY_KEY)).dumps()
    with pytest.raises(ProtocolError):
        SealedReply.loads(asked)
    with pytest.raises(ProtocolError):
        SealedRequest.loads(answered)


def test_envelopes_that_cannot_be_read_are_told(tmp_path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigError, match="cannot read"):
            SealedReply.read(path)
