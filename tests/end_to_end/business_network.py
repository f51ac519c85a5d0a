"""A network whose members compare prices, count skills, and ask their own tables."""

import functools
import json
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from end_to_end.network import AGENT_TOML, CAP, TABLE_TOML, Network, short_heartbeats
from end_to_end.process import Process

PATHS = {
    "market": "/market-intelligence",
    "collaboration": "/collaboration",
    "query": "/nlp-query",
    "threat": "/threat-intelligence",
}

PLAN = f"""
[agents.market.config]
records = {4.0 * CAP}

[agents.collaboration]
"""

TABLES = """
[tables.agreements]
path = "agreements.csv"
id = "agreement_id"

[tables.agreements.columns]
industry_segment = { column = "industry" }

[tables.technicians]
path = "technicians.csv"
id = "technician_id"

[tables.tickets]
path = "tickets.csv"
id = "ticket_id"

[tables.tickets.columns]
needs = { column = "category" }

[tables.clients]
path = "clients.csv"
id = "client_id"

[tables.invoices]
path = "invoices.csv"
id = "invoice_id"

[tables.salaries]
path = "salaries.csv"
id = "person"
"""

PAY = "98765.43"
"""Stands in a table that no product has and in a file that no table names."""

CLIENTS = """\
client_id,name,industry,status,since
c1,Harbour Dental,{word},active,2029-02-01
c2,Northgate Legal,legal,active,2030-06-15
c3,{word} Mills,manufacturing,active,2028-09-01
"""

INVOICES = """\
invoice_id,client_id,issued_at,due_at,paid_at,total,balance,currency
i1,c1,2030-09-01,2030-09-30,2030-09-28,1200.00,0,EUR
i2,c2,2030-09-01,2030-09-30,,800.00,800.00,EUR
i3,c1,2030-10-01,2030-10-31,,1200.00,1200.00,EUR
"""

SKILLS = ("azure", "networking; {word}")
NEEDS = ("penetration testing", "networking", "{word}")

PROFILE = """\
about = "We look after what small offices keep in the cloud."
skills = ["azure", "penetration testing"]
regions = ["Bavaria, Germany"]
capacity_h_month = 60
contact = "jo@{name}.example"
"""


def word_of(name: str) -> str:
    """Give a word that stands in a member's tables and nowhere else."""
    return f"zanzibar{name[-1]}mimosa"


def rates_of(name: str) -> list[float]:
    """Give what a member takes for a seat, a month: the later members are the dearer ones."""
    usual = 60 * 1.5 ** int(name[-1])
    return [round(usual * random.Random(f"{name} {n}").uniform(0.8, 1.25), 2) for n in range(CAP)]


def _write_tables(home: Path) -> None:
    word = word_of(home.name)
    agreements = ["agreement_id,client_id,industry,amount,period,seats,currency"]
    technicians = ["technician_id,name,skills"]
    tickets = ["ticket_id,client_id,opened_at,closed_at,priority,category"]
    for n, rate in enumerate(rates_of(home.name)):
        seats, day = 5 + n, f"2031-02-{1 + n % 28:02d}"
        agreements.append(f"a{n},c1,{word},{rate * seats:.2f},month,{seats},USD")
        technicians.append(f"p{n},Jo {word},{SKILLS[n % 2].format(word=word)}")
        closed = day if n % 4 else ""
        category = NEEDS[n % 3].format(word=word)
        tickets.append(f"t{n},c{1 + n % 3},{day},{closed},{1 + n % 4},{category}")
    files = {
        "agreements": "\n".join(agreements) + "\n",
        "technicians": "\n".join(technicians) + "\n",
        "tickets": "\n".join(tickets) + "\n",
        "clients": CLIENTS.format(word=word),
        "invoices": INVOICES,
        "salaries": f"person,total\nJo,{PAY}\n",
        "unlisted": f"client_id,name\nc9,{PAY}\n",
    }
    for name, text in files.items():
        (home / f"{name}.csv").write_text(text)


def _agents_of(name: str) -> str:
    """Opt in: two members tell what they can, two what they need; the first two ask in words."""
    counted = "technicians" if name in ("msp-0", "msp-1") else "tickets"
    told = f'[agents.market]\ntable = "agreements"\n[agents.collaboration]\ntable = "{counted}"\n'
    if name == "msp-0":
        told += '[agents.collaboration.files]\ndirectory = "directory.json"\n'
        told += 'profile = "profile.toml"\n[agents.threat]\n'
    return told + ("[agents.query]\n" if counted == "technicians" else "")


def recording(path: Path) -> None:
    """Keep, as plain bytes, whatever this process sends over TLS."""
    short_heartbeats()
    send = ssl.SSLSocket.send

    def kept(self: ssl.SSLSocket, data: bytes, flags: int = 0) -> int:
        count = send(self, data, flags)
        with path.open("ab") as file:
            file.write(bytes(data)[:count])
        return count

    ssl.SSLSocket.send = kept


@dataclass
class BusinessNetwork(Network):
    """A network with one set of members for several agents; what members send is recorded."""

    clients: dict[str, Process] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))

    def make_server(self) -> None:
        super().make_server()
        settings = self.server / "server.toml"
        text = settings.read_text().replace(AGENT_TOML, PLAN)
        settings.write_text(f'{text}\n[expect]\ndata = "none"\n')

    def make_member(self, name: str, register: bool = True) -> Path:
        home = super().make_member(name, register)
        settings = home / "client.toml"
        text = settings.read_text().replace("epsilon = 0.1 ", "epsilon = 8.0 ")
        settings.write_text(text.replace(TABLE_TOML, TABLES + _agents_of(name)))
        (home / "profile.toml").write_text(PROFILE.format(name=name))
        _write_tables(home)
        return home

    def publish_card(self, name: str, reader: str) -> None:
        """Publish a member's hidden card, and hand the directory to a reader."""
        card, directory = self.folder / "card.profile.json", self.server / "directory.json"
        self.call("mesh-client", "profile", "card", self.home(name), "-o", card, "--hidden")
        self.call("mesh-server", "directory", "add", self.server, card)
        (self.home(reader) / "directory.json").write_bytes(directory.read_bytes())

    def serve(self, *names: str) -> None:
        """Start members at once, and wait until they answer."""
        for name in names:
            kept = functools.partial(recording, self._sent(name))
            self.clients[name] = self.start_member(name, prepare=kept)
        for name in names:
            self.clients[name].await_event("serving")

    def train(self, meanwhile: Callable[[], None]) -> None:
        """Train the agents of the plan, one after the other, and use them meanwhile."""
        server = self.start_server("--once")
        while server.status is None:
            meanwhile()
            server.join(0.3)
        assert server.ended() == 0, server.err
        for agent in self.reports():
            self.agent = agent
            for name in self.names:
                self.await_model(name, self.terms.rounds)

    def reports(self) -> dict[str, dict[str, Any]]:
        """Give what the operator is told of each training, by its agent."""
        told = json.loads((self.server / "report.json").read_text())
        return {one["agent"]: one for one in told["trainings"]}

    def sent(self, name: str) -> bytes:
        """Give all that a member sent over TLS so far."""
        return self._sent(name).read_bytes()

    def put(self, agent: str, body: Mapping[str, object], name: str = "msp-0") -> dict[str, Any]:
        """Ask an agent of a member."""
        found = self.post(agent, json.dumps(body).encode(), name)
        assert found.status_code == 200, found.text
        return dict(found.json())

    def post(self, agent: str, body: bytes, name: str = "msp-0") -> httpx.Response:
        """Send any bytes to an agent."""
        url = f"http://127.0.0.1:{self.ports[name]}{PATHS[agent]}"
        return self.http.post(url, content=body, headers={"content-type": "application/json"})

    def end(self) -> None:
        super().end()
        self.http.close()

    def _sent(self, name: str) -> Path:
        return self.folder / f"{name}.sent"
