"""Agents that read one table share each record's budget; a clip is of the rows that are trained."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.card import Card
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import ConfigError
from mesh_fl.privacy.plan import ROUNDING, budget_of
from mesh_fl.registry import build
from mesh_fl.server import steering
from mesh_fl.server.forecast import Forecast
from mesh_fl.server.planning import plan_for
from mesh_fl.server.settings import ServerSettings
from mesh_fl.server.steering import Claim, Purse, chosen_clip, next_steps, steered
from mesh_fl.state import dump_state
from mesh_fl.training import begin

CAPS = {"health": 64, "revenue": 64, "threat": 64, "query": 64}
ROSTER = SimpleNamespace(
    cards={f"m{n}": Card.model_construct(cap=64, caps=CAPS) for n in range(30)}, colluders=1
)
BUDGET = budget_of(0.1, 1e-5)
SHARED = pytest.approx(0.5, rel=1e-6)


def settings(**agents) -> ServerSettings:
    return ServerSettings.model_validate(
        {"name": "coop", "expect": {"data": "none"}, "agents": agents}
    )


def trained(found, spent=None) -> dict[str, float]:
    return {one.agent: one.share for one in next_steps(found, ROSTER, spent or {}) if one.trains}


def cost_of(found: ServerSettings) -> float:
    chosen = steered(found, next_steps(found, ROSTER, {}))
    return sum(plan_for(chosen, name, ROSTER)[1].total_cost for name in chosen.agents)


def forecast_by(monkeypatch, **gains):
    def told(found, plan, *, larger=False):
        public, federated = (0.5, 0.9) if gains[plan.agent](plan) else (0.9, 0.5)
        verdict = "gain" if federated > public else "no gain at this crowd"
        names = ("alone", "federated", "adapted")
        facts = {name: public if name == "alone" else federated for name in names}
        return Forecast("", {"metric": "auc", "public": public, "verdict": verdict, **facts})

    monkeypatch.setattr(steering, "forecast", told)


def test_agents_of_one_table_share_its_budget_and_others_do_not() -> None:
    found = settings(health={}, revenue={}, threat={})
    assert trained(found) == {"health": SHARED, "revenue": SHARED, "threat": 1.0}
    reasons = {one.agent: one.reason for one in next_steps(found, ROSTER, {})}
    assert "50% of the budget of table clients, shared by health, revenue" in reasons["health"]
    assert "shared" not in reasons["threat"]


def test_what_is_suggested_can_be_paid_and_leaves_nothing() -> None:
    together = cost_of(settings(health={}, revenue={}))
    assert 0.999 * BUDGET < together <= BUDGET * (1 + ROUNDING)


def test_counting_is_paid_from_the_budget_of_what_it_counts() -> None:
    plan = {"epsilon": 0.0143, "measures": 0}
    found = settings(federation={"plan": plan, "config": {"target": "threat"}}, threat={})
    part = 1 - budget_of(0.0143, 1e-5) / BUDGET
    assert trained(found) == {"federation": 1.0, "threat": pytest.approx(part, rel=1e-3)}
    assert 0.95 < part < 0.98
    assert cost_of(found) <= BUDGET * (1 + ROUNDING)


def test_shares_that_the_operator_set_stay() -> None:
    found = settings(health={"plan": {"share": 0.3}}, revenue={"plan": {"share": 0.2}}, threat={})
    assert trained(found) == {"health": 0.3, "revenue": 0.2, "threat": 1.0}
    alone = settings(threat={"plan": {"share": 0.25}})
    assert steered(alone, next_steps(alone, ROSTER, {})).plan_of("threat").share == 0.25


def test_one_that_is_said_to_have_all_has_a_budget_of_its_own() -> None:
    whole = {"plan": {"share": 1.0}}
    assert trained(settings(health=whole, revenue=whole)) == {"health": 1.0, "revenue": 1.0}


def test_two_promises_of_all_are_not_both_kept() -> None:
    own = {"plan": {"epsilon": 0.1}}
    assert len(trained(settings(health=own, revenue=own))) == 1


def test_what_one_has_spent_is_not_there_for_the_other() -> None:
    found = settings(health={}, revenue={})
    assert trained(found, {"health": BUDGET}) == {}
    assert trained(found, {"health": BUDGET / 2}).keys() == {"revenue"}
    steps = next_steps(found, ROSTER, {"health": BUDGET})
    assert all("cost a record epsilon 0.0684, and 0 is left" in step.reason for step in steps)
    assert any("is left of its part of the budget of table clients" in one.reason for one in steps)


def test_what_gains_nothing_leaves_its_part_to_the_others(monkeypatch) -> None:
    found = ServerSettings.model_validate({"name": "coop", "agents": {"health": {}, "revenue": {}}})
    forecast_by(monkeypatch, health=lambda plan: True, revenue=lambda plan: False)
    assert trained(found) == {"health": 1.0}


def test_forecasts_are_of_the_part_and_not_of_all(monkeypatch) -> None:
    found = ServerSettings.model_validate({"name": "coop", "agents": {"health": {}, "revenue": {}}})
    forecast_by(monkeypatch, health=lambda plan: plan.epsilon < 0.08, revenue=lambda plan: True)
    assert trained(found) == {"health": SHARED, "revenue": SHARED}


CLAIMS = st.builds(Claim, st.floats(0.01, 1), st.floats(0.01, 1), st.booleans())


@given(st.lists(CLAIMS, min_size=1, max_size=6))
def test_parts_of_agents_that_say_nothing_never_overdraw_the_budget(claims) -> None:
    purse = Purse("t", {f"a{place}": claim for place, claim in enumerate(claims)})
    assert all(0 < purse.share(name) <= 1 for name in purse.claims)
    fixed = sum(one.budget * one.share for one in claims if one.is_set)
    parts = sum(purse.share(name) * one.budget for name, one in purse.claims.items())
    if fixed < purse.budget:
        assert parts <= purse.budget * (1 + 1e-9)


class TestClip:
    @pytest.fixture(params=[50_000])
    def counted(self, request):
        found = settings(
            federation={
                "plan": {"measures": 0},
                "config": {"target": "threat", "target_config": {"clip": 8.0}},
            }
        )
        checkpoint = begin(*plan_for(found, "federation", ROSTER))
        checkpoint.status, checkpoint.applied = "finished", 1
        counting = build("federation", json.loads(checkpoint.plan.config))
        state = counting.init()
        if request.param:
            rows = counting.contribute(state, {"norm": np.linspace(1, 9, request.param)})
            total = {"lengths": np.asarray(rows.sum(axis=0)).ravel()}
            state = counting.apply(state, total)
        checkpoint.state = dump_state(state)
        blobs: dict[str, bytes] = {}
        checkpoint.save(blobs)
        assert Checkpoint.load(blobs) is not None
        return blobs

    def test_it_is_of_the_rows_that_will_be_trained(self, counted) -> None:
        clip = chosen_clip(counted, "threat", {})
        assert clip != 8.0
        assert 3 < clip < 9
        assert chosen_clip(counted, "threat", {"clip": 3.0, "records": 7.0}) == clip

    @pytest.mark.parametrize("counted", [0], indirect=True)
    def test_no_lengths_choose_none(self, counted) -> None:
        assert chosen_clip(counted, "threat", {}) is None

    def test_lengths_of_other_rows_choose_none(self, counted) -> None:
        assert chosen_clip(counted, "threat", {"learning_rate": 1.0}) is None
        assert chosen_clip(counted, "health", {}) is None
        assert chosen_clip({}, "threat", {}) is None

    def test_a_configuration_that_cannot_be_built_is_an_error(self, counted) -> None:
        with pytest.raises(ConfigError, match="colour"):
            chosen_clip(counted, "threat", {"colour": 1})
