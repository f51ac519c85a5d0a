"""Clients and technicians whose names are ordinary words."""

import pytest
from test_query_engine import NOW, MadeTable

from mesh_fl.agents.query.engine import Engine, Found, Refused

NAMES = (
    "Priority 1 Logistics", "March", "Total", "All", "Us", "Open", "Last Month Ltd", "Acme Dental",
    "Open Tickets", "Dental Supplies",
)  # fmt: skip
CLIENTS = [{"client_id": f"C{i}", "name": name} for i, name in enumerate(NAMES)]
TICKETS = [
    {"ticket_id": f"K{i}-{n}", "client_id": f"C{i}", "priority": 1 + n % 2}
    | {"opened_at": "2026-10-05" if n else "2026-03-05", "assignee_id": "T1" if n else ""}
    for i in range(len(NAMES))
    for n in range(i + 1)
]
TECHNICIANS = [{"technician_id": "T1", "name": "April Nair"}]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(
        {
            "clients": MadeTable(CLIENTS),
            "tickets": MadeTable(TICKETS),
            "technicians": MadeTable(TECHNICIANS),
        }
    )


@pytest.mark.parametrize(("place", "name"), list(enumerate(NAMES)))
@pytest.mark.parametrize("quotes", ['""', "\u201c\u201d", "''"])
def test_in_quotes_a_name_is_the_client(engine: Engine, place: int, name: str, quotes: str) -> None:
    answer = engine.ask(f"how many tickets of {quotes[0]}{name}{quotes[1]}", NOW)
    assert isinstance(answer, Found), answer
    assert answer.rows == ((place + 1,),)


READ = [
    ("how many tickets of Priority 1 Logistics", 1),
    ("how many tickets did Last Month Ltd open last month", 6),
    ("how many tickets of acme dental", 8),
    ("how many tickets of Dental Supplies", 10),
    ("how many tickets of Acme", 8),
    ("how many priority 1 tickets", sum(row["priority"] == 1 for row in TICKETS)),
    ("how many tickets were opened in March", len(NAMES)),
    ("how many tickets were opened last month", len(TICKETS) - len(NAMES)),
    ("total number of tickets", len(TICKETS)),
    ("number of tickets of all clients", len(TICKETS)),
    ("how many tickets did we open this year", len(TICKETS)),
    ('how many tickets of "March" were opened in March', 1),
    ('how many tickets were closed by "April"', 0),
]


@pytest.mark.parametrize(("question", "expected"), READ)
def test_words_stay_words_and_full_names_are_names(
    engine: Engine, question: str, expected: int
) -> None:
    answer = engine.ask(question, NOW)
    if "closed" in question:  # no ticket here was ever closed
        assert isinstance(answer, Refused)
        assert "closed_at" in answer.reason
        return
    assert isinstance(answer, Found), answer
    assert answer.rows == ((expected,),)


@pytest.mark.parametrize(
    "question",
    [
        "tickets of March",
        "tickets for Total",
        "how many tickets did Open open",
        "tickets of us",
        "tickets of client All",
        "tickets of Acme and March",
        "how many tickets were opened by April",
        "open tickets of Acme",
        "how many tickets of April",
    ],
)
def test_what_may_be_either_asks_for_quotes(engine: Engine, question: str) -> None:
    answer = engine.ask(question, NOW)
    assert isinstance(answer, Refused), answer
    assert "quotes" in answer.reason


def test_a_quotation_that_names_nothing_is_refused_whole(engine: Engine) -> None:
    answer = engine.ask('how many tickets of "Nobody Inc" were opened "last month"', NOW)
    assert isinstance(answer, Refused)
    assert answer.words == ("Nobody Inc", "last month")
