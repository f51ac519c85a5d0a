import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
from small_network import AGENT, Centre

from mesh_fl.agent import Agent
from mesh_fl.errors import AgentError, PlanError
from mesh_fl.planning import configure, make_plan
from mesh_fl.privacy.plan import Policy, largest_delta

CAPS = {"ash": 64, "birch": 512, "cedar": 4096, "elm": 64, "fir": 64}


@dataclass(frozen=True, kw_only=True)
class Counting(Centre):
    records: float


@dataclass(frozen=True, kw_only=True)
class PerClient(Centre):
    unit: ClassVar = "client"


@dataclass(frozen=True, kw_only=True)
class Blind(Centre):
    def measure_layout(self) -> dict[str, tuple[int, ...]]:
        return {}


def planned(agent: Agent = AGENT, **terms: object):  # type: ignore[no-untyped-def]
    return make_plan(agent, "centre", CAPS, **{"rounds": 8, **terms})  # type: ignore[arg-type]


class TestConfigure:
    def test_records_default_to_the_sum_of_the_caps(self) -> None:
        agent = configure("test_planning:Counting", {}, CAPS)
        assert agent.records == 4800.0  # type: ignore[attr-defined]

    def test_a_given_number_of_records_stands(self) -> None:
        agent = configure("test_planning:Counting", {"records": 10}, CAPS)
        assert agent.records == 10.0  # type: ignore[attr-defined]

    def test_an_agent_without_records_is_given_none(self) -> None:
        assert configure("small_network:Centre", {"clip": 1.0}, CAPS) == Centre(clip=1.0)

    def test_errors_come_through(self) -> None:
        with pytest.raises(AgentError, match="clipp"):
            configure("small_network:Centre", {"clipp": 1.0}, CAPS)


class TestMakePlan:
    def test_it_is_calibrated_and_takes_its_terms_from_the_agent(self) -> None:
        plan = planned(Centre(clip=3.0))
        assert plan.multiplier is not None
        assert plan.measure_multiplier is not None
        assert (plan.dimension, plan.measure_dimension) == (4, 1)
        assert (plan.clip, plan.measure_clip) == (3.0, 1.0)
        assert json.loads(plan.config)["clip"] == 3.0
        assert (plan.epsilon, plan.survivors, plan.colluders) == (0.1, 4, 1)
        assert plan.caps == CAPS
        Policy().admit(plan, "ash", 64)

    def test_a_clip_given_as_an_integer_is_a_plan_all_the_same(self) -> None:
        assert planned(Centre(clip=3)).digest == planned(Centre(clip=3.0)).digest

    def test_delta_is_the_largest_sensible_one(self) -> None:
        assert planned().delta == largest_delta(CAPS) == 1e-5
        many = make_plan(AGENT, "centre", dict.fromkeys(CAPS, 10**6), rounds=1)
        assert many.delta == pytest.approx(1 / (10 * 5 * 10**6))
        assert planned(delta=1e-9).delta == 1e-9

    def test_clients_count_as_one_record_each(self) -> None:
        plan = planned(PerClient())
        assert plan.unit == "client"
        assert plan.caps == dict.fromkeys(CAPS, 1)
        assert plan.release("train").bound < planned().release("train").bound

    def test_without_measures_there_is_no_share(self) -> None:
        plan = planned(measures=0)
        assert plan.measure_share == 0.0
        assert plan.measure_multiplier is None

    @pytest.mark.parametrize(
        ("terms", "message"),
        [
            ({"survivors": 6}, "register more members, or plan for fewer"),
            ({"colluders": 4}, "colluders < survivors"),
            ({"rounds": 0}, "  rounds: Input should be greater than 0"),
            ({"measures": 9}, "measures = 9 exceed rounds = 8"),
            ({"measure_share": 0.0}, "measure_share above 0"),
            ({"delta": 1e-3}, "delta must be at most 1e-05"),
            ({"epsilon": -1.0}, "epsilon"),
            ({"agent": Blind()}, "'centre' measures nothing: plan measures = 0"),
        ],
        ids=str,
    )
    def test_impossible_terms_are_told_in_words(
        self, terms: dict[str, object], message: str
    ) -> None:
        with pytest.raises(PlanError, match=message) as caught:
            planned(**terms)
        assert str(caught.value).startswith("this plan is impossible:\n  ")
        assert "pydantic" not in str(caught.value)

    def test_every_contradiction_is_told_at_once(self) -> None:
        with pytest.raises(PlanError) as caught:
            planned(rounds=0, epsilon=-1.0, spares=-1)
        assert len(str(caught.value).splitlines()) == 4

    def test_nobody_registered_is_impossible(self) -> None:
        with pytest.raises(PlanError, match="register more members"):
            make_plan(AGENT, "centre", {}, rounds=1)
