"""Which clients are about to leave, why, and what revenue that puts at risk, from plain exports.

Run it: python examples/client_health_tables.py
"""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from mesh_fl.agents.health import ClientHealth
from mesh_fl.agents.health.client_answer import ClientAnswer
from mesh_fl.client.own_tables import own_tables
from mesh_fl.client.settings import ClientSettings
from mesh_fl.schema import table_of
from mesh_fl.site import Site

TODAY = datetime(2026, 3, 2, tzinfo=UTC)
REASONS = 3

COLUMNS = {
    "clients": {"since": "Date_Acquired", "employees": "Number_Of_Employees"},
    "agreements": {
        "client_id": "Company_RecID",
        "start_at": "Agr_Date_Start",
        "end_at": "Agr_Date_End",
        "amount": "Agr_Amount",
        "period": "Billing_Cycle",
        "currency": "Currency_Code",
    },
    "invoices": {
        "client_id": "Company_RecID",
        "issued_at": "Date_Invoice",
        "due_at": "Due_Date",
        "paid_at": "Date_Paid",
    },
    "tickets": {
        "client_id": "Company_RecID",
        "opened_at": "Date_Entered",
        "closed_at": "Date_Closed",
        "sla_met": "SLA_Met",
        "csat": "Survey_Score",
    },
}
IDS = {
    "clients": "Company_RecID",
    "agreements": "AGR_Header_RecID",
    "invoices": "Invoice_Number",
    "tickets": "TicketNbr",
}

Row = Mapping[str, object]


def day(days_ago: float) -> str:
    return (TODAY - timedelta(days=days_ago)).date().isoformat()


def exports() -> dict[str, list[Row]]:
    """Three clients: content, growing tired, and hardly heard of."""
    clients: list[Row] = [
        {"Company_RecID": "Globex", "Date_Acquired": day(2100), "Number_Of_Employees": 40},
        {"Company_RecID": "Initech", "Date_Acquired": day(420), "Number_Of_Employees": 25},
        {"Company_RecID": "Hooli", "Date_Acquired": day(800), "Number_Of_Employees": ""},
    ]
    agreements = [
        agreement("Globex", 2100, -700, 3200, "Monthly"),
        agreement("Initech", 420, -50, 21600, "Annual"),
        agreement("Initech", 400, 30, 450, "Monthly"),
        agreement("Hooli", 800, -300, 900, "Monthly"),
    ]
    invoices = [
        *(invoice("Globex", ago, paid_after=12) for ago in range(30, 360, 30)),
        *(invoice("Initech", ago, paid_after=35) for ago in range(90, 360, 30)),
        invoice("Initech", 75, paid_after=None),
    ]
    tickets = [
        *(ticket("Globex", ago, hours=5, kept=ago % 20 != 0, rating=5) for ago in range(2, 360, 7)),
        *(ticket("Initech", ago, hours=60, kept=ago % 2 == 0, rating=2) for ago in range(3, 90)),
        *(ticket("Initech", ago, hours=20, kept=True, rating="") for ago in range(95, 360, 9)),
    ]
    named: dict[str, list[Row]] = {
        "clients": clients,
        "agreements": agreements,
        "invoices": invoices,
        "tickets": tickets,
    }
    return {
        name: [{IDS[name]: number, **row} for number, row in enumerate(rows)]
        for name, rows in named.items()
    }


def agreement(client: str, began: int, ended: int, amount: float, cycle: str) -> Row:
    return {
        "Company_RecID": client,
        "Agr_Date_Start": day(began),
        "Agr_Date_End": day(ended),
        "Agr_Amount": amount,
        "Billing_Cycle": cycle,
        "Currency_Code": "EUR",
    }


def invoice(client: str, ago: int, paid_after: int | None) -> Row:
    return {
        "Company_RecID": client,
        "Date_Invoice": day(ago),
        "Due_Date": day(ago - 14),
        "Date_Paid": "" if paid_after is None else day(ago - paid_after),
    }


def ticket(client: str, ago: int, hours: int, kept: bool, rating: int | str) -> Row:
    opened = TODAY - timedelta(days=ago)
    return {
        "Company_RecID": client,
        "Date_Entered": opened.isoformat(),
        "Date_Closed": (opened + timedelta(hours=hours)).isoformat(),
        "SLA_Met": kept,
        "Survey_Score": rating,
    }


def write(folder: Path) -> ClientSettings:
    """Write the exports and the settings that `mesh-client` would read from client.toml."""
    for name, rows in exports().items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    tables = {
        name: {
            "path": folder / f"{name}.csv",
            "id": IDS[name],
            "columns": {field: {"column": column} for field, column in COLUMNS[name].items()},
        }
        for name in COLUMNS
    }
    return ClientSettings.model_validate(
        {"name": "acme", "server": "localhost:1", "tables": tables}
    )


def ask(settings: ClientSettings, clients: Iterable[str]) -> Iterator[ClientAnswer]:
    """Answer by public knowledge alone; a training would sharpen the same answers."""
    agent = ClientHealth()
    answer = agent.answering(Site(tables=own_tables(settings)))
    fields = {one.name: one for one in agent.schema if one.name in ("client_id", "as_of")}
    for client in clients:
        record = {"client_id": client, "as_of": fields["as_of"].parse(TODAY.isoformat())}
        (found,) = answer(agent.init(), table_of(tuple(fields.values()), [record]))
        yield cast("ClientAnswer", found)


def show(answer: ClientAnswer) -> None:
    print(f"{answer.client_id}: health {answer.health_score:.0f}, {answer.risk_level} risk")
    for reason in answer.reasons[:REASONS]:
        print(f"  because of {reason.words}")
    for at_risk in answer.predictions.revenue_at_risk or ():
        print(f"  revenue at risk: {at_risk.arithmetic}")
    for advice in answer.recommendations[:1]:
        print(f"  first: {advice.action}")
    if answer.missing:
        print(f"  not known: {', '.join(answer.missing)}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for answer in ask(write(Path(folder)), ("Globex", "Initech", "Hooli")):
            show(answer)


if __name__ == "__main__":
    main()
