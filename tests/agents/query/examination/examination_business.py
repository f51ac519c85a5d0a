"""Clients, agreements, invoices and technicians of the made-up provider."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from examination_chance import Row, maybe
from examination_company import BEGIN, CLIENTS, DAY, NOW, TECHNICIANS, Client, moment
from numpy.random import Generator

PRICES = {
    "managed desktop": 34,
    "offsite backup": 9,
    "security monitoring": 14,
    "telephony": 11,
    "cloud hosting": 19,
}
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}


def clients(rng: Generator) -> Iterator[Row]:
    for key, client in CLIENTS.items():
        touch = client.end - timedelta(days=float(rng.exponential(16)) + 0.2)
        executive = client.end - timedelta(days=float(rng.exponential(85)) + 3)
        yield {
            "client_id": key,
            "name": client.name,
            "since": client.since,
            "employees": client.employees,
            "industry": client.industry,
            "status": "lost" if client.lost else "active",
            "lost_at": client.lost,
            "last_touch_at": touch,
            "last_exec_touch_at": maybe(rng, max(executive, client.since), 0.15),
        }


def agreements(rng: Generator) -> Iterator[Row]:
    number = 3000
    for key, client in CLIENTS.items():
        for kind in list(_bought(rng, client)):
            number += int(rng.integers(1, 9))
            yield {
                "agreement_id": f"AG{number}",
                "client_id": key,
                "type": kind,
                **_terms(rng, client, kind),
            }


def _bought(rng: Generator, client: Client) -> Iterator[str]:
    managed, *extras = PRICES
    if client.name not in ("Marram Golf Club", "Quillon Press"):
        yield managed
    if client.name != "Quillon Press":
        yield from (kind for kind in extras if rng.random() < 0.30 + 0.05 * client.load)


def _terms(rng: Generator, client: Client, kind: str) -> Row:
    hosted = kind == "cloud hosting"
    most = client.employees or 40
    seats = int(rng.integers(3, 20)) if hosted else int(most * rng.uniform(0.6, 1.0))
    period = str(rng.choice(["month", "month", "month", "quarter", "year"]))
    amount = round(seats * PRICES[kind] * rng.uniform(0.85, 1.2) * MONTHS_OF[period], 2)
    start = max(client.since, moment("2022-01-01")) + int(rng.integers(0, 300)) * DAY
    start = client.begin if start >= client.end - 60 * DAY else start
    end = _agreed_end(rng, start)
    cancelled = client.lost or _cancelled(rng, start)
    return {
        "start_at": start,
        "end_at": end,
        "amount": amount,
        "period": period,
        "seats": maybe(rng, seats, 0.05),
        "currency": "EUR",
        "cancelled_at": cancelled,
    }


def _agreed_end(rng: Generator, start: datetime) -> datetime | None:
    if rng.random() >= 0.62:
        return None
    year = 2027 if rng.random() < 0.7 else 2026
    end = start.replace(year=year, day=min(start.day, 28))
    return end.replace(year=2028) if end < start else end


def _cancelled(rng: Generator, start: datetime) -> datetime | None:
    if rng.random() >= 0.10:
        return None
    cancelled = moment("2026-01-10") + int(rng.integers(0, 290)) * DAY
    return cancelled if cancelled > start else None


def invoices(rng: Generator) -> Iterator[Row]:
    drafts = [row for key, client in CLIENTS.items() for row in _billed(rng, key, client)]
    number = 50410
    for draft in sorted(drafts, key=lambda row: (row["issued_at"], row["client_id"])):
        number += int(rng.integers(1, 4))
        yield {"invoice_id": f"INV-{number}", **draft}


def _billed(rng: Generator, key: str, client: Client) -> Iterator[Row]:
    monthly = round((client.employees or 40) * rng.uniform(30, 52) ** 1.02, 2)
    delay_days = 41 if rng.random() < 0.2 else 24
    months = [datetime(2025 + m // 12, m % 12 + 1, 1, tzinfo=BEGIN.tzinfo) for m in range(24)]
    for month, following in pairwise(months):
        if client.begin < following and month < client.end:
            for issued, total, kind in list(_charges(rng, client, month, monthly)):
                if issued < NOW:
                    paid = _payment(rng, kind, issued, round(total, 2), delay_days)
                    yield {"client_id": key, "issued_at": issued, **paid, "kind": kind}


def _charges(
    rng: Generator, client: Client, month: datetime, monthly: float
) -> Iterator[tuple[datetime, float, str]]:
    growth = 1 + 0.006 * ((month - BEGIN).days / 30)
    amount = monthly * growth * rng.uniform(0.99, 1.01)
    yield month + timedelta(hours=8), amount, "recurring"
    extras = (
        ("project", 0.07 * client.load, 8.1, 0.6),
        ("hardware", 0.10, 6.9, 0.5),
        ("credit", 0.03, 5.7, 0.5),
    )
    for kind, chance, mean, spread in extras:
        if rng.random() < chance:
            issued = month + float(rng.uniform(4, 27)) * DAY
            amount = float(rng.lognormal(mean, spread))
            yield issued, -amount if kind == "credit" else amount, kind


def _payment(rng: Generator, kind: str, issued: datetime, total: float, delay_days: float) -> Row:
    settled = issued + max(rng.normal(delay_days, 11), 1) * DAY
    paid: datetime | None = issued if kind == "credit" else settled
    balance = 0.0
    if kind != "credit" and (rng.random() < 0.012 or settled > NOW):
        paid, balance = None, total
        if rng.random() < 0.12:
            balance = round(total * rng.uniform(0.3, 0.8), 2)
    return {
        "due_at": issued + 30 * DAY,
        "paid_at": paid,
        "total": total,
        "balance": balance,
        "currency": "EUR",
    }


def technicians() -> Iterator[Row]:
    for key, one in TECHNICIANS.items():
        told = one._asdict()
        del told["pull"]
        yield {"technician_id": key, **told}
