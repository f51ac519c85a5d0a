import datetime
import logging
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from conftest import carried, new_key, openssh, order, until
from cryptography.hazmat.primitives import serialization
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.protobuf.client import ProtobufClient
from flwr.supernode import node_auth_http_interceptor
from flwr.supernode.fleet_http_client import FleetHttpClient

from mesh_fl.client import fleet, supernode
from mesh_fl.client.diagnosis import check_address
from mesh_fl.errors import DataError, NetworkError
from mesh_fl.server import gate


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch):
    monkeypatch.setattr(supernode, "_REFUSAL_PATIENCE_S", 1)


@pytest.fixture
def key():
    return new_key()


def ask(link, node_id, data=b"abc"):
    """Send bytes to a member and give its reply, None if there is none."""
    replies = link.grid.send_and_receive([order(data, node_id)], timeout=10)
    return replies[0] if replies else None


def test_says_when_it_is_connected_and_leaves_at_once(start_server, start_member, reverser, key):
    link = start_server(members=[key])
    member = start_member(reverser, link.port, key)
    until(link.online)
    until(lambda: member.said)
    member.stop()
    assert member.said == [f"connected to 127.0.0.1:{link.port}"]
    assert member.error is None
    assert link.online() == frozenset()


def test_large_messages_arrive(start_server, start_member, reverser, key):
    link = start_server(members=[key])
    start_member(reverser, link.port, key)
    until(link.online)
    data = bytes(range(256)) * 50_000
    assert carried(ask(link, link.register(openssh(key)), data)) == data[::-1]


def test_an_unregistered_key_is_told_what_to_do(start_server, start_member, reverser, key):
    member = start_member(reverser, start_server().port, key)
    error = member.ended(10)
    assert isinstance(error, NetworkError)
    assert "does not know our key" in str(error)
    assert "mesh-server members propose" in str(error)


def test_a_member_added_in_time_gets_in(start_server, start_member, reverser, key, monkeypatch):
    monkeypatch.setattr(supernode, "_REFUSAL_PATIENCE_S", 30)
    link = start_server()
    member = start_member(reverser, link.port, key)
    until(lambda: member.said)
    assert "does not know our key" in member.said[0]
    link.register(openssh(key))
    until(link.online)


def test_a_removed_member_is_told(start_server, start_member, reverser, key):
    link = start_server(members=[key])
    member = start_member(reverser, link.port, key)
    until(lambda: member.said)
    link.remove(link.register(openssh(key)))
    error = member.ended(10)
    assert isinstance(error, NetworkError)
    assert "removed us" in str(error)


def test_a_second_client_with_the_key_gives_up_and_the_first_goes_on(
    start_server, start_member, reverser, key, short_heartbeats
):
    link = start_server(members=[key])
    node_id = link.register(openssh(key))
    first = start_member(reverser, link.port, key, heartbeat_s=short_heartbeats)
    until(lambda: first.said)
    second = start_member(reverser, link.port, key, heartbeat_s=short_heartbeats)

    error = second.ended(15)

    assert isinstance(error, NetworkError)
    assert "Another client is connected" in str(error)
    assert "another client online with our key" in second.said[0]
    assert carried(ask(link, node_id)) == b"cba"
    assert (first.error, len(first.said)) == (None, 1)


CLIENT = """
    import sys, threading
    from pathlib import Path
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from flwr.clientapp import ClientApp
    from mesh_fl.client.supernode import serve_node
    server, ca, key, heartbeat_s = sys.argv[1:]
    serve_node(
        ClientApp(),
        server,
        ca=Path(ca),
        key=load_pem_private_key(Path(key).read_bytes(), None),
        stopped=threading.Event(),
        on_state=lambda sentence: print(sentence, flush=True),
        heartbeat_s=float(heartbeat_s),
    )
"""


def test_a_client_killed_and_started_again_gets_back_in(
    start_server, start_member, reverser, key, short_heartbeats, authority, tmp_path
):
    link = start_server(members=[key])
    path = tmp_path / "key.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    arguments = [f"127.0.0.1:{link.port}", str(authority.ca), str(path), str(short_heartbeats)]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLIENT), *arguments], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().startswith(b"connected to")
        process.kill()
    member = start_member(reverser, link.port, key, heartbeat_s=short_heartbeats)
    until(lambda: member.said and member.said[-1].startswith("connected to"))
    assert carried(ask(link, link.register(openssh(key)))) == b"cba"


def test_a_restarted_server_is_joined_again(
    authority, start_server, start_member, reverser, key, free_port
):
    from mesh_fl.server.superlink import SuperLink

    certificate, private = authority.issue("restarted")
    port = free_port()
    member = start_member(reverser, port, key)
    until(lambda: member.said)
    assert "connection refused" in member.said[0]
    assert "trying again in 0.5 s" in member.said[0]
    for _ in range(2):
        link = SuperLink("127.0.0.1", port, ca=authority.ca, certificate=certificate, key=private)
        node_id = link.register(openssh(key))
        with link:
            until(lambda link=link: link.online(), 25)
            assert carried(ask(link, node_id)) == b"cba"
            until(lambda: member.said[-1] == f"connected to 127.0.0.1:{port}")
        until(lambda: "does not answer" in member.said[-1])
    assert member.error is None


def test_a_message_whose_run_is_over_is_dropped(start_server, start_member, key):
    app, entered = ClientApp(), []

    @app.train()
    def train(message, _context):
        entered.append(message.metadata.message_id)
        until(lambda: forgotten)
        return Message(RecordDict(), reply_to=message)

    link, forgotten = start_server(members=[key]), []
    node_id = link.register(openssh(key))
    member = start_member(app, link.port, key)
    until(link.online)
    ids = link.grid.push_messages([order(b"x", node_id)])
    until(lambda: entered)
    link.grid.forget(ids)
    forgotten.append(True)
    assert ask(link, node_id).has_content()
    assert member.error is None


def broken_app(error):
    app = ClientApp()

    @app.train()
    def train(_message, _context):
        raise error

    @app.query()
    def query(_message, _context):
        return "not a message"

    return app


def test_an_exception_tells_the_server_nothing(start_server, start_member, key, caplog):
    link = start_server(members=[key])
    node_id = link.register(openssh(key))
    with caplog.at_level(logging.INFO):
        member = start_member(broken_app(ValueError("patient zero")), link.port, key)
        until(link.online)
        reply = ask(link, node_id)
        again = ask(link, node_id)
    for answer in (reply, again):
        assert answer.has_error()
        assert answer.error.reason == supernode._APP_FAILED
    assert "patient" not in caplog.text
    assert "ValueError" in caplog.text
    assert member.error is None


def test_our_own_errors_are_told(start_server, start_member, key):
    link = start_server(members=[key])
    start_member(broken_app(DataError("column x is missing")), link.port, key)
    until(link.online)
    assert ask(link, link.register(openssh(key))).error.reason == "column x is missing"


@pytest.mark.parametrize("kind", ["query", "evaluate", "train.unknown"])
def test_an_app_without_an_answer_is_an_error(start_server, start_member, key, kind):
    link = start_server(members=[key])
    node_id = link.register(openssh(key))
    start_member(broken_app(ValueError()), link.port, key)
    until(link.online)
    (reply,) = link.grid.send_and_receive([Message(RecordDict(), node_id, kind)], timeout=10)
    assert reply.error.reason == supernode._APP_FAILED


def test_a_foreign_authority_is_refused(
    start_server, start_member, reverser, key, foreign_authority
):
    link = start_server(members=[key])
    member = start_member(reverser, link.port, key, ca=foreign_authority.ca)
    error = member.ended(10)
    assert isinstance(error, NetworkError)
    assert "not signed by our authority" in str(error)
    assert str(foreign_authority.ca) in str(error)


@pytest.mark.parametrize(
    ("days", "message"), [((-9, -1), "has expired"), ((1, 9), "is not valid yet")]
)
def test_a_certificate_out_of_date_is_refused(
    authority, start_server, start_member, reverser, key, monkeypatch, days, message
):
    from mesh_fl.server import tls

    monkeypatch.setattr(tls, "_check_dates", lambda *_: None)
    now = datetime.datetime.now(datetime.UTC)
    first, last = (now + datetime.timedelta(days=d) for d in days)
    link = start_server(files=authority.issue("dated", first=first, last=last))
    error = start_member(reverser, link.port, key).ended(10)
    assert isinstance(error, NetworkError)
    assert message in str(error)
    assert "clock" in str(error)


def test_a_certificate_for_another_host_is_refused(start_server, start_member, reverser, key):
    link = start_server(members=[key], host="0.0.0.0")
    for host in ("127.0.0.2", "mesh.example"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", lambda *_, **__: loopback(link.port))
            error = start_member(reverser, link.port, key, host=host).ended(10)
        assert isinstance(error, NetworkError)
        assert "names another host" in str(error)


def loopback(port):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.mark.parametrize(
    ("hours", "message"), [(1, "1:00:0. .*ahead of"), (-1, "(1:00:0.|0:59:5.) .*behind")]
)
def test_a_wrong_clock_is_named(
    start_server, start_member, reverser, key, monkeypatch, hours, message
):
    link = start_server(members=[key])
    shift = datetime.timedelta(hours=hours)
    monkeypatch.setattr(
        node_auth_http_interceptor, "now", lambda: datetime.datetime.now(datetime.UTC) + shift
    )
    error = start_member(reverser, link.port, key).ended(10)
    assert isinstance(error, NetworkError)
    with pytest.raises(NetworkError, match=message):
        raise error


@pytest.mark.parametrize("text", [None, b"", b"\xff", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_an_unreadable_authority_is_named(start_member, reverser, key, tmp_path, text):
    path = tmp_path / "ca.crt"
    if text is not None:
        path.write_bytes(text)
    error = start_member(reverser, 1, key, ca=path).ended(10)
    assert isinstance(error, NetworkError)
    assert str(path) in str(error)


def test_an_unknown_host_is_waited_for(start_member, reverser, key, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    member = start_member(reverser, 9443, key, host="mesh.invalid")
    until(lambda: member.said)
    assert "mesh.invalid:9443 does not answer (unknown host name)" in member.said[0]
    assert member.error is None


def test_something_that_speaks_no_tls_is_waited_for(start_member, reverser, key):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        member = start_member(reverser, listener.getsockname()[1], key)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example ESMTP\r\n")
            until(lambda: member.said)
    assert "does not answer (no TLS connection)" in member.said[0]


@pytest.mark.parametrize(
    "server",
    ["", "mesh", ":9443", "mesh:port", "mesh:99999999", "a b:1", "u:p@mesh:1", "mesh:1/x", "x:1?y"],
)
def test_a_malformed_address_is_named(server):
    with pytest.raises(NetworkError, match="Expected a server address"):
        check_address(server)


def test_a_malformed_address_is_refused_before_connecting(start_member, reverser, key):
    assert isinstance(start_member(reverser, 99999, key).ended(5), NetworkError)


@pytest.mark.parametrize("server", ["mesh:9443", "127.0.0.1:443", "[::1]:9443", "a.b-c.org:1"])
def test_an_address_is_accepted(server):
    check_address(server)


def test_flower_sends_no_telemetry_and_brings_no_torch():
    program = """
        import sys
        import mesh_fl.client.supernode, mesh_fl.server.superlink
        from flwr.supercore import telemetry
        assert telemetry.FLWR_TELEMETRY_ENABLED == "0"
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_stopping_does_not_wait_for_a_dead_server(start_member, reverser, key, free_port):
    member = start_member(reverser, free_port(), key)
    until(lambda: len(member.said) >= 3)
    started = time.monotonic()
    member.stop()
    assert time.monotonic() - started < 10
    assert member.error is None


# What is used of Flower beyond its documented interface.


def test_contract_client():
    assert issubclass(FleetHttpClient, ProtobufClient)
    for name in (
        "ActivateNode",
        "DeactivateNode",
        "SendNodeHeartbeat",
        "PullMessages",
        "PullObject",
        "ConfirmMessageReceived",
        "PushMessages",
        "PushObject",
    ):
        assert hasattr(FleetHttpClient, name), f"Flower's Fleet client has no {name}"


def test_contract_instance_header():
    assert fleet.INSTANCE_HEADER == gate.INSTANCE_HEADER
