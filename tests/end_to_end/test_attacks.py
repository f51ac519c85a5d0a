"""Operators and members that cheat in a live network: refused, told why, and nobody else harmed."""

import base64
import contextlib
import dataclasses
import datetime
import functools
import shutil
import socket
import ssl
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgpack
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from end_to_end import evil
from end_to_end.network import Terms
from mesh_fl.client.flower_private import ActivateNodeRequest, public_key_to_bytes
from mesh_fl.client.home import Home
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.server import gate
from mesh_fl.store import Folder

# So little is spent that the same members can be in all of these trainings.
TERMS = Terms(rounds=3, measures=0, spares=9, epsilon=0.01, timeout_s=8, quorum=4)
VILLAIN = "msp-3"


class Arena:
    """Four members that stay, and an operator that is another one each time."""

    def __init__(self, network):
        self.network = network
        for name in network.names:
            settings = network.home(name) / "client.toml"
            settings.write_text(settings.read_text().replace("pace_s = 0.25", "pace_s = 0.00"))
        self.clients = {
            name: network.start_member(name, prepare=evil.honest) for name in network.names
        }
        self.server = None
        self.begin()

    def begin(self):
        """Remember what was said before a test."""
        self._heard = {client.log: len(list(client.events())) for client in self.clients.values()}
        for name, client in self.clients.items():
            if client.status is not None:
                self.restart(name)

    def operate(self, attack=None, *options):
        """Start the operator's program; none of the one before is left."""
        if self.server is not None:
            self.server.kill()
        prepare = evil.villain(attack) if attack else evil.honest
        arguments = ("start", self.network.server, "--json", *options)
        self.server = self.network.start("mesh-server", *arguments, prepare=prepare)
        return self.server

    def restart(self, name, attack=None):
        """Start a member's program, an honest one or not."""
        self.clients[name].kill()
        prepare = evil.villain(attack) if attack else evil.honest
        self.clients[name] = self.network.start_member(name, prepare=prepare)
        self._heard.pop(self.clients[name].log, None)
        return self.clients[name]

    def refusals(self, name):
        client = self.clients[name]
        events = list(client.events())[self._heard.get(client.log, 0) :]
        return [str(event["text"]) for event in events if event["kind"] == "refused"]

    def await_refusal(self, text, *names, timeout_s=20):
        """Wait until members say in their own logs why they refuse."""
        deadline = time.monotonic() + timeout_s
        for name in names or self.network.names:
            while not any(text in said for said in self.refusals(name)):
                told = f"{name} never said {text!r}, but {self.refusals(name)}"
                assert time.monotonic() < deadline, told + self.server.out[-2000:]
                time.sleep(0.02)

    @property
    def checkpoint(self):
        return self.network.checkpoint()

    def charges(self, name):
        """(step, attempt) of each charge in the training that was last."""
        training = self.checkpoint.training
        found = [c for c in self.network.charges(name) if c["training"] == training]
        return [(charge["step"], charge["attempt"]) for charge in found]

    def finishes(self, honest):
        """Check that the training ends, and that no honest member is the worse for it."""
        self.server.await_event("closed")
        checkpoint = self.checkpoint
        assert checkpoint.status == "finished"
        assert checkpoint.applied == TERMS.rounds
        for name in honest:
            self.network.await_model(name, TERMS.rounds)
            assert digest(self.network.home(name), checkpoint.training) == checkpoint.digest
            assert self.clients[name].status is None
        self.unharmed(honest)

    def unharmed(self, honest):
        for name in honest:
            spent, attempts = 0.0, defaultdict(list)
            for charge in self.network.charges(name):
                spent += charge["cost"]
                attempts[charge["training"]].append((charge["step"], charge["attempt"]))
            assert epsilon_of(spent**0.5, 1e-5) < 0.1
            for found in attempts.values():
                assert max(Counter(attempt for _, attempt in found).values()) == 1, found
                assert found == sorted(found)
        for process in self.network.running:
            assert "Traceback" not in process.out + process.err, process.err


def digest(home: Path, training: str) -> str:
    """Where a member's own model stands."""
    return str(msgpack.unpackb(Folder(home / "trainings")[f"{training}.model"])["digest"])


def others(network, *names):
    return [name for name in network.names if name not in names]


@pytest.fixture(scope="module")
def standing(make_network):
    arena = Arena(make_network(4, TERMS))
    yield arena
    if arena.server is not None:
        arena.server.kill()


@pytest.fixture
def arena(standing):
    standing.begin()
    yield standing
    standing.server.kill()
    standing.clients[VILLAIN].kill()


class TestOperator:
    def test_members_shown_different_cohorts_open_nothing(self, arena):
        arena.operate(evil.show_two_cohorts, "--new")
        arena.await_refusal("the operator asked members different things")
        assert arena.checkpoint.applied == 0
        assert all(arena.charges(name) == [(1, 1)] for name in arena.network.names)
        arena.operate()
        arena.finishes(arena.network.names)

    def test_a_sum_is_opened_once_and_whole(self, arena):
        arena.operate(evil.open_something_else, "--new")
        arena.await_refusal("another sum of step 1 was opened: refused to open a second one")
        arena.await_refusal("comes with accounts of 1 members")
        arena.await_refusal("masks do not cancel")
        arena.await_refusal("expected an intact ciphertext")
        arena.finishes(arena.network.names)

    @pytest.mark.slow
    def test_what_was_asked_before_is_not_asked_again(self, arena):
        arena.operate(evil.replay, "--new")
        arena.await_refusal("expected a model of step")
        arena.await_refusal("not newer than attempt")
        arena.operate()
        arena.finishes(arena.network.names)

    def test_nobody_is_a_member_by_the_operators_word(self, arena):
        network = arena.network
        if "mallory" not in network.ports:
            network.make_member("mallory", register=False)
        card = (network.home("mallory") / "card.json").read_bytes()
        arena.operate(functools.partial(evil.invent_a_member, card), "--new")
        arena.await_refusal("join mallory is signed by nobody: 2 more of its members must")
        arena.await_refusal("join mallory is signed by operator: 2 more of its members must")
        arena.await_refusal("does not follow from ours")
        arena.await_refusal("the cohort names mallory, who is not on the roster")
        assert not any(arena.charges(name) for name in network.names)
        arena.operate()
        arena.finishes(network.names)

    @pytest.mark.slow
    def test_an_altered_model_is_served_by_nobody(self, arena):
        arena.clients[VILLAIN].kill()
        settings = arena.network.server / "server.toml"
        text = settings.read_text()
        settings.write_text(text.replace("quorum = 4", "quorum = 3"))
        arena.operate(evil.alter_what_others_missed, "--new").await_event("listening")
        settings.write_text(text)
        present = others(arena.network, VILLAIN)
        arena.await_refusal("the operator's model differs from ours", *present)
        arena.restart(VILLAIN)
        arena.await_refusal("do not lead to the model that others have", VILLAIN)
        arena.await_refusal("the operator's model differs from ours", VILLAIN)
        arena.operate()
        arena.finishes(arena.network.names)

    @pytest.mark.slow
    def test_messages_cut_short_are_named_and_asked_again(self, arena):
        arena.operate(evil.send_nonsense, "--new")
        arena.finishes(arena.network.names)
        assert any("expected a mesh_fl message" in one.err for one in arena.clients.values())


class TestMember:
    @pytest.mark.parametrize(
        ("attack", "told"),
        [
            (evil.sign_for_an_older_ledger, "signed for an older ledger than before"),
            pytest.param(
                evil.sign_another_total,
                "signed for another total than the others opened",
                marks=pytest.mark.slow,
            ),
            pytest.param(
                evil.hand_over_a_wrong_slice,
                "its slice is not of the total it signed for",
                marks=pytest.mark.slow,
            ),
        ],
    )
    def test_who_signs_for_a_lie_is_named(self, arena, attack, told):
        arena.restart(VILLAIN, attack)
        server = arena.operate(None, "--new")
        assert f"{VILLAIN} refuses" in server.await_event("refused", text_with=told)["text"]
        arena.finishes(others(arena.network, VILLAIN))
        honest = arena.network.names[0]
        assert len(arena.charges(honest)) <= TERMS.rounds + 1

    @pytest.mark.slow
    def test_garbage_costs_an_attempt_and_no_more(self, arena):
        arena.restart(VILLAIN, evil.seal_garbage)
        server = arena.operate(None, "--new")
        server.await_event("dead", text_with=f"nothing to add from {VILLAIN}")
        server.await_event("dead", text_with="cannot be opened by any member")
        arena.finishes(arena.network.names)

    @pytest.mark.slow
    def test_a_maker_of_garbage_keys_is_passed_over_free_of_charge(self, arena):
        arena.restart("msp-0", evil.make_garbage_keys)
        arena.operate(None, "--new").await_event("waiting", text_with="too few members entered")
        arena.finishes(others(arena.network, "msp-0"))
        assert arena.charges("msp-1") == [(n, n) for n in range(1, TERMS.rounds + 1)]
        arena.restart("msp-0")

    @pytest.mark.slow
    def test_keys_that_nobody_can_agree_by_cost_nobody_anything(self, arena):
        arena.restart(VILLAIN, evil.state_keys_that_nobody_can_agree_by)
        arena.operate(None, "--new")
        arena.finishes(others(arena.network, VILLAIN))
        assert arena.charges("msp-0") == [(n, n) for n in range(1, TERMS.rounds + 1)]

    @pytest.mark.slow
    def test_who_drops_out_of_every_other_attempt_is_done_without(self, arena):
        arena.restart(VILLAIN, evil.drop_every_other_attempt)
        arena.operate(None, "--new")
        arena.finishes(others(arena.network, VILLAIN))
        assert len(arena.charges("msp-0")) <= TERMS.rounds + 2


@pytest.mark.slow
def test_a_restored_home_is_refused_by_itself_and_by_its_peers(make_network):
    arena = Arena(make_network(4, dataclasses.replace(TERMS, rounds=10)))
    home = arena.network.home(VILLAIN)
    backup, newest = home.with_name("backup"), home.with_name("newest")
    for copies, step in (((home, backup),), 2), (((home, newest), (backup, home)), 4):
        arena.operate(evil.hide_the_warning).await_event("round", done=step)
        arena.server.kill()
        arena.clients[VILLAIN].kill()
        for one, copy in copies:
            keep(one, copy)
        arena.restart(VILLAIN)
    arena.operate()
    arena.await_refusal("restored from a backup; put the newest copy back", VILLAIN)
    arena.operate(evil.hide_the_warning)
    arena.await_refusal(f"the ledger of {VILLAIN} stood at", *others(arena.network, VILLAIN))
    arena.unharmed(others(arena.network, VILLAIN))


def keep(home, copy):
    """Copy what a home remembers."""
    copy.mkdir(exist_ok=True)
    shutil.copy(home / "ledger.jsonl", copy)
    for folder in ("ledger", "trainings"):
        shutil.rmtree(copy / folder, ignore_errors=True)
        shutil.copytree(home / folder, copy / folder)
    return copy


class Caller:
    """Whoever can reach the server's port and trusts its authority."""

    def __init__(self, network, key=None):
        self.address = ("127.0.0.1", network.ports["server"])
        self.context = ssl.create_default_context(cafile=str(network.server / "ca.crt"))
        self.key = key or ec.generate_private_key(ec.SECP384R1())

    def headers(self, public=None, **more):
        pem = (public or self.key.public_key()).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        stamp = datetime.datetime.now(datetime.UTC).isoformat()
        signature = self.key.sign(stamp.encode(), ec.ECDSA(hashes.SHA256()))
        signed = {
            gate.PUBLIC_KEY_HEADER: base64.b64encode(pem).decode(),
            gate.SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            gate.TIMESTAMP_HEADER: stamp,
            gate.INSTANCE_HEADER: "caller",
        }
        return {**signed, **{name.replace("_", "-"): value for name, value in more.items()}}

    def open(self, path, headers):
        """Begin a request, and send no body yet."""
        connection = self.context.wrap_socket(
            socket.create_connection(self.address, timeout=10), server_hostname="127.0.0.1"
        )
        lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in headers.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection

    def status(self, path, headers, body=b""):
        with self.open(path, {**headers, "content-length": len(body)}) as connection:
            connection.sendall(body)
            return answered(connection)

    def enter(self):
        """Come online as a member of one's own."""
        body = ActivateNodeRequest(
            public_key=public_key_to_bytes(self.key.public_key()), heartbeat_interval=1
        ).SerializeToString()
        headers = self.headers(content_type="application/protobuf")
        assert self.status(gate.ACTIVATE, headers, body) == 200


def answered(connection):
    """The status of a response; 0 where the server hung up."""
    try:
        return int(connection.recv(4096).split(b" ")[1])
    except (OSError, IndexError):
        return 0


def streamed(connection, limit_bytes):
    """How much of an endless body is taken."""
    chunk, sent = bytes(2**20), 0
    with contextlib.suppress(OSError):
        while sent < limit_bytes:
            connection.sendall(b"100000\r\n" + chunk + b"\r\n")
            sent += len(chunk)
    return sent


def memory_bytes(process):
    """The most that a process ever held."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


GIGABYTE = 10**9


@pytest.fixture(scope="class")
def besieged(standing):
    """A server that waits for the villain, whose key another program has."""
    standing.begin()
    standing.clients[VILLAIN].kill()
    standing.operate(None, "--new").await_event("listening")
    yield standing
    standing.server.kill()


@pytest.fixture(scope="class")
def stranger(besieged):
    return Caller(besieged.network)


@pytest.fixture(scope="class")
def member(besieged):
    caller = Caller(besieged.network, Home(besieged.network.home(VILLAIN)).identity)
    caller.enter()
    return caller


class TestCallers:
    """Whoever reaches the port: without a member's key, or with one and bad intentions."""

    def test_without_a_members_key_no_door_opens(self, besieged, stranger):
        public = Home(besieged.network.home("msp-0")).identity.public_key()
        for path in sorted(gate.OPEN_PATHS):
            for headers in (stranger.headers(), stranger.headers(public=public), {}):
                assert stranger.status(path, headers) == 401

    def test_a_gigabyte_is_not_read(self, besieged, member, stranger):
        before = memory_bytes(besieged.server)
        for caller in (member, stranger):
            for path in (gate.PUSH_OBJECT, gate.PUSH_MESSAGES):
                headers = caller.headers(content_length=str(GIGABYTE))
                with caller.open(path, headers) as connection:
                    assert answered(connection) == 413
            headers = caller.headers(transfer_encoding="chunked")
            with caller.open(gate.PUSH_OBJECT, headers) as connection:
                # A fast machine takes most of a gigabyte a second before it is cut off.
                assert streamed(connection, 10 * GIGABYTE) < 10 * GIGABYTE
        assert memory_bytes(besieged.server) - before < 200 * 2**20

    def test_many_messages_at_once_do_not_fill_the_memory(self, besieged, member):
        before = memory_bytes(besieged.server)
        with contextlib.ExitStack() as held:
            for _ in range(8):
                headers = member.headers(transfer_encoding="chunked")
                connection = held.enter_context(member.open(gate.PUSH_OBJECT, headers))
                streamed(connection, 60 * 2**20)
            assert memory_bytes(besieged.server) - before < 200 * 2**20

    def test_slow_callers_hold_up_nobody(self, besieged, stranger):
        with contextlib.ExitStack() as held:
            for number in range(51):
                plain = socket.create_connection(stranger.address, timeout=10)
                if number % 3 == 0:
                    held.enter_context(plain)
                    continue
                slow = held.enter_context(
                    stranger.context.wrap_socket(plain, server_hostname="127.0.0.1")
                )
                if number % 3 == 1:
                    slow.sendall(f"POST {gate.PUSH_OBJECT} HTTP/1.1\r\nHost: x\r\n".encode())
            besieged.restart(VILLAIN)
            besieged.finishes(besieged.network.names)
