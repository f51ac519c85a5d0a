"""What answers say beside their numbers, over tables whose gaps were written by hand."""

from collections.abc import Mapping

import pytest
from test_query_engine import NOW, MadeTable, Rows

from mesh_fl.agents.query.engine import Engine, Found, Refused

CLIENTS: Rows = [
    {"client_id": "C1", "name": "Acme Dental", "industry": "healthcare"}
    | {"last_touch_at": "2026-07-01"},
    {"client_id": "C2", "name": "Globex", "industry": "legal", "last_touch_at": "2026-11-20"},
    {"client_id": "C3", "name": "Initech"},
]
TECHNICIANS: Rows = [
    {"technician_id": "T1", "name": "Priya Nair", "level": "senior"},
    {"technician_id": "T2", "name": "Tom Becker"},
]
TICKETS: Rows = [
    {"ticket_id": "K1", "client_id": "C1", "priority": 1, "category": "network", "sla_met": True}
    | {"opened_at": "2026-08-05", "closed_at": "2026-08-06", "assignee_id": "T1"},
    {"ticket_id": "K2", "client_id": "C1", "priority": 1, "category": "email", "sla_met": False}
    | {"opened_at": "2026-08-31", "closed_at": "2026-09-02", "assignee_id": "T2"},
    {"ticket_id": "K3", "client_id": "C1", "priority": 2, "opened_at": "2026-11-10"}
    | {"closed_at": "2026-11-11"},
    {"ticket_id": "K4", "client_id": "C2", "priority": 2, "category": "email"}
    | {"opened_at": "2026-11-16", "assignee_id": "T1", "due_at": "2026-11-20"},
    {"ticket_id": "K5", "priority": 1, "category": "network", "opened_at": "2026-09-01"},
]
INVOICES: Rows = [
    {"invoice_id": "I1", "client_id": "C1", "issued_at": "2026-10-01", "total": 100}
    | {"currency": "USD"},
    {"invoice_id": "I2", "client_id": "C2", "issued_at": "2026-10-02", "total": 40}
    | {"currency": "US$"},
    {"invoice_id": "I3", "client_id": "C2", "issued_at": "2026-10-03", "total": 7},
    {"invoice_id": "I4", "issued_at": "2026-10-04", "total": 5, "currency": "usd"},
]
AGREEMENTS: Rows = [
    {"agreement_id": "A1", "client_id": "C1", "start_at": "2025-01-01", "amount": 120}
    | {"period": "year", "currency": "EUR"},
    {"agreement_id": "A2", "client_id": "C1", "start_at": "2025-01-01", "amount": 30}
    | {"period": "fortnight", "currency": "EUR"},
    {"agreement_id": "A3", "client_id": "C2", "start_at": "2025-01-01", "amount": 9}
    | {"period": "month", "currency": "EUR"},
]
ENTRIES: Rows = [
    {"entry_id": "E1", "technician_id": "T1", "ticket_id": "K1", "hours": 2, "billable": True}
    | {"started_at": "2026-10-01"},
    {"entry_id": "E2", "technician_id": "T2", "ticket_id": "K5", "hours": 3, "billable": False}
    | {"started_at": "2026-10-02"},
    {"entry_id": "E3", "hours": 5, "started_at": "2026-10-03", "ticket_id": "K3"},
]
TABLES: Mapping[str, Rows] = {
    "clients": CLIENTS,
    "technicians": TECHNICIANS,
    "tickets": TICKETS,
    "invoices": INVOICES,
    "agreements": AGREEMENTS,
    "time_entries": ENTRIES,
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine({name: MadeTable(rows) for name, rows in TABLES.items()})


def with_invoices(*more: Mapping[str, object], left_out: int = 0) -> Engine:
    rows = [*INVOICES, *more]
    return Engine({"invoices": MadeTable(rows, left_out), "clients": MadeTable(CLIENTS)})


def found(engine: Engine, question: str) -> Found:
    answer = engine.ask(question, NOW)
    assert isinstance(answer, Found), answer
    return answer


COUNTED = [
    ("how many tickets are not in network", 3, "1 of these tickets has no category"),
    ("how many tickets except email tickets", 3, "1 of these tickets has no category"),
    ("how many clients are not in legal", 2, "1 of these clients has no industry"),
    ("how many tickets are not assigned to Priya", 3, "2 of these tickets have no technician"),
    ("how many tickets were not opened by Acme", 2, "1 of these tickets has no client"),
    ("how many tickets were not closed by Priya", 4, "2 of these tickets have no closed date"),
    ("how many tickets were not closed by Priya", 4, "2 of these tickets have no technician"),
    ("share of tickets not in network", 60.0, "1 of these tickets has no category"),
    ("how many tickets are not critical", 2, ""),
    ("how many tickets are not overdue", 4, "4 of these tickets have no due date"),
    ("how many clients have tickets not in network", 2, "1 of these tickets has no category"),
    ("how many clients have no network tickets", 2, ""),
    ("how many clients have tickets not closed by Priya", 2, "of these tickets have no"),
    ("how many hours are not billable", 3, "Of 1 more of the time entries it is not known"),
    ("share of tickets within the SLA", 50.0, "Of 3 more of the tickets it is not known"),
    ("how many clients were not contacted in the last 60 days", 1, "Of 1 more of the clients"),
    ("hours without technician", 5, ""),
    ("how many tickets were opened three months ago", 2, "taken for 2026-08-01 to 2026-08-31"),
    ("how many tickets were opened a week ago", 1, "taken for 2026-11-09 to 2026-11-15"),
    ("how many tickets were opened 6 days ago", 1, "6 days ago is taken for 2026-11-16."),
    ("MRR", 19.0, "1 row is left out, as the value is missing or cannot be read: amount or period"),
    ("MRR", 19.0, "neither ends nor cancellations of agreements: all are taken for running"),
    ("how many agreements are active", 3, "all are taken for running"),
    ("total invoiced", 152.0, "1 of the invoices names no currency and is taken for USD"),
    ("total invoiced in USD", 152.0, "1 of the invoices names no currency and is taken for USD"),
    ("how many clients have more P1 than P2 tickets", 1, ""),
]


@pytest.mark.parametrize(("question", "expected", "said"), COUNTED)
def test_a_number_and_what_it_leaves_open(
    engine: Engine, question: str, expected: float, said: str
) -> None:
    answer = found(engine, question)
    assert answer.rows[0][0] == pytest.approx(expected)
    assert said in answer.sentence


ACME, GLOBEX = ("C1", "Acme Dental"), ("C2", "Globex")

GROUPED = [
    (
        "tickets by client",
        [(*ACME, 3), (*GLOBEX, 1)],
        "1 row is left out, as it has no client that is known.",
    ),
    (
        "tickets by category",
        [("email", 2), ("network", 2)],
        "1 row is left out, as it has no category.",
    ),
    (
        "total invoiced by client",
        [(*ACME, 100.0), (*GLOBEX, 47.0)],
        "1 row is left out, as it has no client that is known: 5 USD.",
    ),
    (
        "hours by client",
        [(*ACME, 7)],
        "1 row is left out, as it has no client that is known: 3 hours.",
    ),
    (
        "MRR by client",
        [(*ACME, 10.0), (*GLOBEX, 9.0)],
        "1 row is left out, as the value is missing or cannot be read: amount or period.",
    ),
    ("which clients have more P1 than P2 tickets", [(*ACME, 2, 1)], "Dental: 2 against 1"),
    ("which clients have fewer P1 than P2 tickets", [(*GLOBEX, 0, 1)], "Globex: 0 against 1"),
    (
        "which technicians logged more hours in October than in September",
        [("T1", "Priya Nair", 2, 0), ("T2", "Tom Becker", 3, 0)],
        ": 5 hours.",
    ),
    ("which priority has more tickets in August than in November", [(1, 2, 0)], "1: 2 against 0"),
    (
        "compare P1 and P2 tickets by client",
        [(*ACME, 2, 1), (*GLOBEX, 0, 1)],
        "P1 against P2",
    ),
]


@pytest.mark.parametrize(("question", "expected", "said"), GROUPED)
def test_groups_and_how_much_is_in_none(
    engine: Engine, question: str, expected: list[tuple[object, ...]], said: str
) -> None:
    answer = found(engine, question)
    assert list(answer.rows) == expected
    assert said in answer.sentence


EDGES = [
    ("which is earlier, the first ticket of Acme or of Globex", "Acme Dental", "2026-08-05", ""),
    ("which is later, the last ticket of Acme or of Globex", "Globex", "2026-11-16", ""),
    (
        "which is earlier, the first closed ticket of Priya or of Tom",
        "Priya Nair",
        "2026-08-06",
        "",
    ),
    (
        "which is earlier, the first ticket of Initech or of Globex",
        "Globex",
        "2026-11-16",
        "Of Initech there is none.",
    ),
]


@pytest.mark.parametrize(("question", "whose", "day", "said"), EDGES)
def test_the_earlier_of_two_firsts_is_named_with_its_time(
    engine: Engine, question: str, whose: str, day: str, said: str
) -> None:
    answer = found(engine, question)
    assert answer.rows[0][1:] == (whose, f"{day}T00:00:00Z")
    assert len(answer.rows) == 1
    assert said in answer.sentence


def test_a_part_and_its_denial_make_the_whole(engine: Engine) -> None:
    whole = len(TICKETS)
    for value in ("network tickets", "P1 tickets"):
        part = found(engine, f"how many {value}").rows[0][0]
        rest = found(engine, f"how many tickets except {value}").rows[0][0]
        assert isinstance(part, int)
        assert rest == whole - part


def test_amounts_without_a_currency_are_their_own_where_there_are_several() -> None:
    euros = {"invoice_id": "I5", "issued_at": "2026-10-05", "total": 9, "currency": "eur"}
    engine = with_invoices(euros)
    answer = found(engine, "total invoiced")
    assert answer.rows == (("EUR", 9.0), ("USD", 145.0), ("no currency told", 7.0))
    dollars = found(engine, "total invoiced in USD")
    assert dollars.rows[0][0] == 145
    assert "1 row is left out, as it names no currency." in dollars.sentence
    refused = engine.ask("top 2 clients by revenue", NOW)
    assert isinstance(refused, Refused)
    assert "no currency told" in refused.reason


def test_rows_that_cannot_be_read_are_told_in_the_answer() -> None:
    said = found(with_invoices(left_out=3), "total invoiced").sentence
    assert "3 rows of invoices could not be read and count nowhere." in said
    said = found(with_invoices(left_out=1), "how many invoices").sentence
    assert "1 row of invoices could not be read" in said


def test_one_that_ends_is_not_running() -> None:
    rows = [{**row, "end_at": "2026-12-31"} for row in AGREEMENTS[:2]]
    ended = [{**AGREEMENTS[2], "cancelled_at": "2026-01-01"}]
    answer = found(Engine({"agreements": MadeTable([*rows, *ended])}), "MRR")
    assert answer.rows[0][0] == 10
    assert "taken for running" not in answer.sentence


REFUSED = [
    ("how many tickets were open three months ago", "not how things stood then"),
    ("tickets opened two hours ago", "no stretch of time"),
    ("tickets as of two months ago", "no stretch of time"),
    ("tickets not closed by Priya last month", "person or the event"),
    ("tickets not closed by Priya or Tom", "person or the event"),
    ("tickets not paid by Acme", "person or the event"),
    ("tickets not closed by senior technicians", "person or the event"),
    ("invoices not paid late", "ask for late, on time"),
    ("do any clients have more P1 than P2 tickets", "ask which ones"),
    ("which clients have more tickets than devices", "two things"),
    ("which is later, the first ticket of Acme or of Globex", "earlier of two firsts"),
    ("tickets opened earlier this year", "earlier of two firsts"),
    ("clients not contacted three months ago", "not how things stood then"),
]


@pytest.mark.parametrize(("question", "reason"), REFUSED)
def test_what_can_mean_two_things_is_refused(engine: Engine, question: str, reason: str) -> None:
    answer = engine.ask(question, NOW)
    assert isinstance(answer, Refused), answer
    assert reason in answer.reason
