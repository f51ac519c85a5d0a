"""Records that are made of rows of several tables, and records that agents share out."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.errors import BudgetError, LedgerError
from mesh_fl.planning import make_plan
from mesh_fl.privacy.ledger import PART_FACTOR, Charge, Ledger
from mesh_fl.privacy.plan import Policy, budget_of, part_of
from mesh_fl.store import MemoryJournal

POLICY = Policy()
CLIENTS, TICKETS = ("a", "b"), ("t1", "t2", "t3")


class Home:
    def __init__(self) -> None:
        self.journal, self.blobs = MemoryJournal(), dict[str, bytes]()
        self.steps = 0
        self.ledger = self.open()

    def open(self) -> Ledger:
        return Ledger(self.journal, self.blobs, b"k" * 32, POLICY)

    def by_clients(self, share: float, tickets=TICKETS, agent: str = "health") -> bool:
        return self._charge(agent, share, "clients", CLIENTS, {"tickets": tickets})

    def by_tickets(self, share: float, tickets=TICKETS) -> bool:
        return self._charge("resource", share, "tickets", tickets, {})

    def _charge(self, agent, share, table, ids, rows) -> bool:
        self.steps += 1
        records, parts = self.ledger.records(table, ids), self.ledger.parts(rows)
        charge = Charge(
            training=f"t{self.steps}",
            agent=agent,
            plan="p",
            step=1,
            attempt=1,
            ask="ask",
            records=records.digest,
            cost=share * POLICY.budget,
            table=table,
            parts=parts.digest if len(parts) else "",
            part_tables=json.dumps(sorted(rows)) if rows else "",
        )
        return self.ledger.charge(charge, records, parts)


@pytest.fixture
def home() -> Home:
    return Home()


class TestParts:
    def test_a_row_that_is_only_a_part_hinders_nobody(self, home) -> None:
        assert home.by_clients(0.5)
        assert home.by_clients(0.5, agent="revenue")

    def test_clients_are_charged_by_every_agent_that_makes_records_of_them(self, home) -> None:
        home.by_clients(0.6)
        with pytest.raises(BudgetError, match="lifetime budget"):
            home.by_clients(0.6, agent="revenue")

    def test_a_part_that_becomes_a_record_has_paid_four_times(self, home) -> None:
        home.by_clients(0.1)
        spent = home.ledger.spent(home.ledger.records("tickets", TICKETS))
        assert spent == pytest.approx(PART_FACTOR * 0.1 * POLICY.budget)
        assert home.by_tickets(0.6)
        with pytest.raises(BudgetError):
            home.by_tickets(0.01)

    def test_a_record_that_becomes_a_part_must_afford_it(self, home) -> None:
        home.by_tickets(0.61, tickets=("t1",))
        with pytest.raises(BudgetError, match="1 rows that its records are made of"):
            home.by_clients(0.1)
        assert home.by_clients(0.09)

    def test_other_tickets_are_not_hindered(self, home) -> None:
        home.by_tickets(1.0, tickets=("t9",))
        assert home.by_clients(1.0)

    def test_it_holds_after_a_restart_and_the_tables_names_are_kept(self, home) -> None:
        home.by_clients(0.1)
        home.ledger = home.open()
        assert home.ledger.tables == {"clients", "tickets"}
        with pytest.raises(BudgetError):
            home.by_tickets(0.61)

    def test_parts_that_are_not_those_of_the_charge_are_refused(self, home) -> None:
        records = home.ledger.records("clients", CLIENTS)
        charge = Charge("t", "health", "p", 1, 1, "ask", records.digest, 1e-9, "clients", "parts")
        with pytest.raises(LedgerError, match="another record set"):
            home.ledger.charge(charge, records, home.ledger.parts({"tickets": TICKETS}))

    def test_a_row_of_another_table_is_another_row(self, home) -> None:
        one, other = ({"tickets": ("a",)}, {"invoices": ("a",)})
        assert home.ledger.parts(one).digest != home.ledger.parts(other).digest
        assert len(home.ledger.parts({**one, **other})) == 2


class TestDealing:
    @given(st.sets(st.sampled_from("abcdefg"), min_size=2))
    @settings(max_examples=20, deadline=None)
    def test_each_record_is_dealt_to_one_agent(self, agents) -> None:
        ids = [f"c{n}" for n in range(200)]
        ledger = Home().ledger
        dealt = [ledger.dealt("clients", ids, sorted(agents), one) for one in sorted(agents)]
        assert (np.sum(dealt, axis=0) == 1).all()

    def test_neither_order_nor_neighbours_matter(self) -> None:
        ledger = Home().ledger
        all_of_them = ledger.dealt("clients", ["a", "b", "c"], ["x", "y"], "x")
        turned = ledger.dealt("clients", ["c", "a"], ["y", "x"], "x")
        assert (turned == all_of_them[[2, 0]]).all()

    def test_a_further_agent_takes_records_and_moves_no_other(self) -> None:
        ledger, ids = Home().ledger, [f"c{n}" for n in range(3000)]
        before = ledger.dealt("clients", ids, ["x", "y"], "x")
        after = ledger.dealt("clients", ids, ["x", "y", "z"], "x")
        assert not (after & ~before).any()
        assert 0.45 < before.mean() < 0.55
        assert 0.29 < after.mean() < 0.38


class TestShares:
    @given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.floats(0.05, 8))
    @settings(max_examples=40, deadline=None)
    def test_shares_that_add_up_to_one_cost_the_budget_of_one_plan(self, parts, epsilon) -> None:
        whole = budget_of(epsilon, 1e-5)
        paid = sum(budget_of(part_of(epsilon, 1e-5, part / sum(parts)), 1e-5) for part in parts)
        assert paid <= whole * (1 + 1e-8)
        assert paid == pytest.approx(whole, rel=1e-5)

    def test_half_of_the_budget_is_more_than_half_of_epsilon(self) -> None:
        assert part_of(0.1, 1e-5, 0.5) == pytest.approx(0.0684, abs=1e-4)

    def test_a_plan_takes_its_share(self) -> None:
        from small_network import AGENT

        caps = dict.fromkeys("abcde", 64)
        plan = make_plan(AGENT, "centre", caps, rounds=2, share=0.25)
        assert plan.total_cost == pytest.approx(0.25 * budget_of(0.1, 1e-5), rel=1e-5)
