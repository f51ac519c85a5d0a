"""Questions that small words turn round: refused, where they were once answered wrongly."""

import pytest
from test_query_engine import DATA, NOW, MadeTable

from mesh_fl.agents.query.engine import Engine, Found, Refused

TURNED = [
    "are all tickets closed",
    "have all invoices been paid",
    "do all clients have agreements",
    "did all tickets meet the SLA",
    "are there no open tickets",
    "does Globex have no open tickets",
    "isn't Acme active",
    "what percentage of clients have backup agreements",
    "percentage of hours that Priya logged",
    "share of tickets closed by Priya",
    "how many technicians know vpn or windows",
    "events with T1566 or T1078",
    "clients other than Acme with tickets",
    "clients without tickets and invoices",
    "clients with backup but not security agreements",
    "how many clients have only backup agreements",
    "clients where all tickets are closed",
    "clients who paid all invoices",
    "which clients have not paid all invoices",
    "clients with one ticket",
    "clients with just one device",
    "tickets with the same client",
    "tickets opened last month but one",
    "how many tickets were opened and closed in October",
    "last ticket of each client",
    "newest invoice per client",
    "busiest month for Acme",
    "tickets opened on a monday",
    "average hours per ticket",
    "total contract value",
    "and for Acme?",
]

FOLLOWED = [
    "list all open tickets",
    "are there any open tickets",
    "tickets without a category",
    "clients without tickets",
    "how many tickets were opened since 2 months ago",
    "which technician closed the most tickets",
    "share of tickets with priority 1",
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine({name: MadeTable(rows) for name, rows in DATA.items()})


@pytest.mark.parametrize("question", TURNED)
def test_what_cannot_be_followed_is_refused(engine: Engine, question: str) -> None:
    answer = engine.ask(question, NOW)
    assert isinstance(answer, Refused), answer
    assert answer.reason


@pytest.mark.parametrize("question", FOLLOWED)
def test_what_can_be_followed_is_still_answered(engine: Engine, question: str) -> None:
    assert isinstance(engine.ask(question, NOW), Found)
