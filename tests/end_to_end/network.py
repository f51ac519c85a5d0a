"""A small network for tests: homes made by the commands, members that differ by a seed."""

import functools
import json
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from end_to_end.process import Process, nothing
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.roster import Roster
from mesh_fl.server.programme import training_folder

CAP = 64
CUSTOMERS = 60

AGENT_TOML = """
[agents.health.config]
label = "churned"

[[agents.health.config.features]]
name = "seats"
kind = "number"
low = 0.0
high = 100.0

[[agents.health.config.features]]
name = "contract"
kind = "category"
levels = ["monthly", "yearly"]

[[agents.health.config.features]]
name = "overdue"
kind = "flag"
optional = true
"""

TABLE_TOML = """
[tables.customers]
path = "customers.csv"
id = "id"

[tables.customers.columns]
seats = { column = "Seats" }

[agents.health]
table = "customers"
"""

RECORD = {"client_id": "c1", "seats": 40, "contract": "monthly", "overdue": True}


def write_customers(path: Path, seed: int, customers: int = CUSTOMERS) -> None:
    """Write customers that leave rather when they are small and pay by the month."""
    random = np.random.default_rng(seed)
    seats, monthly = random.uniform(0, 100, customers), random.random(customers) < 0.5
    overdue, left = random.random((2, customers)) < 0.3
    left |= monthly & (seats < 30)
    lines = ["id,Seats,contract,overdue,churned"]
    lines += [
        f"k{seed}-{row},{seats[row]:.1f},{'monthly' if monthly[row] else 'yearly'},"
        f"{'yes' if overdue[row] else 'no'},{'yes' if left[row] else 'no'}"
        for row in range(customers)
    ]
    path.write_text("\n".join(lines) + "\n")


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@dataclass(frozen=True)
class Terms:
    """What the operator of a test network plans."""

    rounds: int = 3
    measures: int = 1
    spares: int = 1
    survivors: int = 3
    epsilon: float = 0.1
    timeout_s: float = 8.0
    quorum: int = 0

    def toml(self, port: int, status_port: int) -> str:
        return f"""
name = "test"
port = {port}
status_port = {status_port}

[plan]
epsilon = {self.epsilon}
rounds = {self.rounds}
measures = {self.measures}
measure_share = {0.07 if self.measures else 0.0}
spares = {self.spares}
survivors = {self.survivors}
colluders = 1

[wait]
timeout_s = {self.timeout_s}
quorum = {self.quorum}
{AGENT_TOML}"""


@dataclass
class Network:
    """Homes in a folder and processes by name; whatever was started is ended by `end`."""

    folder: Path
    terms: Terms = Terms()
    prepare: Callable[[], None] = nothing
    launch: Callable[..., Process] = Process
    ports: dict[str, int] = field(default_factory=dict)
    running: list[Process] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    agent: str = "health"
    path: str = "/client-health"
    record: Mapping[str, Any] = field(default_factory=lambda: RECORD)

    @property
    def server(self) -> Path:
        return self.folder / "server"

    @property
    def roster(self) -> Path:
        return self.server / "roster.json"

    def home(self, name: str) -> Path:
        return self.folder / name

    def make_server(self) -> None:
        self.call("mesh-server", "init", self.server, "--name", "test")
        self.ports["server"], self.ports["status"] = free_ports(2)
        text = self.terms.toml(self.ports["server"], self.ports["status"])
        (self.server / "server.toml").write_text(text)

    def make_member(self, name: str, register: bool = True) -> Path:
        """Make a home with customers of its own: a founder's, or of one who joins later."""
        home = self.home(name)
        arguments = ["--name", name, "--server", f"127.0.0.1:{self.ports['server']}"]
        arguments += ["--cap", str(CAP), "--ca", str(self.server / "ca.crt")]
        self.call("mesh-client", "init", home, *arguments)
        (self.ports[name],) = free_ports(1)
        text = (home / "client.toml").read_text()
        text = text.replace("port = 8700", f"port = {self.ports[name]}")
        text = text.replace("survivors = 4 ", f"survivors = {self.terms.survivors} ")
        text = text.replace("pace_s = 0.1 ", "pace_s = 0.02 ")
        (home / "client.toml").write_text(text + TABLE_TOML)
        write_customers(home / "customers.csv", seed=len(self.ports))
        if register and self.roster.exists():
            self.join(name)
        if register:
            self.names.append(name)
        return home

    def found(self) -> None:
        """Found the network with the members made so far; all of them trust it."""
        cards = [self.home(name) / "card.json" for name in self.names]
        told = self.call("mesh-server", "members", "found", self.server, *cards, "--json")
        for name in self.names:
            self.trust(name, json.loads(told)["fingerprint"])

    def trust(self, name: str, fingerprint: str) -> None:
        arguments = [self.home(name), self.roster, "--fingerprint", fingerprint]
        self.call("mesh-client", "members", "trust", *arguments)

    def join(self, name: str) -> None:
        """Let somebody join, or come back, by the approval of the first two members."""
        entry, card = self.folder / "entry.json", self.home(name) / "card.json"
        self.call("mesh-server", "members", "propose", self.server, card, "-o", entry)
        for member in [one for one in self.names if one != name][:2]:
            newest = ["--roster", self.roster, "--yes"]
            self.call("mesh-client", "members", "approve", self.home(member), entry, *newest)
        self.call("mesh-server", "members", "add", self.server, entry)
        self.trust(name, Roster.read(self.roster).fingerprint)

    def copy_home(self, name: str, copy: str) -> Path:
        """Copy a member's home to serve on a port of its own."""
        shutil.copytree(self.home(name), self.home(copy), ignore=shutil.ignore_patterns(".lock"))
        (self.ports[copy],) = free_ports(1)
        settings = self.home(copy) / "client.toml"
        text = settings.read_text().replace(str(self.ports[name]), str(self.ports[copy]))
        settings.write_text(text)
        return self.home(copy)

    def start(
        self, command: str, *arguments: object, prepare: Callable[[], None] | None = None
    ) -> Process:
        (self.folder / "logs").mkdir(exist_ok=True)
        log = self.folder / "logs" / f"{len(self.running):03d}"
        words = [str(argument) for argument in arguments]
        self.running.append(self.launch(command, words, log, prepare or self.prepare))
        return self.running[-1]

    def call(self, command: str, *arguments: object, **options: Callable[[], None]) -> str:
        """Run a command to its end, and give what it printed."""
        process = self.start(command, *arguments, **options)
        assert process.ended() == 0, process.err
        return process.out

    def refused(self, command: str, *arguments: object, **options: Callable[[], None]) -> str:
        """Run a command that must refuse, and give its one message."""
        return refusal(self.start(command, *arguments, **options))

    def start_server(self, *options: str) -> Process:
        return self.start("mesh-server", "start", self.server, "--json", *options)

    def start_member(self, name: str, **options: Callable[[], None]) -> Process:
        return self.start("mesh-client", "start", self.home(name), "--json", **options)

    def get(self, name: str, path: str = "/health") -> dict[str, Any]:
        return self._answer("GET", name, path, None)

    def ask(self, name: str, body: object = None) -> dict[str, Any]:
        return self._answer("POST", name, self.path, self.record if body is None else body)

    def await_model(self, name: str, rounds: int, timeout_s: float = 45) -> dict[str, Any]:
        """Wait until a member serves the model after so many rounds."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                models = self.get(name)["models"]
            except httpx.TransportError:
                models = {}
            if models and models[self.agent]["round"] == rounds:
                return dict(models[self.agent])
            time.sleep(0.05)
        raise AssertionError(f"{name} serves no model of round {rounds}: {self.get(name)}")

    def budget(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.call("mesh-client", "budget", self.home(name), "--json")))

    def charges(self, name: str) -> list[Mapping[str, Any]]:
        """Read the charges in a member's ledger."""
        lines = (self.home(name) / "ledger.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == "charge"]

    def report(self) -> dict[str, Any]:
        path, deadline = self.server / "report.json", time.monotonic() + 5
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        (report,) = json.loads(path.read_text())["trainings"]
        return dict(report)

    def checkpoint(self) -> Checkpoint:
        """Read where the training stands at the server."""
        found = Checkpoint.load(training_folder(self.server, self.agent))
        assert found is not None
        return found

    def end(self) -> None:
        for process in self.running:
            process.kill()

    def _answer(self, method: str, name: str, path: str, body: object) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        response = httpx.request(method, url, json=body, timeout=10, trust_env=False)
        assert response.status_code == 200, response.text
        return dict(response.json())


def refusal(process: Process, timeout_s: float = 40) -> str:
    """Wait until a process gives up, and give its one clear message."""
    assert process.ended(timeout_s) == 1, process.out + process.err
    assert process.err.count("error: ") == 1, process.err
    assert process.err.startswith("error: "), process.err
    assert "Traceback" not in process.out + process.err
    return process.err.removeprefix("error: ")


def short_heartbeats(seconds: float = 2) -> None:
    """Let the server soon notice that a client died, and a client that the server is back."""
    from flwr.superlink.servicer.fleet import fleet_handlers

    from mesh_fl.client import run, supernode

    fleet_handlers.HEARTBEAT_MIN_INTERVAL = 0.1
    supernode._LONGEST_PAUSE_S = 0.3
    run.serve_node = functools.partial(supernode.serve_node, heartbeat_s=seconds)
