"""A network of all agents: what its members hold, and what they let learn from it."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from end_to_end.network import AGENT_TOML, TABLE_TOML, Network
from end_to_end.process import Process
from end_to_end.text_network import COMPLIANCE, THREAT

CLIENTS = 60
MONTHS = 36
AS_OF = "2025-01-01"

CAPS = {
    "threat": 64,
    "compliance": 64,
    "market": 64,
    "collaboration": 64,
    "query": 64,
    "federation": 64,
    "health": 64,
    "revenue": 64,
    "anomaly": 64,
    "resource": 512,
}
"""What members declare, by agent, and what the plan trains, in this order."""

ABSENT = "threat"
"""What the last member takes no part in."""

PLAN = f"""
[agents.threat.config]
records = 200

[agents.compliance]

[agents.market.config]
records = 200

[agents.collaboration]

[agents.query.config]
records = 200

[agents.federation.config.target_config]
as_of = "{AS_OF}"

[agents.federation.plan]
share = 0.03
measures = 0
measure_share = 0.0

[agents.health.config]
as_of = "{AS_OF}"

[agents.health.plan]
share = 0.97

[agents.revenue.config]
as_of = "{AS_OF}"

[agents.anomaly]

[agents.resource.config]
as_of = "{AS_OF}"
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

[tables.questions]
path = "questions.csv"
id = "question_id"

[tables.clients]
path = "clients.csv"
id = "client_id"

[tables.invoices]
path = "invoices.csv"
id = "invoice_id"

[tables.tickets]
path = "tickets.csv"
id = "ticket_id"

[tables.readings]
path = "readings.csv"
id = "event_id"

[tables.offers]
path = "offers.csv"
id = "offer_id"

[agents.market]
table = "offers"

[agents.collaboration]
table = "technicians"

[agents.query]
table = "questions"

[agents.federation]

[agents.health]
tables = ["clients", "agreements", "invoices"]

[agents.revenue]
tables = ["clients", "invoices"]

[agents.anomaly]
table = "readings"

[agents.resource]
tables = ["tickets"]

[deal]
clients = ["health", "revenue"]
"""

QUESTIONS = (("how many tickets are open", "tickets"), ("unpaid invoices by client", "invoices"))


@dataclass
class WholeNetwork(Network):
    """A network whose members hold every table."""

    clients: dict[str, Process] = field(default_factory=dict)

    def make_server(self) -> None:
        super().make_server()
        settings = self.server / "server.toml"
        text = settings.read_text().replace(AGENT_TOML, PLAN)
        settings.write_text(f'{text}\n[expect]\ndata = "none"\n')

    def make_member(self, name: str, register: bool = True) -> Path:
        home = super().make_member(name, register=False)
        takes_part = [agent for agent in CAPS if agent != ABSENT or name != "msp-4"]
        bounds = [word for agent in takes_part for word in ("--cap", f"{agent}={CAPS[agent]}")]
        self.call("mesh-client", "card", home, *bounds)
        settings = home / "client.toml"
        text = settings.read_text().replace("epsilon = 0.1 ", "epsilon = 8.0 ")
        tables = TABLES + COMPLIANCE.tables + (THREAT.tables if ABSENT in takes_part else "")
        settings.write_text(text.replace(TABLE_TOML, tables))
        seed = random.Random(name)
        THREAT.write(home, seed)
        COMPLIANCE.write(home, seed)
        _write_business(home, np.random.default_rng(len(name) + int(name[-1])))
        if register:
            self.names.append(name)
        return home


def _write_business(home: Path, rng: np.random.Generator) -> None:
    clients = ["client_id,name,industry,status,since,employees,lost_at"]
    agreements = ["agreement_id,client_id,start_at,end_at,amount,period,seats,currency"]
    invoices = ["invoice_id,client_id,issued_at,due_at,paid_at,total,balance,currency"]
    tickets = ["ticket_id,client_id,opened_at,closed_at,priority,category,actual_hours,csat"]
    for n in range(CLIENTS):
        unhappy = rng.random() < 0.4
        lost = f"2025-0{1 + n % 3}-05" if unhappy and rng.random() < 0.8 else ""
        clients.append(f"c{n},Client {n},legal,active,2021-02-01,{10 + n},{lost}")
        agreements.append(f"a{n},c{n},2021-02-01,,{500 + 10 * n},month,{5 + n},EUR")
        for month in range(MONTHS):
            year, at = 2022 + month // 12, 1 + month % 12
            total = (500 + 10 * n) * (
                1 + 0.2 * np.sin(month / 12 * 2 * np.pi) + rng.normal(0, 0.05)
            )
            issued = f"{year}-{at:02d}-01"
            paid = "" if unhappy and month > 30 else f"{year}-{at:02d}-20"
            invoices.append(
                f"i{n}-{month},c{n},{issued},{year}-{at:02d}-15,{paid},{total:.2f},"
                f"{0 if paid else round(total, 2)},EUR"
            )
        for number in range(12 if unhappy else 3):
            opened = f"2024-1{number % 3}-{1 + number:02d}"
            csat = 1 if unhappy else 5
            category = ("password", "server")[number % 2]
            hours = rng.lognormal((-1, 1)[number % 2], 0.5)
            ticket = f"t{n}-{number},c{n},{opened},{opened},{1 + number % 4}"
            tickets.append(f"{ticket},{category},{hours:.2f},{csat}")
    offers = ["offer_id,rate_per_seat"]
    offers += [f"o{n},{60 + 2 * n + rng.normal():.2f}" for n in range(40)]
    technicians = ["technician_id,skills"]
    technicians += [f"p{n},{'azure' if n % 2 else 'networking'}" for n in range(40)]
    questions = ["question_id,query,intent"]
    questions += [f"q{n},{text},{intent}" for n, (text, intent) in enumerate(QUESTIONS * 15)]
    events = ["event_id,ts,kind,source,severity,message"]
    events += [
        f"e{n},2025-01-{1 + n % 28:02d}T{n % 24:02d}:00:00Z,{kind},firewall,{n % 3},port {n} {kind}"
        for n, kind in enumerate(("denied", "allowed") * 25)
    ]
    files = {
        "clients": clients,
        "agreements": agreements,
        "invoices": invoices,
        "tickets": tickets,
        "offers": offers,
        "technicians": technicians,
        "questions": questions,
        "readings": events,
    }
    for name, lines in files.items():
        (home / f"{name}.csv").write_text("\n".join(lines) + "\n")
