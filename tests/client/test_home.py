import json
import stat
import tomllib

import pytest
from conftest import new_key
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh_fl.card import Card
from mesh_fl.client.caps import Caps
from mesh_fl.client.home import CARD, IDENTITY, LEDGER_KEY, ROSTER, SIGNING, Home
from mesh_fl.client.settings import FILE, ClientSettings, load_settings
from mesh_fl.errors import ConfigError, LedgerError, NetworkError, ProtocolError
from mesh_fl.roster import Roster
from mesh_fl.store import locked

KEYS = (IDENTITY, SIGNING, LEDGER_KEY)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "homes" / "acme"


@pytest.fixture
def home(path):
    return make(path)


def make(path, name="acme", server="mesh.example.org:9443", cap=256, ca=None):
    return Home.create(path, name, server, Caps(cap), ca)


def opened(home):
    """Open all that a start opens, in its order; give the card."""
    card = home.card
    home.ledger()
    return card


def test_a_new_home_is_its_owners_alone(home):
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    for name in KEYS:
        assert stat.S_IMODE((home.path / name).stat().st_mode) == 0o600


def test_a_new_home_has_all_that_a_member_needs(home):
    assert home.settings == load_settings(home.path)
    assert (home.settings.name, home.settings.server) == ("acme", "mesh.example.org:9443")
    assert (home.settings.tables, home.settings.agents) == ({}, {})
    assert home.settings.privacy.policy() == home.ledger().policy
    assert home.card.cap == 256
    assert opened(home).name == "acme"
    assert home.ledger().charges == ()


def test_a_member_alone_needs_neither_server_nor_card(path):
    home = Home.create(path, "acme", None, None, None)
    assert home.settings.server is None
    assert not home.has_card
    with pytest.raises(ConfigError, match=f"`mesh-client card {path} --cap N`"):
        home.card  # noqa: B018
    with pytest.raises(ConfigError, match='add server = "HOST:PORT"'):
        home.settings.operator  # noqa: B018
    assert home.renew_card(Caps(64)).serial == 1
    assert (home.card.cap, home.has_card) == (64, True)


def test_the_template_says_what_holds_when_it_says_nothing(home):
    told = tomllib.loads((home.path / FILE).read_text())
    silent = ClientSettings(name="acme", server="mesh.example.org:9443")
    assert told["serve"] == silent.serve.model_dump()
    assert told["privacy"] == silent.privacy.model_dump()


def test_the_example_in_the_template_is_sound(home):
    text = (home.path / FILE).read_text()
    lines = [line.removeprefix("# ") for line in text.splitlines()[1:] if line != "#"]
    start = next(n for n, line in enumerate(lines) if line.startswith("[tables."))
    active = [line for line in text.splitlines() if not line.startswith("#")]
    (home.path / FILE).write_text("\n".join([*active, *lines[start:]]))
    found = load_settings(home.path)
    assert found.tables["customers"].path == home.path / "customers.csv"
    assert found.agents["health"].table == "customers"


def test_the_networks_certificate_is_copied(path, tmp_path):
    (tmp_path / "theirs.crt").write_text("certificate")
    assert make(path, ca=tmp_path / "theirs.crt").settings.ca.read_text() == "certificate"


@pytest.mark.parametrize("left", KEYS)
def test_keys_are_never_overwritten(home, left):
    """A new ledger key would make the ledger of an older home unreadable."""
    for name in KEYS:
        if name != left:
            (home.path / name).unlink()
    before = (home.path / left).read_bytes()
    with pytest.raises(ConfigError, match="already holds a member's keys"):
        make(home.path)
    assert (home.path / left).read_bytes() == before


def test_settings_that_were_there_are_kept(path):
    path.mkdir(parents=True)
    text = 'name = "acme"\nserver = "127.0.0.1:1"\n'
    (path / FILE).write_text(text)
    make(path)
    assert (path / FILE).read_text() == text


def test_two_homes_share_no_key(home, tmp_path):
    other = make(tmp_path / "other")
    for name in (*KEYS, CARD):
        assert (home.path / name).read_bytes() != (other.path / name).read_bytes()


@pytest.mark.parametrize(
    "name", ["", "operator", "Acme", "a b", "-a", "a_b", 'a"', "a" * 64, "a\n", "é"]
)
def test_a_name_that_is_none_is_refused(path, name):
    with pytest.raises(ConfigError, match="--name: expected small letters"):
        make(path, name=name)
    assert not path.exists()


@pytest.mark.parametrize(
    "server", ["", "mesh", ":1", "mesh:", "mesh:port", 'a"b:1', "a b:1", "mesh:1\n", "a#b:1"]
)
def test_an_address_that_is_none_is_refused(path, server):
    with pytest.raises((ConfigError, NetworkError), match="HOST:PORT"):
        make(path, server=server)
    assert not path.exists()


@pytest.mark.parametrize("server", ["mesh:1", "127.0.0.1:9443", "[::1]:9443", "a-b.c.org:65535"])
def test_an_address_is_kept(path, server):
    assert make(path, server=server).settings.server == server


@pytest.mark.parametrize("cap", [0, -1, 10**12 + 1])
def test_a_cap_that_is_none_is_refused(home, path, tmp_path, cap):
    with pytest.raises(ConfigError, match="--cap: expected a number of records"):
        make(tmp_path / "other", cap=cap)
    before = (path / CARD).read_bytes()
    with pytest.raises(ConfigError, match="--cap"):
        home.renew_card(Caps(cap))
    assert (path / CARD).read_bytes() == before


def test_a_certificate_that_is_not_there_makes_no_home(path, tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        make(path, ca=tmp_path / "nothing")
    assert not list(path.glob("*"))


def test_a_renewed_card_has_the_same_keys(home):
    before, after = Card.read(home.path / CARD), home.renew_card(Caps(512))
    assert after.cap == 512
    assert (after.identity, after.signing) == (before.identity, before.signing)
    assert (before.serial, after.serial) == (1, 2)
    assert Card.read(home.path / CARD) == after == home.card


@pytest.mark.parametrize(
    ("name", "part"), [(IDENTITY, "identity.key"), (SIGNING, "signing.key"), (FILE, "the name in")]
)
def test_what_is_not_the_cards_is_refused(home, tmp_path, name, part):
    other = make(tmp_path / "other", name="other")
    (home.path / name).write_bytes((other.path / name).read_bytes())
    with pytest.raises(ConfigError, match=f"{part}.*is not the one that card.json was made for"):
        opened(Home(home.path))


def test_another_members_ledger_key_is_refused(home, tmp_path):
    home.ledger()
    other = make(tmp_path / "other", name="other")
    (home.path / LEDGER_KEY).write_bytes((other.path / LEDGER_KEY).read_bytes())
    with pytest.raises(LedgerError, match="line 1 of the ledger was altered"):
        opened(Home(home.path))


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_key_that_others_may_touch_is_refused(home, name, mode):
    (home.path / name).chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 .*{name}"):
        opened(Home(home.path))


@pytest.mark.parametrize("name", KEYS)
def test_a_stricter_mode_is_fine(home, name):
    (home.path / name).chmod(0o400)
    assert opened(Home(home.path)).name == "acme"


@pytest.mark.parametrize("name", [*KEYS, CARD, FILE])
def test_a_missing_file_is_named(home, name):
    (home.path / name).unlink()
    with pytest.raises(ConfigError, match=name):
        opened(Home(home.path))


@pytest.mark.parametrize("name", [IDENTITY, SIGNING])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----"])
def test_a_damaged_key_is_named(home, name, content):
    (home.path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{name} is no private key"):
        opened(Home(home.path))


def test_an_encrypted_key_is_refused(home):
    from cryptography.hazmat.primitives import serialization

    blob = new_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (home.path / IDENTITY).write_bytes(blob)
    with pytest.raises(ConfigError, match="no private key"):
        opened(Home(home.path))


def test_a_key_on_another_curve_is_refused(home):
    from mesh_fl.client.home import _pem

    (home.path / IDENTITY).write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ConfigError, match="expected an EC P-384 key"):
        opened(Home(home.path))
    (home.path / IDENTITY).write_bytes(_pem(Ed25519PrivateKey.generate()))
    with pytest.raises(ConfigError, match="expected an EC P-384 key"):
        opened(Home(home.path))


@pytest.mark.parametrize(
    ("field", "value"), [("cap", 257), ("name", "other"), ("serial", 2), ("signature", "")]
)
def test_a_card_changed_by_hand_is_refused(home, field, value):
    card = json.loads((home.path / CARD).read_text())
    (home.path / CARD).write_text(json.dumps({**card, field: value}))
    with pytest.raises(ConfigError, match="changed after it was signed"):
        opened(Home(home.path))


@pytest.fixture
def founded(home, tmp_path):
    """Our home on the roster of a network, and the keys of the operator and two others."""
    names = ("acme", "best", "core")
    homes = {n: home if n == "acme" else make(tmp_path / n, name=n) for n in names}
    operator = Ed25519PrivateKey.generate()
    return Roster.found("coop", operator, 1, [one.card for one in homes.values()]), operator, homes


def longer(roster, operator, name="core"):
    return roster.appended(roster.sign(roster.propose_removal([name]), "operator", operator))


def test_without_a_roster_it_is_said_how_to_get_one(home, founded):
    for use in (home.roster, lambda: home.keep_roster(founded[0])):
        with pytest.raises(ConfigError, match=r"mesh-client members trust .* --fingerprint F"):
            use()
    assert not home.has_roster


def test_a_roster_is_trusted_once(home, founded):
    roster, operator, _ = founded
    home.trust_roster(roster)
    assert Home(home.path).roster() == roster
    with pytest.raises(ConfigError, match="trusts one network"):
        home.trust_roster(longer(roster, operator))
    assert stat.S_IMODE((home.path / ROSTER).stat().st_mode) == 0o600


def test_a_roster_goes_forward_only(home, founded):
    roster, operator, _ = founded
    home.trust_roster(roster)
    after, fork = longer(roster, operator), longer(roster, operator, "best")
    home.keep_roster(roster)
    home.keep_roster(after)
    for wrong in (roster, fork, longer(fork, operator)):
        with pytest.raises(ProtocolError, match="an older one or a fork"):
            home.keep_roster(wrong)
    assert home.roster() == after


def test_a_roster_changed_by_hand_is_refused(home, founded):
    home.trust_roster(founded[0])
    text = (home.path / ROSTER).read_text()
    (home.path / ROSTER).write_text(text.replace('"cap":256', '"cap":257', 1))
    with pytest.raises(ConfigError, match=r"roster.json: entry 0 .* was changed after"):
        home.roster()


def test_a_newer_card_is_newer_than_the_one_on_the_roster(home, founded):
    """A card.json that is lost or older must not make a card that the network refuses."""
    roster, _, _ = founded
    home.renew_card(Caps(300))
    home.trust_roster(roster.appended(roster.propose_renewal(home.renew_card(Caps(400)))))
    (home.path / CARD).unlink()
    assert home.renew_card(Caps(512)).serial == 4
    assert home.card.cap == 512


def test_a_home_is_held_by_one_process(home):
    refused = pytest.raises(ConfigError, match="in use by another process")
    with locked(home.path), refused, locked(home.path):
        pytest.fail("two processes hold one home")
    with locked(home.path):
        assert opened(home).name == "acme"


def test_no_secret_is_shown(home):
    home.ledger()
    shown = repr(home) + repr(home.settings) + repr(opened(home))
    assert (home.path / LEDGER_KEY).read_bytes().hex() not in shown
    assert repr((home.path / LEDGER_KEY).read_bytes())[2:-1] not in shown
    assert "PRIVATE" not in shown
