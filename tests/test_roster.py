"""Who is a member: every rule is broken once, and every byte of a roster counts."""

import base64
import json
from dataclasses import dataclass, field

import pytest
from conftest import new_key
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.card import OPERATOR, Card
from mesh_fl.entry import LARGEST_BYTES, TAG, Entry
from mesh_fl.errors import ConfigError, MeshError, ProtocolError
from mesh_fl.privacy.signing import public_bytes, sign
from mesh_fl.roster import Roster


@dataclass
class Msp:
    """Somebody with keys."""

    name: str
    identity: EllipticCurvePrivateKey = field(default_factory=new_key)
    signing: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def card(self, cap: int = 64, serial: int = 1) -> Card:
        return Card.make(self.name, cap, self.identity, self.signing, serial)


NAMES = ("ash", "birch", "cedar", "elm", "fir", "gorse", "holly")
MSPS = {name: Msp(name) for name in NAMES}
FOUNDERS = NAMES[:4]
KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def founded(*names: str, colluders: int = 1) -> Roster:
    cards = [MSPS[name].card() for name in names or FOUNDERS]
    return Roster.found("coop", KEY, colluders, cards)


ROSTER = founded()


def signed(roster: Roster, entry: Entry, *names: str) -> Entry:
    for name in names:
        entry = roster.sign(entry, name, KEY if name == OPERATOR else MSPS[name].signing)
    return entry


def joined(roster: Roster, name: str, *approvers: str) -> Roster:
    entry = roster.propose_join([MSPS[name].card()])
    return roster.appended(signed(roster, entry, *approvers))


def removed(roster: Roster, name: str) -> Roster:
    return roster.appended(signed(roster, roster.propose_removal([name]), OPERATOR))


def forged(entry: Entry, *names: str, **changes: object) -> Entry:
    """Change an entry and sign it anew, past all checks."""
    entry = entry.model_copy(update={"signatures": {}, **changes})
    for name in names:
        entry = entry.signed(name, KEY if name == OPERATOR else MSPS[name].signing)
    return entry


def refused(roster: Roster, entry: Entry, why: str) -> None:
    with pytest.raises(ProtocolError, match=rf"entry {len(roster.entries)} of the roster: .*{why}"):
        roster.appended(entry)


# What a roster tells.


def test_a_founded_network_knows_its_members() -> None:
    assert list(ROSTER.cards) == list(FOUNDERS)
    assert (ROSTER.network, ROSTER.colluders) == ("coop", 1)
    assert ROSTER.operator == public_bytes(KEY)
    assert ROSTER.key_of("elm") == public_bytes(MSPS["elm"].signing)
    assert ROSTER.fingerprint == ROSTER.head == ROSTER.entries[0].digest
    with pytest.raises(ProtocolError, match="'fir' is not on the roster of coop"):
        ROSTER.key_of("fir")


def test_a_roster_survives_its_bytes() -> None:
    roster = removed(joined(ROSTER, "fir", "ash", "elm"), "birch")
    again = Roster.loads(roster.dumps())
    assert again == roster
    assert (again.cards, again.head, again.fingerprint) == (
        roster.cards,
        roster.head,
        ROSTER.fingerprint,
    )
    assert again.dumps() == roster.dumps()


def test_a_roster_is_never_changed() -> None:
    before = ROSTER.dumps()
    joined(ROSTER, "fir", "ash", "elm")
    assert ROSTER.dumps() == before
    with pytest.raises(TypeError):
        ROSTER.cards["fir"] = MSPS["fir"].card()  # type: ignore[index]
    with pytest.raises(AttributeError):
        ROSTER.entries = ()  # type: ignore[misc]


def test_the_fingerprint_is_of_the_whole_founding() -> None:
    others = [
        founded(colluders=2),
        founded("ash", "birch", "cedar", "fir"),
        founded(*reversed(FOUNDERS)),
        Roster.found("other", KEY, 1, ROSTER.cards.values()),
        Roster.found("coop", STRANGER, 1, ROSTER.cards.values()),
    ]
    assert len({one.fingerprint for one in [ROSTER, *others]}) == 6
    assert founded().fingerprint == ROSTER.fingerprint


# Founding.


@pytest.mark.parametrize("colluders", [0, 1, 2])
def test_two_more_founders_than_may_collude_are_needed(colluders: int) -> None:
    founded(*NAMES[: colluders + 2], colluders=colluders)
    with pytest.raises(ProtocolError, match=f"at least {colluders + 2} founders"):
        founded(*NAMES[: colluders + 1], colluders=colluders)


def test_founders_share_no_name_and_no_key() -> None:
    ash, birch = MSPS["ash"], MSPS["birch"]
    cards = [MSPS[name].card() for name in FOUNDERS]
    for twin in (Msp("fir", ash.identity), Msp("fir", new_key(), birch.signing)):
        with pytest.raises(ProtocolError, match=r"fir has the same key as (ash|birch)"):
            Roster.found("coop", KEY, 1, [*cards, twin.card()])
    with pytest.raises(ProtocolError, match="names a member twice"):
        Roster.found("coop", KEY, 1, [*cards, Msp("ash").card()])


def test_a_founder_with_a_changed_card_is_refused() -> None:
    changed = MSPS["fir"].card().model_copy(update={"cap": 65})
    with pytest.raises(ProtocolError, match=r"card of fir was changed"):
        Roster.found("coop", KEY, 1, [*ROSTER.cards.values(), changed])


@pytest.mark.parametrize(("network", "colluders"), [("n" * 201, 1), ("coop", -1), ("coop", 10**7)])
def test_what_cannot_be_founded_is_told(network: str, colluders: int) -> None:
    with pytest.raises(ProtocolError, match=r"cannot found: (network|colluders)"):
        Roster.found(network, KEY, colluders, ROSTER.cards.values())


def test_a_founding_is_signed_by_its_operator() -> None:
    (entry,) = ROSTER.entries
    nobody = Roster((), {})
    refused(nobody, entry.model_copy(update={"signatures": {}}), "the operator's signature")
    wrong = {OPERATOR: sign(STRANGER, TAG, entry.digest)}
    refused(
        nobody, entry.model_copy(update={"signatures": wrong}), "signature of operator is wrong"
    )
    refused(nobody, forged(entry, OPERATOR, "ash"), "ash signed it, and was no member")
    for key in ("", "AAAA", "no key", base64.b64encode(bytes(33)).decode()):
        refused(nobody, entry.model_copy(update={"operator": key}), "Ed25519 public key")


def test_a_network_is_founded_once() -> None:
    (entry,) = ROSTER.entries
    again = forged(entry, OPERATOR, number=1, previous=ROSTER.head)
    refused(ROSTER, again, "founding first, and once")
    join = forged(ROSTER.propose_join([MSPS["fir"].card()]), number=0, previous="0" * 64)
    refused(Roster((), {}), join, "founding first, and once")


# Joining.


def test_a_join_needs_more_approvals_than_may_collude() -> None:
    entry = ROSTER.propose_join([MSPS["fir"].card()])
    assert ROSTER.lacks(entry) == 2
    refused(ROSTER, entry, "join fir is signed by nobody: 2 more")
    one = signed(ROSTER, entry, "ash")
    assert ROSTER.lacks(one) == 1
    refused(ROSTER, one, "signed by ash: 1 more")
    both = signed(ROSTER, one, "elm")
    assert ROSTER.lacks(both) == 0
    assert list(ROSTER.appended(both).cards) == [*FOUNDERS, "fir"]


@pytest.mark.parametrize("colluders", [0, 1, 2, 3])
def test_each_network_has_its_own_number_of_approvals(colluders: int) -> None:
    roster = founded(*NAMES[:5], colluders=colluders)
    approvers = NAMES[: colluders + 1]
    assert "gorse" in joined(roster, "gorse", *approvers).cards
    with pytest.raises(ProtocolError, match="1 more"):
        joined(roster, "gorse", *approvers[1:])


def test_the_operator_adds_nobody() -> None:
    entry = ROSTER.propose_join([MSPS["fir"].card()])
    refused(ROSTER, signed(ROSTER, entry, OPERATOR), "2 more")
    refused(ROSTER, signed(ROSTER, entry, OPERATOR, "ash"), "1 more")


def test_those_who_join_do_not_approve_themselves() -> None:
    cards = [MSPS[name].card() for name in ("fir", "gorse")]
    entry = forged(ROSTER.propose_join(cards), "fir", "gorse")
    refused(ROSTER, entry, "fir signed it, and was no member before it")
    with pytest.raises(ProtocolError, match="was no member before it"):
        ROSTER.sign(entry, "fir", MSPS["fir"].signing)


def test_a_removed_member_approves_no_longer() -> None:
    roster = removed(ROSTER, "ash")
    entry = roster.propose_join([MSPS["fir"].card()])
    refused(roster, forged(entry, "ash", "elm"), "ash signed it, and was no member")


def test_an_approval_is_by_the_key_on_the_roster() -> None:
    entry = ROSTER.propose_join([MSPS["fir"].card()])
    with pytest.raises(ProtocolError, match="this key is not the one that ash has"):
        ROSTER.sign(entry, "ash", MSPS["elm"].signing)
    for signature in (
        sign(MSPS["elm"].signing, TAG, entry.digest),
        sign(MSPS["ash"].signing, "card", entry.digest),
        sign(MSPS["ash"].signing, TAG, ROSTER.head),
        "",
        "not base64!",
    ):
        wrong = entry.model_copy(update={"signatures": {"ash": signature}})
        for check in (ROSTER.appended, ROSTER.lacks):
            with pytest.raises(ProtocolError, match="signature of ash is wrong"):
                check(wrong)


def test_an_approval_holds_for_what_was_shown() -> None:
    entry = signed(ROSTER, ROSTER.propose_join([MSPS["fir"].card()]), "ash", "elm")
    for changes in (
        {"cards": (MSPS["gorse"].card(),)},
        {"cards": (MSPS["fir"].card(cap=256),)},
        {"cards": (*entry.cards, MSPS["gorse"].card())},
    ):
        refused(ROSTER, entry.model_copy(update=changes), "signature of ash, elm is wrong")


def test_an_approval_counts_in_one_state_of_the_roster() -> None:
    """After a removal, what was approved before it cannot be replayed."""
    entry = signed(ROSTER, ROSTER.propose_join([MSPS["fir"].card()]), "ash", "elm")
    for after in (removed(ROSTER, "birch"), ROSTER.appended(entry)):
        for check in (after.appended, after.lacks):
            with pytest.raises(ProtocolError, match="another state of the roster; propose it anew"):
                check(entry)
        moved = entry.model_copy(update={"number": 1, "previous": after.head})
        refused(after, moved, "expected number 2")
    other = removed(removed(ROSTER, "birch"), "cedar")
    moved = entry.model_copy(update={"number": 3, "previous": other.head})
    refused(other, moved, "signature of ash, elm is wrong")


def test_an_approval_counts_on_one_side_of_a_fork() -> None:
    sides = [removed(ROSTER, name) for name in ("birch", "cedar")]
    entry = signed(sides[0], sides[0].propose_join([MSPS["fir"].card()]), "ash", "elm")
    refused(sides[1], entry, "expected number 2 after")
    moved = entry.model_copy(update={"previous": sides[1].head})
    refused(sides[1], moved, "signature of ash, elm is wrong")


def test_an_approval_of_another_network_counts_nowhere() -> None:
    other = Roster.found("other", KEY, 1, ROSTER.cards.values())
    entry = signed(other, other.propose_join([MSPS["fir"].card()]), "ash", "elm")
    refused(ROSTER, entry, "expected number 1 after")


def test_who_joins_shares_no_name_and_no_key() -> None:
    with pytest.raises(ProtocolError, match="ash is a member already"):
        ROSTER.propose_join([Msp("ash").card()])
    for twin in (Msp("fir", MSPS["ash"].identity), Msp("fir", new_key(), MSPS["ash"].signing)):
        with pytest.raises(ProtocolError, match="fir has the same key as ash"):
            ROSTER.propose_join([twin.card()])
    with pytest.raises(ProtocolError, match="names a member twice"):
        ROSTER.propose_join([MSPS["fir"].card(), Msp("fir").card()])
    with pytest.raises(ProtocolError, match="card of fir was changed"):
        ROSTER.propose_join([MSPS["fir"].card().model_copy(update={"cap": 65})])
    with pytest.raises(ProtocolError, match="expected cards and nothing else"):
        ROSTER.propose_join([])


# Renewing.


def test_a_newer_card_needs_nobodys_approval() -> None:
    card = Card.make("ash", 256, new_key(), MSPS["ash"].signing, serial=2)
    entry = ROSTER.propose_renewal(card)
    assert ROSTER.lacks(entry) == 0
    after = ROSTER.appended(entry)
    assert after.cards["ash"] == card
    assert list(after.cards) == list(FOUNDERS)


def test_a_renewed_card_is_newer_and_has_the_same_signing_key() -> None:
    after = ROSTER.appended(ROSTER.propose_renewal(MSPS["ash"].card(256, serial=3)))
    for serial in (1, 2, 3):
        with pytest.raises(ProtocolError, match=f"newer than serial 3, found {serial}"):
            after.propose_renewal(MSPS["ash"].card(512, serial))
    changed = Msp("ash", MSPS["ash"].identity)
    with pytest.raises(ProtocolError, match="another signing key: remove it, then propose"):
        ROSTER.propose_renewal(changed.card(serial=2))
    with pytest.raises(ProtocolError, match="fir is no member, so there is no card to renew"):
        ROSTER.propose_renewal(MSPS["fir"].card(serial=2))
    with pytest.raises(ProtocolError, match=r"ash has the same key as birch|birch .* as ash"):
        ROSTER.propose_renewal(Msp("ash", MSPS["birch"].identity, MSPS["ash"].signing).card(64, 2))
    unsigned = MSPS["ash"].card(64, 2).model_copy(update={"cap": 10**6})
    with pytest.raises(ProtocolError, match="card of ash was changed"):
        ROSTER.propose_renewal(unsigned)


def test_no_approvals_make_a_renewal_of_another_key() -> None:
    """A changed signing key is another member, which joins after the old one is removed."""
    entry = forged(ROSTER.propose_renewal(MSPS["ash"].card(64, 2)), cards=(Msp("ash").card(64, 2),))
    refused(ROSTER, forged(entry, OPERATOR, *FOUNDERS), "another signing key")


# Removing.


def test_the_operator_alone_removes() -> None:
    assert list(removed(ROSTER, "birch").cards) == ["ash", "cedar", "elm"]


def test_members_remove_with_more_than_may_collude() -> None:
    entry = ROSTER.propose_removal(["birch"])
    refused(ROSTER, signed(ROSTER, entry, "ash"), "1 more")
    after = ROSTER.appended(signed(ROSTER, entry, "ash", "elm"))
    assert list(after.cards) == ["ash", "cedar", "elm"]


def test_the_removed_have_no_say_in_it() -> None:
    entry = ROSTER.propose_removal(["birch", "cedar"])
    refused(ROSTER, signed(ROSTER, entry, "birch", "cedar", "ash"), "1 more")
    assert ROSTER.lacks(signed(ROSTER, entry, "ash", "elm", "birch")) == 0


def test_a_strangers_removal_is_refused() -> None:
    entry = ROSTER.propose_removal(["birch"])
    wrong = {OPERATOR: sign(STRANGER, TAG, entry.digest)}
    refused(
        ROSTER, entry.model_copy(update={"signatures": wrong}), "signature of operator is wrong"
    )
    refused(ROSTER, forged(entry, "fir"), "fir signed it, and was no member")


def test_who_is_no_member_is_not_removed() -> None:
    for names in (["fir"], ["../ash"], [""]):
        with pytest.raises(ProtocolError, match="is not on the roster"):
            ROSTER.propose_removal(names)
    refused(
        ROSTER,
        forged(ROSTER.propose_removal(["ash"]), OPERATOR, names=("fir",)),
        "no member is called fir; registered: ash, birch, cedar, elm",
    )
    with pytest.raises(ProtocolError, match="expected names and nothing else"):
        ROSTER.propose_removal([])
    with pytest.raises(ProtocolError, match="names a member twice"):
        ROSTER.propose_removal(["ash", "ash"])


def test_somebody_is_left() -> None:
    roster = ROSTER
    for name in FOUNDERS[1:]:
        roster = removed(roster, name)
    for last in (ROSTER, roster):
        with pytest.raises(ProtocolError, match="would leave no member"):
            last.propose_removal(last.cards)


def test_who_was_removed_comes_back_only_by_a_new_join() -> None:
    first = joined(ROSTER, "fir", "ash", "elm")
    after = removed(first, "fir")
    refused(after, first.entries[1], "another state of the roster")
    with pytest.raises(ProtocolError, match="no card to renew"):
        after.propose_renewal(MSPS["fir"].card(64, 2))
    with pytest.raises(ProtocolError, match="2 more"):
        joined(after, "fir", OPERATOR)
    assert "fir" in joined(after, "fir", "ash", "elm").cards
    assert "ash" in joined(removed(ROSTER, "ash"), "ash", "birch", "elm").cards


def test_too_few_members_let_nobody_in() -> None:
    roster = removed(removed(removed(ROSTER, "ash"), "birch"), "cedar")
    with pytest.raises(ProtocolError, match="1 more"):
        joined(roster, "fir", "elm", OPERATOR)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "other"},
        {"colluders": 2},
        {"operator": base64.b64encode(public_bytes(STRANGER)).decode()},
        {"names": ("ash",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nothing_else_is_changed_later(changes: dict[str, object]) -> None:
    join = ROSTER.propose_join([MSPS["fir"].card()])
    refused(ROSTER, forged(join, "ash", "elm", **changes), "fixed by the founding|nothing else")


# The chain.


LONG = joined(
    removed(
        joined(
            ROSTER.appended(ROSTER.propose_renewal(MSPS["elm"].card(256, 2))), "fir", "ash", "birch"
        ),
        "birch",
    ),
    "gorse",
    "fir",
    "elm",
)
PARTS = json.loads(LONG.dumps())


def loads(parts: object) -> Roster:
    return Roster.loads(json.dumps(parts).encode())


def test_only_the_same_chain_and_no_shorter_one_follows() -> None:
    shorter = [Roster((), {})]
    for entry in LONG.entries:
        shorter.append(shorter[-1].appended(entry))
    for number, one in enumerate(shorter[1:], 1):
        assert LONG.follows(one)
        assert one.follows(LONG) == (number == len(LONG.entries))
    fork = removed(shorter[2], "ash")
    assert fork.follows(shorter[2])
    assert not fork.follows(LONG)
    assert not LONG.follows(fork)
    assert not removed(removed(fork, "cedar"), "elm").follows(LONG)
    assert not founded(colluders=2).follows(ROSTER)


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_no_entry_can_be_dropped(number: int) -> None:
    parts = PARTS[:number] + PARTS[number + 1 :]
    if number < len(PARTS) - 1:
        with pytest.raises(ProtocolError, match=f"entry {number} of the roster: expected number"):
            loads(parts)
    else:
        assert not loads(parts).follows(LONG)


@pytest.mark.parametrize("number", range(len(PARTS) - 1))
def test_entries_cannot_change_places_nor_be_repeated(number: int) -> None:
    swapped = [*PARTS[:number], PARTS[number + 1], PARTS[number], *PARTS[number + 2 :]]
    with pytest.raises(ProtocolError, match=f"entry {number} of the roster"):
        loads(swapped)
    with pytest.raises(ProtocolError, match=f"entry {number + 1} of the roster"):
        loads(PARTS[: number + 1] + PARTS[number:])


def leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    inner = [leaf for key, one in pairs for leaf in leaves(one, (*path, key))]
    return inner or [path]


def edited(path: tuple[str | int, ...]) -> object:
    parts = json.loads(LONG.dumps())
    place = parts
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    if isinstance(old, str):
        place[path[-1]] = ("b" if old[:1] != "b" else "c") + old[1:]
    else:
        place[path[-1]] = old + 1
    return parts


@pytest.mark.parametrize("path", leaves(PARTS), ids=lambda path: ".".join(map(str, path)))
def test_every_field_counts(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ProtocolError):
        loads(edited(path))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_byte_counts(data: st.DataObject) -> None:
    """Whatever is changed is refused, or was spelling: then the same members come out."""
    blob = bytearray(LONG.dumps())
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    try:
        found = Roster.loads(bytes(blob))
    except ProtocolError:
        return
    assert (found.head, found.cards) == (LONG.head, LONG.cards)


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_signatures_that_are_needed_cannot_be_taken_off(number: int) -> None:
    for signer in PARTS[number].get("signatures", {}):
        parts = json.loads(LONG.dumps())
        del parts[number]["signatures"][signer]
        with pytest.raises(ProtocolError, match=f"entry {number} of the roster"):
            loads(parts)


def test_a_signer_stands_once() -> None:
    """Else a reader that takes the first and one that takes the last would differ."""
    text = LONG.dumps().decode()
    one = '"signatures":{"operator":'
    assert text.count(one) == 2
    with pytest.raises(ProtocolError, match="one key stands twice"):
        Roster.loads(text.replace(one, '"signatures":{"operator":"AAAA","operator":', 1).encode())


# Hostile bytes.


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 10**6,
        b"\xff" * 10**6,
        b"[" * 10**6,
        b"1" * 10**6,
        b'"' + b"a" * 10**6 + b'"',
        b"[" + b"{}," * 300_000 + b"{}]",
        b'[{"cards":[' + b"{}," * 300_000 + b"{}]}]",
        b'[{"signatures":{' + b",".join(b'"A%d":1' % n for n in range(90_000)) + b"}}]",
        b"[" + b"null," * 200_000 + b"null]",
        b"\xef\xbb\xbf[]",
        b"[]",
        b"{}",
        b"null",
        b"[1]",
        b"NaN",
        LONG.dumps()[:-1],
        LONG.dumps() + LONG.dumps(),
        LONG.dumps().decode().encode("utf-16"),
        LONG.dumps().replace(b'"number":0', b'"number":"0"'),
        LONG.dumps().replace(b'"number":0', b'"number":false'),
        LONG.dumps().replace(b'"number":0', b'"number":0,"more":1'),
        LONG.dumps().replace(b'"cap":64', b'"cap":"64"', 1),
        LONG.dumps().replace(b'"coop"', b'"\\ud800"', 1),
    ],
)
def test_what_is_no_roster_is_told_in_a_line(blob: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        Roster.loads(blob)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=20) | st.binary())
def test_nothing_but_a_message_comes_of_rubbish(value: object) -> None:
    blob = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(ProtocolError):
        Roster.loads(blob)


def test_what_is_too_large_is_not_read() -> None:
    blob = LONG.dumps()
    assert Roster.loads(blob + b" " * (LARGEST_BYTES - len(blob))) == LONG
    with pytest.raises(ProtocolError, match=f"at most {LARGEST_BYTES} bytes"):
        Roster.loads(blob + b" " * (LARGEST_BYTES - len(blob) + 1))


def test_a_signer_with_a_forged_name_is_told_in_ascii() -> None:
    hostile = LONG.dumps().replace(b'"operator":"', b'"\\u001b[2J\\u202e":"', 1)
    with pytest.raises(ProtocolError) as caught:
        Roster.loads(hostile)
    assert str(caught.value).isascii()


# Files.


def test_an_entry_survives_its_file(tmp_path) -> None:
    entry = signed(ROSTER, ROSTER.propose_join([MSPS["fir"].card()]), "ash")
    (tmp_path / "entry.json").write_bytes(entry.dumps())
    assert Entry.read(tmp_path / "entry.json") == entry


@pytest.mark.parametrize("blob", [b"", b"[]", b"{}", b"\xff", b'{"kind": "join"}', ROSTER.dumps()])
def test_a_file_that_holds_something_else_is_named(tmp_path, blob: bytes) -> None:
    path = tmp_path / "entry.json"
    path.write_bytes(blob)
    with pytest.raises(ConfigError, match=r"entry.json: expected an entry of a roster"):
        Entry.read(path)
    if blob != ROSTER.dumps():
        with pytest.raises(ConfigError, match=r"entry.json: expected a roster"):
            Roster.read(path)
    for read in (Entry.read, Roster.read):
        with pytest.raises(ConfigError, match=r"cannot read .*nothing: No such file"):
            read(tmp_path / "nothing")


def test_copies_of_an_entry_bring_their_signatures_together() -> None:
    entry = ROSTER.propose_join([MSPS["fir"].card()])
    copies = [signed(ROSTER, entry, name) for name in ("ash", "birch")]
    both = copies[0].merged(copies[1])
    assert set(both.signatures) == {"ash", "birch"}
    assert ROSTER.lacks(both) == 0
    other = ROSTER.propose_join([MSPS["gorse"].card()])
    with pytest.raises(ConfigError, match="join fir and another join gorse"):
        entry.merged(other)


# All of it at random.


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sets(st.sampled_from((*NAMES, OPERATOR))))))
def test_whoever_is_a_member_was_let_in(steps: list[tuple[str, set[str]]]) -> None:
    """A model beside it: a set of names, T + 1 approvals to come in, the operator's word to go."""
    roster, model = ROSTER, set(FOUNDERS)
    for name, approvers in steps:
        inside = name in model
        approvals = approvers & model - ({name} if inside else set())
        allowed = len(approvals) > 1 or (inside and OPERATOR in approvers)
        try:
            entry = (
                roster.propose_removal([name])
                if inside
                else roster.propose_join([MSPS[name].card()])
            )
            roster = roster.appended(signed(roster, entry, *sorted(approvers & {*model, OPERATOR})))
        except MeshError:
            assert not allowed or model == {name}
        else:
            assert allowed
            model ^= {name}
        assert set(roster.cards) == model
    assert Roster.loads(roster.dumps()) == roster
