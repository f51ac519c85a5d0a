"""Bad input: status 1, one clear message, no traceback, and nothing that stood there is lost."""

import datetime
import errno
import functools
import json
import os
import resource
import shutil
import socket
import stat
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from end_to_end.network import CUSTOMERS, RECORD, Terms, refusal, short_heartbeats

CLIENT, SERVER = "mesh-client", "mesh-server"


@pytest.fixture(scope="module")
def pristine(make_network):
    """Three registered members and what the operator plans with them."""
    network = make_network(3, Terms(rounds=2, measures=0, quorum=3))
    plan = network.call(SERVER, "plan", network.server, "--json")
    (network.folder / "plan.json").write_text(plan)
    return network


@pytest.fixture
def home(pristine, tmp_path):
    """Copy the first member's home, to be spoilt."""
    return spoilt_copy(pristine.home("msp-0"), tmp_path / "msp-0")


@pytest.fixture
def server(pristine, tmp_path):
    return spoilt_copy(pristine.server, tmp_path / "server")


def spoilt_copy(home, copy):
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns(".lock"))
    return copy


def contents(home):
    return {
        path: path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def refused(network, command, *arguments, **options):
    """Run a command that must refuse, and check that its home is left as it was."""
    folders = [Path(one) for one in arguments if isinstance(one, Path) and one.is_dir()]
    before = [contents(folder) for folder in folders]
    message = network.refused(command, *arguments, **options)
    assert [contents(folder) for folder in folders] == before
    return message


def check(network, home):
    return refused(network, CLIENT, "data", "check", home, "--offer", network.folder / "plan.json")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# The member's table.


def test_an_unknown_column_is_named_with_its_neighbour(pristine, home):
    edit(home / "client.toml", '"Seats"', '"Seat"')
    message = check(pristine, home)
    assert "no column 'Seat' for field seats; did you mean 'Seats'?" in message


def test_an_unknown_field_is_named_with_its_neighbour(pristine, home):
    edit(home / "client.toml", "seats = {", "saets = {")
    assert "did you mean 'seats'?" in check(pristine, home)


def test_a_missing_column_is_named(pristine, home):
    edit(home / "customers.csv", "contract", "kind")
    assert "no column 'contract' for field contract" in check(pristine, home)


@pytest.mark.parametrize(("cell", "named"), [("many", "'many'"), ("NaN", "'NaN'"), ("", "nothing")])
def test_a_bad_row_is_skipped_and_named(pristine, home, cell, named):
    lines = (home / "customers.csv").read_text().splitlines()
    key, _, rest = lines[5].split(",", 2)
    lines[5] = f"{key},{cell},{rest}"
    (home / "customers.csv").write_text("\n".join(lines) + "\n")
    offer = pristine.folder / "plan.json"
    text = pristine.call(CLIENT, "data", "check", home, "--offer", offer, "--json")
    found = json.loads(text)["customers"]
    assert (found["rows_read"], found["kept"]) == (CUSTOMERS, CUSTOMERS - 1)
    (line,) = found["problem_lines"]
    assert line.startswith("customers.csv line 6, column Seats: ")
    assert named in line


def test_a_table_without_any_good_row_is_refused(pristine, home):
    lines = (home / "customers.csv").read_text().replace("monthly", "?").replace("yearly", "?")
    (home / "customers.csv").write_text(lines)
    message = check(pristine, home)
    assert f"none of {CUSTOMERS} rows can be used" in message
    assert "found '?'" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"id,Seats,contract,overdue,churned\n", "expected rows below the column names"),
        (b"\xff\xfe\x00", "expected text in utf-8"),
        (None, "found no such file"),
    ],
)
def test_a_file_without_a_table_is_refused(pristine, home, content, message):
    if content is None:
        (home / "customers.csv").unlink()
    else:
        (home / "customers.csv").write_bytes(content)
    assert message in check(pristine, home)


def test_more_records_than_declared_are_refused(pristine, home):
    rows = (home / "customers.csv").read_text().splitlines()
    rows += [f"more{n},50,monthly,no,no" for n in range(10)]
    (home / "customers.csv").write_text("\n".join(rows) + "\n")
    assert "70 records, our card declares at most 64" in check(pristine, home)
    pristine.call(CLIENT, "card", home, "--cap", "256")
    pristine.call(CLIENT, "data", "check", home, "--offer", pristine.folder / "plan.json")


@pytest.mark.parametrize("offer", [b"", b"[]", b'{"network": "x"}', b"\x00"])
def test_an_offer_that_is_none_is_refused(pristine, home, tmp_path, offer):
    path = tmp_path / "plan.json"
    path.write_bytes(offer)
    assert "is no offer" in refused(pristine, CLIENT, "data", "check", home, "--offer", path)


# The member's home.


@pytest.mark.parametrize("command", [["start"], ["data", "check"]])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[privacy]", "[privacy", "expected TOML"),
        ("epsilon", "epsilom", "unknown key 'epsilom' in [privacy]"),
        ('name = "', 'nmae = "', "did you mean 'name'?"),
        ("port = ", 'port = "x" #', "'port' in [serve]"),
        ("delta = 1e-5", "delta = nan", "'delta' in [privacy]"),
        ('\ntable = "customers"', '\ntable = "clients"', "described are: customers"),
    ],
)
def test_wrong_settings_are_named(pristine, home, command, old, new, message):
    edit(home / "client.toml", old, new)
    assert message in refused(pristine, CLIENT, *command, home)


@pytest.mark.parametrize("name", ["identity.key", "signing.key"])
def test_another_members_key_is_refused(pristine, home, name):
    shutil.copy(pristine.home("msp-1") / name, home / name)
    message = refused(pristine, CLIENT, "start", home)
    assert f"{name} is not the one that card.json was made for" in message


@pytest.mark.parametrize("name", ["identity.key", "signing.key", "ledger.key"])
def test_a_key_that_others_can_read_is_refused(pristine, home, name):
    (home / name).chmod(0o644)
    assert f"chmod 600 {home / name}" in refused(pristine, CLIENT, "start", home)
    assert stat.S_IMODE((home / name).stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["identity.key", "signing.key"])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_a_damaged_key_is_refused(pristine, home, name, content):
    (home / name).write_bytes(content)
    message = refused(pristine, CLIENT, "start", home)
    assert str(home / name) in message


@pytest.mark.parametrize("name", ["identity.key", "signing.key", "ledger.key", "card.json"])
def test_a_missing_file_is_named(pristine, home, name):
    (home / name).unlink()
    assert str(home / name) in refused(pristine, CLIENT, "start", home)


def test_keys_of_the_wrong_kind_are_refused(pristine, home):
    identity, signing = home / "identity.key", home / "signing.key"
    one, other = identity.read_bytes(), signing.read_bytes()
    identity.write_bytes(other)
    assert "expected an EC P-384 key" in refused(pristine, CLIENT, "start", home)
    identity.write_bytes(one)
    signing.write_bytes(one)
    assert "expected an Ed25519 key" in refused(pristine, CLIENT, "start", home)


def test_another_name_than_the_cards_is_refused(pristine, home):
    edit(home / "client.toml", 'name = "msp-0"', 'name = "msp-1"')
    assert "the name in client.toml is not the one" in refused(pristine, CLIENT, "start", home)


def test_a_home_is_made_once(pristine, home):
    arguments = ["--name", "msp-0", "--server", "127.0.0.1:1", "--cap", "64"]
    message = refused(pristine, CLIENT, "init", home, *arguments)
    assert "already holds a member's keys" in message
    (home / "identity.key").unlink()
    assert "already holds a member's keys" in refused(pristine, CLIENT, "init", home, *arguments)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--name", "Acme Corp", "small letters"),
        ("--name", '"', "small letters"),
        ("--server", "mesh.example.org", "HOST:PORT"),
        ("--server", 'a"b:1', "HOST:PORT"),
        ("--cap", "0", "at least 1"),
        ("--ca", "/nowhere/ca.crt", "No such file"),
    ],
)
def test_nonsense_makes_no_home(pristine, tmp_path, option, value, message):
    options = {"--name": "acme", "--server": "127.0.0.1:1", "--cap": "64", option: value}
    words = [word for pair in options.items() for word in pair]
    assert message in pristine.refused(CLIENT, "init", tmp_path / "new", *words)
    assert not list((tmp_path / "new").glob("*"))


def test_a_home_that_is_none_is_refused(pristine, tmp_path):
    for command in ("start", "budget", "status", "card"):
        assert str(tmp_path) in pristine.refused(CLIENT, command, tmp_path)
    for command in ("start", "plan", "status"):
        assert str(tmp_path) in pristine.refused(SERVER, command, tmp_path)


# Registration and the plan.


@pytest.mark.parametrize(
    ("old", "new"), [('"cap": 64', '"cap": 65'), ('"name": "msp-0"', '"name": "msp-9"')]
)
def test_a_card_edited_after_signing_is_refused(pristine, home, server, old, new):
    edit(home / "card.json", old, new)
    message = refused(pristine, SERVER, "members", "add", server, home / "card.json")
    assert "changed after it was signed" in message
    assert "changed after it was signed" in refused(pristine, CLIENT, "start", home)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"name": "../x"}', b"\xff"])
def test_a_card_that_is_none_is_refused(pristine, server, tmp_path, content):
    (tmp_path / "card.json").write_bytes(content)
    message = refused(pristine, SERVER, "members", "add", server, tmp_path / "card.json")
    assert "is no member's card" in message


def test_one_key_under_two_names_is_refused(pristine, home, server):
    (home / "card.json").unlink()
    edit(home / "client.toml", 'name = "msp-0"', 'name = "alias"')
    pristine.call(CLIENT, "card", home, "--cap", "64")
    words = ["members", "propose", server, home / "card.json", "-o", server / "entry.json"]
    assert "alias has the same key as msp-0" in refused(pristine, SERVER, *words)


def test_an_unknown_member_cannot_be_removed(pristine, server):
    message = refused(pristine, SERVER, "members", "remove", server, "msp-7")
    assert "registered: msp-0, msp-1, msp-2" in message


@pytest.mark.parametrize("command", ["plan", "start"])
def test_a_network_without_a_roster_is_told_to_found_it(pristine, server, command):
    (server / "roster.json").unlink()
    message = refused(pristine, SERVER, command, server)
    assert f"mesh-server members found {server} CARD..." in message


@pytest.mark.parametrize("command", ["plan", "start"])
def test_a_roster_edited_by_hand_is_refused_by_the_server(pristine, server, command):
    edit(server / "roster.json", '"cap":64', '"cap":65')
    message = refused(pristine, SERVER, command, server)
    assert "entry 0 of the roster: the card of msp-0 was changed" in message


def test_a_roster_edited_by_hand_is_refused_by_the_client(pristine, home):
    edit(home / "roster.json", '"cap":64', '"cap":65')
    assert "entry 0 of the roster" in refused_start(pristine, home)


def test_a_client_that_lost_its_roster_is_told_to_trust_one(pristine, home):
    (home / "roster.json").unlink()
    (home / "ledger.jsonl").touch()
    message = refused_start(pristine, home)
    assert f"mesh-client members trust {home} roster.json" in message


def test_a_client_without_a_roster_answers_alone(pristine):
    copy = pristine.copy_home("msp-1", "alone")
    (copy / "roster.json").unlink()
    before = contents(copy)
    member = pristine.start_member("alone")
    said = member.await_event("connection")
    assert f"mesh-client members trust {copy} roster.json" in said["text"]
    assert pristine.get("alone")["models"]["health"]["version"] == "public"
    assert member.stop() == 0
    after = contents(copy)
    assert {path: after[path] for path in before} == before
    assert not (copy / "ledger.jsonl").exists()


@pytest.mark.parametrize("command", ["plan", "start"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("survivors = 3", "survivors = 4", "3 members take part in health, [plan] survivors = 4"),
        ("colluders = 1", "colluders = 3", "the network was founded for 1"),
        ("epsilon = 0.1", "epsilon = 0.0", "'epsilon' in [plan]"),
        ("epsilon", "epsilom", "did you mean 'epsilon'?"),
        ("[wait]", "[wiat]", "did you mean 'wait'?"),
        ("rounds = 2", "rounds = 2 2", "expected TOML"),
        ("[agents.", "[agents.helth]\n[agents.", "no agent is registered as 'helth'"),
        ("high = 100.0", "high = 0.0", "must be below high"),
        ("quorum = 3", "quorum = 3\npatience_s = -1", "'patience_s' in [wait]"),
    ],
)
def test_an_impossible_plan_is_refused(pristine, server, command, old, new, message):
    edit(server / "server.toml", old, new)
    assert message in refused(pristine, SERVER, command, server)


# Certificates, ports and the network.


def test_an_expired_certificate_is_refused_by_the_server(pristine, server, authority):
    shutil.copy(authority.ca, server / "ca.crt")
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    files = authority.issue("old", first=long_ago, last=long_ago + datetime.timedelta(days=1))
    for file, name in zip(files, ("server.crt", "server.key"), strict=True):
        shutil.copy(file, server / name)
    message = refused(pristine, SERVER, "start", server)
    assert "is valid from 2020-01-01 00:00 to 2020-01-02 00:00 UTC" in message


@pytest.mark.parametrize("name", ["ca.crt", "server.crt", "server.key"])
def test_a_damaged_certificate_is_refused_by_the_server(pristine, server, name):
    (server / name).write_text("rubbish")
    assert str(server / name) in refused(pristine, SERVER, "start", server)


def ignore_dates():
    """Let a server go on with a certificate that has expired since it was started."""
    from mesh_fl.server import tls

    tls._check_dates = lambda *_: None


def hours_ahead(hours):
    from flwr.supernode import node_auth_http_interceptor as interceptor

    shift = datetime.timedelta(hours=hours)
    interceptor.now = lambda: datetime.datetime.now(datetime.UTC) + shift


@pytest.fixture(scope="module")
def waiting(pristine):
    """A running server that waits for its members."""
    process = pristine.start_server()
    process.await_event("waiting")
    return process


def test_a_foreign_authority_is_refused(pristine, waiting, home, foreign_authority):
    shutil.copy(foreign_authority.ca, home / "ca.crt")
    assert f"not signed by our authority {home / 'ca.crt'}" in refused_start(pristine, home)


def refused_start(network, home, **options):
    """Start a client that gives up; its first start makes the ledger, and nothing else."""
    before = contents(home)
    message = network.refused(CLIENT, "start", home, **options)
    after = contents(home)
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} <= {"ledger.jsonl", "head"}
    return message


def test_an_authority_that_is_none_is_refused(pristine, home):
    (home / "ca.crt").write_text("rubbish")
    assert "holds no PEM certificate" in refused_start(pristine, home)


def test_a_clock_an_hour_off_is_named(pristine, waiting, tmp_path):
    clients = {}
    for name, hours, side in (("msp-0", 1, "ahead of"), ("msp-1", -1, "behind")):
        home = spoilt_copy(pristine.home(name), tmp_path / name)
        ahead = functools.partial(hours_ahead, hours)
        clients[side] = pristine.start(CLIENT, "start", home, prepare=ahead)
    for side, client in clients.items():
        message = refusal(client)
        assert f"(h:mm:ss) {side} the server's" in message
        assert "Set the clock" in message
    assert waiting.status is None


def test_an_expired_certificate_is_refused_by_the_client(network, authority):
    network.make_server()
    shutil.copy(authority.ca, network.server / "ca.crt")
    for number in range(3):
        network.make_member(f"msp-{number}")
    network.found()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    long_ago = yesterday - datetime.timedelta(days=9)
    for file, name in zip(
        authority.issue("gone", first=long_ago, last=yesterday),
        ("server.crt", "server.key"),
        strict=True,
    ):
        shutil.copy(file, network.server / name)
    server = network.start(SERVER, "start", network.server, "--json", prepare=ignore_dates)
    server.await_event("listening")
    assert "has expired" in refused_start(network, network.home("msp-0"))


def test_a_renewed_certificate_is_accepted(network):
    network.make_server()
    network.make_member("msp-0")
    authority = (network.server / "ca.crt").read_bytes()
    before = x509.load_pem_x509_certificate((network.server / "server.crt").read_bytes())
    network.call(SERVER, "renew", network.server)
    after = x509.load_pem_x509_certificate((network.server / "server.crt").read_bytes())
    assert before.serial_number != after.serial_number
    assert (network.server / "ca.crt").read_bytes() == authority
    for number in (1, 2):
        network.make_member(f"msp-{number}")
    network.found()
    network.start_server().await_event("listening")
    client = network.start_member("msp-0")
    assert client.await_event("connection")["text"].startswith("connected to")


@pytest.mark.parametrize("taken", ["server", "status"])
def test_a_port_in_use_is_named_by_the_server(pristine, server, taken):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        edit(server / "server.toml", f"port = {pristine.ports['server']}", "port = 0")
        key = "status_port" if taken == "status" else "port"
        old = pristine.ports["status"] if taken == "status" else 0
        edit(server / "server.toml", f"{key} = {old}", f"{key} = {port}")
        message = refused(pristine, SERVER, "start", server)
    assert f"Port {port} on 127.0.0.1 is already in use" in message


def test_a_port_in_use_is_named_by_the_client(pristine, home):
    with socket.create_server(("127.0.0.1", pristine.ports["msp-0"])):
        message = refused_start(pristine, home)
    assert f"Port {pristine.ports['msp-0']} on 127.0.0.1 is already in use" in message


def test_commands_say_so_when_nobody_answers(pristine, home, server):
    edit(server / "server.toml", str(pristine.ports["status"]), "1")
    assert "no server answers" in refused(pristine, SERVER, "status", server)
    assert "no client answers" in refused(pristine, CLIENT, "status", home)
    assert "no client answers" in refused(pristine, CLIENT, "query", home, "client-health", "{}")
    for body in ("{", "", "{'a': 1}"):
        assert "no JSON" in refused(pristine, CLIENT, "query", home, "client-health", body)


def test_without_a_server_a_client_keeps_trying_and_serves(network):
    network.make_server()
    for number in range(3):
        network.make_member(f"msp-{number}")
    network.found()
    client = network.start_member("msp-0")
    said = client.await_event("connection")["text"]
    assert "does not answer (connection refused); trying again in" in said
    assert "does not answer" in network.get("msp-0")["connection"]
    url = f"http://127.0.0.1:{network.ports['msp-0']}/client-health"
    response = httpx.post(url, json=RECORD, trust_env=False)
    # Public knowledge knows no feature called seats, contract or overdue, and no such client.
    assert response.status_code == 422
    assert "tell its features instead" in response.json()["detail"]
    assert client.status is None
    assert client.stop() == 0


# The ledger, the disk and the policy.


def full_disk():
    """Let no write of ours succeed any more."""
    from mesh_fl import store

    def refuse(file, blob):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    short_heartbeats()
    store.os.write = refuse


def small_files():
    """Let the kernel cut a file off, so that a write is torn."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (220, 220))


@pytest.mark.parametrize("prepare", [full_disk, small_files])
def test_a_full_disk_stops_a_client_before_anything_is_lost(pristine, home, prepare):
    message = refused_start(pristine, home, prepare=prepare)
    assert f"cannot write {home / 'ledger'}" in message
    assert json.loads(pristine.call(CLIENT, "budget", home, "--json"))["spent"] == 0


def test_a_full_disk_stops_the_server_and_it_goes_on_afterwards(make_network):
    network = make_network(3, Terms(rounds=2, measures=0, quorum=3))
    server = network.start_server()
    for name in network.names:
        network.start_member(name)
    server.await_event("round", done=1)
    server.kill()
    server = network.start(SERVER, "start", network.server, "--json", prepare=full_disk)
    assert "cannot write" in refusal(server)
    assert "No space left on device: free some space" in server.err
    server = network.start_server()
    server.await_event("closed")
    for name in network.names:
        assert len({c["attempt"] for c in network.charges(name)}) == len(network.charges(name))


@pytest.fixture(scope="module")
def trained(make_network):
    """A network that has trained once; member 0's disk was full, member 1 insists on more."""
    network = make_network(5, Terms(rounds=1, measures=0))
    edit(network.home("msp-1") / "client.toml", "epsilon = 0.1 ", "epsilon = 0.01 ")
    server = network.start_server()
    before = network.start_member("msp-0")
    before.await_event("connection")
    before.stop()
    clients = {name: network.start_member(name) for name in network.names if name != "msp-0"}
    clients["msp-0"] = network.start_member("msp-0", prepare=full_disk)
    server.await_event("closed")
    return network, server, clients


def test_a_laxer_plan_than_the_members_policy_is_refused(trained):
    network, server, clients = trained
    said = clients["msp-1"].await_event("refused")["text"]
    assert "the plan has epsilon = 0.1, our policy insists on 0.01" in said
    server.await_event("refused", text_with="msp-1 refuses")
    assert network.charges("msp-1") == []
    assert network.report()["rounds"][0]["members"] == 3


def test_a_member_with_a_full_disk_contributes_nothing_and_says_so(trained):
    network, server, clients = trained
    said = clients["msp-0"].await_event("refused")["text"]
    assert "No space left on device: free some space" in said
    assert "No space" not in server.out
    assert network.charges("msp-0") == []
    assert network.budget("msp-0")["spent"] == 0
    assert clients["msp-0"].status is None


@pytest.mark.parametrize(
    ("old", "new"), [('"step": 1', '"step": 2'), ('"cost": ', '"cost": 0.0'), ("charge", "policy")]
)
def test_a_ledger_edited_by_hand_is_refused(trained, tmp_path, old, new):
    network = trained[0]
    home = spoilt_copy(network.home("msp-2"), tmp_path / "msp-2")
    edit(home / "ledger.jsonl", old, new)
    for command in ("start", "budget"):
        message = refused(network, CLIENT, command, home)
        assert "line 2 of the ledger was altered" in message
        assert "put the unaltered copy back" in message


def test_a_ledger_cut_short_is_refused(trained, tmp_path):
    home = spoilt_copy(trained[0].home("msp-2"), tmp_path / "msp-2")
    lines = (home / "ledger.jsonl").read_text().splitlines(keepends=True)
    (home / "ledger.jsonl").write_text("".join(lines[:-2]))
    assert "cut short" in refused(trained[0], CLIENT, "start", home)


def test_a_promise_is_not_weakened_later(trained, tmp_path):
    home = spoilt_copy(trained[0].home("msp-2"), tmp_path / "msp-2")
    edit(home / "client.toml", "epsilon = 0.1 ", "epsilon = 1.0 ")
    message = refused(trained[0], CLIENT, "start", home)
    assert "a promise once made cannot be weakened" in message


def test_a_damaged_training_is_refused_by_the_server(trained, tmp_path):
    server = spoilt_copy(trained[0].server, tmp_path / "server")
    (server / "trainings" / "health" / "training").write_bytes(b"rubbish")
    assert "cannot be read" in refused(trained[0], SERVER, "start", server)
