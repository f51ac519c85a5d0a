"""What /revenue answers: arithmetic of periods, what is said where something lacks, bad input."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from revenue_rows import RowTable, answers, asked, monthly_invoices

from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.answer import RevenueAnswer
from mesh_fl.agents.revenue.backtest import Backtest, Figures
from mesh_fl.agents.revenue.request import LONGEST_PERIOD_DAYS, fields
from mesh_fl.client.models import ModelCard, Served
from mesh_fl.client.serve import answer as over_http
from mesh_fl.errors import DataError, MeshError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import table_of
from mesh_fl.site import OwnRows, Site

SEASONAL = [1000 + 5 * n + 200 * math.sin(math.tau * n / 12) for n in range(72)]


def told(history: object, **more: object) -> RevenueAnswer:
    return asked({"history": history, **more})


def test_a_constant_history_goes_on_and_does_not_grow() -> None:
    answer = told([100.0] * 48)
    assert answer.projected_revenue == pytest.approx(1200, rel=1e-6)
    assert answer.growth_rate == pytest.approx(0, abs=1e-6)
    assert (answer.previous_revenue, answer.growth_from) == (1200, "history")
    assert [one.month for one in answer.monthly_forecast][:2] == ["2026-11", "2026-12"]
    assert len(answer.monthly_forecast) == 12
    assert (answer.period_start, answer.period_end) == ("2026-11-01", "2027-10-31")
    assert answer.history_read is not None
    assert (answer.history_read.first_month, answer.history_read.last_month) == (
        "2022-11",
        "2026-10",
    )


def test_a_seasonal_history_is_forecast_closely_and_tried() -> None:
    answer = told(SEASONAL[:60])
    found = [one.revenue for one in answer.monthly_forecast]
    assert found == pytest.approx(SEASONAL[60:], rel=0.05)
    assert answer.method == "blend"
    assert answer.interval_coverage == 0.9
    for one in answer.monthly_forecast:
        assert one.lower_bound < one.revenue < one.upper_bound
    assert answer.backtest is not None
    assert answer.backtest.blend.mase < 0.7
    assert answer.backtest.blend.mase < answer.backtest.forecasters["simple_smoothing"].mase
    assert set(answer.unavailable) == {"client_id", "currency", "opportunities"}


def test_only_days_of_the_period_count() -> None:
    answer = told([310.0] * 24, as_of="2026-10-17", period_days=20)
    first, last = answer.monthly_forecast
    assert (first.share_in_period, last.share_in_period) == pytest.approx((15 / 31, 5 / 30))
    assert answer.projected_revenue == pytest.approx(310 * (15 / 31 + 5 / 30), abs=0.01)
    assert last.cumulative == answer.projected_revenue
    # The stretch before is of whole months: twenty of September's thirty days.
    assert answer.previous_revenue == pytest.approx(310 * 20 / 30, abs=0.01)
    assert "2026-10 is not over: it is forecast, and its days from as_of on count" in answer.notes


def test_the_month_that_runs_is_no_history() -> None:
    whole = told([100.0] * 30, start="2024-05-01", as_of="2026-11-20")
    running = told([100.0] * 30 + [7.0], start="2024-05-01", as_of="2026-11-20")
    assert running.projected_revenue == whole.projected_revenue
    assert any("1 amount from 2026-11 on left out" in one for one in running.notes)
    with pytest.raises(DataError, match="at least one whole month before 2026-11"):
        told([5.0], start="2026-11-01")


def test_months_since_an_old_history_are_forecast_too() -> None:
    answer = told([100.0] * 30, start="2024-01-01", period_days=30)
    assert [one.month for one in answer.monthly_forecast] == ["2026-11"]
    assert answer.history_read.last_month == "2026-06"
    with pytest.raises(DataError, match="28 before; send newer"):
        told([100.0] * 30, start="2022-01-01")


def test_growth_is_against_what_the_request_tells() -> None:
    answer = told([100.0] * 30, current_revenue=1000)
    assert (answer.previous_revenue, answer.growth_from) == (1000, "current_revenue")
    assert answer.growth_rate == pytest.approx(answer.projected_revenue / 1000 - 1)
    for history, months in (([100.0] * 11, "does not go back 365 days"), ([-1.0] * 12, "-12.00")):
        short = told(history)
        assert short.growth_rate is None
        assert months in short.unavailable["growth_rate"]


def test_one_number_is_repeated_and_said_to_be() -> None:
    answer = asked({"current_revenue": 36_500, "period_days": 365})
    assert answer.projected_revenue == 36_500
    assert answer.monthly_forecast[0].revenue == 3000
    assert answer.growth_rate is None
    assert answer.method == "repeated"
    assert "no history" in answer.unavailable["growth_rate"]
    assert {one.lower_bound for one in answer.monthly_forecast} == {None}


def test_nothing_told_is_nothing_answered() -> None:
    answer = asked({})
    assert answer.projected_revenue is None
    assert "no history was given" in answer.unavailable["projected_revenue"]
    empty = {name for name, value in answer.model_dump().items() if value in (None, (), {})}
    assert empty - {"notes"} == set(answer.unavailable)


@pytest.mark.parametrize("months", [1, 3, 6, 12, 24, 25, 30, 31, 60])
def test_whatever_is_none_has_a_reason(months) -> None:
    answer = told([100.0 + n for n in range(months)])
    fields_told = answer.model_dump()
    empty = {name for name, value in fields_told.items() if value is None or value == ()}
    assert empty - {"notes"} <= set(answer.unavailable)
    assert set(answer.unavailable) <= set(fields_told)
    assert (answer.method == "blend") == (months >= 25)
    assert bool(answer.notes) == (months < 25)


def test_all_clients_together_or_one() -> None:
    bills = [*monthly_invoices("a", [100] * 30), *monthly_invoices("b", [50] * 20)]
    rows = {"invoices": bills, "clients": [{"client_id": "a"}, {"client_id": "c"}]}
    answer = asked({}, **rows)
    assert answer.history_read.months == 30
    assert answer.previous_revenue == pytest.approx(1800)
    assert (answer.currency, answer.history_read.source) == ("EUR", "invoices")
    own = asked({"client_id": "b"}, **rows)
    assert (own.client_id, own.history_read.months, own.previous_revenue) == ("b", 20, 600)
    silent = asked({"client_id": "c"}, **rows)
    assert silent.projected_revenue is None
    assert "no amount of client c" in silent.unavailable["projected_revenue"]
    with pytest.raises(DataError, match="expected a client of your tables, found 'nobody'"):
        asked({"client_id": "nobody"}, **rows)


def test_currencies_are_never_mixed() -> None:
    bills = [
        *monthly_invoices("a", [100] * 30),
        *({**one, "currency": "usd"} for one in monthly_invoices("a", [7] * 12)),
    ]
    euro, dollar = asked({}, invoices=bills), asked({"currency": "US$"}, invoices=bills)
    assert (euro.currency, euro.previous_revenue) == ("EUR", 1200)
    assert (dollar.currency, dollar.previous_revenue) == ("USD", 84)
    assert any("12 entries of invoices in USD left out" in one for one in euro.notes)
    none = asked({"currency": "CHF"}, invoices=bills)
    assert none.projected_revenue is None
    assert "EUR, USD" in none.unavailable["projected_revenue"]


def test_agreements_stand_in_for_invoices() -> None:
    deals = [{"client_id": "a", "start_at": "2024-01-01", "amount": 1200, "period": "year"}]
    answer = asked({}, agreements=deals)
    assert answer.history_read.source == "agreements"
    assert answer.projected_revenue == pytest.approx(1200, rel=1e-6)
    assert any("those of agreements" in one for one in answer.notes)


def test_an_export_that_ends_early_is_no_lost_revenue() -> None:
    bills = [
        *monthly_invoices("a", [100] * 30, "2026-09"),
        *monthly_invoices("b", [100] * 20, "2026-06"),
    ]
    answer = asked({"period_days": 30}, invoices=bills)
    assert answer.history_read.last_month == "2026-08"
    assert any("newest invoice is of 2026-08: 2 months since" in one for one in answer.notes)
    # Another client's invoices show that the table goes on: b brings nothing any more.
    assert asked({"client_id": "b"}, invoices=bills).history_read.last_amount == 0


def test_a_band_that_did_not_hold_is_told() -> None:
    calm = told([1000.0 + n % 7 for n in range(60)])
    assert calm.backtest.coverage > 0.8
    assert not [one for one in calm.notes if "months tried" in one]
    broken = told([1000.0 + n % 7 for n in range(42)] + [5000.0 + 300 * n for n in range(18)])
    (note,) = [one for one in broken.notes if "months tried" in one]
    assert f"{broken.backtest.coverage:.0%} lay inside of their bands, where 90% should" in note
    assert "times as wide as then" in note


@pytest.mark.parametrize(
    ("coverage", "origins", "is_refuted"),
    # Thirteen of eighteen or fewer come about in 2.8 % of all cases, fourteen in 9.8 %.
    [
        (13 / 18, (18, 12, 6), True),
        (14 / 18, (18, 12, 6), False),
        (3 / 6, (6,), True),
        (4 / 6, (6,), False),
        (1.0, (6,), False),
        (None, (18,), False),
    ],
)
def test_a_coverage_is_refuted_by_the_binomial(coverage, origins, is_refuted) -> None:
    figures = Figures(1.0, 1.0)
    found = Backtest(origins, sum(origins), figures, {}, coverage)
    assert found.refutes_level is is_refuted


@pytest.mark.parametrize("usual", [0.0, 1000.0])
@pytest.mark.parametrize("place", [30, 59])
def test_a_month_that_doubles_the_year_is_named(usual, place) -> None:
    history = [usual] * 60
    history[place] = 1_000_000.0
    answer = told(history)
    (note,) = [one for one in answer.notes if one.startswith("unusual months")]
    assert "brought 1,000,000.00 where" in note
    assert note.endswith(f"with that instead, {12 * usual:,.2f} would be projected")
    first = date(2021, 11, 1)
    assert f"{first.year + (10 + place) // 12}-{(10 + place) % 12 + 1:02}" in note
    assert not [one for one in told([usual] * 60).notes if "unusual" in one]


def test_later_rows_do_not_tell() -> None:
    bills = monthly_invoices("a", [100 + n for n in range(40)])
    later = {"client_id": "a", "issued_at": "2026-11-01", "total": 1e6, "currency": "EUR"}
    before, after = asked({}, invoices=bills), asked({}, invoices=[*bills, later])
    assert before == after


def test_a_currency_in_a_table_is_not_told_without_end() -> None:
    bills = [{**one, "currency": "X" * 100_000} for one in monthly_invoices("a", [100] * 30)]
    answer = asked({}, invoices=bills)
    assert answer.previous_revenue == pytest.approx(1200)
    assert answer.currency == "X" * 20


def test_days_of_a_batch_are_bounded() -> None:
    days = [str(date(2026, 1, 1) + timedelta(n)) for n in range(101)]
    requests = [{"as_of": one, "current_revenue": 5} for one in days]
    with pytest.raises(DataError, match="at most 100 different days in one batch, found 101"):
        answers(requests)
    assert len(answers([*requests[:100], *requests[:100]])) == 200


def test_a_batch_keeps_its_order() -> None:
    bills = monthly_invoices("a", [100 + n for n in range(60)])
    days = ["2026-10-03", "2025-01-01", "2026-10-02", "2026-11-01", "2025-01-01"]
    requests = [{"as_of": one, "period_days": 30 + n} for n, one in enumerate(days)]
    found = answers(requests, invoices=bills)
    assert [one.as_of for one in found] == days
    assert found == [answers([one], invoices=bills)[0] for one in requests]


def test_tables_are_read_again_only_when_they_changed() -> None:
    table = RowTable(monthly_invoices("a", [100] * 30))
    answering = RevenueForecasting().answering(Site(tables={"invoices": table}))
    request = table_of(fields(), [{one.name: one.parse(None) for one in fields()}])
    request = {**request, "as_of": np.array([1_793_491_200.0])}
    first = answering(RevenueForecasting().init(), request)[0]
    assert answering(RevenueForecasting().init(), request)[0] == first
    assert table.readings == 1
    table.rows, table.version = monthly_invoices("a", [200] * 30), 1
    second = answering(RevenueForecasting().init(), request)[0]
    assert second.previous_revenue == 2 * first.previous_revenue
    assert table.readings == 2


def test_a_table_that_cannot_be_read_is_told() -> None:
    class Broken(RowTable):
        def read(self, schema, key) -> OwnRows:
            raise DataError("invoices.csv: expected rows below the column names, found none")

    agent = RevenueForecasting()
    answering = agent.answering(Site(tables={"invoices": Broken([])}))
    (answer,) = answering(agent.init(), {"as_of": np.array([1_793_491_200.0])})
    assert "expected rows below" in answer.unavailable["projected_revenue"]
    assert "expected rows below" in answer.unavailable["opportunities"]


BAD = [
    {"history": "[1, 2"},
    {"history": "[" * 100_000},
    {"history": [1, "two"]},
    {"history": [1, None]},
    {"history": "[1, NaN]"},
    {"history": "[1e309]"},
    {"history": [1e308]},
    {"history": []},
    {"history": {"amounts": [1]}},
    {"history": [[1]]},
    {"history": [1.0] * 5000},
    {"history": [1, 2], "start": "0001-01-01"},
    {"history": [1, 2], "start": "9999-01-01"},
    {"history": [1, 2], "as_of": "9999-12-31"},
    {"history": [1, 2], "as_of": "0001-01-01"},
    {"history": [1, 2], "as_of": "soon"},
    {"history": [1, 2], "period_days": 0},
    {"history": [1, 2], "period_days": LONGEST_PERIOD_DAYS + 1},
    {"history": [1, 2], "period_days": "NaN"},
    {"current_revenue": 1e300},
    {"client_id": "x" * 1_000_000, "history": [1], "period_days": "many"},
    {"client_id": ["a"]},
    {"history": [1, 2], "client_id": "\x00\u202e" * 1000},
    {"history": [1, 2], "currency": "\x00" * 100_000},
    {"history": [1, 2], "currency": "E" * 1_000_000},
]


@pytest.mark.parametrize("request_", BAD, ids=lambda one: str(one)[:40])
def test_bad_requests_are_refused_with_what_was_expected(request_) -> None:
    with pytest.raises(DataError, match="expected") as caught:
        asked(request_)
    assert len(str(caught.value)) < 500


STRANGE = [
    {"history": [0.0] * 40},
    {"history": [-5.0] * 40},
    {"history": [1e15, -1e15] * 20},
    {"history": [1e-300] * 40},
    {"history": [0.0] * 39 + [1e15]},
    {"history": [3]},
    {"history": [1.0] * 1000},
    {"history": [1, 2], "client_id": "\x00\u202e" * 100},
    {"history": [1, 2], "currency": "\x00" * 20},
    {"history": [0.0] * 59 + [1_000_000]},
    {"current_revenue": -5},
    {"current_revenue": 0, "period_days": 0.5 + 1},
    {"history": [1, 2], "period_days": 1},
    {"history": [5] * 30, "period_days": LONGEST_PERIOD_DAYS},
]


@pytest.mark.parametrize("request_", STRANGE, ids=lambda one: str(one)[:40])
def test_strange_requests_are_answered_with_numbers(request_) -> None:
    answer = asked(request_)
    json.dumps(answer.model_dump(mode="json"), allow_nan=False)
    assert answer.projected_revenue is not None


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.integers(1, 900),
    st.integers(0, 700),
)
def test_shares_add_up_to_the_period(history, period_days, days_later) -> None:
    as_of = date(2025, 1, 1) + timedelta(days_later)
    answer = told(history, period_days=period_days, as_of=as_of)
    total = 0.0
    for one in answer.monthly_forecast:
        total += one.revenue * one.share_in_period
        # Months are rounded to a hundredth each.
        assert one.cumulative == pytest.approx(total, abs=0.5)
        if one.lower_bound is not None:
            assert one.lower_bound <= one.revenue <= one.upper_bound
    begin = answer.monthly_forecast[0]
    assert begin.month == f"{as_of:%Y-%m}"
    assert answer.projected_revenue == answer.monthly_forecast[-1].cumulative
    json.dumps(answer.model_dump(mode="json"), allow_nan=False)


texts = st.text(max_size=8)
numbers = st.floats() | st.integers() | st.none() | texts
cells = st.fixed_dictionaries(
    {},
    optional={
        name: numbers | st.dates().map(str)
        for name in sorted({one.name for each in TABLES.values() for one in each.fields})
    },
)


class HostileTable(RowTable):
    """Cells of any kind; those that a field refuses are missing."""

    def read(self, schema, key) -> OwnRows:
        kept = []
        for row in self.rows:
            good = {}
            for one in schema:
                try:
                    good[one.name] = one.parse(row.get(one.name))
                    value = good[one.name]
                except DataError:
                    value = math.nan if one.kind in {"number", "time", "flag"} else ""
                good[one.name] = value
            kept.append(good)
        return OwnRows(table_of(schema, kept))


@settings(max_examples=40)
@given(st.lists(cells, max_size=8), st.lists(cells, max_size=8), numbers, texts)
def test_hostile_tables_are_answered_or_refused(some, others, total, client) -> None:
    agent = RevenueForecasting()
    rows = {"invoices": some, "agreements": others, "clients": [*some, *others], "tickets": some}
    own = {name: HostileTable(found) for name, found in rows.items()}
    answering = agent.answering(Site(tables=own))
    for request in ({}, {"client_id": client}, {"current_revenue": total}):
        try:
            parsed = {one.name: one.parse(request.get(one.name)) for one in fields()}
            (answer,) = answering(agent.init(), table_of(fields(), [parsed]))
        except MeshError:
            continue
        json.dumps(answer.model_dump(mode="json"), allow_nan=False)


def test_a_batch_is_answered_one_by_one_over_http() -> None:
    agent = RevenueForecasting()
    site = Site(tables={"invoices": RowTable(monthly_invoices("a", [100] * 30))})
    card = ModelCard(
        agent="revenue",
        training="",
        version="public",
        round=0,
        rounds=0,
        members=0,
        adapted=False,
        epsilon=0.0,
    )
    served = Served(agent, agent.init(), card, agent.answering(site))
    body = {"records": [{"as_of": "2026-11-01"}, {"history": [1, 2], "as_of": "2026-11-01"}]}
    found = over_http(served, body)
    first, second = found["answers"]
    assert (first["history_read"]["months"], second["history_read"]["months"]) == (30, 2)
    assert first["unused_fields"] == []
    single = answers([{"as_of": "2026-11-01"}], invoices=monthly_invoices("a", [100] * 30))[0]
    assert first["projected_revenue"] == single.projected_revenue


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"lost_at": "2026-10-15"}, "client a left on 2026-10-15: nothing more is expected of it"),
        ({"status": " Lost "}, "client a left, as its status 'Lost' says"),
        ({"status": "lost", "lost_at": "2026-12-01"}, ""),
        ({"lost_at": "2026-11-02"}, ""),
        ({}, ""),
    ],
)
def test_of_a_client_that_left_nothing_is_expected(told: dict[str, str], why: str) -> None:
    people = [{"client_id": "a", **told}, {"client_id": "b"}]
    bills = [*monthly_invoices("a", [100] * 30), *monthly_invoices("b", [50] * 30)]
    answer = asked({"client_id": "a"}, clients=people, invoices=bills)
    assert (answer.projected_revenue is None) == bool(why)
    assert why in answer.unavailable.get("projected_revenue", "")
    assert asked({"client_id": "b"}, clients=people, invoices=bills).projected_revenue
    assert asked({}, clients=people, invoices=bills).projected_revenue
