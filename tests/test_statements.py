import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from epochs import parties, presences_of
from pydantic import ValidationError
from small_network import FOUNDERS, changed
from test_messages import ACCOUNT, CALL, NOTICE, PRESENCE

from mesh_fl.privacy.signing import public_bytes
from mesh_fl.statements import Account, Charter, Statement, presences_digest

ASH = FOUNDERS.roster.key_of("ash")
OTHER: dict[str, object] = {
    "training": "f" * 32,
    "agent": "tickets",
    "plan": "0" * 64,
    "phase": "measure",
    "step": 7,
    "attempt": 8,
    "cohort": ("ash", "birch", "elm"),
    "epoch": "0" * 64,
    "model": "0" * 64,
    "seen": 9,
    "pending": "0" * 64,
    "circle": "0" * 64,
    "by": "birch",
    "roster": "0" * 64,
    "sealing": "0" * 64,
    "masking": "0" * 64,
    "lines": 10,
    "head": "0" * 64,
    "presences": "0" * 64,
    "fingerprint": "0" * 64,
    "call": "0" * 64,
    "operator": "forged",
    "sealed": "0" * 64,
    "slice": "0" * 64,
}
STATEMENTS = {one.tag: one for one in (CALL, PRESENCE, NOTICE, ACCOUNT)}
FIELDS = [
    (tag, field)
    for tag, one in STATEMENTS.items()
    for field in type(one).model_fields
    if field != "signature"
]


def author(one: Statement) -> bytes:
    return FOUNDERS.roster.operator if one is CALL else ASH


class TestSignatures:
    @pytest.mark.parametrize("tag", STATEMENTS)
    def test_they_verify_for_their_author_only(self, tag: str) -> None:
        one = STATEMENTS[tag]
        keys = [FOUNDERS.roster.operator, *map(FOUNDERS.roster.key_of, FOUNDERS.roster.cards)]
        assert [one.verifies(key) for key in keys] == [key == author(one) for key in keys]

    @pytest.mark.parametrize(("tag", "field"), FIELDS)
    def test_every_field_is_signed_for(self, tag: str, field: str) -> None:
        one = STATEMENTS[tag]
        value = 99 if (tag, field) in {("presence", "epoch"), ("key", "epoch")} else OTHER[field]
        other = changed(one, **{field: value})
        assert other.digest != one.digest
        assert not other.verifies(author(one))

    @pytest.mark.parametrize(
        "signature",
        ["", "x", "=", "A" * 88, "\0" * 88, "é" * 88, CALL.signature + "AAAA"],
        ids=["none", "one", "padding", "short", "zeros", "accents", "long"],
    )
    def test_what_is_no_signature_does_not_verify(self, signature: str) -> None:
        assert not changed(CALL, signature=signature).verifies(FOUNDERS.roster.operator)

    def test_a_key_that_is_none_verifies_nothing(self) -> None:
        for key in (b"", bytes(31), bytes(32), b"\xff" * 32):
            assert not CALL.verifies(key)

    @pytest.mark.parametrize("tag", STATEMENTS)
    def test_signing_again_and_after_the_digest_was_read_is_the_same(self, tag: str) -> None:
        """RFC 8032 signatures are deterministic, so a killed server repeats itself exactly."""
        one, key = STATEMENTS[tag], Ed25519PrivateKey.generate()
        unread = changed(one)
        assert one.digest == unread.digest
        assert one.signed(key) == unread.signed(key) == one.signed(key).signed(key)
        assert one.signed(key).verifies(public_bytes(key))

    def test_one_kind_is_never_taken_for_another(self) -> None:
        class Lookalike(Account):
            tag = "presence"

        alike = Lookalike(**ACCOUNT.model_dump())
        assert alike.digest != ACCOUNT.digest
        assert not alike.verifies(ASH)

    def test_statements_cannot_be_changed_nor_extended(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            CALL.step = 3  # type: ignore[misc]
        with pytest.raises(ValidationError, match="Extra"):
            changed(CALL, rows="all")


class TestReceipts:
    def test_they_are_the_operators_for_this_account_only(self) -> None:
        receipt = ACCOUNT.receipt(FOUNDERS.operator)
        assert ACCOUNT.receipted(receipt, FOUNDERS.roster.operator)
        assert not changed(ACCOUNT, attempt=4).receipted(receipt, FOUNDERS.roster.operator)
        assert not ACCOUNT.receipted(receipt, ASH)
        assert not ACCOUNT.receipted("", FOUNDERS.roster.operator)

    def test_an_account_is_no_receipt_of_itself(self) -> None:
        assert not ACCOUNT.receipted(ACCOUNT.signature, ASH)
        by_the_operator = ACCOUNT.signed(FOUNDERS.operator).signature
        assert not ACCOUNT.receipted(by_the_operator, FOUNDERS.roster.operator)


class TestBinding:
    @pytest.mark.parametrize(
        "field",
        ["training", "agent", "plan", "phase", "step", "attempt", "cohort", "epoch", "circle"],
    )
    def test_all_that_fixes_an_attempt_is_bound(self, field: str) -> None:
        assert changed(CALL, **{field: OTHER[field]}).binding("d") != CALL.binding("d")

    @pytest.mark.parametrize("cohort", [("birch", "ash"), ("ash,birch",), ("ash", "birch", "ash")])
    def test_the_cohort_is_bound_as_it_stands(self, cohort: tuple[str, ...]) -> None:
        assert changed(CALL, cohort=cohort).binding("d") != CALL.binding("d")

    def test_the_model_is_bound(self) -> None:
        assert CALL.binding("d") != CALL.binding("e")

    def test_how_the_model_travels_is_not(self) -> None:
        """A server that was killed may have settled the last sum before it asks again."""
        again = changed(CALL, pending="", seen=1, model="e", signature="")
        assert again.binding("d") == CALL.binding("d")

    def test_every_field_is_one_or_the_other(self) -> None:
        fields = set(type(CALL).model_fields) - {"signature", "model", "seen", "pending"}
        assert fields == {
            *("training", "agent", "plan", "phase", "step", "attempt", "cohort", "epoch"),
            "circle",
        }


class TestCharters:
    def test_the_digest_binds_all_presences_and_the_key(self) -> None:
        people = parties()
        presences = presences_of(people.values())
        charter, _ = people["ash"].make(presences)
        others = [
            Charter(presences=presences[1:], notice=charter.notice),
            Charter(presences=presences[::-1], notice=charter.notice),
            Charter(
                presences=(changed(presences[0], masking="0" * 64), *presences[1:]),
                notice=charter.notice,
            ),
            people["ash"].make(presences)[0],
            people["birch"].make(presences)[0],
        ]
        assert len({charter.digest, *(other.digest for other in others)}) == 6

    def test_members_are_found_by_name(self) -> None:
        people = parties()
        charter, _ = people["ash"].make(presences_of(people.values()))
        assert charter.members == people.keys()
        assert all(charter.presence(name).by == name for name in people)  # type: ignore[union-attr]
        assert charter.presence("oak") is None

    def test_who_is_present_is_told_in_order(self) -> None:
        presences = presences_of(parties().values())
        assert presences_digest(presences) != presences_digest(presences[::-1])
        assert presences_digest(presences) != presences_digest(presences[1:])
