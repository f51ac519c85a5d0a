from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.federation.attendance import SURE, most_sure
from mesh_fl.agents.federation.outlook import Outlook, best_of
from mesh_fl.agents.federation.steering import (
    TRIED_ROUNDS,
    UNTOLD_ROUNDS,
    Candidate,
    Floor,
    counting_rounds,
    rounds_to_try,
    steer,
)

CAPS = {f"m{number}": 64 for number in range(50)}


def outlook(expected=0.9, rival=0.8, verdict="gain", rounds=16, enough=None) -> Outlook:
    return Outlook(
        rounds=rounds,
        metric="auc",
        higher_is_better=True,
        expected=expected,
        rival=rival,
        verdict=verdict,
        enough_members=enough,
    )


def candidate(agent, *outlooks, **more) -> Candidate:
    return Candidate(**{"agent": agent, "caps": CAPS, "outlooks": outlooks, **more})


@pytest.mark.parametrize(("members", "share"), [(5, 0.9), (40, 0.5), (200, 0.95)])
def test_as_many_are_sure_as_the_binomial_says(members, share) -> None:
    def at_least(m: int) -> float:
        return sum(
            comb(members, k) * share**k * (1 - share) ** (members - k)
            for k in range(m, members + 1)
        )

    found = most_sure([share] * members)
    assert at_least(found) >= SURE
    assert found == members or at_least(found + 1) < SURE


@given(st.lists(st.floats(-1, 2), max_size=30))
def test_attendance_never_counts_more_than_there_are(shares) -> None:
    assert 0 <= most_sure(shares) <= sum(share > 0 for share in shares)


def test_members_always_there_are_all_counted_on() -> None:
    assert most_sure([1.0] * 7) == 7
    assert most_sure([0.0] * 7) == 0


def test_agents_that_gain_most_come_first_and_those_that_gain_nothing_last() -> None:
    steps = steer(
        [
            candidate("idle", outlook(0.7, 0.8, "no gain at this crowd", enough=400)),
            candidate("untold"),
            candidate("little", outlook(0.81, 0.8)),
            candidate("much", outlook(0.9, 0.8)),
        ],
        Floor(),
    )
    assert [step.agent for step in steps] == ["much", "little", "untold", "idle"]
    assert [step.trains for step in steps] == [True, True, True, False]
    assert "about 400 would gain" in steps[-1].reason
    assert steps[2].rounds == UNTOLD_ROUNDS


def test_one_table_pays_for_what_gains_most_only() -> None:
    steps = steer(
        [
            candidate(
                "less",
                outlook(0.82),
                cost=1.0,
                left=1.5,
                table="clients",
                epsilon_of=lambda x: 8 * x,
            ),
            candidate("more", outlook(0.90), cost=1.0, left=1.5, table="clients"),
            candidate("else", outlook(0.81), cost=1.0, left=1.0, table="tickets"),
        ],
        Floor(),
    )
    assert {step.agent: step.trains for step in steps} == {
        "more": True,
        "else": True,
        "less": False,
    }
    assert "cost a record epsilon 8, and 4 is left to table clients" in steps[-1].reason


def test_what_one_agent_knows_to_be_left_binds_the_other() -> None:
    one = candidate("a", outlook(0.9), cost=1.0, left=5.0, table="t")
    other = candidate("b", outlook(0.8), cost=1.0, left=0.5, table="t")
    assert not any(step.trains for step in steer([one, other], Floor()))


def test_a_part_of_a_budget_is_no_more_than_that_part() -> None:
    one = candidate("a", outlook(0.9), cost=0.5, left=1.0, own=0.5, table="t")
    other = candidate("b", outlook(0.8), cost=0.5, left=1.0, own=0.1, table="t")
    steps = steer([one, other], Floor())
    assert [(step.agent, step.trains) for step in steps] == [("a", True), ("b", False)]


def test_what_was_planned_last_is_planned_again_where_no_forecast_tells() -> None:
    (step,) = steer([candidate("a", usual_rounds=5)], Floor())
    assert step.rounds == 5


def test_survivors_follow_attendance_and_never_fall_below_policy() -> None:
    (sure,) = steer([candidate("a", attendance=dict.fromkeys(CAPS, 0.99))], Floor())
    (seldom,) = steer([candidate("a", attendance=dict.fromkeys(CAPS, 0.5))], Floor())
    assert sure.survivors > seldom.survivors > Floor().fewest
    (none,) = steer([candidate("a", attendance=dict.fromkeys(CAPS, 0.1))], Floor(survivors=10))
    assert (none.trains, none.survivors) == (False, 0)
    assert "takes 10 at least" in none.reason


def test_colluders_are_always_outnumbered() -> None:
    assert Floor(survivors=4, colluders=9).fewest == 10


def test_the_fewest_rounds_that_gain_nearly_as_much_are_taken() -> None:
    tried = [
        outlook(0.850, rounds=4),
        outlook(0.897, rounds=8),
        outlook(0.900, rounds=16),
        outlook(0.899, rounds=32),
    ]
    found = best_of(tried)
    assert found is not None
    assert found.rounds == 8
    (step,) = steer([candidate("a", *tried)], Floor())
    assert step.rounds == 8


def test_rounds_without_a_gain_are_not_taken_for_being_few() -> None:
    found = best_of([outlook(0.95, 0.8, "no gain at this crowd", rounds=4), outlook(rounds=16)])
    assert found is not None
    assert found.rounds == 16


def test_counting_takes_one_round_where_spares_cost_nothing() -> None:
    assert counting_rounds(0) == 1
    assert counting_rounds(2) == 8
    assert rounds_to_try(candidate("a", counts=True, spares=0)) == (1,)
    assert rounds_to_try(candidate("a")) == TRIED_ROUNDS


def test_falling_metrics_gain_by_falling() -> None:
    facts = {
        "metric": "total_variation",
        "higher_is_better": False,
        "public": 0.5,
        "alone": 0.2,
        "federated": 0.05,
        "adapted": 0.1,
        "verdict": "gain",
        "enough_members": None,
    }
    found = Outlook.of(16, facts)
    assert found is not None
    assert (found.expected, found.rival) == (0.05, 0.2)
    assert found.closed == pytest.approx(0.75)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"public": 1, "alone": 1, "federated": 1, "adapted": "x", "verdict": "gain"},
        {"public": 1, "alone": 1, "federated": float("nan"), "adapted": 1, "verdict": "gain"},
        {"public": 1, "alone": 1, "federated": 1, "adapted": 1, "verdict": "too few seeds"},
    ],
)
def test_facts_that_tell_no_quality_are_no_outlook(facts) -> None:
    assert Outlook.of(16, facts) is None


OUTLOOKS = st.builds(
    outlook,
    st.floats(-2, 2),
    st.floats(-2, 2),
    st.sampled_from(["gain", "no gain at this crowd"]),
    st.integers(1, 64),
)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.lists(OUTLOOKS, max_size=3), st.floats(0, 2), st.floats(0, 2)), max_size=6
    )
)
def test_every_agent_is_told_of_once_and_no_budget_is_overdrawn(drawn) -> None:
    candidates = [
        candidate(f"a{number}", *outlooks, cost=cost, left=left, table="t")
        for number, (outlooks, cost, left) in enumerate(drawn)
    ]
    steps = steer(candidates, Floor())
    assert sorted(step.agent for step in steps) == [one.agent for one in candidates]
    costs = {one.agent: one.cost for one in candidates}
    spent = sum(costs[step.agent] for step in steps if step.trains)
    assert spent <= min((one.left for one in candidates), default=0) * (1 + 1e-6) + 1e-9
    assert all(step.reason for step in steps)
    order = [step.trains for step in steps]
    assert order == sorted(order, reverse=True)


def test_many_members_take_no_time_to_speak_of() -> None:
    assert most_sure(np.full(1000, 0.9).tolist()) > 870
