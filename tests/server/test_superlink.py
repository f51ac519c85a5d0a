import base64
import contextlib
import datetime
import inspect
import logging
import socket
import ssl
from importlib.metadata import version

import httpx
import pytest
from conftest import carried, new_key, openssh, order, until
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Message, RecordDict
from flwr.common import constant
from flwr.common.serde import message_to_proto
from flwr.proto import fleet_pb2, message_pb2
from flwr.proto.node_pb2 import Node
from flwr.serverapp import ServerApp
from flwr.supercore import constant as supercore_constant
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.superlink.routers.fleet.router import router

from mesh_fl.errors import ConfigError, NetworkError
from mesh_fl.server import gate
from mesh_fl.server.superlink import SuperLink


class RawMember:
    """Speaks the Fleet protocol request by request, honestly or not."""

    def __init__(self, authority, port, key, instance="one"):
        context = ssl.create_default_context(cafile=str(authority.ca))
        self.http = httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context)
        self.key = key
        self.instance = instance
        self.pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def headers(self, **changes):
        stamp = datetime.datetime.now(datetime.UTC).isoformat()
        signature = self.key.sign(stamp.encode(), ec.ECDSA(hashes.SHA256()))
        return {
            "content-type": PROTOBUF_MEDIA_TYPE,
            gate.PUBLIC_KEY_HEADER: base64.b64encode(self.pem).decode(),
            gate.SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            gate.TIMESTAMP_HEADER: stamp,
            gate.INSTANCE_HEADER: self.instance,
            **changes,
        }

    def post(self, name, request, **changes):
        body = request if isinstance(request, bytes) else request.SerializeToString()
        return self.http.post(f"/v1/fleet/{name}", content=body, headers=self.headers(**changes))

    def activate(self):
        request = fleet_pb2.ActivateNodeRequest(public_key=self.pem, heartbeat_interval=30)
        return self.post("activate-node", request)

    def pull(self, node_id):
        request = fleet_pb2.PullMessagesRequest(node=Node(node_id=node_id))
        response = self.post("pull-messages", request)
        assert response.status_code == 200, response.text
        return fleet_pb2.PullMessagesResponse.FromString(response.content)

    def push(self, node_id, message, tree=None):
        message.metadata.__dict__["_message_id"] = message.object_id
        request = fleet_pb2.PushMessagesRequest(
            node=Node(node_id=node_id),
            messages_list=[message_to_proto(message)],
            message_object_trees=[tree or get_object_tree(message)],
        )
        return self.post("push-messages", request)


@pytest.fixture
def raw(authority, start_server):
    """Make raw members; they hang up before the server stops."""
    with contextlib.ExitStack() as connections:

        def make(link, key, instance="one"):
            member = RawMember(authority, link.port, key, instance)
            connections.enter_context(member.http)
            return member

        yield make


@pytest.fixture
def two(start_server, raw):
    keys = [new_key(), new_key()]
    link = start_server(members=keys)
    members = [raw(link, key) for key in keys]
    for member in members:
        assert member.activate().status_code == 200
    return link, members, [link.register(openssh(key)) for key in keys]


def reply_to(incoming, content=None, **changes):
    message = Message(content or RecordDict(), reply_to=incoming)
    message.metadata.__dict__.update(changes)
    return message


def sizes(link):
    state = link._state
    return (
        len(state.object_store),
        state.num_message_ins(),
        state.num_message_res(),
        len(state._object_push_sessions),
    )


def test_two_members_answer_and_nothing_stays_in_memory(start_server, start_member, reverser):
    keys = [new_key(), new_key()]
    link = start_server(members=keys)
    for key in keys:
        start_member(reverser, link.port, key)
    nodes = [link.register(openssh(key)) for key in keys]
    until(lambda: link.online() == set(nodes))
    data = {nodes[0]: b"first" * 9000, nodes[1]: b"second" * 9000}

    replies = link.grid.send_and_receive([order(data[n], n) for n in nodes], timeout=20)

    assert {r.metadata.src_node_id: carried(r) for r in replies} == {
        n: data[n][::-1] for n in nodes
    }
    assert sizes(link) == (0, 0, 0, 0)


def test_runs_a_stock_server_app(start_server):
    link = start_server()
    app, seen = ServerApp(), []

    @app.main()
    def main(grid, context):
        seen.append((grid, context.run_id))

    link.run(app)
    assert seen == [(link.grid, link.grid.run.run_id)]


FORBIDDEN = [
    "/",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/health",
    "/v1/control/start-run",
    "/v1/control/list-nodes",
    "/v1/control/register-node",
    "/v1/runtime/push-messages",
    "/v1/runtime/acquire-task",
    "//v1/control/start-run",
    "//v1/fleet/pull-messages",
    "/v1//fleet/pull-messages",
    "/v1/fleet/pull-messages/",
    "/v1/fleet/../control/start-run",
    "/v1/fleet/%2e%2e/control/start-run",
    "/v1/fleet%2fpull-messages",
    "/v1/fleet/pull%2dmessages",
    "/v1/fleet/%70ull-messages",
    "/V1/FLEET/PULL-MESSAGES",
    "/v1/fleet/register-node",
    "/v1/fleet/unregister-node",
    "/v1/fleet/get-fab",
    "/v1/fleet/get-run",
    "/v1/fleet/unknown",
]


@pytest.mark.parametrize("signed", [False, True])
def test_only_the_fleet_paths_are_open(two, signed):
    _, (member, _), _ = two
    headers = member.headers() if signed else {}
    for path in FORBIDDEN:
        for method in ("GET", "POST"):
            # httpx would tidy up the path; this keeps it as written.
            url = member.http.base_url.copy_with(raw_path=path.encode())
            answer = member.http.send(httpx.Request(method, url, headers=headers))
            assert (answer.status_code, method, path) == (403, method, path)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_refused(two, method):
    _, (member, _), _ = two
    answer = member.http.request(method, "/v1/fleet/pull-messages", headers=member.headers())
    assert answer.status_code == 403


def test_strangers_and_forged_signatures_are_refused(raw, two):
    link, (member, _), (node_id, _) = two
    stranger = raw(link, new_key())
    assert stranger.activate().status_code == 401
    stranger.pem = member.pem
    assert stranger.activate().status_code == 401
    request = fleet_pb2.PullMessagesRequest(node=Node(node_id=node_id))
    body = request.SerializeToString()
    for header in (gate.PUBLIC_KEY_HEADER, gate.SIGNATURE_HEADER, gate.TIMESTAMP_HEADER):
        for value in ("", "!", "AAAA", b"\xff\xe9"):
            assert member.post("pull-messages", body, **{header: value}).status_code == 401
    assert member.post("pull-messages", body).status_code == 200


def test_a_member_cannot_use_the_node_id_of_another(two):
    _, (member, _), (_, other_id) = two
    request = fleet_pb2.PullMessagesRequest(node=Node(node_id=other_id))
    assert member.post("pull-messages", request).status_code == 401


def answer_before_the_body_ends(link, authority, headers, start):
    """Send the head and the start of a body, never the rest, and give the status."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with (
        socket.create_connection(("127.0.0.1", link.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        request = f"POST /v1/fleet/push-object HTTP/1.1\r\nhost: x\r\n{head}\r\n"
        connection.sendall(request.encode() + start)
        return int(connection.recv(4096).split()[1])


def test_bodies_are_refused_before_they_end(authority, raw, start_server):
    key = new_key()
    link = start_server(members=[key], body_limit_bytes=10_000)
    member = raw(link, key)
    assert member.activate().status_code == 200
    chunked = {"transfer-encoding": "chunked"}
    chunk = b"%x\r\n%b\r\n" % (6_000, b"x" * 6_000)
    signed = member.headers()
    forged = signed | {gate.SIGNATURE_HEADER: "AAAA"}
    cases = [
        ({"content-length": "10000"} | forged, b"", 401),
        ({"content-length": "1000000000"}, b"", 413),
        ({"content-length": "10001"} | signed, b"", 413),
        ({"content-length": "10000"}, b"", 401),
        (chunked, b"", 401),
        (chunked | signed, 2 * chunk, 413),
    ]
    for headers, start, status in cases:
        assert answer_before_the_body_ends(link, authority, headers, start) == status


def test_a_body_that_stops_arriving_is_given_up(authority, raw, start_server, monkeypatch):
    key = new_key()
    monkeypatch.setattr(gate.Gate.__init__, "__kwdefaults__", {"body_timeout_s": 0.2})
    link = start_server(members=[key])
    member = raw(link, key)
    assert member.activate().status_code == 200
    headers = {"content-length": "100"} | member.headers()
    assert answer_before_the_body_ends(link, authority, headers, b"x") == 408


def test_a_second_client_with_the_key_is_refused_even_if_it_knows_the_node_id(raw, two):
    link, (member, _), (node_id, _) = two
    twin = raw(link, member.key, instance="two")
    assert twin.activate().status_code == 412
    request = fleet_pb2.PullMessagesRequest(node=Node(node_id=node_id))
    assert twin.post("pull-messages", request).status_code == 409
    assert member.post("pull-messages", request).status_code == 200


def test_a_client_that_was_replaced_stays_out(raw, two):
    link, (member, _), (node_id, _) = two
    twin = raw(link, member.key, instance="two")
    link._state.nodes[node_id].online_until = 0
    assert twin.activate().status_code == 200
    request = fleet_pb2.PullMessagesRequest(node=Node(node_id=node_id))
    assert member.post("pull-messages", request).status_code == 409
    assert twin.post("pull-messages", request).status_code == 200


def fetch(link, member, node_id):
    """Queue a message, let the member pull it, and give it as the member knows it."""
    message = order(b"question", node_id)
    (message_id,) = link.grid.push_messages([message])
    assert len(member.pull(node_id).messages_list) == 1
    return message, message_id


def test_a_member_cannot_reply_for_another(two):
    link, (honest, forger), (honest_id, forger_id) = two
    message, message_id = fetch(link, honest, honest_id)
    assert forger.push(forger_id, reply_to(message)).status_code == 403
    assert link.grid.pull_messages([message_id]) == []
    assert honest.push(honest_id, reply_to(message)).status_code == 200


def test_a_member_cannot_give_orders_as_the_server(two):
    link, (victim, forger), (victim_id, forger_id) = two
    forged = order(b"do as I say", victim_id)
    forged.metadata.__dict__["_run_id"] = link.grid.run.run_id
    assert forged.metadata.src_node_id == constant.SUPERLINK_NODE_ID
    assert forger.push(forger_id, forged).status_code == 403
    assert not victim.pull(victim_id).messages_list


def test_a_member_cannot_delete_the_message_of_another(two):
    link, (victim, vandal), (victim_id, vandal_id) = two
    (message_id,) = link.grid.push_messages([order(b"question", victim_id)])
    request = message_pb2.ConfirmMessageReceivedRequest(
        node=Node(node_id=vandal_id),
        run_id=link.grid.run.run_id,
        message_object_id=message_id,
    )
    assert vandal.post("confirm-message-received", request).status_code == 403
    assert victim.pull(victim_id).messages_list


def test_a_tree_that_would_unfold_without_end_is_refused(two):
    link, (member, _), (node_id, _) = two
    message, _ = fetch(link, member, node_id)
    answer = reply_to(message)
    answer.metadata.__dict__["_message_id"] = answer.object_id
    node = message_pb2.ObjectTree(object_id=f"{0:064x}")
    for level in range(1, 40):
        stub = message_pb2.ObjectTree(object_id=node.object_id)
        node = message_pb2.ObjectTree(object_id=f"{level:064x}", children=[node, stub])
    tree = message_pb2.ObjectTree(object_id=answer.object_id, children=[node])
    assert member.push(node_id, answer, tree).status_code == 403


@pytest.mark.parametrize("name", sorted(path.rpartition("/")[2] for path in gate.OPEN_PATHS))
@pytest.mark.parametrize("body", [b"", b"\xff" * 40])
def test_garbage_bodies_are_refused(two, name, body):
    link, (member, _), (node_id, _) = two
    assert 400 <= member.post(name, body).status_code < 500
    assert node_id in link.online()


def test_a_stalled_upload_delays_nobody(two):
    link, (stalling, prompt), (stalling_id, prompt_id) = two
    first, _ = fetch(link, stalling, stalling_id)
    second, _ = fetch(link, prompt, prompt_id)
    ids = {first.metadata.message_id, second.metadata.message_id}
    assert stalling.push(stalling_id, reply_to(first)).status_code == 200
    upload(link, prompt, prompt_id, reply_to(second))

    (reply,) = link.grid.pull_messages(ids)

    assert reply.metadata.src_node_id == prompt_id
    link.grid.forget(ids)
    assert sizes(link)[:3] == (0, 0, 0)


def upload(link, member, node_id, message, inside=None):
    """Push a reply; `inside` is what its objects say, if not the same."""
    inside = inside or message
    inside.metadata.__dict__["_message_id"] = inside.object_id
    message.metadata.__dict__["_message_id"] = inside.object_id
    request = fleet_pb2.PushMessagesRequest(
        node=Node(node_id=node_id),
        messages_list=[message_to_proto(message)],
        message_object_trees=[get_object_tree(inside)],
    )
    response = member.post("push-messages", request)
    assert response.status_code == 200, response.text
    session = fleet_pb2.PushMessagesResponse.FromString(response.content)
    for object_id, nested in get_all_nested_objects(inside).items():
        request = message_pb2.PushObjectRequest(
            node=Node(node_id=node_id),
            run_id=link.grid.run.run_id,
            object_id=object_id,
            object_content=nested.deflate(),
            session_id=session.session_id,
        )
        assert member.post("push-object", request).status_code == 200


def test_the_sender_of_a_reply_is_who_was_authenticated(two):
    link, (_, forger), (honest_id, forger_id) = two
    message, message_id = fetch(link, forger, forger_id)
    inside = reply_to(message, _src_node_id=honest_id)
    upload(link, forger, forger_id, reply_to(message), inside)
    (reply,) = link.grid.pull_messages([message_id])
    assert reply.metadata.src_node_id == forger_id


def test_a_reply_that_is_no_message_becomes_an_error(two):
    link, (member, _), (node_id, _) = two
    message, message_id = fetch(link, member, node_id)
    answer = reply_to(message)
    content = RecordDict()
    answer.metadata.__dict__["_message_id"] = content.object_id
    request = fleet_pb2.PushMessagesRequest(
        node=Node(node_id=node_id),
        messages_list=[message_to_proto(answer)],
        message_object_trees=[get_object_tree(content)],
    )
    response = member.post("push-messages", request)
    session = fleet_pb2.PushMessagesResponse.FromString(response.content)
    request = message_pb2.PushObjectRequest(
        node=Node(node_id=node_id),
        run_id=link.grid.run.run_id,
        object_id=content.object_id,
        object_content=content.deflate(),
        session_id=session.session_id,
    )
    assert member.post("push-object", request).status_code == 200
    (reply,) = link.grid.pull_messages([message_id])
    assert reply.has_error()
    assert "damaged" in reply.error.reason


def test_late_replies_are_dropped(two):
    link, (member, _), (node_id, _) = two
    message, message_id = fetch(link, member, node_id)
    link.grid.forget([message_id])
    assert sizes(link)[:3] == (0, 0, 0)
    assert member.push(node_id, reply_to(message)).status_code == 200
    assert sizes(link)[:3] == (0, 0, 0)


def test_what_nobody_answers_in_time_is_forgotten(two):
    link, _, ids = two
    assert link.grid.send_and_receive([order(b"x", n) for n in ids], timeout=0.1) == []
    assert sizes(link)[:3] == (0, 0, 0)


def test_a_node_that_goes_offline_is_reported(two):
    link, (member, _), (node_id, other_id) = two
    (message_id,) = link.grid.push_messages([order(b"x", node_id)])
    request = fleet_pb2.DeactivateNodeRequest(node_id=node_id)
    assert member.post("deactivate-node", request).status_code == 200
    assert link.online() == {other_id}
    (reply,) = link.grid.pull_messages([message_id])
    assert reply.error.code == constant.ErrorCode.NODE_UNAVAILABLE
    assert sizes(link)[:3] == (0, 0, 0)


def test_registering_twice_gives_the_same_node(raw, start_server):
    key = new_key()
    link = start_server()
    node_id = link.register(openssh(key))
    assert link.register(openssh(key) + b" comment\n") == node_id
    assert link.register(raw(link, key).pem) == node_id


@pytest.mark.parametrize("active", [False, True])
def test_a_removed_key_stays_out_until_it_is_registered_again(raw, start_server, active):
    key = new_key()
    link = start_server(members=[key])
    node_id = link.register(openssh(key))
    member = raw(link, key)
    if active:
        assert member.activate().status_code == 200
    link.remove(node_id)
    link.remove(node_id)
    assert member.activate().status_code == 401
    assert link.online() == frozenset()
    assert list(link.grid.push_messages([order(b"x", node_id)])) == [""]
    again = link.register(openssh(key))
    assert again != node_id
    assert member.activate().status_code == 200
    assert link.online() == {again}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"ssh-ed25519 AAAA",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        b"\xff\x00",
        openssh(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_other_keys_are_not_registered(start_server, text):
    with pytest.raises(ConfigError, match="P-384"):
        start_server().register(text)


def test_the_run_outlives_every_heartbeat(two, monkeypatch):
    from flwr.supercore.corestate import in_memory_corestate

    link, (member, _), (node_id, _) = two
    message, _ = fetch(link, member, node_id)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3650)
    monkeypatch.setattr(in_memory_corestate, "now", lambda: later)
    assert member.push(node_id, reply_to(message)).status_code == 200


def test_a_taken_port_is_named(start_server):
    port = start_server().port
    with pytest.raises(NetworkError, match=rf"Port {port} .*already in use.*another port"):
        start_server(port)


def test_an_impossible_address_is_named(authority):
    certificate, key = authority.issue()
    for host, port in (("192.0.2.1", 9443), ("no such host", 9443), ("127.0.0.1", 70000)):
        link = SuperLink(host, port, ca=authority.ca, certificate=certificate, key=key)
        with pytest.raises(NetworkError, match=rf"{host}:{port}"):
            link.__enter__()


def test_unusable_certificates_are_explained(authority, foreign_authority, tmp_path):
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate, key = authority.issue("good")
    old = authority.issue("old", first=now - 3 * day, last=now - day)
    _, other_key = authority.issue("other")
    foreign = foreign_authority.issue()
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xff not a certificate")
    cases = [
        (authority.ca, certificate, other_key, "not the private key"),
        (authority.ca, certificate, garbage, "not the private key"),
        (authority.ca, certificate, tmp_path / "none.key", "No such file"),
        (authority.ca, tmp_path / "none.crt", key, "No such file"),
        (authority.ca, garbage, key, "no PEM certificate"),
        (garbage, certificate, key, "no PEM certificate"),
        (authority.ca, *foreign, "not signed by"),
        (authority.ca, *old, "valid from"),
    ]
    for ca, crt, private, message in cases:
        with pytest.raises(NetworkError, match=message):
            SuperLink("127.0.0.1", 0, ca=ca, certificate=crt, key=private).__enter__()


def test_flower_logs_through_the_application(start_server, capfd):
    start_server()
    flower = logging.getLogger("flwr")
    assert flower.level == logging.WARNING
    assert flower.propagate
    assert capfd.readouterr().err == ""


# What is used of Flower beyond its documented interface.


def test_contract_version():
    assert version("flwr").startswith("1.41."), "review server/ and client/ for this Flower"


def test_contract_headers():
    ours = gate.PUBLIC_KEY_HEADER, gate.SIGNATURE_HEADER, gate.TIMESTAMP_HEADER
    theirs = (
        supercore_constant.FLEET_HTTP_PUBLIC_KEY_HEADER,
        supercore_constant.FLEET_HTTP_SIGNATURE_HEADER,
        constant.TIMESTAMP_HEADER,
    )
    assert ours == theirs, "Flower has renamed its authentication headers; see server/gate.py"


def test_contract_fleet_paths():
    known = gate.OPEN_PATHS | {
        f"/v1/fleet/{name}" for name in ("register-node", "unregister-node", "get-run", "get-fab")
    }
    assert {route.path for route in router.routes} == known, (
        "Flower's Fleet API has changed; decide in server/gate.py which of its paths to open"
    )


def test_contract_link_state(start_server):
    state = start_server()._state
    for name in (
        "lock",
        "nodes",
        "node_public_key_to_node_id",
        "task_token_store",
        "message_ins_store",
        "message_ins_id_to_message_res_id",
    ):
        assert hasattr(state, name), f"Flower's link state has no {name}; see server/superlink.py"
    (record,) = state.task_token_store.values()
    assert record.active_until.year == 9999, "Flower no longer keeps a run's deadline here"


def test_contract_message_metadata():
    fields = order(b"x", 5).metadata.__dict__
    assert {"_run_id", "_src_node_id", "_message_id"} <= set(fields), (
        "Flower stores a message's metadata otherwise; see server/grid.py"
    )


def test_contract_grid():
    from flwr.serverapp import Grid

    from mesh_fl.server.grid import MemberGrid

    assert issubclass(MemberGrid, Grid)
    assert not inspect.isabstract(MemberGrid), "Flower's Grid wants more methods"
