"""Five MSPs and their operator on this machine: real commands, processes, TLS and sockets."""

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.client.data import Records
from mesh_fl.client.report import public_cap
from mesh_fl.errors import MeshError
from mesh_fl.server.programme import training_folder
from mesh_fl.server.report import Report, read_reports
from mesh_fl.simulate.demo.processes import Line, Process, call
from mesh_fl.simulate.demo.telco import AGENT_TOML, TABLE_TOML, Split

SERVER, CLIENT = "mesh_fl.server.cli", "mesh_fl.client.cli"
TRAINING_TIMEOUT_S = 200
START_TIMEOUT_S = 60

SERVER_TOML = """\
name = "demo"
port = {port}
status_port = {status_port}

[plan]
epsilon = 0.1
rounds = 16
survivors = 4
colluders = 1

[wait]
quorum = {members}

"""


@dataclass
class Deployment:
    """A network in a folder, from its first command to the last.

    Parameters
    ----------
    folder : Path
        Empty; homes, ledgers and logs are made in it.
    split : Split
        Each member's customers.
    on_event, on_member : callable
        Told what the server says, and what a member says, line by line.
    """

    folder: Path
    split: Split
    on_event: Callable[[Line], None]
    on_member: Callable[[str, Line], None]
    ports: dict[str, int] = field(default_factory=dict)
    clients: dict[str, Process] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Deployment":
        """Set everything up by the commands that an operator and an engineer type."""
        server = self.folder / "server"
        call(SERVER, ["init", str(server), "--name", "demo"])
        names = list(self.split.members)
        free = free_ports(len(names) + 2)
        self.ports = dict(zip(names, free[2:], strict=True))
        settings = SERVER_TOML.format(port=free[0], status_port=free[1], members=len(names))
        (server / "server.toml").write_text(settings + AGENT_TOML)
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(partial(self._set_up_member, server_port=free[0]), names))
        self._found(names)
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes that were started."""
        self._stack.close()

    def home(self, name: str) -> Path:
        """Return a member's home."""
        return self.folder / name

    def train(self) -> None:
        """Start the operator and the members, and wait until the training is over.

        Raises
        ------
        MeshError
            If a process fails, with what it said.
        """
        logs = self.folder / "logs"
        logs.mkdir()
        server_home = str(self.folder / "server")
        arguments = ["start", server_home, "--once", "--json"]
        server = Process("the server", SERVER, arguments, logs / "server.log", self.on_event)
        self._stack.callback(server.stop)
        for name in self.split.members:
            arguments = ["start", str(self.home(name)), "--json"]
            client = Process(
                name, CLIENT, arguments, logs / f"{name}.log", partial(self.on_member, name)
            )
            self._stack.callback(client.stop)
            self.clients[name] = client
        server.wait(TRAINING_TIMEOUT_S)

    def report(self) -> Report:
        """Return the server's figures."""
        (report,) = read_reports(self.folder / "server")
        return report

    def checkpoint(self) -> Checkpoint:
        """Return where the server's training ended."""
        found = Checkpoint.load(training_folder(self.folder / "server", "health"))
        if found is None:
            raise MeshError("the server stored no training")
        return found

    def budget(self, name: str) -> Mapping[str, float]:
        """Return what `mesh-client budget` tells of a member."""
        found: dict[str, float] = json.loads(
            call(CLIENT, ["budget", str(self.home(name)), "--json"])
        )
        return found

    def ask(self, name: str, body: Mapping[str, object]) -> dict[str, object]:
        """Ask a member's own HTTP interface about clients."""
        url = f"http://127.0.0.1:{self.ports[name]}/client-health"
        response = httpx.post(url, json=body, timeout=30, trust_env=False)
        if response.is_error:
            raise MeshError(f"{name} answered {response.status_code}: {response.text}")
        found: dict[str, object] = response.json()
        return found

    def await_last_model(self) -> None:
        """Wait until every member serves the model after the last round.

        Raises
        ------
        MeshError
            If one does not in time.
        """
        rounds = self.checkpoint().plan.rounds
        until = time.monotonic() + START_TIMEOUT_S
        for name, port in self.ports.items():
            while not self._serves(port, rounds):
                self.clients[name].check()
                if time.monotonic() > until:
                    raise MeshError(f"{name} does not serve the last model")
                time.sleep(0.1)

    def _serves(self, port: int, rounds: int) -> bool:
        try:
            health = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json()
        except httpx.HTTPError:
            return False
        return bool(health["models"]) and health["models"]["health"]["round"] == rounds

    def _found(self, names: Sequence[str]) -> None:
        server = self.folder / "server"
        cards = [str(self.home(name) / "card.json") for name in names]
        founded = json.loads(call(SERVER, ["members", "found", str(server), *cards, "--json"]))
        trust = [str(server / "roster.json"), "--fingerprint", founded["fingerprint"]]
        with ThreadPoolExecutor() as at_once:
            calls = (["members", "trust", str(self.home(name)), *trust] for name in names)
            list(at_once.map(partial(call, CLIENT), calls))

    def _set_up_member(self, name: str, server_port: int) -> None:
        home, customers = self.home(name), self.split.members[name]
        cap = public_cap(len(customers))
        arguments = ["init", str(home), "--name", name, "--server", f"127.0.0.1:{server_port}"]
        ca = str(self.folder / "server" / "ca.crt")
        call(CLIENT, [*arguments, "--cap", str(cap), "--ca", ca])
        settings = (home / "client.toml").read_text()
        settings = settings.replace("port = 8700", f"port = {self.ports[name]}")
        (home / "client.toml").write_text(settings + "\n" + TABLE_TOML)
        customers.to_csv(home / "customers.csv", index=False)
        self.on_member(name, {"kind": "made", "text": "made its keys, its card and its settings"})


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def as_requests(customers: Records, label: str) -> list[dict[str, object]]:
    """Return customers as the records of a request, without the answer that is asked for."""
    table = customers.table.items()
    columns = {name: values.tolist() for name, values in table if name != label}
    return [
        {"client_id": one, **{name: values[row] for name, values in columns.items()}}
        for row, one in enumerate(customers.ids)
    ]
