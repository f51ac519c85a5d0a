"""Opportunities: each from computed values, gone or changed with them."""

import re
from collections.abc import Mapping

import numpy as np
import pytest
from revenue_rows import asked, chances, monthly_invoices

from mesh_fl.agents.health.agent import ClientHealth
from mesh_fl.agents.market.agent import MarketIntelligence
from mesh_fl.agents.revenue.account_history import accounts_of
from mesh_fl.agents.revenue.books import Books
from mesh_fl.agents.revenue.opportunities import MOST_TOLD, opportunities
from mesh_fl.agents.revenue.wording import money
from mesh_fl.errors import AgentError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import table_of

NOW = "2026-11-01"


def deal(client: str, **more: object) -> dict[str, object]:
    """Return an agreement that runs on for long."""
    usual = {"type": "Managed", "start_at": "2024-01-01", "amount": 100, "period": "month"}
    return {"client_id": client, **usual, **more}


def only(kind: str, **rows):
    (found,) = chances(kind, **rows)
    return found


def test_renewals_end_soon_and_nothing_follows() -> None:
    deals = [
        deal("a", end_at="2026-12-01", amount=1200, period="year"),
        deal("b", end_at="2027-06-01"),
        deal("c", end_at="2026-10-31"),
        deal("d", end_at="2026-12-01", cancelled_at="2026-10-01"),
        deal("e", end_at="2026-12-01"),
        deal("e", start_at="2026-12-02", end_at="2027-12-01"),
        deal("f", end_at="2026-12-01", period="fortnight"),
    ]
    found = only("renewal", agreements=deals, clients=[{"client_id": "a", "name": "Ada Ltd"}])
    assert (found.client_id, found.client, found.effect) == ("a", "Ada Ltd", "keeps")
    assert found.amount == 1200
    assert found.evidence[0].value == 30
    assert "in 30 days, on 2026-12-01" in found.action
    # The successor of e covers backup only.
    deals[5] = {**deals[5], "type": "Backup"}
    assert {one.client_id for one in chances("renewal", agreements=deals)} == {"a", "e"}


@pytest.mark.parametrize(
    ("other", "renewed"),
    [
        ({"start_at": "2026-11-20", "end_at": "2027-12-01"}, True),
        ({"start_at": "2026-12-30", "end_at": None}, True),
        ({"start_at": None, "end_at": "2030-12-01"}, True),
        # A gap, one that runs beside it anyway, and one that is over sooner.
        ({"start_at": "2027-07-01", "end_at": "2028-07-01"}, False),
        ({"start_at": "2024-01-01", "end_at": "2030-12-01"}, False),
        ({"start_at": "2026-11-05", "end_at": "2026-11-30", "type": "Backup"}, False),
    ],
)
def test_only_what_takes_its_place_renews_an_agreement(other, renewed) -> None:
    deals = [deal("a", end_at="2026-12-01", amount=70), deal("a", **other)]
    found = [one.amount for one in chances("renewal", agreements=deals)]
    assert (840 in found) is not renewed


def test_renewals_cite_the_risk_that_health_tells_of_this_client() -> None:
    def ask(agent: str, told: Mapping[str, object]) -> Mapping[str, object]:
        if agent != "health":
            raise AgentError("not here")
        assert told == {"client_id": "a", "as_of": NOW}
        return {"churn_risk": 0.25, "reasons": [{"feature": "tenure", "value": known}]}

    deals = [deal("a", end_at="2026-12-01")]
    known: float | None = 3.0
    (found,) = asked({}, ask, agreements=deals).opportunities
    assert [one.value for one in found.evidence] == [30, 0.25, 300]
    # Health that knows nothing of the client tells the risk of anybody.
    known = None
    (found,) = asked({}, ask, agreements=deals).opportunities
    assert [one.value for one in found.evidence] == [30]


def peers(with_backup: int) -> dict[str, list[dict[str, object]]]:
    ids = [f"p{number}" for number in range(6)] + ["a"]
    people = [{"client_id": one, "industry": "Law", "employees": 20} for one in ids]
    deals = [deal(one) for one in ids]
    deals += [
        deal(one, type="Backup", amount=600 + 60 * place, period="year")
        for place, one in enumerate(ids[:with_backup])
    ]
    return {"clients": people, "agreements": deals}


def test_upsells_are_what_most_similar_clients_have() -> None:
    found = chances("upsell", **peers(5))
    assert [one.client_id for one in found] == ["a", "p5"]
    assert found[0].amount == 720
    assert found[0].evidence[0].value == pytest.approx(5 / 6)
    told = found[0].evidence[0].because
    assert told == (
        "5 of 6 other clients in law with 10 to 49 employees have a backup agreement (83%)"
    )
    assert chances("upsell", **peers(3)) == []
    few = peers(5)
    few["clients"] = [{**one, "industry": str(n)} for n, one in enumerate(few["clients"])]
    assert "clients with 10 to 49 employees" in chances("upsell", **few)[0].evidence[0].because
    few["clients"] = [{**one, "employees": 10.0 ** (n + 1)} for n, one in enumerate(few["clients"])]
    assert chances("upsell", **few) == []


def test_lost_clients_are_offered_nothing() -> None:
    rows = peers(6)
    rows["clients"][-1]["lost_at"] = "2026-10-01"
    assert chances("upsell", **rows) == []
    rows["clients"][-1]["lost_at"] = "2026-12-01"
    assert len(chances("upsell", **rows)) == 1
    rows["clients"][-1]["status"] = "Inactive"
    assert chances("upsell", **rows) == []


def seats(rate: float) -> list[dict[str, object]]:
    usual = [deal(f"p{n}", amount=1000 + n, seats=10) for n in range(5)]
    return [*usual, deal("a", amount=12 * 20 * rate, seats=20, period="year")]


def test_price_rises_are_to_the_own_median() -> None:
    found = only("price rise", agreements=seats(60))
    assert (found.client_id, found.amount) == ("a", pytest.approx(12 * 20 * (100.15 - 60), abs=0.1))
    assert found.arithmetic == "(100.15 - 60.00) x 20 seats x 12 months"
    assert [one.value for one in found.evidence] == [60, 100.15]
    assert chances("price rise", agreements=seats(95)) == []
    assert chances("price rise", agreements=seats(60)[2:]) == []


def test_price_rises_cite_the_network() -> None:
    def ask(agent: str, told: Mapping[str, object]) -> Mapping[str, object]:
        assert (agent, told) == ("market", {"rate_per_seat": 60.0, "currency": ""})
        return {"positions": [{"figure": "hours"}, {"figure": "rate_per_seat", "percentile": 7.5}]}

    found = asked({}, ask, agreements=seats(60)).opportunities[0]
    assert found.kind == "price rise"
    assert found.evidence[-1].value == 7.5


def test_more_people_than_seats() -> None:
    people = [{"client_id": "a", "employees": 26}]
    found = only("unbilled seats", clients=people, agreements=[deal("a", amount=2000, seats=20)])
    assert found.amount == 6 * 100 * 12
    assert found.arithmetic == "6 seats x 100.00 a month x 12"
    people[0]["employees"] = 21
    assert chances("unbilled seats", clients=people, agreements=[deal("a", seats=20)]) == []


def work(before: float, now: float) -> list[dict[str, object]]:
    moments = [("2026-02-01", before), ("2026-08-01", now), ("2026-11-02", 999), ("2024-01-01", 9)]
    return [{"client_id": "a", "opened_at": at, "actual_hours": hours} for at, hours in moments]


def test_hours_that_grow_without_pay() -> None:
    bills = monthly_invoices("a", [1000] * 24)
    found = only("unbilled work", tickets=work(100, 160), invoices=bills)
    # Six invoices in each half year: 60.00 an hour before.
    assert found.amount == pytest.approx(2 * (160 * 60 - 6000))
    assert [one.value for one in found.evidence] == pytest.approx([0.6, 0.0, 160])
    assert chances("unbilled work", tickets=work(100, 120), invoices=bills) == []
    grown = monthly_invoices("a", [1000] * 18 + [1500] * 6)
    assert chances("unbilled work", tickets=work(100, 160), invoices=grown) == []


def test_a_bill_for_a_whole_year_is_no_pace_of_pay() -> None:
    bills = monthly_invoices("a", [0] * 6 + [12_000, 0, 0, 0, 0, 0] + [0, 0, 0, 0, 0, 500])
    assert chances("unbilled work", tickets=work(100, 130), invoices=bills) == []
    quarters = monthly_invoices("a", [0, 0, 900] * 6)
    assert len(chances("unbilled work", tickets=work(100, 130), invoices=quarters)) == 1


def test_what_is_overdue_is_collected_of_lost_clients_too() -> None:
    bill = {"client_id": "a", "issued_at": "2026-09-01", "due_at": "2026-10-02", "currency": "EUR"}
    bills = [
        {**bill, "total": 500, "balance": 120.5},
        {**bill, "total": 500, "balance": 0},
        {**bill, "total": 70, "due_at": "2026-09-02"},
        {**bill, "total": 90, "paid_at": "2026-09-20"},
        {**bill, "total": 90, "due_at": "2026-11-01"},
        {**bill, "total": 90, "kind": "credit"},
    ]
    people = [{"client_id": "a", "lost_at": "2026-10-01"}]
    found = only("overdue", invoices=bills, clients=people)
    # Ninety of them are taken off: the credit is open too.
    assert (found.amount, found.evidence[0].value, found.currency) == (100.5, 60, "EUR")
    # Without any date of payment nobody knows what is paid.
    unknown = [{**one, "paid_at": None} for one in bills]
    assert only("overdue", invoices=unknown, clients=people).amount == 120.5


@pytest.mark.parametrize(
    ("credit", "owed"),
    [
        ({"kind": "Credit note", "total": 100, "balance": 40}, 460),
        ({"kind": "Credit note", "total": 100, "balance": -40}, 460),
        ({"total": -100, "balance": 40}, 460),
        ({"total": -100, "paid_at": "2026-09-30", "balance": -40}, 500),
        ({"total": -100}, 400),
        ({"total": 100, "balance": -30}, 470),
        ({"total": -100, "issued_at": "2026-11-02"}, 500),
        ({"total": -100, "currency": "USD"}, 500),
        ({"total": -100, "client_id": "b"}, 500),
        ({"total": -600}, None),
    ],
    ids=str,
)
def test_open_credits_are_taken_off_what_is_overdue(credit, owed) -> None:
    bill = {"client_id": "a", "issued_at": "2026-08-01", "total": 500, "currency": "EUR"}
    bills = [
        {**bill, "due_at": "2026-09-01", "balance": 500},
        {**bill, "issued_at": "2026-07-01", "paid_at": "2026-07-09"},
        {**bill, "issued_at": "2026-09-01", **credit},
    ]
    found = chances("overdue", invoices=bills)
    assert [one.amount for one in found] == ([] if owed is None else [owed])
    for one in found:
        told = "500.00 EUR - " in one.arithmetic
        assert told is (owed < 500)
        assert one.evidence[1:] == () or one.evidence[1].value == 500 - owed


def test_one_off_work_of_every_month_could_be_agreed() -> None:
    amounts = [10, 20, 30, 40, 0, 50]
    bills = [{**one, "kind": "Project"} for one in monthly_invoices("a", amounts)]
    found = only("recurring work", invoices=bills)
    assert (found.amount, found.evidence[0].value) == (360, 5)
    for kind in ("Recurring", "", "Managed services", "credit note"):
        other = [{**one, "kind": kind} for one in bills]
        assert chances("recurring work", invoices=other) == []
    assert chances("recurring work", invoices=bills[2:]) == []


def test_the_largest_come_first_and_the_rest_are_counted() -> None:
    deals = [deal(f"c{n}", end_at="2026-12-01", amount=n + 1) for n in range(30)]
    answer = asked({}, agreements=deals)
    assert answer.opportunities_found == 30
    assert len(answer.opportunities) == MOST_TOLD
    amounts = [one.amount for one in answer.opportunities]
    assert amounts == sorted(amounts, reverse=True)
    own = asked({"client_id": "c3"}, agreements=deals)
    assert [one.client_id for one in own.opportunities] == ["c3"]


def test_amounts_of_other_currencies_stay_out() -> None:
    deals = [deal("a", end_at="2026-12-01", currency="EUR"), deal("b", end_at="2026-12-01")]
    bills = monthly_invoices("a", [100] * 12)
    found = asked({}, agreements=deals, invoices=bills).opportunities
    assert [one.client_id for one in found if one.kind == "renewal"] == ["a"]


@pytest.mark.parametrize(
    "request_", [{}, {"client_id": "a"}, {"client_id": "a", "history": [1, 2]}], ids=str
)
def test_without_a_history_in_a_currency_the_usual_one_counts(request_) -> None:
    """Agreements that do not tell when they began give no history, but do end."""
    deals = [deal("a", end_at="2026-12-01", currency="EUR", start_at=None)]
    found = asked(request_, agreements=deals).opportunities
    assert [(one.kind, one.currency, one.amount) for one in found] == [("renewal", "EUR", 1200)]
    later = [{"client_id": "a", "issued_at": "2026-12-05", "total": 1, "currency": "USD"}]
    assert asked(request_, agreements=deals, invoices=later).opportunities == found
    francs = asked({**request_, "currency": "CHF"}, agreements=deals)
    assert francs.opportunities == ()


def test_nobody_is_looked_for_in_vain() -> None:
    answer = asked({"history": [1, 2], "client_id": "zzz"}, agreements=[deal("a")])
    assert answer.unavailable["opportunities"] == "client_id is in none of the tables"
    none = asked({"history": [1, 2], "client_id": "a"}, agreements=[deal("a", currency="EUR")])
    assert none.unavailable["opportunities"] == (
        "none found of client a on 2026-11-01: read were agreements, amounts in EUR"
    )


def test_a_history_of_its_own_brings_none() -> None:
    answer = asked({"history": [1, 2, 3]}, agreements=[deal("a", end_at="2026-12-01")])
    assert answer.opportunities == ()
    assert "without client_id" in answer.unavailable["opportunities"]


def test_arithmetic_gives_the_amount() -> None:
    rows = {"agreements": seats(61.37), "clients": [{"client_id": "a", "employees": 31}]}
    kinds = {"price rise", "unbilled seats"}
    found = [one for one in asked({}, **rows).opportunities if one.kind in kinds]
    assert {one.kind for one in found} == kinds
    for one in found:
        sum_ = re.sub(r"seats|months|a month|,", "", one.arithmetic).replace("x", "*")
        assert eval(sum_) == pytest.approx(one.amount, abs=0.01)


def test_health_and_market_are_asked_as_they_are() -> None:
    """The real agents: their answers have the fields that are read here."""
    assert {"churn_risk", "reasons"} <= set(health_fields())
    position = (
        MarketIntelligence()
        .answer(MarketIntelligence().init(), {"rate_per_seat": np.array([60.0])})[0]
        .positions[0]
    )
    assert position.figure == "rate_per_seat"
    assert "percentile" in type(position).model_fields


def health_fields() -> list[str]:
    agent = ClientHealth()
    table = {one.name: np.array([np.nan]) for one in agent.features}
    (answer,) = agent.answer(agent.init(), {**table, "ticket_volume": np.array([30.0])})
    return list(answer.model_dump())


def test_many_rows_take_little_time() -> None:
    """Linear in the rows: anything quadratic would run into the time limit of tests."""
    clients, bills = 2000, 200_000
    random = np.random.default_rng(0)
    issued = 1_790_000_000 - 86_400.0 * random.integers(0, 2000, bills)
    ids = np.array([f"c{n}" for n in range(clients)], dtype=object)
    invoices = {
        "client_id": ids[random.integers(0, clients, bills)],
        "issued_at": issued,
        "due_at": issued + 86_400 * 30,
        "total": random.uniform(1, 1000, bills),
        "balance": random.uniform(0, 1, bills),
        "kind": np.array(["project", "recurring"], dtype=object)[random.integers(0, 2, bills)],
    }
    agreements = {
        "client_id": np.repeat(ids, 10),
        "type": np.array([f"kind {n % 997}" for n in range(10 * clients)], dtype=object),
        "amount": random.uniform(1, 1000, 10 * clients),
        "period": np.full(10 * clients, "month", dtype=object),
        "start_at": np.full(10 * clients, 1.6e9),
        "seats": random.integers(1, 100, 10 * clients).astype(float),
    }
    known = {"clients": {"client_id": ids}, "invoices": invoices, "agreements": agreements}
    books = Books({name: filled(name, columns) for name, columns in known.items()})
    assert len(opportunities(accounts_of(books, 20_700, ""))) > 1000


def filled(name: str, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a product table; what is not given is missing."""
    count = len(columns["client_id"])
    empty = table_of(
        TABLES[name].fields,
        [{f.name: f.parse(0 if f.name.endswith("_id") else None) for f in TABLES[name].fields}]
        * count,
    )
    return {**empty, **columns}


def test_money_is_written_plainly() -> None:
    assert money(1234.5, "EUR") == "1,234.50 EUR"
    assert money(0.125, "") == "0.12"
