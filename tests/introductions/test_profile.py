import json
import stat
from datetime import date, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from village import NAMES, OFFERING, TODAY, Village

from mesh_fl.errors import ConfigError
from mesh_fl.introductions.cards import OwnCards
from mesh_fl.introductions.ours import CARDS, own_handles
from mesh_fl.introductions.traces import traces
from mesh_fl.profile import (
    Offering,
    Profile,
    SignedProfile,
    read_cards,
    read_directory,
    read_profile,
)


@pytest.fixture
def village(tmp_path) -> Village:
    return Village(tmp_path)


def written(path, *cards):
    path.write_bytes(b"[" + b",".join(card.dumps() for card in cards) + b"]")
    return path


def changed(card: SignedProfile, **changes: object) -> SignedProfile:
    return card.model_copy(update={"profile": card.profile.model_copy(update=changes)})


class TestCard:
    def test_a_hidden_card_names_nobody(self, village: Village) -> None:
        blob = village.card("acme").dumps().decode()
        told = ("acme", OFFERING.contact, village.keys["acme"].hex())
        assert not [secret for secret in told if secret in blob]
        assert json.loads(blob)["member_signature"] == ""
        assert json.loads(blob)["key"] != village.keys["acme"].hex()

    def test_a_named_card_is_signed_by_its_member(self, village: Village) -> None:
        card = village.card("acme", hidden=False)
        assert card.profile.name == "acme"
        assert OFFERING.contact not in card.dumps().decode()
        card.verify_name(village.keys)
        with pytest.raises(ConfigError, match="not on it"):
            card.verify_name({})
        with pytest.raises(ConfigError, match="another key"):
            card.verify_name({"acme": village.keys["best"]})

    def test_says_what_the_profile_says(self, village: Village) -> None:
        profile = village.card("acme").profile
        assert profile.offered == OFFERING.offered
        assert profile.capacity_h_month == 40
        assert (profile.issued, profile.expires) == (TODAY, TODAY + timedelta(days=90))

    def test_comes_back_from_its_file(self, village: Village, tmp_path) -> None:
        card, path = village.card("acme"), tmp_path / "card.json"
        path.write_bytes(card.dumps())
        assert SignedProfile.read(path) == card

    @pytest.mark.parametrize(
        "change",
        [
            {"skills": ("python",)},
            {"expires": date(2030, 1, 1)},
            {"serial": 2},
            {"seal_key": "1" * 64},
            {"handle": "1" * 32},
            {"capacity_h_month": 41.0},
        ],
    )
    def test_a_changed_card_is_refused(self, village: Village, tmp_path, change) -> None:
        path = tmp_path / "card.json"
        path.write_bytes(changed(village.card("acme"), **change).dumps())
        with pytest.raises(ConfigError, match="was changed"):
            SignedProfile.read(path)

    def test_another_key_cannot_take_the_handle(self, village: Village) -> None:
        card = village.card("acme")
        forged = SignedProfile.make(card.profile, Ed25519PrivateKey.generate(), None)
        with pytest.raises(ConfigError, match="was changed"):
            forged.verify("forged.json")

    def test_a_name_cannot_be_taken_off_or_put_on(self, village: Village) -> None:
        named, hidden = village.card("acme", hidden=False), village.card("acme")
        with pytest.raises(ConfigError):
            named.model_copy(update={"member_signature": ""}).verify("card")
        with pytest.raises(ConfigError):
            hidden.model_copy(update={"member_signature": named.member_signature}).verify("card")
        with pytest.raises(ValidationError, match="a name, or hidden"):
            Profile.model_validate(hidden.profile.model_dump() | {"name": "acme"})

    def test_every_changed_byte_is_refused_or_changes_nothing(
        self, village: Village, tmp_path
    ) -> None:
        card, path = village.card("acme", hidden=False), tmp_path / "card.json"
        blob = card.dumps()
        for place in range(len(blob)):
            path.write_bytes(blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :])
            try:
                found = SignedProfile.read(path)
                found.verify_name(village.keys)
            except ConfigError:
                continue
            assert found == card


class TestOwnCards:
    def test_keys_are_for_the_owner_alone(self, village: Village) -> None:
        card = village.card("acme")
        path = village.home("acme") / CARDS / f"{card.profile.handle}.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        own = OwnCards(village.home("acme")).find(card.profile.handle)
        assert own.signing not in repr(own)
        assert own.sealing not in repr(own)

    def test_keys_that_others_can_read_are_refused(self, village: Village) -> None:
        card = village.card("acme")
        (village.home("acme") / CARDS / f"{card.profile.handle}.json").chmod(0o640)
        with pytest.raises(ConfigError, match="chmod 600"):
            OwnCards(village.home("acme")).all()

    def test_keys_of_another_card_are_refused(self, village: Village) -> None:
        mine, other = village.card("acme"), village.card("acme", fresh=True)
        folder = village.home("acme") / CARDS
        paths = [folder / f"{card.profile.handle}.json" for card in (mine, other)]
        first, second = (json.loads(path.read_bytes()) for path in paths)
        paths[0].write_text(json.dumps(first | {"signing": second["signing"]}))
        with pytest.raises(ConfigError, match="found others"):
            OwnCards(village.home("acme")).all()

    def test_a_renewal_keeps_handle_and_keys(self, village: Village) -> None:
        first = village.card("acme")
        second = village.card("acme", today=TODAY + timedelta(days=60))
        assert second.profile.handle == first.profile.handle
        assert second.profile.seal_key == first.profile.seal_key
        assert second.profile.serial == first.profile.serial + 1
        second.verify("second")

    def test_named_and_hidden_cards_share_nothing_secret(self, village: Village) -> None:
        hidden, named = village.card("acme"), village.card("acme", hidden=False)
        fresh = village.card("acme", fresh=True)
        for part in ("handle", "seal_key"):
            assert len({getattr(card.profile, part) for card in (hidden, named, fresh)}) == 3
        assert len({card.key for card in (hidden, named, fresh)}) == 3

    def test_a_withdrawn_card_is_gone(self, village: Village) -> None:
        handle, cards = village.card("acme").profile.handle, OwnCards(village.home("acme"))
        cards.withdraw(handle)
        assert cards.all() == ()
        with pytest.raises(ConfigError, match="withdrew"):
            cards.withdraw(handle)

    @pytest.mark.parametrize("handle", ["../../signing", "", "x", "/etc/passwd"])
    def test_a_handle_is_never_a_path(self, village: Village, handle) -> None:
        village.card("acme")
        with pytest.raises(ConfigError, match="handle of a card"):
            OwnCards(village.home("acme")).withdraw(handle)

    @pytest.mark.parametrize("days", [0, -1, 367, 10**9])
    def test_days_have_bounds(self, village: Village, days) -> None:
        with pytest.raises(ConfigError, match="--days"):
            village.card("acme", days=days)

    def test_a_withdrawn_card_is_known_to_have_been_ours(self, village: Village) -> None:
        card, cards = village.card("acme"), OwnCards(village.home("acme"))
        cards.withdraw(card.profile.handle)
        assert cards.has(card.profile.handle)
        assert own_handles(village.home("acme") / "profile.toml") == {card.profile.handle}
        with pytest.raises(ConfigError, match="our own"):
            village.ask("acme", card)

    def test_own_handles_need_no_keys(self, village: Village) -> None:
        toml = village.home("acme") / "profile.toml"
        assert own_handles(toml) == frozenset()
        assert own_handles(toml) | {village.card("acme").profile.handle} == own_handles(toml)

    def test_a_profile_that_names_its_author_is_noticed(self) -> None:
        assert traces(Offering(about="ACME helps"), "acme", "jo@x") == ("acme",)
        assert [traces(OFFERING, name, "jo@private.example") for name in NAMES] == [()] * 3

    @pytest.mark.parametrize(
        ("name", "contact", "text"),
        [
            ("acme-it", "", "Acme IT helps you"),
            ("nordlicht", "", "nord\u200blicht"),
            ("nordlicht", "", "\uff4e\uff4f\uff52\uff44licht"),
            ("nordlicht", "", "Nord-Licht"),
            ("muenster", "jo@m\u00fcnster.example", "MU\u0308NSTER"),
            ("x-1", "Jo Doe, jo@n.example", "Ask for Jo  Doe"),
            ("x-1", "Jo Doe, jo@n.example", "jo (at) n.example, or jo@n.example"),
            ("x-1", "jo@acme-it.example", "see acme-it.example"),
            ("x-1", "jo@acme-it.example", "we are Acme-IT"),
            ("x-1", "Jo Doe, +49 170 1234567", "Call 0170/123 45 67"),
            ("x-1", "Jo Doe, +49 30 12 34 56", "(030) 123456"),
            ("x-1", "Johanna Doe-Miller", "Mrs. MILLER will see to it"),
        ],
    )
    def test_no_spelling_hides_a_name(self, name: str, contact: str, text: str) -> None:
        assert traces(Offering(about=text), name, contact)
        assert traces(Offering(skills=("azure", text)), name, contact)

    @pytest.mark.parametrize("text", ["", "We mend printers.", "Mail and phone support, 24/7"])
    def test_other_texts_pass(self, text: str) -> None:
        contact = "Jo Miller, jo@x-1.example, phone +49 30 1234567, support"
        assert traces(Offering(about=text), "x-1", "Jo Miller, phone +49 30 1234567") == ()
        assert traces(Offering(about=text), "x-1", contact) == ()

    @given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=40), st.text())
    def test_a_name_is_found_in_any_text(self, before: str, contact: str) -> None:
        profile = Offering(about=f"{before} nordlicht")
        assert "nordlicht" in traces(profile, "nordlicht", contact)


class TestFiles:
    def test_profile_toml(self, tmp_path) -> None:
        path = tmp_path / "profile.toml"
        path.write_text('about = "We\\nhelp"\nskills = ["azure"]\ncapacity_h_month = 40\n')
        assert read_profile(path).offered == "We\nhelp\nazure"

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ('skills = "azure"', "'skills' in profile.toml"),
            ('skills = ["\\u001b[2J"]', "control characters"),
            ('about = "\\u202e"', "control characters"),
            ('skills = [""]', "'skills #1'"),
            ('skills = ["a\\nb"]', "one line"),
            ("skills = " + json.dumps(["a"] * 101), "100"),
            ('about = "' + "a" * 4001 + '"', "4000"),
            ('services = ["' + "a" * 101 + '"]', "100"),
            ("capacity_h_month = nan", "capacity_h_month"),
            ("capacity_h_month = -1", "capacity_h_month"),
            ('skil = ["a"]', "did you mean 'skills'"),
            ('name = "acme"', "unknown key"),
        ],
    )
    def test_a_wrong_profile_is_told(self, tmp_path, line, told) -> None:
        path = tmp_path / "profile.toml"
        path.write_text(line)
        with pytest.raises(ConfigError) as caught:
            read_profile(path)
        assert told in str(caught.value)

    def test_a_missing_profile_is_told(self, tmp_path) -> None:
        with pytest.raises(ConfigError, match="mesh-client profile init"):
            read_profile(tmp_path / "profile.toml")

    def test_a_directory_leaves_expired_cards_out(self, village: Village, tmp_path) -> None:
        cards = village.card("acme"), village.card("best", days=1)
        path = written(tmp_path / "directory.json", *cards)
        assert len(read_cards(path)) == 2
        assert len(read_directory(path, TODAY + timedelta(days=1))) == 2
        assert [one.handle for one in read_directory(path, TODAY + timedelta(days=2))] == [
            cards[0].profile.handle
        ]

    def test_two_cards_of_one_handle_are_refused(self, village: Village, tmp_path) -> None:
        card = village.card("acme")
        with pytest.raises(ConfigError, match="two for one"):
            read_cards(written(tmp_path / "directory.json", card, card))

    @pytest.mark.parametrize(
        "blob",
        [
            b"",
            b"{}",
            b"[[]]",
            b"[" * 100_000,
            b"[" + b"1" * 5000 + b"]",
            b"\xff\xfe",
            b'[{"profile": NaN}]',
            b'[{"key": 1, "key": 2}]',
            b" " * (9 << 20),
        ],
    )
    def test_what_is_no_directory_is_refused(self, tmp_path, blob) -> None:
        path = tmp_path / "directory.json"
        path.write_bytes(blob)
        with pytest.raises(ConfigError, match=r"directory\.json"):
            read_cards(path)

    def test_what_cannot_be_read_is_told(self, tmp_path) -> None:
        for path in (tmp_path / "none.json", tmp_path):
            with pytest.raises(ConfigError, match="cannot read"):
                read_cards(path)

    @given(st.text())
    def test_any_text_is_taken_or_refused(self, text: str) -> None:
        try:
            taken = Offering(skills=(text,)).skills[0]
        except ValidationError:
            return
        assert taken == text.strip()
        assert all(character >= " " and character != "\x7f" for character in taken)
