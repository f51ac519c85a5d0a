"""A provider's tables in; next year's revenue by month out, and what could be done for more.

Run it: python examples/revenue_forecast.py
"""

import csv
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.answer import RevenueAnswer
from mesh_fl.client.columns import TableSource
from mesh_fl.client.own_tables import FileTable
from mesh_fl.msp_tables import TABLES
from mesh_fl.site import Site

NOW = date(2026, 11, 1)
CLIENTS, MONTHS = 24, 60

Row = Mapping[str, object]


def made_up_rows() -> dict[str, list[Row]]:
    """Invent two dozen clients that pay by the seat, most of them for backup as well."""
    random = np.random.default_rng(11)
    rows: dict[str, list[Row]] = {"clients": [], "agreements": [], "invoices": []}
    for number in range(CLIENTS):
        client = {"client_id": f"c{number}", "industry": ("law", "health")[number % 2]}
        seats = int(random.integers(12, 48))
        rate = 62.0 if number == 3 else float(random.uniform(88, 112))
        rows["clients"].append({**client, "name": f"Client {number}", "employees": seats})
        end = NOW + timedelta(days=40 if number == 5 else 400 + 9 * number)
        rows["agreements"] += agreements(client["client_id"], seats, rate, end, number)
        rows["invoices"] += invoices(client["client_id"], seats * rate, random)
    return rows


def agreements(client: str, seats: int, rate: float, end: date, number: int) -> list[Row]:
    terms = {"client_id": client, "start_at": "2021-01-01", "end_at": end, "currency": "EUR"}
    managed = {"agreement_id": f"{client}-m", "type": "managed services", "period": "month"}
    backup = {"agreement_id": f"{client}-b", "type": "backup", "period": "year"}
    found: list[Row] = [{**terms, **managed, "amount": round(seats * rate, 2), "seats": seats}]
    if number != 8:
        found.append({**terms, **backup, "amount": 60 * seats})
    return found


def invoices(client: str, usual: float, random: np.random.Generator) -> list[Row]:
    """Bill every month: more each year, and projects before the year's end."""
    found: list[Row] = []
    for back in range(MONTHS, 0, -1):
        year, month = divmod(12 * NOW.year + NOW.month - 1 - back, 12)
        season = 1.25 if month in (9, 10) else 1.0
        total = usual * 1.004 ** (MONTHS - back) * season * random.lognormal(0, 0.05)
        due = date(year, month + 1, 28)
        # One client has not paid for two months.
        late = client == "c6" and back <= 2
        found.append(
            {
                "invoice_id": f"{client}-{back}",
                "client_id": client,
                "issued_at": date(year, month + 1, 3),
                "due_at": due,
                "paid_at": "" if late else due,
                "total": round(total, 2),
                "balance": round(total, 2) if late else 0,
                "currency": "EUR",
                "kind": "recurring",
            }
        )
    return found


def write(folder: Path, name: str, rows: Sequence[Row]) -> FileTable:
    path = folder / f"{name}.csv"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return FileTable(TableSource(path=path, id=TABLES[name].key))


def ask(folder: Path) -> RevenueAnswer:
    agent = RevenueForecasting()
    tables = {name: write(folder, name, rows) for name, rows in made_up_rows().items()}
    answering = agent.answering(Site(tables=tables))
    now = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC).timestamp()
    (answer,) = answering(agent.init(), {"as_of": np.array([now])})
    if not isinstance(answer, RevenueAnswer):
        raise TypeError(f"expected an answer about revenue, found {type(answer).__name__}")
    return answer


def show(answer: RevenueAnswer) -> None:
    print(f"{answer.period_start} to {answer.period_end}, {answer.currency}:")
    print(f"projected {answer.projected_revenue:,.0f}, growth {answer.growth_rate:+.1%}")
    for month in answer.monthly_forecast:
        band = f"{month.lower_bound:,.0f} to {month.upper_bound:,.0f}"
        print(f"  {month.month}  {month.revenue:>9,.0f}  [{band}]")
    if answer.backtest is not None:
        tried = answer.backtest
        print(f"tried on {tried.months} known months: off by {tried.blend.smape:.1f} % on average")
    print(f"{answer.opportunities_found} opportunities, the largest first:")
    for one in answer.opportunities:
        print(f"  {one.effect} {one.amount:,.0f}: {one.action}")
        print(f"    {one.arithmetic}")
        for evidence in one.evidence:
            print(f"    {evidence.because}: {evidence.value:g}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        show(ask(Path(folder)))


if __name__ == "__main__":
    main()
