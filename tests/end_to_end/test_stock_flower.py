"""Two rounds under Flower's own programs, started as a user of Flower would."""

import contextlib
import json
import os
import shlex
import signal
import socket
import time
from pathlib import Path

import pytest

from end_to_end.network import Terms, free_ports
from end_to_end.process import Installed, Process, script
from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member
from mesh_fl.state import dump_state

MEMBERS = 3
TERMS = Terms(rounds=2, measures=0, quorum=MEMBERS)

# Half of it is Python starting: two minutes where little else runs, more on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]


@pytest.fixture(scope="module")
def flower_home(tmp_path_factory):
    """Flower's own folder, in the environment of everything that is started."""
    home = tmp_path_factory.mktemp("flwr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLWR_HOME", str(home))
        patch.setenv("FLWR_TELEMETRY_ENABLED", "0")
        patch.setenv("FLWR_DISABLE_UPDATE_CHECK", "1")
        # Flower starts its other programs by their names alone.
        patch.setenv("PATH", str(script("flwr").parent), prepend=os.pathsep)
        yield home
    for pid in left_behind(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def network(flower_home, make_network):
    """A network under a SuperLink and a SuperNode for each member, all running."""
    network = make_network(MEMBERS, TERMS)
    network.call("mesh-server", "flower", network.server, network.folder / "app")
    commands = {
        name: shlex.split(network.call("mesh-client", "flower", network.home(name)))
        for name in network.names
    }
    name_superlink(flower_home, network)
    network.launch = Installed
    start_superlink(network)
    for name in network.names:
        key = network.folder / "app" / "members" / f"{name}.pub"
        network.call("flwr", "supernode", "register", key)
    # Nodes on one machine need ports of their own.
    for command, port in zip(commands.values(), free_ports(MEMBERS), strict=True):
        network.start(*command, "--port", port)
    yield network
    stop(network)


def name_superlink(flower_home, network):
    """Tell `flwr` where the SuperLink is; it trusts the network's authority only."""
    lines = [
        "[superlink]",
        'default = "mesh"',
        "[superlink.mesh]",
        f'address = "127.0.0.1:{network.ports["server"]}"',
        f'root-certificates = "{network.server / "ca.crt"}"',
    ]
    (flower_home / "config.toml").write_text("\n".join(lines) + "\n")


def start_superlink(network):
    server, port = network.server, network.ports["server"]
    options = ["--host", "127.0.0.1", "--port", port, "--enable-supernode-auth"]
    options += ["--disable-runtime-dependency-installation"]
    for option, file in (("ca-cert", "ca.crt"), ("cert", "server.crt"), ("key", "server.key")):
        options += [f"--ssl-{option}file", server / file]
    await_port(port, network.start("flower-superlink", *options))


def await_port(port, process, timeout_s=40):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.status is None, process.err
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}:\n{process.err}")


def stop(network):
    for process in reversed(network.running):
        process.stop()


def left_behind(flower_home):
    """Give the programs of Flower's that were started with this folder, and still run."""
    mark = f"FLWR_HOME={flower_home}"
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if mark in words(process / "environ")
        and any(
            Path(word).name.startswith(("flower-", "flwr-")) for word in words(process / "cmdline")
        )
    ]


def words(path):
    try:
        return path.read_text(errors="replace").split("\0")
    except OSError:
        return []


@pytest.fixture(scope="module")
def trained(network):
    """The checkpoint of a training by `flwr run`."""
    network.call("flwr", "run", network.folder / "app")
    deadline = time.monotonic() + 420
    while not (network.server / "report.json").exists():
        said = "".join(process.out + process.err for process in network.running)
        assert time.monotonic() < deadline, said
        assert "ServerApp raised an exception" not in said, said
        time.sleep(0.2)
    return network.checkpoint()


def test_flower_lets_members_in_by_their_identity_keys(network):
    deadline = time.monotonic() + 60
    while len(online(network)) < MEMBERS:
        assert time.monotonic() < deadline, network.running[-1].err
    assert len(online(network)) == MEMBERS


def online(network):
    nodes = json.loads(network.call("flwr", "supernode", "list", "--format", "json"))["nodes"]
    return [node for node in nodes if node["status"] == "online"]


def test_flowers_own_programs_train_to_the_end(network, trained):
    assert (trained.status, trained.step, trained.pending) == ("finished", 2, None)
    assert [record.members for record in trained.history] == [MEMBERS, MEMBERS]
    for name in network.names:
        member = open_member(Home(network.home(name)))
        seat = member.resume(trained.training)
        assert (seat.digest, dump_state(seat.state)) == (trained.digest, trained.state)
        assert seat.step == 2
        assert [charge.step for charge in member.ledger.charges] == [1, 2]


def test_flower_knows_it_as_its_own(network, trained):
    deadline = time.monotonic() + 20
    while (run := flower_run(network))["status"] == "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert run["status"] == "finished:completed"


def flower_run(network):
    (run,) = json.loads(network.call("flwr", "list", "--format", "json"))["runs"]
    return run


def test_the_same_homes_go_on_without_flowers_programs(network, trained, flower_home):
    stop(network)
    deadline = time.monotonic() + 15
    while left_behind(flower_home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_behind(flower_home) == []
    network.launch = Process
    server = network.start_server("--once")
    members = [network.start_member(name) for name in network.names]
    for name in network.names:
        assert network.await_model(name, TERMS.rounds)["version"].startswith(trained.training[:8])
    server.await_event("over")
    assert server.ended() == 0
    assert network.checkpoint().attempt == trained.attempt
    assert [member.stop() for member in members] == [0] * MEMBERS
