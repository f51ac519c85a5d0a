import functools
import json
import stat
import threading
import time
from types import SimpleNamespace

import pytest
from conftest import new_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from mesh_fl.card import Card
from mesh_fl.client.cli import app as client
from mesh_fl.client.home import Home
from mesh_fl.entry import Entry
from mesh_fl.errors import ConfigError, MeshError, ProtocolError
from mesh_fl.roster import Roster
from mesh_fl.server.certificates import OPERATOR_KEY, make_operator_key, operator_key
from mesh_fl.server.cli import app as server
from mesh_fl.server.members import FILE, Members

NAMES = ("ash", "birch", "cedar", "elm")
KEYS = {name: Ed25519PrivateKey.generate() for name in (*NAMES, "fir")}


@functools.cache
def card(name, cap=64, serial=1):
    return Card.make(name, cap, identity(name), KEYS[name], serial)


@functools.cache
def identity(_):
    return new_key()


@pytest.fixture
def members(tmp_path):
    make_operator_key(tmp_path)
    return Members(tmp_path)


@pytest.fixture
def founded(members):
    members.found("coop", 1, [card(name) for name in NAMES])
    return members


def approved(members, entry, *names):
    for name in names:
        entry = members.roster().sign(entry, name, KEYS[name])
    return entry


def join(members, name, *approvers):
    return members.add(approved(members, members.propose([card(name)]), *approvers))


def test_nobody_is_a_member_before_the_founding(members):
    for use in (members.roster, members.cards, lambda: members.renew(card("ash"))):
        with pytest.raises(ConfigError, match=r"no roster: .*`mesh-server members found .* CARD"):
            use()


def test_founders_are_members_by_name(founded, tmp_path):
    assert list(founded.cards()) == list(NAMES)
    assert Members(tmp_path).cards() == {name: card(name) for name in NAMES}
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_network_is_founded_once(founded):
    before = founded.roster()
    with pytest.raises(ConfigError, match=r"founded once: let others join by .*propose"):
        founded.found("coop", 1, [card(name) for name in NAMES])
    assert founded.roster() == before


def test_a_founding_that_fails_leaves_nothing(members, tmp_path):
    with pytest.raises(ProtocolError, match="at least 3 founders"):
        members.found("coop", 1, [card("ash"), card("birch")])
    assert not (tmp_path / FILE).exists()


def test_others_join_when_members_approve(founded):
    with pytest.raises(ProtocolError, match="1 more"):
        join(founded, "fir", "ash")
    assert "fir" not in founded.cards()
    join(founded, "fir", "ash", "elm")
    assert founded.cards()["fir"] == card("fir")


def test_a_card_alone_lets_nobody_in(founded):
    with pytest.raises(ConfigError) as caught:
        founded.renew(card("fir"))
    assert "members propose" in str(caught.value)
    assert "have 2 of them run `mesh-client members approve" in str(caught.value)
    assert list(founded.cards()) == list(NAMES)


def test_a_newer_card_is_taken_as_it_is(founded):
    founded.renew(card("ash", 256, 2))
    assert founded.cards()["ash"].cap == 256
    for old in (card("ash"), card("ash", 256, 2)):
        with pytest.raises(ProtocolError, match="newer than serial 2"):
            founded.renew(old)


def test_what_is_proposed_depends_on_who_is_known(founded):
    assert founded.propose([card("fir")]).kind == "join"
    assert founded.propose([card("ash", 256, 2)]).kind == "renew"
    with pytest.raises(ConfigError, match=r"ash is a member already: renew .* propose the others"):
        founded.propose([card("fir"), card("ash", 256, 2)])


def test_a_removed_member_is_gone_and_may_return(founded):
    founded.remove("ash")
    assert "ash" not in founded.cards()
    with pytest.raises(ConfigError, match="ash is no member yet"):
        founded.renew(card("ash", 64, 2))
    join(founded, "ash", "birch", "elm")
    assert founded.cards()["ash"] == card("ash")


@pytest.mark.parametrize("name", ["fir", "", "../ash", "ash/"])
def test_a_name_that_nobody_has_is_refused(founded, name):
    with pytest.raises(ConfigError, match="registered: ash, birch, cedar, elm"):
        founded.remove(name)
    assert list(founded.cards()) == list(NAMES)


def test_the_operators_key_is_needed_to_remove(founded, tmp_path):
    make_operator_key(tmp_path)
    with pytest.raises(ProtocolError, match="this key is not the one that operator has"):
        founded.remove("ash")
    (tmp_path / OPERATOR_KEY).unlink()
    with pytest.raises(ConfigError, match=r"operator.key.*put back the key"):
        founded.remove("ash")
    assert list(founded.cards()) == list(NAMES)


@pytest.mark.parametrize("blob", [b"", b"rubbish", None])
def test_a_damaged_operators_key_is_named(tmp_path, blob):
    make_operator_key(tmp_path)
    assert stat.S_IMODE((tmp_path / OPERATOR_KEY).stat().st_mode) == 0o600
    if blob is None:
        from mesh_fl.server.certificates import _private

        blob = _private(new_key())
    (tmp_path / OPERATOR_KEY).write_bytes(blob)
    with pytest.raises(ConfigError, match=r"operator.key"):
        operator_key(tmp_path)


def test_changes_by_another_process_are_followed(founded, tmp_path):
    assert "ash" in founded.cards()
    Members(tmp_path).remove("ash")
    assert "ash" not in founded.cards()


def test_a_roster_is_verified_once_while_nothing_changes(founded):
    assert founded.roster() is founded.roster()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]", b"[]"])
def test_a_damaged_roster_is_named(founded, tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=str(tmp_path / FILE)):
        founded.cards()


def test_two_commands_at_once_drop_nothing(founded, tmp_path):
    """And no reader takes a roster that is replaced meanwhile for a mistake."""
    stopped, errors = threading.Event(), []

    def read():
        while not stopped.is_set():
            try:
                founded.cards()
            except Exception as error:
                errors.append(error)

    def renew(name):
        for serial in range(2, 10):
            while True:
                try:
                    Members(tmp_path).renew(card(name, 64, serial))
                    break
                except ProtocolError:
                    time.sleep(0.001)  # the other's entry came first

    threads = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=renew, args=[name]) for name in ("ash", "birch")]
    for thread in (*threads, *writers):
        thread.start()
    for thread in writers:
        thread.join(30)
    stopped.set()
    for thread in threads:
        thread.join(10)
    assert errors == []
    assert [founded.cards()[name].serial for name in ("ash", "birch")] == [9, 9]
    assert len(founded.roster().entries) == 1 + 2 * 8


# The commands of operator and members, from the founding to a removal.


class Network:
    """Homes in a folder, and the commands run on them."""

    def __init__(self, folder):
        self.folder = folder
        self.server = folder / "server"
        self.runner = CliRunner()

    def home(self, name):
        return self.folder / name

    def run(self, app, *words, told=None):
        return self.runner.invoke(app, [str(word) for word in words], input=told)

    def operator(self, *words):
        return self._done(self.run(server, "members", words[0], self.server, *words[1:]))

    def member(self, name, *words):
        return self._done(self.run(client, "members", words[0], self.home(name), *words[1:]))

    def refused(self, app, *words, told=None):
        found = self.run(app, *words, told=told)
        assert isinstance(found.exception, MeshError), found.output
        return str(found.exception)

    def _done(self, found):
        assert found.exit_code == 0, (found.output, found.exception)
        return found.output

    def make(self, *names):
        for name in names:
            options = ["--name", name, "--server", "127.0.0.1:9443", "--cap", "64"]
            self._done(self.run(client, "init", self.home(name), *options))

    def card(self, name):
        return self.home(name) / "card.json"


@pytest.fixture
def network(tmp_path):
    one = Network(tmp_path)
    one._done(one.run(server, "init", one.server, "--name", "coop"))
    one.make(*NAMES, "fir")
    return one


@pytest.fixture
def trusted(network):
    cards = [network.card(name) for name in NAMES]
    told = json.loads(network.operator("found", *cards, "--json"))
    for name in NAMES:
        arguments = [network.server / FILE, "--fingerprint", told["fingerprint"]]
        network.member(name, "trust", *arguments)
    return network


def test_founding_shows_what_founders_compare(network):
    cards = [network.card(name) for name in NAMES]
    shown = network.operator("found", *cards)
    roster = Roster.read(network.server / FILE)
    assert roster.fingerprint in shown
    for name in NAMES:
        assert name in shown
        assert Home(network.home(name)).card.fingerprint in shown


def test_a_home_that_is_no_server_founds_nothing(network):
    message = network.refused(server, "members", "found", network.home("ash"), network.card("ash"))
    assert "server.toml" in message


def test_the_plan_says_to_found_the_network_first(network):
    assert "members found" in network.refused(server, "plan", network.server)
    assert "members found" in network.refused(server, "members", "list", network.server)


def test_the_colluders_are_the_plans_unless_told(network):
    cards = [network.card(name) for name in NAMES]
    path = network.server / "server.toml"
    path.write_text(path.read_text().replace("colluders = 1", "colluders = 2"))
    assert json.loads(network.operator("found", *cards, "--json"))["colluders"] == 2
    (network.server / FILE).unlink()
    told = json.loads(network.operator("found", *cards, "--colluders", 0, "--json"))
    assert told["colluders"] == 0


def test_a_member_joins_by_approvals(trusted):
    entry, copy = trusted.folder / "entry.json", trusted.folder / "copy.json"
    message = trusted.refused(server, "members", "add", trusted.server, trusted.card("fir"))
    assert "members propose" in message
    assert "2 members must run" in trusted.operator("propose", trusted.card("fir"), "-o", entry)
    shown = trusted.member("ash", "approve", entry, "--yes", "-o", copy)
    assert Home(trusted.home("fir")).card.fingerprint in shown
    assert "1 more must approve" in shown
    assert "1 more of its members" in trusted.refused(
        server, "members", "add", trusted.server, copy
    )
    trusted.member("elm", "approve", entry, "--yes")
    assert set(Entry.read(entry).signatures) == {"elm"}
    trusted.operator("add", entry, copy)
    listed = json.loads(trusted.operator("list", "--json"))
    assert [card["name"] for card in listed] == [*NAMES, "fir"]
    roster = Roster.read(trusted.server / FILE)
    trusted.member("fir", "trust", trusted.server / FILE, "--fingerprint", roster.fingerprint)
    trusted.member("ash", "trust", trusted.server / FILE)
    for name in ("fir", "ash"):
        assert json.loads(trusted.member(name, "list", "--json")) == listed
    assert len(json.loads(trusted.member("elm", "list", "--json"))) == 4


def test_an_entry_ahead_of_our_roster_needs_the_newer_one(trusted):
    entry, newer = trusted.folder / "entry.json", trusted.server / FILE
    trusted.operator("remove", "cedar")
    trusted.operator("propose", trusted.card("fir"), "-o", entry)
    words = ["members", "approve", trusted.home("ash"), entry, "--yes"]
    assert "another state of the roster" in trusted.refused(client, *words)
    other = Roster.found("fork", Ed25519PrivateKey.generate(), 1, Roster.read(newer).cards.values())
    (trusted.folder / "fork.json").write_bytes(other.dumps())
    message = trusted.refused(client, *words, "--roster", trusted.folder / "fork.json")
    assert "does not follow from the roster that we trust" in message
    trusted._done(trusted.run(client, *words, "--roster", newer))
    assert set(Entry.read(entry).signatures) == {"ash"}


def test_nobody_approves_without_being_asked(trusted):
    entry = trusted.folder / "entry.json"
    trusted.operator("propose", trusted.card("fir"), "-o", entry)
    before = entry.read_bytes()
    words = ["members", "approve", trusted.home("ash"), entry]
    assert "answer it by --yes" in trusted.refused(client, *words, told="y\n")
    assert entry.read_bytes() == before


@pytest.fixture
def at_a_terminal(monkeypatch):
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("mesh_fl.client.members.sys", terminal)


def test_a_member_is_asked_before_it_approves(trusted, at_a_terminal):
    entry = trusted.folder / "entry.json"
    trusted.operator("propose", trusted.card("fir"), "-o", entry)
    words = ["members", "approve", trusted.home("ash"), entry]
    assert "nothing was changed" in trusted.refused(client, *words, told="n\n")
    assert Entry.read(entry).signatures == {}
    shown = trusted._done(trusted.run(client, *words, told="y\n"))
    assert Home(trusted.home("fir")).card.fingerprint in shown
    assert set(Entry.read(entry).signatures) == {"ash"}


def test_a_member_is_asked_before_it_trusts(network, at_a_terminal):
    network.operator("found", *(network.card(name) for name in NAMES))
    words = ["members", "trust", network.home("ash"), network.server / FILE]
    assert "nothing was changed" in network.refused(client, *words, told="n\n")
    assert not Home(network.home("ash")).has_roster
    shown = network._done(network.run(client, *words, told="y\n"))
    assert Home(network.home("ash")).roster().fingerprint in shown


def test_members_remove_without_the_operator(trusted):
    entry = trusted.folder / "entry.json"
    assert "1 more members" in trusted.member("ash", "remove", "cedar", "-o", entry)
    assert "1 more of its" in trusted.refused(server, "members", "add", trusted.server, entry)
    trusted.member("elm", "approve", entry, "--yes")
    assert "remove: cedar" in trusted.operator("add", entry)
    assert "cedar" not in Members(trusted.server).cards()


def test_a_renewed_card_is_added_as_it_is(trusted):
    trusted._done(trusted.run(client, "card", trusted.home("ash"), "--cap", "256"))
    assert "renewed ash, at most 256" in trusted.operator("add", trusted.card("ash"))
    message = trusted.refused(server, "members", "add", trusted.server, trusted.card("ash"))
    assert "newer than serial 2" in message


def test_an_operators_own_approvals_count_for_nothing(trusted):
    entry = trusted.folder / "entry.json"
    trusted.operator("propose", trusted.card("fir"), "-o", entry)
    own = Entry.read(entry).signed("operator", operator_key(trusted.server))
    entry.write_bytes(own.signed("fir", Home(trusted.home("fir")).signing).dumps())
    message = trusted.refused(server, "members", "add", trusted.server, entry)
    assert "fir signed it, and was no member before it" in message
    entry.write_bytes(own.dumps())
    message = trusted.refused(server, "members", "add", trusted.server, entry)
    assert "2 more of its members" in message


def trusting(network, name, *options):
    words = ["members", "trust", network.home(name), network.server / FILE, *options]
    return network.refused(client, *words, told="y\n")


def test_only_the_founders_fingerprint_is_trusted(network):
    network.operator("found", *(network.card(name) for name in NAMES))
    fingerprint = Roster.read(network.server / FILE).fingerprint
    assert "--fingerprint F" in trusting(network, "ash")
    for wrong in ("", fingerprint[:-1], "0" * 64):
        assert "another network" in trusting(network, "ash", "--fingerprint", wrong)
    assert not Home(network.home("ash")).has_roster
    spelt = " ".join(fingerprint[n : n + 4] for n in range(0, 64, 4)).upper()
    network.member("ash", "trust", network.server / FILE, "--fingerprint", spelt)
    assert Home(network.home("ash")).roster().fingerprint == fingerprint


def test_a_roster_without_us_or_with_less_than_we_insist_on_is_refused(network):
    network.operator("found", *(network.card(name) for name in NAMES))
    fingerprint = ["--fingerprint", Roster.read(network.server / FILE).fingerprint]
    assert "fir is not on this roster" in trusting(network, "fir", *fingerprint)
    path = network.home("ash") / "client.toml"
    path.write_text(path.read_text().replace("colluders = 1 ", "colluders = 2 "))
    assert "colluders = 2 needs 3" in trusting(network, "ash", *fingerprint)


def test_a_roster_with_other_keys_under_our_name_is_refused(network):
    network.make("other")
    text = (network.home("other") / "client.toml").read_text().replace('"other"', '"ash"')
    (network.home("other") / "client.toml").write_text(text)
    network.card("other").unlink()
    network._done(network.run(client, "card", network.home("other"), "--cap", "64"))
    network.operator("found", *(network.card(name) for name in ("other", *NAMES[1:])))
    fingerprint = ["--fingerprint", Roster.read(network.server / FILE).fingerprint]
    assert "other keys for ash than our card.json" in trusting(network, "ash", *fingerprint)


def test_a_tampered_roster_is_trusted_by_nobody(trusted):
    path = trusted.server / FILE
    text = path.read_text()
    for old, new in (('"cap":64', '"cap":65'), ('"coop"', '"loop"'), ('"number":0', '"number":1')):
        path.write_text(text.replace(old, new, 1))
        assert "entry 0 of the roster" in trusting(trusted, "ash")
        assert "entry 0 of the roster" in trusted.refused(server, "plan", trusted.server)
    assert "entry 0 of the roster" in trusted.refused(server, "members", "list", trusted.server)


def test_a_member_trusts_one_network_and_never_goes_back(trusted):
    path = trusted.server / FILE
    founded = path.read_bytes()
    trusted.operator("remove", "cedar")
    trusted.member("ash", "trust", path)
    path.write_bytes(founded)
    assert "an older one or a fork" in trusting(trusted, "ash")
    path.unlink()
    trusted.operator("found", *(trusted.card(name) for name in NAMES), "--colluders", 2)
    fingerprint = ["--fingerprint", Roster.read(path).fingerprint]
    assert "an older one or a fork" in trusting(trusted, "ash", *fingerprint)


def test_entries_that_differ_are_not_mixed(trusted):
    entries = [trusted.folder / "join.json", trusted.folder / "remove.json"]
    trusted.operator("propose", trusted.card("fir"), "-o", entries[0])
    trusted.member("ash", "remove", "cedar", "-o", entries[1])
    message = trusted.refused(server, "members", "add", trusted.server, *entries)
    assert "join fir and another remove cedar" in message


@pytest.mark.parametrize("app", [server, client])
def test_every_command_about_members_shows_an_example(app):
    (group,) = [one for one in app.registered_groups if one.name == "members"]
    for command in group.typer_instance.registered_commands:
        shown = CliRunner().invoke(app, ["members", str(command.name), "--help"]).output
        assert "Example: mesh-" in shown
